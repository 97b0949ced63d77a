package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestBestResultsComeFirst(t *testing.T) {
	results := func() []ipc.TestResultPayload {
		return []ipc.TestResultPayload{
			{ConfigID: 1, ConfigName: "d", Code: "timeout", TCPMillis: 1},
			{ConfigID: 2, ConfigName: "c", OK: true, TCPMillis: 9, DelayMillis: 10, SpeedBytes: 100},
			{ConfigID: 3, ConfigName: "B", OK: true, TCPMillis: 5, DelayMillis: 30, SpeedBytes: 900},
			{ConfigID: 4, ConfigName: "a", OK: true, DelayMillis: 20},
		}
	}
	for _, test := range []struct {
		flags testFlags
		want  string
	}{
		{testFlags{}, "caBd"},
		{testFlags{speed: true}, "Bcad"},
		{testFlags{TestArguments: ipc.TestArguments{TCPOnly: true}}, "Bcad"},
		{testFlags{sort: "tcp"}, "Bcad"},
		{testFlags{sort: "name"}, "aBcd"},
		{testFlags{sort: "id"}, "dcBa"},
	} {
		sorted, got := results(), ""
		sortResults(sorted, test.flags)
		for _, r := range sorted {
			got += r.ConfigName
		}
		if got != test.want {
			t.Errorf("%+v: %s, want %s", test.flags, got, test.want)
		}
	}
}

func TestResultsArePrintedHarmlessly(t *testing.T) {
	var results []ipc.TestResultPayload
	results = append(results, ipc.TestResultPayload{ConfigID: 1, ConfigName: "tokyo", Protocol: "vless", Address: "::1", Port: 443, OK: true, TCPMillis: 3, DelayMillis: 45})
	for i := range maxFailures + 1 {
		code := "timeout"
		if i == 0 {
			code = "\x1b[31munreachable"
		}
		results = append(results, ipc.TestResultPayload{ConfigID: int64(i + 2), ConfigName: "dead\x1b]0;x\x07", Code: code, Message: "no\nanswer"})
	}
	summary := ipc.TestSummaryPayload{OK: 1, Failed: len(results) - 1, DurationMillis: 1234}
	show := func(flags testFlags) string {
		var page bytes.Buffer
		printTest(&page, 80, results, summary, flags)
		return page.String()
	}
	short := show(testFlags{})
	for _, want := range []string{"tokyo", "[::1]:443", "3 ms", "45 ms", "1 of 22 work (1.2 s).", "20 timeout, 1 "} {
		if !strings.Contains(short, want) {
			t.Errorf("%q is not in:\n%s", want, short)
		}
	}
	if strings.Contains(short, "dead") {
		t.Errorf("too many failures are listed:\n%s", short)
	}
	long := show(testFlags{sort: "id"})
	if strings.Count(long, "dead") != maxFailures+1 || strings.ContainsAny(short+long, "\x1b\x07") {
		t.Errorf("%q", long)
	}
	for line := range strings.Lines(long) {
		if columns(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("too wide: %q", line)
		}
	}
}

func TestBarFitsTheTerminal(t *testing.T) {
	b := &testBar{total: 200}
	for i := range 50 {
		b.add(ipc.TestResultPayload{OK: i%2 == 0, DelayMillis: int64(90 - i), ConfigName: fmt.Sprintf("s%d\x1b[2J", i)})
	}
	line := b.line(200, 12*time.Second)
	for _, want := range []string{"██████░", "50/200", "25 work", "12 s", "fastest 42 ms s48"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %q", want, line)
		}
	}
	if strings.ContainsRune(line, '\x1b') {
		t.Errorf("%q", line)
	}
	for width := range 100 {
		if got := columns(b.line(width, 0)); got > max(width, 1) {
			t.Errorf("%d columns for a width of %d", got, width)
		}
	}
}

func TestBarDrawsOnlyOnATerminal(t *testing.T) {
	var out bytes.Buffer
	b := newTestBar(&out)
	b.begin(3)
	b.add(ipc.TestResultPayload{OK: true})
	b.close()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
