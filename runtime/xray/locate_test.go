//go:build linux

package xray

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "xray")
	plain := filepath.Join(dir, "plain")
	for path, mode := range map[string]os.FileMode{good: 0o700, plain: 0o600} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		name, configured, variable, path string
		want                             string
		problems                         []string
	}{
		{name: "settings", configured: good, variable: missing, want: good},
		{name: "variable", variable: good, want: good},
		{name: "PATH", path: dir, want: good},
		{name: "nowhere", path: "", problems: []string{"core.path", EnvCore, filepath.Dir(self(t)), "PATH"}},
		{name: "relative PATH is not taken", path: ".", problems: []string{"no Xray core found"}},
		{name: "settings, missing", configured: missing, variable: good, problems: []string{"core.path", missing, "does not exist"}},
		{name: "settings, folder", configured: dir, problems: []string{"core.path", dir, "is a folder"}},
		{name: "settings, not executable", configured: plain, problems: []string{"core.path", plain, "chmod +x"}},
		{name: "settings, device", configured: os.DevNull, problems: []string{"not a regular file"}},
		{name: "variable, missing", variable: missing, path: dir, problems: []string{EnvCore, missing, "does not exist"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(dir)
			t.Setenv(EnvCore, test.variable)
			t.Setenv("PATH", test.path)
			got, err := Locate(test.configured)
			if got != test.want || (err == nil) != (test.problems == nil) {
				t.Fatalf("got %q, %v; want %q", got, err, test.want)
			}
			for _, problem := range test.problems {
				if !strings.Contains(err.Error(), problem) {
					t.Errorf("%v: no %q in it", err, problem)
				}
			}
		})
	}
}
