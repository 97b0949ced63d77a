// Package xrat_test holds the rules that the whole tree keeps: who may import whom, and what no
// file may contain. It has no code of the product.
package xrat_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/xrat-tray/xrat"

// ours lists, for each directory with Go code, which of our own packages its product code may
// import. A pattern ends in "/..." for all below. A directory that is not here must not exist:
// whoever adds a package says where it stands.
var ours = map[string][]string{
	"":              {},
	"cmd/xrat":      {"daemon/...", "runtime/...", "assets/..."},
	"cmd/xrat-tray": {"tray/...", "daemon/ipc", "daemon/settings", "assets/..."},

	"tray": {"daemon/ipc", "assets/..."},

	// It wires its parts.
	"daemon": {
		"daemon/bulktest", "daemon/catalog", "daemon/ipc", "daemon/rotation", "daemon/session", "daemon/settings", "daemon/store",
		"daemon/supervisor", "runtime/...",
	},
	// The loop. It reaches the catalogue through an interface of its own.
	"daemon/supervisor": {
		"daemon/failpoint", "daemon/ipc", "daemon/liveness", "daemon/rotation", "daemon/session", "daemon/settings", "daemon/store",
		"runtime/front", "runtime/link", "runtime/probe", "runtime/subscription",
	},
	// Its errors have the codes of the wire; its lessons are rotation's.
	"daemon/session": {
		"daemon/failpoint", "daemon/ipc", "daemon/rotation", "daemon/settings", "daemon/store",
		"runtime/descriptors", "runtime/front", "runtime/link", "runtime/probe", "runtime/xray",
	},
	// It answers requests of the wire, candidates are session's, and rotation puts them in order.
	"daemon/catalog": {
		"daemon/ipc", "daemon/rotation", "daemon/rules", "daemon/session", "daemon/settings", "daemon/store", "runtime/link", "runtime/subscription",
	},
	// It answers a request of the wire, and its lessons are rotation's.
	"daemon/bulktest": {
		"daemon/ipc", "daemon/rotation", "daemon/settings", "daemon/store",
		"runtime/descriptors", "runtime/link", "runtime/mark", "runtime/probe", "runtime/xray",
	},
	"daemon/failpoint": {},
	// The whole daemon among fakes, for tests alone.
	"daemon/daemontest": {
		"daemon", "daemon/bulktest", "daemon/ipc", "daemon/session", "daemon/settings", "daemon/store", "daemon/store/storetest",
		"daemon/supervisor", "runtime/...",
	},
	// Its socket is for one user, like that of the data plane.
	"daemon/ipc":      {"runtime/descriptors", "runtime/usersock"},
	"daemon/liveness": {}, // pure
	"daemon/rotation": {},
	"daemon/rules":    {},               // pure
	"daemon/settings": {"daemon/rules"}, // a bad rule is a mistake in the file
	"daemon/store":    {"runtime/descriptors"},
	// The fake store and the contract speak of the store's types.
	"daemon/store/storetest": {"daemon/store"},

	// The bytes of SOCKS5: both are its clients, and the front is a server of it, too. Datagrams go
	// to the core as Trojan has them. The front asks sockdiag what the core has read, and whose a
	// datagram is. By its mark it knows what a probe has sent.
	"runtime/front": {"runtime/descriptors", "runtime/mark", "runtime/socks5", "runtime/sockdiag", "runtime/trojan"},
	// The same as a process: its socket is for one user.
	"runtime/front/plane": {"runtime/descriptors", "runtime/front", "runtime/mark", "runtime/usersock"},
	"runtime/probe":       {"runtime/mark", "runtime/socks5"},

	"runtime/lab":         {"runtime/xray"},
	"runtime/descriptors": {},
	"runtime/link":        {},
	"runtime/mark":        {},
	"runtime/ports":       {},
	"runtime/route":       {},
	"runtime/sockdiag":    {},
	"runtime/socks5":      {},
	// Trojan has the addresses of SOCKS5.
	"runtime/trojan":   {"runtime/socks5"},
	"runtime/usersock": {},
	// An entry of any format becomes a link: one parser decides what a server may be.
	"runtime/subscription": {"runtime/link"},
	// probe asks the core's inbound whether it answers: the same handshake as for the front.
	// sockdiag lists whose sockets there are.
	"runtime/xray": {"runtime/link", "runtime/probe", "runtime/sockdiag"},

	"assets":      {},
	"assets/draw": {"assets/..."},
	"e2e":         {},
	"e2e/desktop": {},
}

