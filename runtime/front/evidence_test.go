package front

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// answering is a core whose every connection is answered with a head that promises n bytes, and
// then as body says.
func answering(n int, body func(c net.Conn)) func(net.Conn, socks5.Address) {
	return func(c net.Conn, _ socks5.Address) {
		succeed(c)
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
		body(c)
	}
}

// sends writes n bytes.
func sends(c net.Conn, n int) { io.WriteString(c, strings.Repeat("x", n)) }

// silent waits until the other side has gone.
func silent(c net.Conn) { io.Copy(io.Discard, c) }

// ask sends a request to a destination and reads what comes in the background.
func ask(t *testing.T, f *Front, dest string) {
	t.Helper()
	c := mustDial(t, f, dest)
	io.WriteString(c, getRequest)
	go io.Copy(io.Discard, c)
}

func TestEvidence(t *testing.T) {
	const whole = 60_000
	for name, test := range map[string]struct {
		serve func(net.Conn, socks5.Address)
		want  Evidence
	}{
		"it stalls":       {answering(whole, func(c net.Conn) { sends(c, 16<<10); silent(c) }), Evidence{Stalled: 1, Destinations: 1}},
		"it is cut short": {answering(whole, func(c net.Conn) { sends(c, 8<<10) }), Evidence{CutShort: 1, Destinations: 1}},
		"it crawls": {answering(whole, func(c net.Conn) {
			for range 40 {
				sends(c, 150)
				time.Sleep(50 * time.Millisecond)
			}
			silent(c)
		}), Evidence{Starved: 1, Destinations: 1}},
		"it comes": {answering(whole, func(c net.Conn) { sends(c, whole); silent(c) }), Evidence{Worked: 1}},
		// The destination has nothing to say, and may well have.
		"it is small, and idle": {answering(10, func(c net.Conn) { sends(c, 10); silent(c) }), Evidence{}},
		"it never ends":         {func(c net.Conn, _ socks5.Address) { succeed(c); sends(c, 1000); silent(c) }, Evidence{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openFront(t, nil)
			f.SetTarget(startFakeCore(t, test.serve).target(1))
			ask(t, f, "site.invalid:80")
			if test.want == (Evidence{}) {
				time.Sleep(leastStall + 3*watchPause) // it must not come
			} else {
				eventually(t, "it is seen", func() bool { return f.Evidence(1) == test.want })
			}
			if got := f.Evidence(1); got != test.want {
				t.Errorf("%+v", got)
			}
			var told []SignalKind
			for len(f.Signals()) > 0 {
				if s := <-f.Signals(); s.Kind != Silent { // which may be said of any of them
					told = append(told, s.Kind)
				}
			}
			if (len(told) > 0) != (test.want.Trouble() > 0) {
				t.Errorf("told %v", told)
			}
			eventually(t, "nobody watches any more", func() bool { return test.want.Stalled == 0 && test.want.Starved == 0 || !f.watching.Load() })
		})
	}
}

