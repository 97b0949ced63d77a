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
// function that they name in it, methods that are called alike are named with their types, and
// every package is named in the tour or in architecture.md.
func TestTourIsTrue(t *testing.T) {
	declared := map[string]map[string]bool{} // by file; methods also with their type
	packages := map[string]bool{}
	for _, s := range sources(t, parser.SkipObjectResolution) {
		names := map[string]bool{}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			names[f.Name.Name] = true
			if f.Recv != nil {
				receiver := f.Recv.List[0].Type
				if pointer, ok := receiver.(*ast.StarExpr); ok {
					receiver = pointer.X
				}
				if typeName, ok := receiver.(*ast.Ident); ok {
					names[typeName.Name+"."+f.Name.Name] = true
				}
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
	named := regexp.MustCompile("`([a-z0-9_]+(?:/[a-z0-9_.-]+|\\.go)+)(?::((?:[A-Za-z0-9]+\\.)?[A-Za-z0-9]+))?`")
	checked := 0
	for _, name := range []string{"docs/tour.md", "CONTRIBUTING.md"} {
		mentions := named.FindAllStringSubmatch(text[name], -1)
		files := map[string]map[string]bool{} // by the function that is named in them
		for _, m := range mentions {
			file, function := m[1], m[2]
			checked++
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s names %s, which is not there", name, file)
			} else if function != "" && !declared[file][function] {
				t.Errorf("%s names %s in %s, which does not declare it", name, function, file)
			}
			short := function[strings.Index(function, ".")+1:]
			if files[short] == nil {
				files[short] = map[string]bool{}
			}
			files[short][file] = true
		}
		for _, m := range mentions {
			if file, function := m[1], m[2]; len(files[function]) > 1 && isMethod(declared[file], function) {
				t.Errorf("%s names %s in %s, and another function of that name: name it with its type", name, function, file)
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

// isMethod reports whether one of the names is that of a method, with its type.
func isMethod(names map[string]bool, name string) bool {
	for n := range names {
		if strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}
