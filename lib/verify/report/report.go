// Package report writes a run of the specification down for those who were not there: report.json for programs (with its
// schema beside it), junit.xml for CI systems, report.md for a pull request, and index.html, one page that needs nothing
// but a browser.
//
// Every format is made from one document, whose texts have all gone through one redaction step: the checks never put a
// secret into their evidence, and were one to do so, it would end here.
package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2/maybe"

	"tapstack/lib/verify"
)

// The files of a report, in its folder.
const (
	JSONFile     = "report.json"
	SchemaFile   = "report.schema.json"
	JUnitFile    = "junit.xml"
	MarkdownFile = "report.md"
	HTMLFile     = "index.html"
)

// Permissions of what a report leaves behind, less the umask: it is meant to be read by others.
const (
	folderMode = 0o755
	fileMode   = 0o644
)

// Options add to a run what the run itself does not know.
type Options struct {
	Bullets   []verify.Bullet     // the brief's bullets, for the matrix by requirement
	Sabotages map[string][]string // by check id, the mutations that are known to turn it red
}

// formats lists what is written and how each is made from the document.
var formats = []struct {
	file   string
	render func(document) ([]byte, error)
}{
	{JSONFile, renderJSON},
	{SchemaFile, func(document) ([]byte, error) { return schema, nil }},
	{JUnitFile, renderJUnit},
	{MarkdownFile, renderMarkdown},
	{HTMLFile, renderHTML},
}

// Prepare makes the folder and finds out whether a report can be written there, before the work of a run is done.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return unwritable(dir, err)
	}
	probe, err := os.CreateTemp(dir, ".tapstack-*")
	if err != nil {
		return unwritable(dir, err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

// Write writes all formats into the folder, which it makes where it does not exist. Each file appears whole or not at
// all, and none is touched before all are made.
func Write(dir string, r verify.Report, o Options) error {
	doc := redacted(newDocument(r, o))
	contents := make([][]byte, len(formats))
	for i, f := range formats {
		data, err := f.render(doc)
		if err != nil {
			return fmt.Errorf("making %s: %w", f.file, err)
		}
		contents[i] = data
	}
	if err := Prepare(dir); err != nil {
		return err
	}
	for i, f := range formats {
		if err := maybe.WriteFile(filepath.Join(dir, f.file), contents[i], fileMode); err != nil {
			return unwritable(dir, err)
		}
	}
	return nil
}

// unwritable says what is wrong with the folder, without the names of temporary files.
func unwritable(dir string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("the report cannot be written to %s: %w", dir, err)
}
