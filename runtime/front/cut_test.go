package front

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// Cut resets the connections that have been silent since then, leaves the others and later ones
// alone, and has one without an answer go on through the next target if that is safe.
func TestCut(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	one := startFakeCore(t, func(c net.Conn, dest socks5.Address) {
		succeed(c)
		io.Copy(c, c)
	})
	dark := site{expect: 1, answer: stayDark}
	f.SetTarget(one.target(1))
	silent, lively := mustDial(t, f, "a.invalid:1"), mustDial(t, f, "b.invalid:1")
	speak(t, silent, "a", "a")
	speak(t, lively, "b", "b")
	eventually(t, "both are counted", func() bool { return f.Counters(1).DownBytes == 2 })
	since := time.Now()
	speak(t, lively, "c", "c")
	later := mustDial(t, f, "c.invalid:1")
	eventually(t, "the later one is there", func() bool { return f.Counters(1).Open == 3 && f.Counters(1).DownBytes == 3 })
	if n := f.Cut(1, Hanging{Silent: time.Since(since)}); n != 1 {
		t.Errorf("cut %d", n)
	}
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the silent one saw %v, want a reset", err)
	}
	speak(t, lively, "d", "d")
	speak(t, later, "e", "e")
	if n := f.Cut(99, Hanging{Silent: 1}); n != 0 {
		t.Errorf("unknown session: %d", n)
	}

	// Without an answer it goes on through the next target instead, if that is safe.
	f.SetTarget(startFakeCore(t, dark.serve).target(2))
	get, post := mustDial(t, f, "d.invalid:1"), mustDial(t, f, "e.invalid:1")
	io.WriteString(get, getRequest)
	io.WriteString(post, "POST")
	eventually(t, "the dark one has both", func() bool { return dark.times() == 2 })
	good := site{expect: 1, answer: sayGood}
	f.SetTarget(startFakeCore(t, good.serve).target(3))
	if n := f.Cut(2, Hanging{Waiting: 1}); n != 2 {
		t.Errorf("cut %d of 2", n)
	}
	hear(t, get, "good")
	if _, err := post.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the POST saw %v, want a reset", err)
	}
	if n := good.times(); n != 1 {
		t.Errorf("the next target heard %d requests", n)
	}
	if n := drain(f, 2, patience); n != 0 {
		t.Errorf("%d are left on the dark core", n)
	}
	f.Close()
}

// Drain ends what rests on one core. A connection that has another leg goes on.
func TestDrainOneLeg(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, 1, stayDark, func(c net.Conn) { <-release; sayGood(c) }, nil)
	c := mustDial(t, p.Front, "a.invalid:1")
	io.WriteString(c, getRequest)
	eventually(t, "both have it", func() bool { return p.standby.times() == 1 })
	p.SetTarget(p.standbyCore.target(2))
	if n := drain(p.Front, 1, 0); n != 1 {
		t.Errorf("%d legs were cut", n)
	}
	close(release)
	hear(t, c, "good")
}

// The standby becomes the target: what runs through it goes on, its ledger, too, and it is nobody's
// standby any more.
func TestPromotion(t *testing.T) {
	p := newPair(t, 1, stayDark, sayGood, nil)
	c := mustDial(t, p.Front, "a.invalid:1")
	speak(t, c, getRequest, "good")
	before := p.Front.standby.Load().target
	p.SetTarget(p.standbyCore.target(2))
	if p.Front.state.Load().target != before {
		t.Error("the promoted core is another one")
	}
	if p.Front.standby.Load().target != nil {
		t.Error("there is still a standby")
	}
	speak(t, mustDial(t, p.Front, "b.invalid:1"), "POST", "good")
	if n := p.Counters(2); n.Open != 2 || n.Connections != 2 {
		t.Errorf("%+v", n)
	}
	p.SetStandby(p.standbyCore.target(2))
	if p.Front.standby.Load().target != nil {
		t.Error("the target is its own standby")
	}
	p.Forget(2)
	if p.Counters(2).Connections != 2 {
		t.Error("the target was forgotten")
	}
}
