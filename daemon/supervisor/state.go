package supervisor

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// state is what the loop owns; nothing else reads or writes it. What begins and ends together is
// one value, whose zero means that nothing is known.
type state struct {
	desired   store.Desired
	active    *tracked // serves new connections; nil while no core is usable
	served    *tracked // the last one that did, until the user disconnects
	retired   map[int64]*retirement
	op        *operation   // in flight; nil when there is none
	leaving   []*operation // abandoned, and not at their end yet
	tearing   int          // disconnects and shutdowns that have not ended
	frontOpen bool
	stopping  bool // the daemon shuts down
	ended     bool // and has done so

	health   health
	work     workState
	noPages  bool          // no page for work could be reached when that was last tried: work cannot be asked for
	skew     time.Duration // by how much this computer's clock is ahead, as of the last check that was answered
	standby  standby
	retry    retry
	crashes  crashes
	rotation rotations

	configs  int    // that may be used
	revision uint64 // of what is listed
}

// health is what is known of the way out of the active session, and how it is watched.
type health struct {
	verdict
	check     *check    // in flight; nil: none
	checkedAt time.Time // when the last one ended
	dueAt     time.Time // when the next one is due; zero: not at all
	urgent    bool      // the front has strong hints for the next one
	hints     int       // weak ones since the last check
	// weakWait and strongWait are how far apart checks are that weak and strong hints bring about.
	weakWait, strongWait time.Duration
}

// verdict is what the checks of a session have come to.
type verdict struct {
	doubt    bool // a check is under way that has not begun well
	dead     bool // the last one found it dead
	failures int  // that it found
	good     int  // checks in a row that ended well since then
	since    time.Time
	slow     int // checks in a row that were answered far later than those of the standby
}

func (v verdict) doubtful() bool { return v.doubt || v.dead }

// check is a check in flight.
type check struct{ cancel context.CancelFunc }

// standby is the second server at hand.
type standby struct {
	session  *tracked   // runs and works, to step in; nil: none, or lent to the operation
	op       *operation // that brings one up, or looks after it; nil: none
	dueAt    time.Time  // when the next one is due; zero: when there is a reason
	failures int        // in a row that did not come up, or did not last
	looks    int        // at it, ever
}

// retry is what came of attempts to have a session that works.
type retry struct {
	attempts int       // in a row at which nothing worked
	at       time.Time // when to try again; zero: not planned
	// rotateAfter holds back the next rotation after one at which nothing worked.
	rotateAfter time.Time
	message     string // explains a state that is not well
	condition   condition
}

// condition is what is wrong beyond the server in use.
type condition int

const (
	conditionNone      condition = iota
	conditionOffline             // the machine has no route to anywhere
	conditionNoWorking           // no server works, and none is blamed
	conditionClock               // checks fail because this computer's clock is wrong
)

// crashes counts the cores of one config that ended by themselves in a row.
type crashes struct {
	config int64
	n      int
	loop   bool // the last end was one too many
}

// rotations is what is known of the last rotation and the next.
type rotations struct {
	pace            rotation.Pace
	cooldownUntil   time.Time
	timerAt         time.Time // when the timer rotates next; zero: never
	lastTrigger     rotation.Trigger
	lastResult      string
	lastCandidate   *int64
	candidateResult string
	report          *store.Report // of the last one; never changed, as readers may have it
	left            int64         // the session that it left
}

// tracked is a session as the loop sees it.
type tracked struct {
	*session.Session
	trigger    rotation.Trigger
	reasonCode string
	startedAt  time.Time // serving, or getting ready to

	watched      bool // the loop learns of its core's end
	servingSince time.Time
	verified     bool // the way out worked once
	verifiedAt   time.Time
	latency      time.Duration // of the last probe that succeeded
	usual        time.Duration // the same, smoothed
	limit        string        // how it was found to strangle work; "": it was not
	worked       bool          // it has done work
	endpoints    []endpoint
	askedAt      time.Time // when they were last asked
	savedAt      time.Time // when its counters were last looked at, to be written
	saved        front.Counters
	quiet        front.Counters // when all was last well
	toldAt       time.Time      // when its outcome was last written
}

