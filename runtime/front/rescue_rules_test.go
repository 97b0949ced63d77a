package front

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// A target that has answered somebody who came later is alive: the destination is slow. It is left
// alone until the ceiling, sent again once, and then left alone for good.
func TestSlowDestination(t *testing.T) {
	const ceiling = 600 * time.Millisecond
	answer := make(chan struct{})
	var heard [2]atomic.Int64
	serve := func(i int) func(net.Conn, socks5.Address) {
		return func(c net.Conn, dest socks5.Address) {
			succeed(c)
			io.ReadFull(c, make([]byte, len(getRequest)))
			if strings.Contains(dest.String(), "fast") {
				io.WriteString(c, "fast")
				return
			}
			heard[i].Add(1)
			if i == 0 {
				<-answer
				io.WriteString(c, "slow")
			}
			io.Copy(io.Discard, c)
		}
	}
	f := openFront(t, func(o *Options) { o.Rescue.Ceiling = ceiling })
	f.SetTarget(startFakeCore(t, serve(0)).target(1))
	f.SetStandby(startFakeCore(t, serve(1)).target(2))
	begin := time.Now()
	c := mustDial(t, f, "slow.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "the target has it", func() bool { return heard[0].Load() == 1 })
	speak(t, mustDial(t, f, "fast.invalid:80"), getRequest, "fast")
	eventually(t, "it is sent again", func() bool { return heard[1].Load() == 1 })
	if took := time.Since(begin); took < ceiling {
		t.Errorf("sent again after %v", took)
	}
	answer <- struct{}{}
	hear(t, c, "slow")
	if len(f.Signals()) > 0 {
		t.Errorf("signal %+v", <-f.Signals())
	}

	c = mustDial(t, f, "slow.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "the target has the second", func() bool { return heard[0].Load() == 2 })
	for end := time.Now().Add(2 * ceiling); time.Now().Before(end); {
		speak(t, mustDial(t, f, "fast.invalid:80"), getRequest, "fast")
		time.Sleep(10 * time.Millisecond) // the time in which nothing must happen
	}
	if n := heard[1].Load(); n > 1 {
		t.Errorf("sent again %d times", n)
	}
	close(answer)
	hear(t, c, "slow")
}

// As long as nobody has answered one rescue, the next visitors of the same destination are not sent
// twice, also if nothing is known of the core's health.
func TestSlowDestinationWithManyVisitors(t *testing.T) {
	for name, request := range map[string]func(f *Front) func(){
		"tunnel": func(f *Front) func() {
			return func() {
				c := mustDial(t, f, "slow.invalid:80")
				io.WriteString(c, getRequest)
			}
		},
		"plain HTTP": func(f *Front) func() {
			return func() {
				c := dialFront(t, httpAddress(f))
				io.WriteString(c, "GET http://slow.invalid/x HTTP/1.1\r\nHost: slow.invalid\r\n\r\n")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 1, stayDark, stayDark, nil)
			visit := request(p.Front)
			visit()
			eventually(t, "it is sent again", func() bool { return p.standby.times() == 1 })
			limit := p.guard.limit(p.Front.standby.Load().target.ledger)
			for end := time.Now().Add(4 * limit); time.Now().Before(end); time.Sleep(limit / 4) { // in which nothing must happen
				if time.Until(end) < 3*limit {
					visit()
				}
			}
			time.Sleep(2 * limit)
			if n := p.standby.times(); n != 1 {
				t.Errorf("%d of %d visitors were sent twice", n, p.target.times())
			}
			if p.target.times() < 3 {
				t.Errorf("only %d visitors", p.target.times())
			}
			p.guard.mu.Lock()
			pending := len(p.guard.pending)
			p.guard.mu.Unlock()
			if pending != 1 {
				t.Errorf("%d destinations are pending", pending)
			}
			p.Front.Close()
			p.guard.mu.Lock()
			pending = len(p.guard.pending)
			p.guard.mu.Unlock()
			if pending != 0 {
				t.Errorf("%d destinations are pending after the end", pending)
			}
		})
	}
}

// A rescue that was lost by a hair must not take the next one away when the core dies.
func TestHiccup(t *testing.T) {
	var frozen atomic.Bool
	standbyHas := make(chan struct{}, 1)
	p := newPair(t, 1, func(c net.Conn) {
		if frozen.Load() {
			stayDark(c)
			return
		}
		<-standbyHas
		sayTarget(c)
	}, func(c net.Conn) {
		if frozen.Load() {
			sayGood(c)
			return
		}
		standbyHas <- struct{}{}
		stayDark(c)
	}, nil)
	speak(t, mustDial(t, p.Front, "a.invalid:80"), getRequest, "targ")
	frozen.Store(true)
	speak(t, mustDial(t, p.Front, "a.invalid:80"), getRequest, "good")
}

// A destination that hangs up on everybody is asked twice once, and then no more as long as others
// are answered.
func TestDestinationThatHangsUp(t *testing.T) {
	var asked [2]atomic.Int64
	late := make(chan struct{}, 1)
	serve := func(i int) func(net.Conn, socks5.Address) {
		return func(c net.Conn, dest socks5.Address) {
			succeed(c)
			io.ReadFull(c, make([]byte, len(getRequest)))
			if strings.Contains(dest.String(), "good") {
				io.WriteString(c, "good")
				return
			}
			if asked[i].Add(1); i == 1 {
				<-late
			}
		}
	}
	f := openFront(t, nil)
	f.SetTarget(startFakeCore(t, serve(0)).target(1))
	f.SetStandby(startFakeCore(t, serve(1)).target(2))
	c := mustDial(t, f, "bad.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "both were asked", func() bool { return asked[1].Load() == 1 })
	speak(t, mustDial(t, f, "good.invalid:80"), getRequest, "good")
	late <- struct{}{}
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	c = mustDial(t, f, "bad.invalid:80")
	io.WriteString(c, getRequest)
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if asked[0].Load() != 2 || asked[1].Load() != 1 {
		t.Errorf("asked %d and %d times", asked[0].Load(), asked[1].Load())
	}
}

// When nobody answers, the traffic is not doubled.
func TestGuard(t *testing.T) {
	p := newPair(t, 1, stayDark, stayDark, nil)
	const n = 5 * guardBurst
	for i := range n {
		c := mustDial(t, p.Front, fmt.Sprintf("a%d.invalid:80", i))
		io.WriteString(c, getRequest)
	}
	begin := time.Now()
	eventually(t, "the guard is empty", func() bool { return p.standby.times() >= guardBurst })
	for time.Since(begin) < time.Second {
		time.Sleep(50 * time.Millisecond) // the time in which nothing must happen
	}
	if got := p.standby.times(); got > guardBurst+3 {
		t.Errorf("%d of %d were sent again", got, n)
	}
}

// Rescues that win are free.
func TestGuardLetsWinnersPass(t *testing.T) {
	p := newPair(t, 1, hangUp, sayGood, nil)
	for i := range 3 * guardBurst {
		c := mustDial(t, p.Front, fmt.Sprintf("a%d.invalid:80", i))
		speak(t, c, getRequest, "good")
		c.Close()
	}
	p.guard.mu.Lock()
	defer p.guard.mu.Unlock()
	if p.guard.tokens < guardBurst-1 {
		t.Errorf("%v tokens are left", p.guard.tokens)
	}
}

// Nothing has been sent yet: a server that speaks first may take its time, and is reached again
// only if the core dies.
func TestServerThatSpeaksFirstIsLeftAlone(t *testing.T) {
	p := newPair(t, 0, stayDark, sayGood, nil)
	greeted := mustDial(t, p.Front, "a.invalid:22")
	eventually(t, "the core has it", func() bool { return p.Counters(1).Connections == 1 })
	for range 2 {
		io.WriteString(mustDial(t, p.Front, "b.invalid:22"), "x")
		hears(t, p.Front, Signal{1, Silent}) // by now the first would be rescued, too
	}
	if n := p.Counters(2).Connections; n != 0 {
		t.Errorf("the standby was asked %d times", n)
	}
	p.targetCore.kill()
	hear(t, greeted, "good")
}

// A dead core's connections wait a moment for its successor, and then take the standby. New ones
// do, too.
func TestDeadCore(t *testing.T) {
	post := "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
	t.Run("no successor", func(t *testing.T) {
		p := newPair(t, 1, stayDark, sayGood, func(o *Options) { o.Rescue.Floor, o.Rescue.Ceiling = time.Hour, time.Hour })
		get, idle := mustDial(t, p.Front, "a.invalid:80"), mustDial(t, p.Front, "b.invalid:80")
		io.WriteString(get, getRequest)
		eventually(t, "the target has both", func() bool { return p.target.times() == 1 && p.Counters(1).Open == 2 })
		p.targetCore.kill()
		hear(t, get, "good")
		speak(t, idle, post, "good") // nothing had been sent
		speak(t, mustDial(t, p.Front, "c.invalid:80"), post, "good")
		p.SetTarget(nil)
		speak(t, mustDial(t, p.Front, "d.invalid:80"), post, "good")
		if n := p.Counters(2); n.Waited == 0 || n.Connections != 4 {
			t.Errorf("standby: %+v", n)
		}
	})
	t.Run("successor", func(t *testing.T) {
		p := newPair(t, 1, stayDark, sayGood, nil)
		next := site{expect: 1, answer: sayTarget}
		k := startFakeCore(t, next.serve)
		get := mustDial(t, p.Front, "a.invalid:80")
		io.WriteString(get, getRequest)
		eventually(t, "the target has it", func() bool { return p.target.times() == 1 })
		p.SetTarget(k.target(3))
		p.targetCore.kill()
		hear(t, get, "targ")
		if n := p.standby.times(); n > 0 {
			t.Errorf("the standby was asked %d times", n)
		}
	})
}

// Without a standby nothing changes, except that silence is reported, once.
func TestNoStandby(t *testing.T) {
	for _, off := range []bool{false, true} {
		p := newPair(t, 1, stayDark, sayGood, func(o *Options) { o.Rescue = Rescue{Off: off, Ceiling: 60 * time.Millisecond} })
		if !off {
			p.SetStandby(nil)
		}
		for range 2 {
			io.WriteString(mustDial(t, p.Front, "a.invalid:80"), getRequest)
			hears(t, p.Front, Signal{1, Silent})
		}
		c := mustDial(t, p.Front, "b.invalid:80")
		io.WriteString(c, "POST")
		hears(t, p.Front, Signal{1, Silent})
		time.Sleep(3 * standbyPause) // the time in which nothing must happen
		p.targetCore.kill()
		io.ReadAll(c)
		silent := 0
		for len(p.Signals()) > 0 {
			if s := <-p.Signals(); s.Kind == Silent {
				silent++
			}
		}
		if silent > 0 || p.standby.times() > 0 {
			t.Errorf("off %v: %d more reports of silence, %d rescues", off, silent, p.standby.times())
		}
	}
}

// A standby that comes later rescues whoever still waits.
func TestLateStandby(t *testing.T) {
	p := newPair(t, 1, stayDark, sayGood, nil)
	p.SetStandby(nil)
	c := mustDial(t, p.Front, "a.invalid:80")
	io.WriteString(c, getRequest)
	hears(t, p.Front, Signal{1, Silent})
	p.SetStandby(p.standbyCore.target(2))
	hear(t, c, "good")
}

// A standby that misses one dial is dialled again: on a busy machine that happens to one that is
// well.
func TestStandbyThatMissesADialIsAskedAgain(t *testing.T) {
	for name, target := range map[string]func(net.Conn){"silent": stayDark, "hangs up": hangUp} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 1, target, sayGood, nil)
			p.standbyCore.kill()
			c := mustDial(t, p.Front, "a.invalid:80")
			io.WriteString(c, getRequest)
			hears(t, p.Front, Signal{2, DialRefused})
			startFakeCoreAt(t, p.standbyCore.l.Addr().String(), p.standby.serve)
			hear(t, c, "good")
			if tokens := p.guard.left(); tokens < guardBurst-1 {
				t.Errorf("%v tokens are left", tokens)
			}
		})
	}
}

