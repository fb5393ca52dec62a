package postgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"

	"github.com/ulikunitz/xz"

	"tapstack/lib/cache"
)

const (
	// oldest is the first major version with the functions and roles that are used here (pg_backup_start, pg_checkpoint).
	oldest = 15
	// fetchedVersion is the server that is fetched: of the major version that the stack has by default.
	fetchedVersion = "16.15"
)

// archives are the servers to be had without an installation: those of zonkyio/embedded-postgres-binaries at Maven Central,
// by GOARCH, with what the archive is called there and its SHA-256. The library fergusstrange/embedded-postgres takes them from
// there too, but offers no way to fetch them without starting a server, which fails as root, and checks a download only
// against what the same place says of it.
var archives = map[string]struct{ platform, sha256 string }{
	"amd64": {"linux-amd64", "653abc065c682b85d3da50168fb95dc524bd85426cdec9ce3695a550ef431df2"},
	"arm64": {"linux-arm64v8", "f846a9989d686b7977d6eca9bc9d8b2b69e3f70c7eb60e032197d9c574a6136c"},
}

// repository is where the archives are.
var repository = "https://repo1.maven.org/maven2/io/zonky/test/postgres"

// packages are where distributions install servers: Debian and Ubuntu, Fedora and its kin, Alpine.
var packages = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*"}

// Server is a PostgreSQL that can be run.
type Server struct {
	// Bin is the folder of its programs.
	Bin string
	// Version is what it says of itself, such as 16.15.
	Version string
	// Reason says why it is this one.
	Reason string
	// Ready is false when the first start has yet to fetch it.
	Ready bool
}

// Find finds the server to use without fetching anything: one on PATH, else the newest of the system's packages, else one in
// the cache, else one that can be fetched.
func Find(ctx context.Context) (Server, error) {
	if runtime.GOOS != "linux" {
		return Server{}, fmt.Errorf("the local database runs on Linux, not on %s", runtime.GOOS)
	}
	if program, err := exec.LookPath("postgres"); err == nil {
		if program, err = filepath.EvalSymlinks(program); err == nil {
			if server, err := installed(ctx, filepath.Dir(program)); err == nil {
				server.Reason = "on PATH"
				return server, nil
			}
		}
	}
	var found []Server
	for _, pattern := range packages {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range folders {
			if server, err := installed(ctx, folder); err == nil {
				server.Reason = "a package of the system"
				found = append(found, server)
			}
		}
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b Server) int { return major(a.Version) - major(b.Version) }), nil
	}
	return fetchable(ctx)
}

// fetchable is the server that is fetched, whatever is installed.
func fetchable(context.Context) (Server, error) {
	folder, err := fetchedDir()
	if err != nil {
		return Server{}, err
	}
	server := Server{Bin: filepath.Join(folder, "bin"), Version: fetchedVersion, Reason: fmt.Sprintf("no PostgreSQL from %d on is installed", oldest)}
	if _, err := os.Stat(server.Bin); err == nil {
		server.Ready = true
	} else if _, known := archives[runtime.GOARCH]; !known {
		return Server{}, fmt.Errorf("no PostgreSQL from %d on is installed, and there is none to fetch for %s (Debian: apt install postgresql)", oldest, runtime.GOARCH)
	}
	return server, nil
}

// ready is what find finds, with the fetching done.
func ready(ctx context.Context, find func(context.Context) (Server, error), notify func(string)) (Server, error) {
	server, err := find(ctx)
	if err != nil || server.Ready {
		return server, err
	}
	folder := filepath.Dir(server.Bin)
	notify(fmt.Sprintf("Fetching PostgreSQL %s from Maven Central into %s, once (15 MB).", server.Version, folder))
	if err := cache.Make(ctx, folder, fetch); err != nil {
		return Server{}, fmt.Errorf("fetching PostgreSQL %s (or install it. Debian: apt install postgresql): %w", server.Version, err)
	}
	server.Ready = true
	return server, nil
}

func fetchedDir() (string, error) {
	dir, err := cache.Dir()
	return filepath.Join(dir, "postgres-"+fetchedVersion), err
}

// versionPattern takes "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" and "postgres (PostgreSQL) 19beta1".
var versionPattern = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)(\.[0-9]+)?`)

// installed is the server in a folder of programs.
func installed(ctx context.Context, folder string) (Server, error) {
	if _, err := os.Stat(filepath.Join(folder, "initdb")); err != nil {
		return Server{}, err
	}
	output, err := exec.CommandContext(ctx, filepath.Join(folder, "postgres"), "--version").Output()
	if err != nil {
		return Server{}, err
	}
	match := versionPattern.FindSubmatch(output)
	if match == nil || major(string(match[1])) < oldest {
		return Server{}, fmt.Errorf("%s is none from %d on: %s", folder, oldest, output)
	}
	return Server{Bin: folder, Version: string(match[1]) + string(match[2]), Ready: true}, nil
}

func major(version string) int {
	digits := regexp.MustCompile(`^[0-9]+`).FindString(version)
	number, _ := strconv.Atoi(digits)
	return number
}

// program is the path of one of the server's programs.
func (s Server) program(name string) string { return filepath.Join(s.Bin, name) }

// copyTo copies an installation that fetch made to where another user gets at it.
func (s Server) copyTo(ctx context.Context, folder string) (Server, error) {
	own, err := fetchedDir()
	if err != nil {
		return s, err
	}
	if filepath.Dir(s.Bin) != own {
		return s, fmt.Errorf("PostgreSQL does not run as root, and the user that it runs as does not get to %s", s.Bin)
	}
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // programs
		return s, err
	}
	s.Bin = filepath.Join(folder, "bin")
	return s, copyTree(ctx, own, folder, nil, nil)
}

// fetch fills a folder with the server's programs.
func fetch(ctx context.Context, folder string) error {
	archive := archives[runtime.GOARCH]
	name := "embedded-postgres-binaries-" + archive.platform
	address := fmt.Sprintf("%s/%s/%s.0/%s-%s.0.jar", repository, name, fetchedVersion, name, fetchedVersion)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, response.Status)
	}
	const most = 64 << 20
	content, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if digest := sha256.Sum256(content); hex.EncodeToString(digest[:]) != archive.sha256 {
		return fmt.Errorf("%s has the SHA-256 %x, not %s", address, digest, archive.sha256)
	}
	if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // programs, which another user may have to run
		return err
	}
	return unpack(content, folder)
}

// unpack takes the one .txz out of a jar, and what is in it.
func unpack(jar []byte, folder string) error {
	files, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return err
	}
	for _, file := range files.File {
		if filepath.Ext(file.Name) != ".txz" {
			continue
		}
		packed, err := file.Open()
		if err != nil {
			return err
		}
		defer func() { _ = packed.Close() }()
		unpacked, err := xz.NewReader(packed)
		if err != nil {
			return err
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }()
		return untar(tar.NewReader(unpacked), root)
	}
	return errors.New("the archive has no .txz")
}

func untar(archive *tar.Reader, root *os.Root) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(header.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeSymlink:
			err = root.Symlink(header.Linkname, name)
		case tar.TypeReg:
			err = write(archive, root, name, header.FileInfo().Mode().Perm()|0o444)
		}
		if err != nil {
			return err
		}
	}
}

func write(content io.Reader, root *os.Root, name string, mode os.FileMode) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
