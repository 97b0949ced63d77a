package subscription

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// TestTextFiles reads real files, which are not part of the repository, and compares what comes in
// with what somebody else found that the core can run. XRAT_FILE_CORPUS names a directory with a
// table of the files, MANIFEST.tsv.
func TestTextFiles(t *testing.T) {
	dir := os.Getenv("XRAT_FILE_CORPUS")
	if dir == "" {
		t.Skip("XRAT_FILE_CORPUS is not set")
	}
	table, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"base64", "clash", "foreign", "hiddify", "list", "neko", "surge", "wg-conf"}
	wanted, accepted := 0, 0
	reasons := make(map[string]int)
	for row := range strings.Lines(string(table)) {
		columns := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		if len(columns) < 6 || !slices.Contains(kinds, columns[1]) {
			continue
		}
		file := columns[0]
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b, err := Parse(data)
		took := time.Since(began)
		if took > 5*time.Second {
			t.Errorf("%s took %v", file, took)
		}
		can, _ := strconv.Atoi(columns[3])
		wanted, accepted = wanted+can, accepted+min(can, len(b.Entries))
		t.Logf("%-14s %4s entries, %4d of them for the core, %4d accepted, %3d problems, %d notices, %v: %v %+v",
			file, columns[2], can, len(b.Entries), len(b.Problems)+b.Unlisted, len(b.Notices), took.Round(time.Millisecond), err, b.About)
		for _, p := range b.Problems {
			reasons[fmt.Sprintf("kept %-5v %s: %s", p.Kept, p.Code, p.Message)]++
		}
		for _, e := range b.Entries {
			if l, err := link.Parse(e.Link.URI()); err != nil || l != e.Link {
				t.Errorf("%s: an entry is not accepted as a link: %v", file, err)
			}
			if strings.Contains(e.Link.Name, "://") {
				t.Errorf("%s: a name holds an address: %q", file, e.Link.Name)
			}
		}
	}
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int { return cmp.Compare(reasons[b], reasons[a]) }) {
		t.Logf("%5d  %s", reasons[reason], reason)
	}
	t.Logf("%d of %d accepted", accepted, wanted)
	if accepted*1000 < wanted*995 {
		t.Errorf("%d of %d accepted", accepted, wanted)
	}
}
