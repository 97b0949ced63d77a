package supervisor

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

// scout finds standbys and looks after them. It belongs to workers and has no state.
type scout struct {
	life     *session.Lifecycle
	catalog  Catalog
	checker  checker
	cooldown time.Duration
}

// workTime bounds a download that nobody waits for.
const workTime = 10 * time.Second

// look is what a look at the standby came to.
type look struct {
	alive    bool
	latency  time.Duration
	activeOK bool // if it is not alive: the active one is
	worked   bool // it has done work, which is asked of one that is limited
}

// bringUp brings up a standby, one candidate after the other: there is no hurry.
func (c scout) bringUp(ctx context.Context, selection rotation.Selection, turn int, work bool) session.Result {
	return c.life.BringUp(ctx, session.Spec{
		Candidates: selected(c.catalog, selection),
		Turn:       turn, Checked: true, Work: work, Standby: true,
		Reason: session.Reason{Code: "standby", Text: "to step in when the active one fails"},
	})
}

// lookAfter checks whether the standby still works and, if not, whether the active session does.
func (c scout) lookAfter(ctx context.Context, standby, active *session.Session, limited bool) look {
	if alive, latency := c.works(ctx, standby); alive {
		return look{alive: true, latency: latency, worked: limited && c.doesWork(ctx, standby)}
	}
	return look{activeOK: c.checker.measuring(active)(ctx, 0).OK}
}

// works reports whether a session has a way out: one of two probes must succeed.
func (c scout) works(ctx context.Context, s *session.Session) (ok bool, latency time.Duration) {
	if len(c.checker.settings.URLs) == 0 {
		return s.Core.Health(ctx) == nil, 0
	}
	for first := range 2 {
		if result := c.checker.probe(ctx, s.Proxy(), first); result.OK {
			return true, result.Latency
		}
	}
	return false, 0
}

// doesWork reports whether a session does work.
func (c scout) doesWork(ctx context.Context, s *session.Session) bool {
	if !c.checker.settings.LooksAtWork() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	return c.checker.work(ctx, s.Proxy(), 0).OK
}

// explore looks at a config that has not been seen for a while. It comes up as a session only if it
// is clearly better than the standby. Work costs traffic: it is asked for of one that is known to
// strangle it, which nothing else can clear, and of one that is about to be the standby.
func (c scout) explore(ctx context.Context, standby *session.Session, exclude []int64) session.Result {
	id, limited, found, err := c.catalog.Explore(ctx, exclude...)
	if err != nil || !found {
		return session.Result{Err: err}
	}
	result := c.bringUp(ctx, rotation.Selection{Only: &id}, 0, limited)
	if result.Session == nil {
		if len(result.Tried) > 0 && result.Tried[0].Blamed() {
			if works, _ := c.works(ctx, standby); works { // else it may be the network
				c.catalog.Learn(ctx, rotation.Failing(id, time.Now(), c.cooldown))
			}
		}
		return session.Result{}
	}
	if result.Proof.OK {
		c.catalog.Learn(ctx, result.Lessons(0, c.cooldown, result.Proof.Latency)...)
	}
	if result.Proof.Limit != "" && c.doesWork(ctx, standby) {
		c.catalog.Learn(ctx, rotation.Limited(id, time.Now(), result.Proof.Limit)) // still
	}
	if result.Proof.Limit == "" && c.catalog.Better(ctx, id, standby.Config.ID) && (result.Proof.Worked || c.doesWork(ctx, result.Session)) {
		return result
	}
	c.life.Discard(result.Session)
	return session.Result{}
}