// owners lists for each library that has owners the files that may import it. A pattern is a path
// as path.Match takes it, for product code and tests alike. Below a library's path everything
// belongs to it. Without owners nobody may.
var owners = []struct {
	library string
	files   []string
}{
	{"github.com/dgraph-io/badger", []string{"daemon/store/*.go"}},
	{"github.com/dgraph-io/ristretto", []string{"daemon/store/*.go"}}, // Badger's memory
	{"github.com/adrg/xdg", []string{"daemon/settings/*.go"}},
	{"github.com/pelletier/go-toml", []string{"daemon/settings/*.go"}},
	{"github.com/BurntSushi/toml", nil},
	{"go.yaml.in/yaml", []string{"runtime/subscription/*.go"}},
	{"gopkg.in/yaml.v3", nil},
	{"fyne.io/systray", []string{"tray/systray*.go"}},
	{"github.com/gen2brain/beeep", []string{"tray/notify*.go"}},
	{"github.com/esiqveland/notify", []string{"tray/notify*.go"}},
	{"github.com/godbus/dbus", []string{"tray/notify*.go", "tray/*_test.go", "e2e/desktop/*_test.go"}},
	{"github.com/atotto/clipboard", []string{"tray/system.go", "cmd/xrat/clipboard.go"}},
	{"github.com/spf13/cobra", []string{"cmd/xrat/*.go"}},
	{"github.com/spf13/pflag", []string{"cmd/xrat/*.go"}},
	{"github.com/shirou/gopsutil", []string{"runtime/ports/*.go", "runtime/xray/*.go"}},
	{"gopkg.in/natefinch/lumberjack.v2", []string{"cmd/xrat/*.go", "daemon/*.go"}},
	{"github.com/landlock-lsm/go-landlock", []string{"runtime/front/plane/confine_linux.go"}},
	{"github.com/rogpeppe/go-internal", []string{"*_test.go", "*/*_test.go", "*/*/*_test.go"}},
	// The core is a program that we run. Tests may ask its own reader what it makes of our
	// configuration.
	{"github.com/xtls/xray-core", []string{"runtime/xray/*_test.go", "runtime/link/*_test.go"}},
	// Loggers are passed in.
	{"github.com/rs/zerolog/log", nil},
}

// source is one Go file of the tree.
type source struct {
	file *ast.File
	path string // from the root, with slashes
}

func (s source) dir() string {
	if dir := path.Dir(s.path); dir != "." {
		return dir
	}
	return ""
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// walk calls visit for each regular file that could be committed.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil // another test's file, gone between listing and looking
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist", "artifacts"}, name):
			return fs.SkipDir
		case entry.Type().IsRegular():
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses every Go file, for every system and build tag.
func sources(t *testing.T, mode parser.Mode) []source {
	t.Helper()
	var found []source
	positions := token.NewFileSet()
	walk(t, func(name string) {
		if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") {
			return
		}
		file, err := parser.ParseFile(positions, filepath.FromSlash(name), nil, mode|parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parsing: %v", err)
			return
		}
		found = append(found, source{file, name})
	})
	if len(found) == 0 {
		t.Fatal("no Go files found")
	}
	return found
}

// below reports whether name is pattern, or below it when pattern ends in "/...".
func below(name, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	return name == pattern
}

// mayImportOurs decides about one import of one of our own packages.
func mayImportOurs(s source, imported string) bool {
	if imported == s.dir() {
		return s.isTest() // an external test of its own package
	}
	switch {
	case below(imported, "cmd/..."):
		return false
	case imported == "daemon/store/storetest" && !s.isTest() && s.dir() != "daemon/daemontest":
		return false // the product does without fakes
	case s.isTest() && below(imported, "daemon/store/..."):
		return below(s.dir(), "daemon/...") || s.dir() == "e2e"
	case s.isTest() && below(s.dir(), "tray/..."):
		return imported != "daemon" && !below(imported, "runtime/...")
	case s.isTest():
		return true
	}
	return slices.ContainsFunc(ours[s.dir()], func(pattern string) bool { return below(imported, pattern) })
}

// mayImportLibrary decides about one import of somebody else's package.
func mayImportLibrary(s source, imported string) bool {
	for _, owner := range owners {
		// The major version is part of a path: badger/v4 belongs to badger.
		if !below(imported, owner.library+"/...") {
			continue
		}
		return slices.ContainsFunc(owner.files, func(pattern string) bool {
			matched, _ := path.Match(pattern, s.path)
			return matched
		})
	}
	return true
}

func TestImports(t *testing.T) {
	for _, s := range sources(t, parser.ImportsOnly) {
		if _, known := ours[s.dir()]; !known {
			t.Errorf("%s: the table of packages does not list %q", s.path, s.dir())
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			name, own := strings.CutPrefix(imported, module+"/")
			if own && !mayImportOurs(s, name) || !own && !mayImportLibrary(s, imported) {
				t.Errorf("%s must not import %s", s.path, imported)
			}
		}
	}
}

