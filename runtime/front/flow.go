package front

import (
	"sync/atomic"
	"time"
)

const (
	// What goes wrong in the midst of answers, see [Evidence].
	leastStall = time.Second     // the shortest wait for the rest of an answer that is a stall
	mostStall  = 4 * time.Second // and the longest that is none
	stallLimit = 4               // a stall is this many times the silence that is unusual
	starveTime = 1500 * time.Millisecond
	starveRate = 16 << 10 // bytes a second, while an answer is waited for
	// provenBytes is how much must have come over a connection for it to count as work that was
	// done, the last third of it within provenTime. What strangles lets less pass.
	provenBytes = 48 << 10
	provenTime  = time.Second
	// A connection is prompt if what was asked over it was answered within promptTime, so often in
	// a row. When it is silent for promptStall, it has stalled.
	promptTime  = time.Second
	promptTimes = 3
	promptStall = 400 * time.Millisecond
	// watchPause lies between two looks at the connections that wait for the rest of an answer.
	watchPause = 200 * time.Millisecond
)

// flow is how the answers over a leg go on. It belongs to the goroutine that reads, but for the
// atomics, which the watch over stalls reads.
type flow struct {
	framing framing
	got     int64         // bytes of answers
	early   int64         // of them, those that came before the wait that is reckoned
	waited  time.Duration // for the core, in the midst of answers
	since   atomic.Int64  // since when the rest of an answer is waited for, on the front's clock; 0: it is not
	stalled atomic.Bool   // told
	prompt  atomic.Int32  // how often in a row what was asked was answered soon
	hushed  atomic.Int64  // the moment of asking of which it was told that it is unanswered
	starved atomic.Bool   // told
	proven  bool          // told, or it never will be
	nearly  int64         // when two thirds of provenBytes had come, on the front's clock; 0: they have not
}

// asks notes that the client sends something, after the first answer.
func (l *leg) asks() {
	if l.asked.Load() <= l.last.Load() {
		l.asked.Store(l.u.f.now())
		l.u.f.watchStalls()
	}
}

// awaits notes that the core is waited for from now on.
func (l *leg) awaits() {
	if fl := &l.flow; fl.framing.due() {
		fl.since.Store(l.u.f.now())
		l.u.f.watchStalls()
	}
}

// heardOf notes that b has come.
func (l *leg) heardOf(b []byte) {
	now, fl := l.u.f.now(), &l.flow
	if asked := l.asked.Load(); asked > l.last.Load() {
		if time.Duration(now-asked) < promptTime {
			fl.prompt.Add(1)
		} else {
			fl.prompt.Store(0)
		}
	}
	l.last.Store(now)
	if since := fl.since.Load(); since != 0 {
		fl.since.Store(0)
		fl.waited += time.Duration(now - since)
	}
	if fl.stalled.Load() {
		fl.stalled.Store(false) // it goes on
	}
	if fl.framing.protocol == protocolOpaque {
		return
	}
	fl.got += int64(len(b))
	fl.framing.feed(b)
	l.reckon(now)
}

// reckon judges the pace of the answers so far.
func (l *leg) reckon(now int64) {
	fl := &l.flow
	if fl.waited >= starveTime {
		if rate := float64(fl.got-fl.early) / fl.waited.Seconds(); rate < starveRate && !fl.starved.Load() && fl.framing.due() {
			fl.starved.Store(true)
			l.witness(Starved)
		}
		fl.waited, fl.early = 0, fl.got
	}
	if fl.proven || fl.got < provenBytes*2/3 {
		return
	}
	if fl.nearly == 0 {
		fl.nearly = now
	}
	if fl.got >= provenBytes {
		fl.proven = true
		if time.Duration(now-fl.nearly) < provenTime && !fl.starved.Load() {
			l.witness(Worked)
		}
	}
}

// ended notes the end of the answers.
func (l *leg) ended() {
	l.flow.since.Store(0)
	if l.flow.framing.due() && !l.dropped() && !l.flow.stalled.Load() {
		l.witness(CutShort)
	}
}

// witness gives evidence about the core's server.
func (l *leg) witness(kind SignalKind) {
	l.u.f.witness(l.target, kind, string(l.u.dest))
}

// watchStalls has somebody look for answers that do not go on, unless somebody does.
func (f *Front) watchStalls() {
	if f.watching.Load() || !f.watching.CompareAndSwap(false, true) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil {
		f.watching.Store(false)
		return
	}
	ctx := f.run.ctx
	f.run.wg.Go(func() {
		tick := time.NewTicker(watchPause)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				f.watching.Store(false)
				return
			case <-tick.C:
			}
			if f.findStalls() {
				continue
			}
			// A connection that began to wait after the look has seen that somebody watches.
			f.watching.Store(false)
			if !f.findStalls() || !f.watching.CompareAndSwap(false, true) {
				return
			}
		}
	})
}

// findStalls gives evidence of the answers that have stalled, and reports whether any answer is
// waited for.
func (f *Front) findStalls() (awaited bool) {
	var stalled, silent []*leg
	now := f.now()
	for _, led := range f.allLedgers() {
		limit := f.guard.limit(led)
		led.mu.Lock()
		for u := range led.users {
			l, ok := u.(*leg)
			if !ok {
				continue
			}
			s, waits := l.stall(limit, now)
			awaited = awaited || waits
			if s.silent {
				silent = append(silent, l)
			}
			if s.stalled {
				stalled = append(stalled, l)
			}
		}
		led.mu.Unlock()
	}
	for _, l := range silent {
		f.signal(l.target.id, Silent)
	}
	for _, l := range stalled {
		l.witness(Stalled)
	}
	return awaited
}

// stall is what has to be told of a connection now.
type stall struct{ silent, stalled bool }

// stall finds out what is to be told of the wait for an answer, and reports whether there will be
// more. limit is the silence that is unusual.
func (l *leg) stall(limit time.Duration, now int64) (s stall, waits bool) {
	fl := &l.flow
	if since := fl.since.Load(); since != 0 {
		if fl.stalled.Load() {
			return s, false
		}
		s.stalled = time.Duration(now-since) > min(max(stallLimit*limit, leastStall), mostStall) && fl.stalled.CompareAndSwap(false, true)
		return s, !s.stalled
	}
	asked := l.asked.Load()
	if asked <= l.last.Load() {
		return s, false
	}
	quiet, prompt := time.Duration(now-asked), fl.prompt.Load() >= promptTimes
	if quiet > 2*limit && fl.hushed.Swap(asked) != asked {
		s.silent = true
	}
	if prompt && !fl.stalled.Load() && quiet > max(2*limit, promptStall) {
		s.stalled = fl.stalled.CompareAndSwap(false, true)
	}
	return s, fl.hushed.Load() != asked || prompt && !fl.stalled.Load()
}
