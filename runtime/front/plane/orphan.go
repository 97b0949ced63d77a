//go:build unix

package plane

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"net"
	"os"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/descriptors"
	"github.com/xrat-tray/xrat/runtime/front"
)

// orphanTimes say how a data plane lives without a daemon.
type orphanTimes struct {
	// revive is the pause before the daemon is started again, the first time; it doubles with each
	// daemon lost soon after it came, up to most.
	revive, most time.Duration
	// leave is the same for a daemon that took its leave: the next one should be there long before.
	leave time.Duration
	// soon is how long a daemon must be served for its end not to count as one more in a row.
	soon time.Duration
	// idle is for how long there must be neither a daemon nor a core until the process ends; look
	// is how often that is looked at.
	idle, look time.Duration
	// drain is how long connections are served after another data plane has taken over, if the
	// daemon does not say.
	drain time.Duration
}

var defaultOrphanTimes = orphanTimes{
	revive: 100 * time.Millisecond, most: 10 * time.Minute, leave: 30 * time.Second, soon: time.Minute, idle: time.Minute, look: 10 * time.Second,
	drain: time.Hour,
}

// freeRevivals is how many daemons may be lost in a row before the pause grows.
const freeRevivals = 2

// orphan is the life of a data plane without a daemon. One goroutine, that of run, owns what is to
// be done; the others tell it.
type orphan struct {
	p      *plane
	times  orphanTimes
	events chan struct{} // something below has changed

	mu     sync.Mutex
	served bool // there is a daemon
	since  time.Time
	left   bool // the last one took its leave, or there was none
	losses int  // daemons in a row that did not, soon after they came
	revive bool
	drain  time.Duration
}

func newOrphan(p *plane) *orphan {
	times := p.orphanTimes
	if times == (orphanTimes{}) {
		times = defaultOrphanTimes
	}
	return &orphan{p: p, times: times, events: make(chan struct{}, 1), since: time.Now(), left: true}
}

// changed has the goroutine look again at what is to be done.
func (o *orphan) changed() {
	select {
	case o.events <- struct{}{}:
	default:
	}
}

func (o *orphan) daemonCame() {
	o.mu.Lock()
	o.served, o.left, o.since = true, false, time.Now()
	o.mu.Unlock()
	o.changed()
}

func (o *orphan) daemonGone(left bool) {
	o.mu.Lock()
	if !left && time.Since(o.since) < o.times.soon {
		o.losses++
	} else {
		o.losses = 0
	}
	o.served, o.left, o.since = false, left, time.Now()
	o.mu.Unlock()
	o.changed()
}

// follow takes over what a daemon wants.
func (o *orphan) follow(options Options) {
	o.mu.Lock()
	o.revive, o.drain = options.Revive, cmp.Or(options.Drain, o.times.drain)
	o.mu.Unlock()
}

func (o *orphan) lost() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.losses
}

// pause is how long to wait before the daemon is started again, after so many losses in a row.
func (t orphanTimes) pause(losses int) time.Duration {
	if losses <= freeRevivals {
		return t.revive
	}
	doublings := float64(losses - freeRevivals)
	return time.Duration(min(float64(t.revive)*8*math.Pow(2, doublings), float64(t.most)))
}

// run waits for the end of the daemon, starts it again, and ends the process when nobody needs it.
func (o *orphan) run(ctx context.Context) {
	needed := time.Now() // when there was last a daemon, or a core
	tried := 0           // starts of the daemon since there was one
	var reviving chan error
	defer func() {
		if reviving != nil {
			<-reviving
		}
	}()
	for {
		o.mu.Lock()
		served, since, revive, left, losses, drain := o.served, o.since, o.revive, o.left, o.losses, o.drain
		o.mu.Unlock()
		retired := o.p.isRetired()
		var look, start <-chan time.Time
		switch {
		case retired:
			look = time.After(o.times.look / 10)
		case served:
			needed, tried = time.Now(), 0
		default:
			look = time.After(o.times.look)
			if revive && reviving == nil {
				pause := o.times.pause(losses + tried)
				if left {
					pause = max(pause, o.times.leave)
				}
				start = time.After(max(0, pause-time.Since(since)))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-o.events:
		case <-start:
			tried++
			o.p.Log.Warn().Int("lost", losses).Int("try", tried).Msg("the daemon has ended without a word; it is started again")
			done := make(chan error, 1)
			reviving = done
			go func() { done <- o.p.Revive(ctx) }()
		case err := <-reviving:
			reviving = nil
			o.mu.Lock()
			o.since = time.Now() // the next start is not due before the pause is over once more
			o.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				o.p.Log.Error().Err(err).Msg("starting the daemon")
			}
			if err != nil && o.p.unfindable() {
				o.endUnfindable()
				return
			}
		case <-look:
			switch {
			case !served && o.p.unfindable():
				o.endUnfindable()
				return
			case retired && o.p.front.Clients() > 0 && time.Since(needed) < drain:
			case retired:
				o.p.Log.Info().Msg("the last connection has ended, or its time is over; the data plane ends")
				o.p.end()
				return
			case o.p.coreLives():
				needed = time.Now()
			case time.Since(needed) >= o.times.idle:
				o.p.Log.Info().Msg("there is neither a daemon nor a core; the data plane ends")
				o.p.end()
				return
			}
		}
	}
}

func (o *orphan) endUnfindable() {
	o.p.Log.Error().Msg("the socket is gone, so that no daemon can find it; the data plane ends")
	o.p.end()
}

func (p *plane) isRetired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.retired
}

// unfindable reports whether the socket has been removed: the next daemon would start another data
// plane, whose ports this one has.
func (p *plane) unfindable() bool {
	_, err := os.Lstat(p.Socket)
	return errors.Is(err, fs.ErrNotExist)
}

// coreLives reports whether a core takes connections.
func (p *plane) coreLives() bool {
	p.mu.Lock()
	targets := []*front.Target{p.target, p.standby}
	p.mu.Unlock()
	for _, t := range targets {
		if t == nil {
			continue
		}
		conn, err := net.DialTimeout("tcp", t.Address, time.Second)
		if err == nil {
			conn.Close()
		}
		if err == nil || descriptors.Exhausted(err) {
			return true
		}
	}
	return false
}
