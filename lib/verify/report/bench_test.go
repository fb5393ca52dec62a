package report

import (
	"testing"

	"tapstack/lib/verify"
)

func BenchmarkTheReportOfARecordedRun(b *testing.B) {
	run := recorded(b)
	options := Options{Bullets: verify.Brief(), Sabotages: verify.Sabotages()}
	b.Run("redact", func(b *testing.B) {
		doc := newDocument(run, options)
		for b.Loop() {
			redacted(doc)
		}
	})
	b.Run("write", func(b *testing.B) {
		dir := b.TempDir()
		for b.Loop() {
			if err := Write(dir, run, options); err != nil {
				b.Fatal(err)
			}
		}
	})
}
