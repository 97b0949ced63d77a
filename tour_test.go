package xrat_test

import (
	"go/ast"
	"go/parser"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTourIsTrue: every file that the tour and CONTRIBUTING.md name exists and declares the
// function that they name in it, and every package is named in the tour or in architecture.md.
func TestTourIsTrue(t *testing.T) {
	declared := map[string]map[string]bool{} // by file
	packages := map[string]bool{}
	for _, s := range sources(t, parser.SkipObjectResolution) {
		names := map[string]bool{}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				names[f.Name.Name] = true
			}
		}
		declared[s.path] = names
		if !s.isTest() {
			packages[s.dir()] = true
		}
	}
	text := map[string]string{}
	for _, name := range []string{"docs/tour.md", "docs/architecture.md", "CONTRIBUTING.md"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(data)
	}
	named := regexp.MustCompile("`([a-z0-9_]+(?:/[a-z0-9_.-]+|\\.go)+)(?::([A-Za-z0-9]+))?`")
	checked := 0
	for _, name := range []string{"docs/tour.md", "CONTRIBUTING.md"} {
		for _, m := range named.FindAllStringSubmatch(text[name], -1) {
			file, function := m[1], m[2]
			checked++
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s names %s, which is not there", name, file)
			} else if function != "" && !declared[file][function] {
				t.Errorf("%s names %s in %s, which does not declare it", name, function, file)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d names were found", checked)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		in := func(name string) bool {
			return strings.Contains(text[name], "`"+dir+"`") || strings.Contains(text[name], "`"+dir+"/")
		}
		if !in("docs/tour.md") && !in("docs/architecture.md") {
			t.Errorf("neither the tour nor the architecture names %s", path.Clean(dir))
		}
	}
}