// Where nothing has been sent yet, a second try is safe, also while the target takes connections:
// it may be about to die.
func TestClientThatHasSentNothingIsRescuedFromTheEnd(t *testing.T) {
	p := newPair(t, 0, hangUp, sayGood, nil)
	hear(t, mustDial(t, p.Front, "a.invalid:22"), "good")
}

// Whoever has been refused a token goes to the next target without one.
func TestNewTargetCostsNoToken(t *testing.T) {
	p := newPair(t, len(getRequest), hangUp, sayGood, nil)
	p.guard.mu.Lock()
	p.guard.tokens = -1000
	p.guard.mu.Unlock()
	c := mustDial(t, p.Front, "a.invalid:80")
	io.WriteString(c, getRequest)
	hears(t, p.Front, Signal{1, ClosedEmpty})
	time.Sleep(3 * guardPause) // in which it is refused
	p.SetTarget(startFakeCore(t, func(c net.Conn, _ socks5.Address) { succeed(c); sayGood(c) }).target(3))
	hear(t, c, "good")
	if n := p.standby.times(); n != 0 {
		t.Errorf("the standby was asked %d times", n)
	}
}

// When the standby hangs up as well, and nobody was answered meanwhile, it is not the destination:
// the next target is waited for, and after some of those it is enough.
func TestNextTargetIsAwaited(t *testing.T) {
	for _, last := range []int{3, 20} { // the number of the first core that answers
		p := newPair(t, 1, hangUp, nil, func(o *Options) { o.Wait, o.Rescue.Ceiling = 300*time.Millisecond, 60*time.Millisecond })
		var asked atomic.Int64
		var next func(net.Conn)
		next = func(c net.Conn) {
			n := asked.Add(1)
			if int(n) == last {
				sayGood(c)
				return
			}
			core := startFakeCore(t, func(c net.Conn, _ socks5.Address) { succeed(c); c.Read(make([]byte, 100)); next(c) })
			time.AfterFunc(20*time.Millisecond, func() { p.SetTarget(core.target(10 + n)) })
		}
		p.standby.answer = next
		c := mustDial(t, p.Front, "a.invalid:80")
		io.WriteString(c, getRequest)
		n, _ := c.Read(make([]byte, 10))
		if answered := n > 0; answered != (last == 3) || asked.Load() > maxRescues+maxReplays {
			t.Errorf("%d bytes after %d cores", n, asked.Load())
		}
	}
}

