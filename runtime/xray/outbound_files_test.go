//go:build linux

package xray

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// TestCoreAcceptsFiles runs the core on everything that is read from the files below
// XRAT_FILE_CORPUS, whatever their format; without the variable it has nothing to do.
func TestCoreAcceptsFiles(t *testing.T) {
	dir := os.Getenv("XRAT_FILE_CORPUS")
	if dir == "" {
		return
	}
	core := realCore(t)
	var links []link.Link
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		body, _ := subscription.Parse(data) // many hold nothing that can be used
		for _, e := range body.Entries {
			links = append(links, e.Link)
		}
		return nil
	})
	if err != nil || len(links) == 0 {
		t.Fatalf("%d servers in XRAT_FILE_CORPUS (%v)", len(links), err)
	}
	t.Logf("%d servers", len(links))
	for rest := links; len(rest) > 0; {
		n := min(1000, len(rest))
		for l, why := range refused(t, core, rest[:n]) {
			t.Errorf("%s: %s", l, why)
		}
		rest = rest[n:]
	}
}