// track begins to track the session that has come up.
func track(r session.Result) *tracked {
	t := &tracked{Session: r.Session, startedAt: r.Session.StartedAt}
	t.proven(r.Proof)
	return t
}

// proven takes a proof over.
func (t *tracked) proven(p session.Proof) {
	t.limit, t.worked = p.Limit, t.worked || p.Worked
	if !p.At.IsZero() {
		t.measured(p.At, p.Latency)
	} else if p.OK {
		t.verified = true
	}
}

// measured notes that a probe through the session succeeded.
func (t *tracked) measured(at time.Time, latency time.Duration) {
	t.verified, t.verifiedAt, t.latency = true, at, latency
	if t.usual == 0 {
		t.usual = latency
	}
	t.usual += (latency - t.usual) / 4
}

// target is the session as the front wants it.
func (t *tracked) target() *front.Target { return t.Target(t.usual, t.limit != "") }

// retirement is a session that is on its way out.
type retirement struct {
	session *session.Session
	drain   context.Context    // over when the drain is
	hurry   context.CancelFunc // ends the drain
	done    chan struct{}      // closed when its core is gone
	cutting bool               // what hangs on it is being cut
	looked  time.Time          // when it was last looked at because of a hint
}

// opKind is what an operation does.
type opKind int

const (
	opConnect    opKind = iota // the user wants a session
	opReplace                  // a rotation
	opRecover                  // there should be a session and there is none
	opDisconnect               // the user wants none
	opShutdown                 // the daemon ends
	opLeave                    // the daemon ends, and nothing else
	opStandby                  // a second server is brought up, or looked after
)

// operation is an intent that is being carried out by a worker. At most one is current; one that
// was superseded is left to its successor, which waits for its end and disposes of what it brought
// up.
type operation struct {
	kind     opKind
	manual   bool
	trigger  rotation.Trigger
	reason   session.Reason
	since    time.Time
	from     *tracked
	previous int64             // the session that served before it
	lent     *tracked          // the standby that it has in hand
	wanted   int64             // the config that the user named; 0: none
	findings liveness.Findings // that it was begun for
	control  *store.Config     // of the findings; nil: there was none
	limited  bool              // the session that it leaves strangles work
	cancel   context.CancelFunc
	replies  []chan<- answer
	disposal
}

// name says which of the six states the user is in.
func (st *state) name() ipc.State {
	switch {
	case st.op != nil && (st.op.kind == opDisconnect || st.op.kind == opShutdown):
		return ipc.StateDisconnected
	case st.op != nil && st.active != nil && st.op.kind != opRecover && st.op.kind != opLeave:
		return ipc.StateRotating
	case st.op != nil && st.active == nil:
		return ipc.StateConnecting
	case st.active != nil && !st.frontOpen:
		return ipc.StateFailed
	case st.active != nil && (st.health.doubtful() || st.active.limit != ""):
		return ipc.StateDegraded
	case st.active != nil && !st.active.verified:
		return ipc.StateConnecting
	case st.active != nil:
		return ipc.StateConnected
	case st.desired.Connected && st.retry.attempts > 0:
		return ipc.StateFailed
	case st.desired.Connected:
		return ipc.StateConnecting
	default:
		return ipc.StateDisconnected
	}
}

// inUse returns the configs that a session has, or is about to have.
func (st *state) inUse() map[int64]bool {
	used := make(map[int64]bool)
	if st.desired.Connected {
		used[st.desired.ConfigID] = true
	}
	sessions := []*tracked{st.active, st.standby.session}
	if st.op != nil {
		used[st.op.wanted] = true
		sessions = append(sessions, st.op.lent)
	}
	for _, t := range sessions {
		if t != nil {
			used[t.Config.ID] = true
		}
	}
	return used
}
