package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// An export from before there were subscriptions is read.
func TestExportWithoutSubscriptions(t *testing.T) {
	dir := t.TempDir()
	body := `{"format":"xrat store export","time":"2026-01-01T00:00:00Z","meta":{"schema":1,"seq":1,"last_config":0,"last_session":0,"sessions":0,"digest":0},` +
		"\n\"desired\":[],\n\"configs\":[],\n\"sessions\":[],\n\"outcomes\":[],\n"
	path, sum := filepath.Join(dir, exportName), sha256.Sum256([]byte(body))
	if err := os.WriteFile(path, []byte(body+fmt.Sprintf("\"sha256\":%q}\n", hex.EncodeToString(sum[:]))), 0o600); err != nil {
		t.Fatal(err)
	}
	if snap, err := readExport(path); err != nil || snap == nil || len(snap.records) != 0 {
		t.Errorf("%+v, %v", snap, err)
	}
}
