package tray

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/xrat-tray/xrat/assets"
)

// prefs are what the tray keeps in a file of its own.
type prefs struct {
	Notifications bool `json:"notifications"`
}

// loadPrefs reads what the user has switched in the menu; without the file, the defaults hold.
func (t *tray) loadPrefs() {
	p := prefs{Notifications: true}
	text, err := os.ReadFile(t.PrefsFile)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Log.Warn().Err(err).Str("file", t.PrefsFile).Msg("reading what was switched in the menu; the defaults hold")
		p = prefs{Notifications: true}
	}
	t.model.notifications = p.Notifications
	t.model.canLogin = t.LoginFile != ""
	_, err = os.Stat(t.LoginFile)
	t.model.login = t.model.canLogin && err == nil
}

func (t *tray) savePrefs() {
	text, err := json.Marshal(prefs{Notifications: t.model.notifications})
	if err == nil {
		err = replaceFile(t.PrefsFile, append(text, '\n'), 0o600)
	}
	if err != nil {
		t.failed(fmt.Errorf("saving what was switched: %w", err))
	}
}

// setLogin makes or removes the entry that starts the tray at login (Desktop Application Autostart
// Specification).
func (t *tray) setLogin(on bool) {
	var err error
	if on {
		entry := strings.ReplaceAll(assets.DesktopEntry, "@EXEC@", execValue(t.LoginExec))
		err = replaceFile(t.LoginFile, []byte(entry), 0o644)
	} else if err = os.Remove(t.LoginFile); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		t.failed(fmt.Errorf("changing the start at login: %w", err))
		return
	}
	t.model.login = on
}

// execValue writes a path as one argument of an Exec line (Desktop Entry Specification, section 7):
// quoted, and escaped once for the quotes and once for the file.
func execValue(path string) string {
	quoted := strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", `$`, `\\$`, `%`, `%%`).Replace(path)
	return `"` + quoted + `"`
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(name string, content []byte, mode fs.FileMode) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), mode)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}
