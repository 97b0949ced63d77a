package main

import (
	"fmt"
	stdlog "log"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
)

const (
	// maxCrashLog is the size at which the crash log begins anew, in bytes.
	maxCrashLog = 1 << 20
	// crashLogName is the file in the state directory that has what the runtime says of a crash.
	crashLogName = "crash.log"
	// startMark begins the line that each daemon adds to it.
	startMark = "=== daemon "
)

// openCrashLog has the runtime write there what it says when the daemon panics, and libraries what
// they say before they end the process by log.Fatal: its standard error is gone by then.
func openCrashLog(dir string) (*os.File, error) {
	path := filepath.Join(dir, crashLogName)
	if info, err := os.Stat(path); err == nil && info.Size() > maxCrashLog {
		if err := os.Truncate(path, 0); err != nil {
			return nil, fmt.Errorf("emptying the crash log: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the crash log: %w", err)
	}
	if err := debug.SetCrashOutput(file, debug.CrashOptions{}); err != nil {
		file.Close()
		return nil, fmt.Errorf("setting the crash log: %w", err)
	}
	stdlog.SetOutput(file)
	return file, nil
}

// complaint is a line with which the runtime or log.Fatal begins: "panic: …", "fatal error: …",
// "SIGBUS: …", "2026/01/02 15:04:05 …".
var complaint = regexp.MustCompile(`(?m)^(?:panic: |fatal error: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )(.*)$|^((?:SIG[A-Z]+: |unexpected fault address ).*)$`)

// markCrashLog separates this daemon from the one before, once the store is open, which adds what
// it has found of that one.
func markCrashLog(file *os.File) {
	fmt.Fprintf(file, "%s%d, %s\n", startMark, os.Getpid(), time.Now().Format(time.RFC3339))
}

// lastWord returns in one line what the daemon before this one had to say; empty: nothing. It is
// for the time before markCrashLog.
func lastWord(crashLog string) string {
	all, err := os.ReadFile(crashLog)
	if err != nil {
		return ""
	}
	last := string(all)
	last = last[max(0, strings.LastIndex(last, startMark)):]
	found := complaint.FindAllStringSubmatch(last, -1)
	if found == nil {
		return ""
	}
	said := found[len(found)-1]
	return fit(said[1]+said[2], 200) // one of the two
}

// lossWarning says that the daemon has ended n times in a row, with this last word.
func lossWarning(n int, reason, crashLog string) string {
	text := "the daemon ended unexpectedly and was started again"
	if n > 1 {
		text = fmt.Sprintf("the daemon ended unexpectedly %d times in a row and was started again", n)
	}
	if reason == "" {
		return text + ": without a word, so that it was probably killed; see the system's log (out of memory?)"
	}
	return fmt.Sprintf("%s: %s (more in %s)", text, reason, crashLog)
}
