//go:build linux

package postgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"tapstack/lib/process/processtest"
)

// install makes a folder of programs that say they are a version.
func install(t *testing.T, folder, version string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\necho '"+name+" (PostgreSQL) "+version+"'\n"), 0o700))
	}
}

func TestTheServerIsTheOneOnPathElseTheNewestPackageElseFetched(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TAPSTACK_CACHE", filepath.Join(dir, "cache"))
	t.Setenv("PATH", filepath.Join(dir, "path")+":/usr/bin:/bin")
	all := packages
	packages = []string{filepath.Join(dir, "packages/*/bin")}
	t.Cleanup(func() { packages = all })

	if found, err := Find(t.Context()); err == nil && found.Reason == "on PATH" {
		t.Skipf("the system's own folder has a server: %s", found.Bin)
	}
	found, err := Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Server{Bin: filepath.Join(dir, "cache/postgres-"+fetchedVersion+"/bin"), Version: fetchedVersion, Reason: "no PostgreSQL from 15 on is installed"}, found)

	install(t, filepath.Join(dir, "packages/9/bin"), "9.6.24")
	install(t, filepath.Join(dir, "packages/14/bin"), "14.9 (Debian 14.9-1)")
	found, err = Find(t.Context())
	require.NoError(t, err)
	assert.False(t, found.Ready, "all are too old")

	install(t, filepath.Join(dir, "packages/16/bin"), "16.4")
	install(t, filepath.Join(dir, "packages/19/bin"), "19beta1")
	install(t, filepath.Join(dir, "packages/17/bin"), "17.2")
	found, err = Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Server{Bin: filepath.Join(dir, "packages/19/bin"), Version: "19", Reason: "a package of the system", Ready: true}, found)

	install(t, filepath.Join(dir, "behind"), "15.18 (Debian 15.18-0+deb12u1)")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "path"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "behind/postgres"), filepath.Join(dir, "path/postgres")))
	found, err = Find(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Server{Bin: filepath.Join(dir, "behind"), Version: "15.18", Reason: "on PATH", Ready: true}, found)
}

func TestWhatIsFetchedIsWhatWasPinned(t *testing.T) {
	t.Setenv("TAPSTACK_CACHE", t.TempDir())
	answer := http.StatusOK
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		w.WriteHeader(answer)
		_, _ = w.Write([]byte("not PostgreSQL"))
	}))
	defer server.Close()
	real := repository
	repository = server.URL
	t.Cleanup(func() { repository = real })

	_, err := ready(t.Context(), fetchable, func(string) {})
	require.ErrorContains(t, err, "has the SHA-256 ")
	require.ErrorContains(t, err, "apt install postgresql")
	platform := archives[runtime.GOARCH].platform
	assert.Equal(t, "/embedded-postgres-binaries-"+platform+"/16.15.0/embedded-postgres-binaries-"+platform+"-16.15.0.jar", asked)
	answer = http.StatusNotFound
	_, err = ready(t.Context(), fetchable, func(string) {})
	require.ErrorContains(t, err, "404")
	found, err := fetchable(t.Context())
	require.NoError(t, err)
	assert.False(t, found.Ready, "nothing is kept of it")
}

// jar is an archive like those at Maven Central.
func jar(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var packed, outer bytes.Buffer
	compressed, err := xz.NewWriter(&packed)
	require.NoError(t, err)
	archive := tar.NewWriter(compressed)
	for _, header := range headers {
		header.Size = 0
		if header.Typeflag == tar.TypeReg {
			header.Size = 4
		}
		require.NoError(t, archive.WriteHeader(header))
		if header.Size > 0 {
			_, err = archive.Write([]byte("text"))
			require.NoError(t, err)
		}
	}
	require.NoError(t, archive.Close())
	require.NoError(t, compressed.Close())
	files := zip.NewWriter(&outer)
	file, err := files.Create("postgres-linux-x86_64.txz")
	require.NoError(t, err)
	_, err = file.Write(packed.Bytes())
	require.NoError(t, err)
	require.NoError(t, files.Close())
	return outer.Bytes()
}

func TestAnArchiveIsUnpackedIntoItsFolderAndNowhereElse(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, unpack(jar(t,
		&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		&tar.Header{Name: "./bin/postgres", Typeflag: tar.TypeReg, Mode: 0o700},
		&tar.Header{Name: "./lib/libpq.so", Typeflag: tar.TypeSymlink, Linkname: "libpq.so.5"},
	), folder))
	info, err := os.Stat(filepath.Join(folder, "bin/postgres"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o744), info.Mode())
	target, err := os.Readlink(filepath.Join(folder, "lib/libpq.so"))
	require.NoError(t, err)
	assert.Equal(t, "libpq.so.5", target)

	require.Error(t, unpack(jar(t, &tar.Header{Name: "../outside", Typeflag: tar.TypeReg, Mode: 0o600}), folder))
	require.Error(t, unpack(jar(t,
		&tar.Header{Name: "away", Typeflag: tar.TypeSymlink, Linkname: ".."},
		&tar.Header{Name: "away/outside", Typeflag: tar.TypeReg, Mode: 0o600}), folder))
	assert.NoFileExists(t, filepath.Join(folder, "../outside"))
	require.Error(t, unpack([]byte("no jar"), folder))
	require.ErrorContains(t, unpack(jarOfNothing(t), folder), "no .txz")
}

func jarOfNothing(t *testing.T) []byte {
	t.Helper()
	var outer bytes.Buffer
	require.NoError(t, zip.NewWriter(&outer).Close())
	return outer.Bytes()
}

func TestAFreshMachineFetchesItsServer(t *testing.T) {
	processtest.SkipIfShort(t)
	server, err := fetchable(t.Context())
	require.NoError(t, err)
	if !server.Ready {
		client := http.Client{Timeout: 10 * time.Second}
		response, err := client.Head(repository) //nolint:noctx // it has a time-out
		if err != nil {
			t.Skipf("Maven Central is not reached: %v", err)
		}
		require.NoError(t, response.Body.Close())
	}
	fetched := options(t, 2)
	fetched.find = fetchable
	c := start(t, fetched)
	assert.Equal(t, fetchedVersion, c.Found().Version)
	execute(t, connect(t, c.writerAddress()), "CREATE TABLE payments (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamp DEFAULT (now() AT TIME ZONE 'Europe/Berlin'))")
	require.NoError(t, c.Promote(t.Context(), "aurora-instance-2"))
	execute(t, connect(t, c.writerAddress()), "INSERT INTO payments DEFAULT VALUES")
	require.NoError(t, c.caughtUp(t.Context()))
}
