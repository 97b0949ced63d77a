package supervisor

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// The loop owns its state because nobody else has a supervisor: no function literal takes one along
// from outside, none of its methods is handed out, and no goroutine is begun with one. Whatever is
// handed one is an event, and runs in the loop.
func TestOnlyTheLoopHasTheSupervisor(t *testing.T) {
	r := readRegime(t)
	for _, file := range r.files {
		called := make(map[ast.Expr]bool)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called[ast.Unparen(n.Fun)] = true
			case *ast.SelectorExpr:
				if s := r.info.Selections[n]; s != nil && s.Kind() == types.MethodVal && !called[n] &&
					r.isSupervisor(s.Obj().(*types.Func).Signature().Recv().Type()) {
					r.errorf(n, "a method of the supervisor is handed out")
				}
			case *ast.GoStmt:
				if f, ok := n.Call.Fun.(*ast.SelectorExpr); ok && r.isSupervisor(r.info.TypeOf(f.X)) {
					r.errorf(n, "a goroutine has the supervisor")
				}
				for _, argument := range n.Call.Args {
					if r.isSupervisor(r.info.TypeOf(argument)) {
						r.errorf(n, "a goroutine is handed the supervisor")
					}
				}
			case *ast.FuncLit:
				ast.Inspect(n.Body, func(inner ast.Node) bool {
					id, ok := inner.(*ast.Ident)
					if !ok {
						return true
					}
					v, ok := r.info.Uses[id].(*types.Var)
					if ok && r.isSupervisor(v.Type()) && (v.Pos() < n.Pos() || v.Pos() > n.End()) {
						r.errorf(id, "a function literal takes the supervisor along")
					}
					return true
				})
			}
			return true
		})
	}
}

// What runs in a worker names nothing that the loop owns, except in what it has the loop do:
// neither what work and background are given, be it a literal, a function or a method, nor what
// that calls in this package.
func TestWorkersDoNotNameTheState(t *testing.T) {
	r := readRegime(t)
	workers := 0
	for _, file := range r.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			at := 0
			switch f := r.function(call.Fun); {
			case f == nil || f.Pkg() != r.pkg:
				return true
			case f.Name() == "work":
				at = 1 // what follows is applied by the loop
			case f.Name() != "background":
				return true
			}
			workers++
			do := ast.Unparen(call.Args[at])
			if literal, ok := do.(*ast.FuncLit); ok {
				r.inWorker(literal.Body)
			} else if f := r.function(do); f == nil || r.bodies[f] == nil {
				r.errorf(do, "what a worker does cannot be read here: hand over a literal, a function or a method")
			} else {
				r.inWorker(do)
			}
			return true
		})
	}
	if workers < 10 {
		t.Errorf("only %d workers were found", workers)
	}
}

// The supervisor does not become the place for everything.
func TestSupervisorIsSmall(t *testing.T) {
	const most = 75
	if n := readRegime(t).supervisor.NumMethods(); n == 0 || n > most {
		t.Errorf("Supervisor has %d methods, more than %d: all of them are work of the loop; what is not belongs to another type", n, most)
	}
}

// regime is the package's code, with the types that are its own.
type regime struct {
	t          *testing.T
	positions  *token.FileSet
	files      []*ast.File
	pkg        *types.Package
	info       types.Info
	supervisor *types.Named
	owned      map[types.Type]bool // by the loop
	bodies     map[*types.Func]*ast.FuncDecl
	seen       map[*types.Func]bool // by inWorker
}

// readRegime reads the package without what it imports: of that, nothing has a supervisor.
func readRegime(t *testing.T) *regime {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	r := &regime{
		t: t, positions: token.NewFileSet(),
		info: types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
		bodies: map[*types.Func]*ast.FuncDecl{}, seen: map[*types.Func]bool{},
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(r.positions, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		r.files = append(r.files, file)
	}
	config := types.Config{Importer: noImports{}, Error: func(error) {}} // what is missing is not an error here
	r.pkg, _ = config.Check("supervisor", r.positions, r.files, &r.info)
	for _, file := range r.files {
		for _, d := range file.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				r.bodies[r.info.Defs[d.Name].(*types.Func)] = d
			}
		}
	}
	r.supervisor = r.named("Supervisor")
	state := r.named("state")
	r.owned = map[types.Type]bool{r.supervisor: true, state: true}
	for field := range state.Underlying().(*types.Struct).Fields() {
		// Of an operation, workers have their part.
		if named, ok := pointedTo(field.Type()).(*types.Named); ok && named.Obj().Name() != "operation" {
			r.owned[named] = true
		}
	}
	return r
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not read") }

func (r *regime) named(name string) *types.Named {
	r.t.Helper()
	if object := r.pkg.Scope().Lookup(name); object != nil {
		if named, ok := object.Type().(*types.Named); ok {
			return named
		}
	}
	r.t.Fatalf("there is no type %s", name)
	return nil
}

func (r *regime) errorf(at ast.Node, text string) {
	r.t.Helper()
	r.t.Errorf("%s: %s", r.positions.Position(at.Pos()), text)
}

func (r *regime) isSupervisor(t types.Type) bool { return pointedTo(t) == r.supervisor }

// function is the function or method that an expression names; nil: it names none.
func (r *regime) function(e ast.Expr) *types.Func {
	var name *ast.Ident
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		name = e
	case *ast.SelectorExpr:
		name = e.Sel
	}
	f, _ := r.info.Uses[name].(*types.Func)
	return f
}

// inWorker looks at code that runs in a worker, and at what it calls.
func (r *regime) inWorker(code ast.Node) {
	ast.Inspect(code, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		if literal, ok := e.(*ast.FuncLit); ok {
			for parameter := range r.info.TypeOf(literal).(*types.Signature).Params().Variables() {
				if r.isSupervisor(parameter.Type()) {
					return false // an event: it runs in the loop
				}
			}
		}
		if r.owned[pointedTo(r.info.TypeOf(e))] {
			r.errorf(e, "a worker names what the loop owns")
			return false
		}
		if f := r.function(e); f != nil && r.bodies[f] != nil && !r.seen[f] {
			r.seen[f] = true
			r.inWorker(r.bodies[f])
		}
		return true
	})
}

func pointedTo(t types.Type) types.Type {
	if p, ok := t.(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}
