package subscription

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestFilesOfJSON reads real files of other clients, which are not part of the repository, and
// compares how many servers come in with an independent reading: the directory in XRAT_FILE_CORPUS
// has a MANIFEST.tsv that says how many of each file the core can run.
func TestFilesOfJSON(t *testing.T) {
	dir := os.Getenv("XRAT_FILE_CORPUS")
	if dir == "" {
		return
	}
	manifest, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = manifest.Close() }()
	r := csv.NewReader(manifest)
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = '\t', true, -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var came, can int
	for _, row := range rows[1:] {
		if !slices.Contains([]string{"singbox", "ss-json", "v2rayn-json", "xray-json"}, row[1]) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		want, err := strconv.Atoi(row[3])
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b, err := Parse(data)
		took := time.Since(began)
		if took > 5*time.Second {
			t.Errorf("%s took %v", row[0], took)
		}
		came += min(len(b.Entries), want)
		can += want
		t.Logf("%-22s %4d of %4d, %4d problems, %v, %v", row[0], len(b.Entries), want, len(b.Problems), took.Round(time.Millisecond), err)
		for i, p := range b.Problems {
			if i == 8 {
				t.Logf("  and %d more", len(b.Problems)-i)
				break
			}
			t.Logf("  %d %q %s: %s", p.Position, p.Name, p.Code, p.Message)
		}
	}
	if can == 0 || float64(came) < 0.995*float64(can) {
		t.Errorf("%d of %d servers came in", came, can)
	}
}
