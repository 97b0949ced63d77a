package front

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// suspected returns a pair whose target has become suspect, and what makes it answer again.
func suspected(t *testing.T) (p *pair, thaw func()) {
	t.Helper()
	var thawed atomic.Bool
	target := func(c net.Conn) {
		if thawed.Load() {
			sayTarget(c)
		} else {
			stayDark(c)
		}
	}
	p = newPair(t, 1, target, sayGood, nil)
	for i := range suspectAfter {
		if p.standIn() != nil {
			t.Errorf("suspect after %d rescues", i)
		}
		speak(t, mustDial(t, p.Front, fmt.Sprintf("a%d.invalid:80", i)), getRequest, "good")
	}
	if p.standIn() == nil || p.target.times() != suspectAfter {
		t.Fatalf("not suspect after %d rescues", p.target.times())
	}
	return p, func() { thawed.Store(true) }
}

// Under suspicion everything goes to the standby first, what may not be sent twice as well.
func TestSuspicion(t *testing.T) {
	p, _ := suspected(t)
	for range 5 {
		p.guard.mu.Lock()
		p.guard.trial = 0 // a trial is due, but not with this
		p.guard.mu.Unlock()
		speak(t, mustDial(t, p.Front, "b.invalid:80"), "POST", "good")
	}
	if n := p.target.times(); n != suspectAfter {
		t.Errorf("the target was asked %d times more", n-suspectAfter)
	}
	if n := p.Counters(2); n.Replayed != suspectAfter || n.Connections != suspectAfter+5 {
		t.Errorf("standby: %+v", n)
	}
}

// The standby is watched in its turn, by the same rules, and the target's answer ends the
// suspicion.
func TestSuspicionOfTheWrongOne(t *testing.T) {
	p, thaw := suspected(t)
	thaw()
	p.guard.mu.Lock()
	p.guard.trial = p.now() + int64(time.Hour)
	p.guard.mu.Unlock()
	dark := site{expect: 1, answer: stayDark}
	k := startFakeCore(t, dark.serve)
	p.SetStandby(k.target(3))
	post := mustDial(t, p.Front, "b.invalid:80")
	io.WriteString(post, "POST")
	eventually(t, "the standby has the POST", func() bool { return dark.times() == 1 })
	speak(t, mustDial(t, p.Front, "c.invalid:80"), getRequest, "targ")
	if p.standIn() != nil {
		t.Error("the target has answered and is still suspect")
	}
	if n := p.target.times(); n != suspectAfter+1 {
		t.Errorf("the target was asked %d times", n)
	}
}

// Now and then something that may be sent again tries the target first. Its answer ends the
// suspicion.
func TestSuspicionEndsByItself(t *testing.T) {
	p, thaw := suspected(t)
	ask := func() string {
		c := mustDial(t, p.Front, "b.invalid:80")
		defer c.Close()
		io.WriteString(c, getRequest)
		b := make([]byte, 4)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	eventually(t, "the target is tried", func() bool {
		if ask() != "good" {
			t.Error("the target has answered")
		}
		return p.target.times() > suspectAfter
	})
	if p.standIn() == nil {
		t.Error("a trial in vain has ended the suspicion")
	}
	thaw()
	eventually(t, "the target answers", func() bool { return ask() == "targ" })
	if p.standIn() != nil {
		t.Error("still suspect")
	}
	speak(t, mustDial(t, p.Front, "c.invalid:80"), "POST", "targ")
}

// Another target, and the end of the standby, end the suspicion at once.
func TestSuspicionEndsFromOutside(t *testing.T) {
	t.Run("another target", func(t *testing.T) {
		p, _ := suspected(t)
		next := site{expect: 1, answer: sayTarget}
		p.SetTarget(startFakeCore(t, next.serve).target(3))
		speak(t, mustDial(t, p.Front, "b.invalid:80"), "POST", "targ")
	})
	t.Run("no standby", func(t *testing.T) {
		p, thaw := suspected(t)
		thaw()
		p.SetStandby(nil)
		speak(t, mustDial(t, p.Front, "b.invalid:80"), "POST", "targ")
	})
	t.Run("dead standby", func(t *testing.T) {
		p, thaw := suspected(t)
		thaw()
		p.standbyCore.kill()
		speak(t, mustDial(t, p.Front, "b.invalid:80"), "POST", "targ")
		hears(t, p.Front, Signal{2, DialRefused})
	})
}
