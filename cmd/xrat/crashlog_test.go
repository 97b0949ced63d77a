package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The last word is that of the daemon before, in one line, whoever has written it.
func TestLastWord(t *testing.T) {
	const stack = "\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:1\n"
	mark := func(pid string) string { return startMark + pid + ", 2026-01-02T03:04:05Z\n" }
	for name, test := range map[string]struct{ text, want string }{
		"nothing":               {"", ""},
		"no word":               {mark("1"), ""},
		"panic":                 {mark("1") + "panic: the loop hangs" + stack, "the loop hangs"},
		"of one earlier":        {mark("0") + "panic: old" + stack + mark("1"), ""},
		"fatal error":           {mark("1") + "fatal error: all goroutines are asleep" + stack, "all goroutines are asleep"},
		"signal":                {mark("1") + "SIGBUS: bus error\nPC=0x1" + stack, "SIGBUS: bus error"},
		"log.Fatal":             {mark("1") + "2026/11/30 08:00:00 too many open files\n", "too many open files"},
		"found by the store":    {mark("1") + "unexpected fault address 0x1" + stack, "unexpected fault address 0x1"},
		"a daemon without mark": {"panic: as before" + stack, "as before"},
		"control characters":    {mark("1") + "panic: \x1b[31mred" + stack, "·[31mred"},
	} {
		path := filepath.Join(t.TempDir(), crashLogName)
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastWord(path); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := lastWord(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("%q out of no file", got)
	}
}

// A loss is told with its reason, or with what to look for.
func TestLossWarning(t *testing.T) {
	for want, got := range map[string]string{
		"unexpectedly 3 times in a row and was started again: out of luck (more in /c)": lossWarning(3, "out of luck", "/c"),
		"unexpectedly and was started again: without a word":                            lossWarning(1, "", "/c"),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}
