package supervisor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// What runs in a worker cannot name the loop's state: the function that work or background is given
// does not name the supervisor s, except in what it has the loop do through tell.
func TestWorkersDoNotNameTheSupervisor(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files, workers := token.NewFileSet(), 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called := calledName(call)
			if called != "work" && called != "background" {
				return true
			}
			for _, argument := range call.Args {
				do, ok := argument.(*ast.FuncLit)
				if !ok {
					continue
				}
				workers++
				told := make(map[ast.Node]bool)
				ast.Inspect(do.Body, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.FuncLit:
						return !told[n]
					case *ast.CallExpr:
						if calledName(n) == "tell" {
							for _, event := range n.Args {
								told[event] = true // runs in the loop
							}
						}
					case *ast.Ident:
						if n.Name == "s" {
							t.Errorf("%s: a worker names the supervisor", files.Position(n.Pos()))
						}
					}
					return true
				})
				break // what follows is applied by the loop
			}
			return true
		})
	}
	if workers == 0 {
		t.Error("no worker was found")
	}
}

// calledName returns the name of the function or method that is called.
func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
