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
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tapstack/lib/cache"
	"tapstack/lib/process"
)

// madeDatabase is in the template, and gets the name of the cluster's database: to rename one is quicker than to make one, and most
// of it is the same in all members for ever.
const madeDatabase = "tap_made"

// template is an empty cluster's data folder, made once for each version of the server and kept in the cache: all members
// begin as copies of it, which makes them one cluster. Sorting is by bytes (locale C), which every machine has.
func (c *Cluster) template(ctx context.Context) (string, error) {
	path, err := templateOf(c.server)
	if err != nil {
		return "", err
	}
	return path, cache.Make(ctx, path, func(ctx context.Context, folder string) error {
		data := filepath.Join(c.folder, "template")
		defer func() { _ = os.RemoveAll(data) }()
		if err := own(c.account, data); err != nil {
			return err
		}
		if err := c.once(ctx, "", "initdb", "--pgdata", data, "--username", superuser, "--auth", "trust",
			"--encoding", "UTF8", "--locale", "C", "--wal-segsize", "4", "--no-sync", "--no-instructions"); err != nil {
			return err
		}
		if err := c.once(ctx, "CREATE DATABASE "+madeDatabase+" STRATEGY file_copy\n", "postgres", "--single", "-D", data, "-F", "postgres"); err != nil {
			return err
		}
		return copyTree(ctx, data, folder, nil, nil)
	})
}

// templateOf is where the template of a server is, if there is one.
func templateOf(server Server) (string, error) {
	dir, err := cache.Dir()
	return filepath.Join(dir, "postgres-template-"+server.Version), err
}

// once runs one of the server's programs to its end.
func (c *Cluster) once(ctx context.Context, input, name string, arguments ...string) error {
	command := exec.CommandContext(ctx, c.server.program(name), arguments...)
	command.Dir, command.Env, command.Stdin = "/", environment(), strings.NewReader(input)
	c.account.Run(command)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, output)
	}
	return nil
}

// copyTree copies what is in a folder into another one that exists, for an account, with the times at which files were written.
// Names that skip, which may be nil, says yes to are left out, by their path below the folder, and so is what is there already
// and what disappears meanwhile.
func copyTree(ctx context.Context, from, to string, account *process.Account, skip func(string) bool) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err = errors.Join(err, context.Cause(ctx)); err != nil || path == from {
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
		err = copyEntry(path, filepath.Join(to, name), entry, account)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func copyEntry(from, to string, entry fs.DirEntry, account *process.Account) error {
	switch {
	case entry.IsDir():
		info, err := entry.Info()
		if err == nil {
			err = os.Mkdir(to, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
		return account.Own(to)
	case entry.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(target, to)
		}
		if err != nil {
			return err
		}
		return account.Own(to)
	case entry.Type().IsRegular():
		return copyFile(from, to, account)
	}
	return nil // a socket
}

func copyFile(from, to string, account *process.Account) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	source, err := os.Open(from) //nolint:gosec // in folders of the tool's own
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
	return errors.Join(err, target.Close(), os.Chtimes(to, time.Time{}, info.ModTime()), account.Own(to))
}

// prune removes what a member has, but for the files that are the same at another, which runs: those that neither has written to
// since both began as copies of the template. They are most of them, and a member that is copied while it works gives little
// time to that. What left says is not copied goes, too.
func (c *Cluster) prune(of, at *member) error {
	var removed []string
	err := filepath.WalkDir(of.data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == of.data {
			return err
		}
		name, err := filepath.Rel(of.data, path)
		if err != nil {
			return err
		}
		there := filepath.Join(at.data, name)
		if !left(name) && (entry.IsDir() && isFolder(there) || c.untouched(path, there)) {
			return nil
		}
		removed = append(removed, path)
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	for _, path := range removed {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// untouched says of two files that both are what the template has: since they were copied, nobody has written to them.
func (c *Cluster) untouched(one, other string) bool {
	a, err1 := os.Lstat(one)
	b, err2 := os.Lstat(other)
	return err1 == nil && err2 == nil && a.Mode().IsRegular() && b.Mode().IsRegular() &&
		a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.ModTime().Before(c.copied)
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
	connection, err := from.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	if _, err := connection.Exec(ctx, "SELECT pg_backup_start('tap', true)", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := c.prune(to, from); err != nil { // what is written to from here on is in the WAL
		return err
	}
	if err := copyTree(ctx, from.data, to.data, c.account, left); err != nil {
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

// write writes a file of the server's.
func (c *Cluster) write(path, content string) error {
	return errors.Join(os.WriteFile(path, []byte(content), 0o600), c.account.Own(path))
}
