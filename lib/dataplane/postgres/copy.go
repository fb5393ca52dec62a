package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"tapstack/lib/cache"
	"tapstack/lib/process"
)

// template is an empty cluster's data folder, made once for each version of the server and kept in the cache: all members
// begin as copies of it, which makes them one cluster. Sorting is by bytes (locale C), which every machine has.
func (c *Cluster) template(ctx context.Context) (string, error) {
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "postgres-data-"+c.server.Version)
	return path, cache.Make(ctx, path, func(ctx context.Context, folder string) error {
		data := filepath.Join(c.folder, "template")
		defer func() { _ = os.RemoveAll(data) }()
		if err := c.own(data); err != nil {
			return err
		}
		command := exec.CommandContext(ctx, c.server.program("initdb"), "--pgdata", data, "--username", superuser, "--auth", "trust",
			"--encoding", "UTF8", "--locale", "C", "--wal-segsize", "4", "--no-sync", "--no-instructions")
		command.Dir, command.Env = "/", environment()
		c.account.Run(command)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w: %s", err, output)
		}
		return copyTree(data, folder, nil, nil)
	})
}

// copyTree copies what is in a folder into another one that exists, for an account. Names that skip, which may be nil, says
// yes to are left out, by their path below the folder. What disappears meanwhile is left out too.
func copyTree(from, to string, account *process.Account, skip func(string) bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err != nil || path == from {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if skip != nil && skip(name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return copyEntry(path, filepath.Join(to, name), entry, account)
	})
}

func copyEntry(from, to string, entry fs.DirEntry, account *process.Account) error {
	switch {
	case entry.IsDir():
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = os.Mkdir(to, info.Mode().Perm())
		}
		return errors.Join(err, account.Own(to))
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, os.Symlink(target, to), account.Own(to))
	case entry.Type().IsRegular():
		return copyFile(from, to, account)
	}
	return nil // a socket
}

func copyFile(from, to string, account *process.Account) error {
	source, err := os.Open(from) //nolint:gosec // in folders of the tool's own
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()) //nolint:gosec // as above
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close(), account.Own(to))
}

// left says what is left out of a copy of a running member: most of what pg_basebackup leaves out, and for the same reasons
// (PostgreSQL: Continuous Archiving and PITR, "Making a Base Backup Using the Low Level API"). WAL comes by streaming.
func left(name string) bool {
	switch name {
	case "postmaster.pid", "postmaster.opts", controlFile:
		return true
	}
	switch filepath.Dir(name) {
	case "pg_wal":
		return filepath.Ext(name) != "" && filepath.Ext(name) != ".history" || len(name) == len("pg_wal/")+24
	case "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans":
		return true
	}
	return false
}

// controlFile is copied last, as pg_basebackup does.
var controlFile = filepath.Join("global", "pg_control")

// clone makes the data of a stopped member a copy of a running one's. The folder itself stays: by it the server knows its
// shared memory again, and frees what a killed predecessor left.
func (c *Cluster) clone(ctx context.Context, to, from *member) error {
	if err := empty(to.data); err != nil {
		return err
	}
	connection, err := from.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	if _, err := connection.Exec(ctx, "SELECT pg_backup_start('tap', true)", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := copyTree(from.data, to.data, c.account, left); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(from.data, controlFile), filepath.Join(to.data, controlFile), c.account); err != nil {
		return err
	}
	var label string
	if err := connection.QueryRow(ctx, "SELECT labelfile FROM pg_backup_stop(false)").Scan(&label); err != nil {
		return err
	}
	return errors.Join(c.write(filepath.Join(to.data, "backup_label"), label), c.configure(to))
}

func empty(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
	}
	return err
}

// write writes a file of the server's.
func (c *Cluster) write(path, content string) error {
	return errors.Join(os.WriteFile(path, []byte(content), 0o600), c.account.Own(path))
}