// A client that takes its time is no trouble of the server's.
func TestSlowReaderIsNoEvidence(t *testing.T) {
	f := openFront(t, nil)
	f.SetTarget(startFakeCore(t, answering(20<<20, func(c net.Conn) { sends(c, 20<<20); silent(c) })).target(1))
	c := mustDial(t, f, "site.invalid:80")
	io.WriteString(c, getRequest)
	c.SetReadBuffer(4 << 10)
	for range 25 {
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if e := f.Evidence(1); e.Trouble() > 0 {
		t.Errorf("%+v", e)
	}
}

// Three answers that do not go on, with no work done in between, send new connections to the
// standby; only that it is trusted again, or time, ends that.
func TestWorkSuspicion(t *testing.T) {
	p := newPair(t, 1, sayTarget, sayGood, nil)
	target := p.Front.state.Load().target
	for i := range enoughEvidence {
		if p.standIn() != nil {
			t.Errorf("suspect after %d", i)
		}
		p.witness(target, CutShort, "one.invalid:443")
	}
	if p.standIn() == nil {
		t.Fatal("not suspect")
	}
	for i := range 3 {
		speak(t, mustDial(t, p.Front, fmt.Sprintf("b%d.invalid:80", i)), getRequest, "good")
	}
	if n := p.target.times(); n != 0 {
		t.Errorf("the target was tried %d times", n)
	}

	p.Trust(1)
	if p.standIn() != nil || p.Evidence(1) != (Evidence{}) {
		t.Error("still suspect")
	}
	// The one destination is known for it by now; another one is news.
	for range 2 * enoughEvidence {
		p.witness(target, Stalled, "one.invalid:443")
	}
	if p.standIn() != nil {
		t.Error("suspect because of one destination")
	}
	p.witness(target, Stalled, "two.invalid:443")
	if p.standIn() == nil {
		t.Error("not suspect because of two")
	}
	p.guard.suspect.Load().until = p.now() - 1
	if p.standIn() != nil {
		t.Error("suspect for ever")
	}

	// Work that is done in between speaks for it.
	p.Trust(1)
	for range 10 {
		p.witness(target, Stalled, "one.invalid:443")
		p.witness(target, Stalled, "two.invalid:443")
		p.witness(target, Worked, "three.invalid:443")
	}
	if p.standIn() != nil {
		t.Error("suspect although it works")
	}
}

// A standby that strangles as well is no better.
func TestNoSuspicionWithLimitedStandby(t *testing.T) {
	p := newPair(t, 1, sayTarget, sayGood, nil)
	standby := p.Front.standby.Load().target
	standby.limited.Store(true)
	for range 2 * enoughEvidence {
		p.witness(p.Front.state.Load().target, Stalled, "one.invalid:443")
	}
	if p.standIn() != nil {
		t.Error("new connections go to a limited standby")
	}
}

// The share of connections that another server answers counts, and not their number.
func TestLossy(t *testing.T) {
	f := New(Options{})
	told := func() bool {
		select {
		case s := <-f.Signals():
			return s.Kind == Lossy
		default:
			return false
		}
	}
	f.SetTarget(&Target{ID: 1, Address: "127.0.0.1:1"})
	target := f.state.Load().target
	for i := range 30 {
		target.ledger.answers.Add(2)
		f.witness(target, Lossy, "a.invalid:443")
		if got, want := told(), i+1 >= lossyLeast; got != want {
			t.Fatalf("a third is lost, after %d: told %v", i+1, got)
		}
	}
	f.Trust(1)
	for i := range 30 {
		target.ledger.answers.Add(50)
		if f.witness(target, Lossy, "a.invalid:443"); told() {
			t.Fatalf("a fiftieth is lost, after %d: told", i+1)
		}
	}
}

// What hangs is told from what is idle.
func TestHanging(t *testing.T) {
	p := newPair(t, 1, sayTarget, sayGood, nil)
	u := &upstream{f: p.Front}
	l := &leg{u: u}
	u.won.Store(l)
	const second = int64(time.Second)
	now := p.now() + 100*second
	l.last.Store(now - 10*second)
	unanswered := &leg{u: &upstream{f: p.Front}}
	unanswered.last.Store(now - second) // the core's reply, which came later than the request went out
	if unanswered.hangs(Hanging{Waiting: 1}, now) {
		t.Error("nothing was sent, and it waits")
	}
	if unanswered.u.lastSent.Store(now - 2*second); !unanswered.hangs(Hanging{Waiting: 1}, now) {
		t.Error("something was sent, and it does not wait")
	}
	for name, test := range map[string]struct {
		asked, due int64 // when; 0: nothing
		starved    bool
		h          Hanging
		want       bool
	}{
		"idle":                  {h: Hanging{Waiting: time.Second, Strangled: true}},
		"silent":                {h: Hanging{Silent: 9 * time.Second}, want: true},
		"not silent for long":   {h: Hanging{Silent: 11 * time.Second}},
		"it has asked":          {asked: now - 5*second, h: Hanging{Waiting: 1}, want: true},
		"and was answered":      {asked: now - 11*second, h: Hanging{Waiting: 1}},
		"the rest is due":       {due: now - 9*second, h: Hanging{Waiting: 3 * time.Second}, want: true},
		"it crawls":             {starved: true, h: Hanging{Strangled: true}, want: true},
		"nobody asks for those": {starved: true, h: Hanging{Silent: 20 * time.Second}},
	} {
		l.asked.Store(test.asked)
		l.flow.since.Store(test.due)
		l.flow.starved.Store(test.starved)
		if got := l.hangs(test.h, now); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