// What nobody answers although others are answered is the destination's own: it is told at once.
func TestEmptyDestinationIsNotWaitedFor(t *testing.T) {
	p := newPair(t, len(getRequest), hangUp, hangUp, nil)
	c := mustDial(t, p.Front, "a.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "both were asked", func() bool { return p.target.times() == 1 && p.standby.times() == 1 })
	began := time.Now()
	p.Answers(1) // as a check tells
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil || time.Since(began) > patience/2 {
		t.Errorf("%q, %v after %v", b, err, time.Since(began))
	}
}

// Two rescues at most: the standby is as silent as the target, and so is a third core; a fourth is
// not asked.
func TestTwoRescues(t *testing.T) {
	p := newPair(t, 1, stayDark, stayDark, func(o *Options) { o.Rescue.Ceiling = 60 * time.Millisecond })
	c := mustDial(t, p.Front, "a.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "the standby has it", func() bool { return p.standby.times() == 1 })
	third, fourth := site{expect: 1, answer: stayDark}, site{expect: 1, answer: sayGood}
	p.SetTarget(startFakeCore(t, third.serve).target(3))
	eventually(t, "the third has it", func() bool { return third.times() == 1 })
	p.SetTarget(startFakeCore(t, fourth.serve).target(4))
	p.SetStandby(nil)
	d := mustDial(t, p.Front, "b.invalid:80")
	speak(t, d, getRequest, "good")
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); err == nil || fourth.times() != 1 {
		t.Errorf("the fourth core was asked %d times", fourth.times())
	}
	c.Close()
	eventually(t, "nothing is left but the other", func() bool { return p.Total().Open == 1 })
}

func httpAddress(f *Front) string {
	_, address := f.Addresses()
	return address
}
