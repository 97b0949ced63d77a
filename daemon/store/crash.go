package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/rs/zerolog"
)

// Badger may end the process: by a panic in one of its goroutines, by a fault in a mapped file, or
// by log.Fatal. Nothing in the process can stop that, so the next one finds out and, when it goes
// on, puts the database aside.
const (
	maxCrashes = 2
	// maxAttempts is higher because a process that died while opening may as well have been killed.
	maxAttempts = 5
)

// crashRecord is the content of the opening file.
type crashRecord struct {
	Attempts int `json:"attempts"` // openings in a row that did not end
	Crashes  int `json:"crashes"`  // crashes in Badger since the last clean close
}

// crashWatch counts the crashes of Badger from one process to the next.
type crashWatch struct {
	dir    string   // of the store
	output *os.File // what the program itself has given to debug.SetCrashOutput
	log    zerolog.Logger
}

// check counts what the previous process has left and returns a damage error once it is too much.
func (w crashWatch) check() error {
	r := w.read()
	path := filepath.Join(w.dir, crashName)
	if text, err := os.ReadFile(path); err == nil {
		if crashedInBadger(text) {
			r.Crashes++
		}
		if w.output != nil {
			_, _ = w.output.Write(text) // it would have been there but for the watch
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if r.Crashes >= maxCrashes || r.Attempts >= maxAttempts {
		w.clear()
		return damagef("Badger crashed with it %d times and did not finish opening it %d times", r.Crashes, r.Attempts)
	}
	return w.write(r)
}

// crashedInBadger looks at the stack of the goroutine that crashed, the first in the runtime's
// crash output.
func crashedInBadger(text []byte) bool {
	_, stack, ok := bytes.Cut(text, []byte("\ngoroutine "))
	if !ok {
		return false
	}
	stack, _, _ = bytes.Cut(stack, []byte("\n\n"))
	return bytes.Contains(stack, []byte("github.com/dgraph-io/"))
}

// begin records that an opening is about to start and lets the runtime write the stack of a crash
// to the crash file.
func (w crashWatch) begin() error {
	r := w.read()
	r.Attempts++
	if err := w.write(r); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(w.dir, crashName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return fmt.Errorf("watching for crashes: %w", err)
	}
	return nil
}

// opened records that the opening has ended well.
func (w crashWatch) opened() {
	r := w.read()
	r.Attempts = 0
	if err := w.write(r); err != nil {
		w.log.Warn().Err(err).Msg("recording that the database is open")
	}
}

// end is called when the database is closed or did not open.
func (w crashWatch) end() {
	if err := debug.SetCrashOutput(w.output, debug.CrashOptions{}); err != nil {
		w.log.Warn().Err(err).Msg("ending the watch for crashes")
	}
	_ = os.Remove(filepath.Join(w.dir, crashName))
	w.opened()
}

// clear forgets all crashes, after a clean close.
func (w crashWatch) clear() { _ = os.Remove(filepath.Join(w.dir, openingName)) }

func (w crashWatch) read() (r crashRecord) {
	// A missing or unreadable file counts as no crash.
	if text, err := os.ReadFile(filepath.Join(w.dir, openingName)); err == nil {
		_ = json.Unmarshal(text, &r)
	}
	return r
}

// write does not wait for the disk: a crash of the process leaves what was written, and one of the
// whole machine is not counted.
func (w crashWatch) write(r crashRecord) error {
	path := filepath.Join(w.dir, openingName)
	if r == (crashRecord{}) {
		_ = os.Remove(path)
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