// TestImportRules breaks each rule once: a rule that forbids nothing would pass every tree.
func TestImportRules(t *testing.T) {
	tests := []struct {
		path, imported string
		want           bool
	}{
		{"cmd/xrat/main.go", "daemon", true},
		{"daemon/serve.go", "cmd/xrat", false},
		{"e2e/x_test.go", "cmd/xrat", false},
		{"tray/tray.go", "daemon/ipc", true},
		{"tray/tray.go", "daemon", false},
		{"tray/tray.go", "daemon/store", false},
		{"tray/tray.go", "runtime/front", false},
		{"tray/tray_test.go", "runtime/front", false},
		{"cmd/xrat-tray/main.go", "daemon/store", false},
		{"daemon/serve.go", "runtime/front", true},
		{"daemon/serve.go", "daemon/store", true},
		{"daemon/serve.go", "tray", false},
		{"daemon/serve.go", "daemon/daemontest", false},
		{"daemon/supervisor/health.go", "daemon/liveness", true},
		{"daemon/supervisor/health.go", "daemon/catalog", false},
		{"daemon/catalog/refresh.go", "daemon/supervisor", false},
		{"daemon/liveness/examination.go", "daemon/ipc", false},
		{"daemon/settings/validate.go", "daemon/rules", true},
		{"daemon/rules/rule.go", "daemon/store", false},
		{"daemon/supervisor/health_test.go", "daemon/daemontest", true},
		{"daemon/store/open.go", "daemon", false},
		{"daemon/store/open.go", "daemon/settings", false},
		{"runtime/xray/start.go", "runtime/link", true},
		{"runtime/xray/start.go", "runtime/front", false},
		{"runtime/link/link.go", "runtime/xray", false},
		{"runtime/lab/lab.go", "runtime/xray", true},
		{"runtime/front/front.go", "runtime/lab", false},
		{"runtime/front/front_test.go", "runtime/lab", true},
		{"runtime/front/front_test.go", "daemon/store", false},
		{"daemon/supervisor/store_test.go", "daemon/store", true},
		{"daemon/store_test.go", "daemon/store/storetest", true},
		{"daemon/store/store_test.go", "daemon/store/storetest", true},
		{"cmd/xrat/main.go", "daemon/store/storetest", false},
		{"runtime/front/front_test.go", "daemon/store/storetest", false},

		{"daemon/store/open.go", "github.com/dgraph-io/badger/v4", true},
		{"daemon/session/journal.go", "github.com/dgraph-io/badger/v4/options", false},
		{"daemon/session/journal_test.go", "github.com/dgraph-io/badger/v4", false},
		{"cmd/xrat/main.go", "github.com/adrg/xdg", false},
		{"daemon/ipc/types.go", "github.com/pelletier/go-toml/v2", false},
		{"tray/systray_linux.go", "fyne.io/systray", true},
		{"tray/tray.go", "fyne.io/systray", false},
		{"tray/menu.go", "github.com/godbus/dbus/v5", false},
		{"daemon/serve.go", "github.com/spf13/cobra", false},
		{"runtime/xray/check.go", "github.com/xtls/xray-core/infra/conf", false},
		{"runtime/xray/check_test.go", "github.com/xtls/xray-core/infra/conf", true},
		{"daemon/serve.go", "github.com/rs/zerolog/log", false},
		{"daemon/serve.go", "github.com/rs/zerolog", true},
	}
	for _, test := range tests {
		s := source{path: test.path}
		got := false
		if strings.Contains(strings.Split(test.imported, "/")[0], ".") {
			got = mayImportLibrary(s, test.imported)
		} else {
			got = mayImportOurs(s, test.imported)
		}
		if got != test.want {
			t.Errorf("%s importing %s: allowed is %v, want %v", test.path, test.imported, got, test.want)
		}
	}
}

// TestRuntimeHasNoPackage: a package runtime would collide with the standard one.
func TestRuntimeHasNoPackage(t *testing.T) {
	files, err := filepath.Glob("runtime/*.go")
	if err != nil || len(files) > 0 {
		t.Errorf("Go files in runtime itself: %v, %v", files, err)
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range sources(t, 0) {
		for _, declaration := range s.file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function; do that where it is asked for", s.path)
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t, parser.PackageClauseOnly|parser.ParseComments) {
		counts := !s.isTest() || s.dir() == "" // the root has tests only
		documented[s.dir()] = documented[s.dir()] || counts && s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("no file of %q has a comment that says what the package owns", dir)
		}
	}
}
