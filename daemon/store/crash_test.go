package store

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCrashes: after two crashes in Badger the database is put aside, whatever the reason, and no
// record is lost.
func TestCrashes(t *testing.T) {
	const trace = "panic: x\n\ngoroutine 7 [running]:\ngithub.com/dgraph-io/badger/v4/table.OpenTable()\n\ngoroutine 1 [select]:\nmain.main()\n"
	other := strings.Replace(trace, "github.com/dgraph-io", "example.org", 1) + "\ngithub.com/dgraph-io/badger"
	for name, test := range map[string]struct {
		crash crashRecord
		trace string
		aside bool
	}{
		"first crash":              {crashRecord{}, trace, false},
		"second crash":             {crashRecord{Crashes: 1}, trace, true},
		"crash somewhere else":     {crashRecord{Crashes: 1}, other, false},
		"killed while opening":     {crashRecord{Attempts: 4}, "", false},
		"never came to the end":    {crashRecord{Attempts: 5}, "", true},
		"killed after first crash": {crashRecord{Crashes: 1}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeFixture(t, false)
			text, err := json.Marshal(test.crash)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{openingName: string(text), crashName: test.trace} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := mustOpen(t, dir, quiet())
			if aside := s.Recovery() != nil; aside != test.aside {
				t.Errorf("put aside: %v", aside)
			}
			if configs, err := s.Configs(context.Background()); err != nil || len(configs) != fixtureExported+fixtureNewer {
				t.Error(len(configs), err)
			}
		})
	}
}
