//go:build linux

package desktop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/xray"
)

// programs are the paths of what is under test, and where screenshots go; TestMain sets them.
var programs struct{ xrat, tray, core, pictures string }

// needs are the programs that make up a desktop, and Debian's packages of them.
var needs = []struct{ program, pkg string }{
	{"Xvfb", "xvfb"}, {"openbox", "openbox"}, {"dunst", "dunst"}, {"xfce4-panel", "xfce4-panel"},
	{"xdotool", "xdotool"}, {"import", "imagemagick"}, {"xwininfo", "x11-utils"},
	{"dbus-daemon", "dbus"}, {"dbus-update-activation-environment", "dbus-x11"}, {"xclip", "xclip"},
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if os.Getenv("XRAT_NO_DESKTOP") == "1" {
		fmt.Println("the tests of the desktop are left out, as XRAT_NO_DESKTOP=1 asks")
		return 0
	}
	var missing []string
	for _, need := range needs {
		if _, err := exec.LookPath(need.program); err != nil {
			missing = append(missing, need.pkg)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "the tests of the desktop need programs that are missing here; on Debian and its kin:\n"+
			"    sudo apt-get install %s\nXRAT_NO_DESKTOP=1 leaves these tests out.\n", strings.Join(missing, " "))
		return 1
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(filepath.Dir(programs.xrat))
	return m.Run()
}

// build makes the programs as users get them: without the race detector, which would change their
// size and speed.
func build() error {
	core, err := xray.Locate(os.Getenv("XRAT_XRAY"))
	if err != nil {
		if core, err = filepath.Abs("../../bin/xray"); err == nil {
			_, err = os.Stat(core)
		}
	}
	if err != nil {
		return fmt.Errorf("the tests need the real core: run `make build`, or set XRAT_XRAY: %w", err)
	}
	dir, err := os.MkdirTemp("", "xrat-desktop")
	if err != nil {
		return err
	}
	programs.core, programs.xrat, programs.tray = core, filepath.Join(dir, "xrat"), filepath.Join(dir, "xrat-tray")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "../../cmd/xrat", "../../cmd/xrat-tray")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, said)
	}
	if programs.pictures, err = filepath.Abs("../../artifacts/desktop"); err != nil {
		return err
	}
	return os.MkdirAll(programs.pictures, 0o755)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
