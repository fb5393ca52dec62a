//go:build linux

package reliability

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// diskSize holds the state and its copies several times.
const diskSize = 64 << 20

// errNoDisk says that this machine lets nobody mount a small disk.
var errNoDisk = errors.New("no small disk can be mounted here")

// disk is a file system of its own.
type disk struct{ at string }

// mountDisk has the round's folder on a small disk.
func (r *round) mountDisk() (disk, error) {
	d := disk{r.folder}
	if err := syscall.Mount("tapstack-reliability", d.at, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		return d, fmt.Errorf("%w: %w", errNoDisk, err)
	}
	return d, os.Mkdir(filepath.Join(d.at, "tmp"), 0o700)
}

func (d disk) unmount() { _ = syscall.Unmount(d.at, syscall.MNT_DETACH) }

// fill writes until there is no room.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = file.Write(block)
		if errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, file.Close())
	}
	return file.Close()
}
