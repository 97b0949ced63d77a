package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// barInterval is how often the progress is drawn anew.
const barInterval = 100 * time.Millisecond

// testBar shows the progress of a test on a terminal; without one it does nothing. Its one
// goroutine ends with close.
type testBar struct {
	w     io.Writer // nil: there is no terminal
	width func() int
	stop  func() // stops the drawing and waits for its end; nil before begin

	mu          sync.Mutex
	total, done int
	ok          int
	best        ipc.TestResultPayload
	began       time.Time
}

// newTestBar returns a bar that draws on w if that is a terminal.
func newTestBar(w io.Writer) *testBar {
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return &testBar{}
	}
	return &testBar{w: w, width: func() int {
		width, _, err := term.GetSize(int(file.Fd()))
		if err != nil || width <= 0 {
			width = 80
		}
		return width
	}}
}

// begin starts the drawing.
func (b *testBar) begin(total int) {
	if b.w == nil {
		return
	}
	b.total, b.began = total, time.Now()
	end, ended := make(chan struct{}), make(chan struct{})
	b.stop = sync.OnceFunc(func() {
		close(end)
		<-ended
		fmt.Fprint(b.w, "\r\x1b[K")
	})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(barInterval)
		defer ticker.Stop()
		for {
			fmt.Fprint(b.w, "\r"+b.line(b.width()-1, time.Since(b.began))+"\x1b[K")
			select {
			case <-ticker.C:
			case <-end:
				return
			}
		}
	}()
}

// add counts a result.
func (b *testBar) add(r ipc.TestResultPayload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	if !r.OK {
		return
	}
	b.ok++
	if r.DelayMillis > 0 && (b.best.DelayMillis == 0 || r.DelayMillis < b.best.DelayMillis) {
		b.best = r
	}
}

// close removes the bar.
func (b *testBar) close() {
	if b.stop != nil {
		b.stop()
	}
}

// line is what the bar looks like.
func (b *testBar) line(width int, elapsed time.Duration) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const cells = 24
	full := cells * b.done / max(b.total, 1)
	text := fmt.Sprintf("%s%s %d/%d  %d work  %.0f s", strings.Repeat("█", full), strings.Repeat("░", cells-full),
		b.done, b.total, b.ok, elapsed.Seconds())
	if b.best.DelayMillis > 0 {
		text += fmt.Sprintf("  fastest %d ms %s", b.best.DelayMillis, fit(b.best.ConfigName, 40))
	}
	return fit(text, width)
}
