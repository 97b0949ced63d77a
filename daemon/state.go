package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	sessions "github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// state is what the loop owns; nothing else reads or writes it.
type state struct {
	desired   store.Desired
	active    *session // serves new connections; nil while no core is usable
	retired   map[int64]*retirement
	served    *session     // the last one that did, until the user disconnects
	standby   *session     // runs and works, to step in; nil: none, or lent to op
	standbyOp *operation   // that brings one up, or looks after it; nil: none
	standbyAt time.Time    // when the next one is due; zero: when there is a reason
	op        *operation   // in flight; nil when there is none
	leaving   []*operation // abandoned, and not at their end yet
	tearing   int          // disconnects and shutdowns that have not ended
	frontOpen bool
	stopping  bool // the daemon shuts down
	ended     bool // and has done so

	health    health
	check     *checkRun // in flight; nil: none
	checkedAt time.Time // when the last one ended
	checkAt   time.Time // when the next one is due; zero: not at all
	urgent    bool      // the front has strong hints for the next one
	hints     int       // weak ones since the last check
	// strongWait is how far apart checks are that strong hints bring about.
	strongWait time.Duration
	pace       rotation.Pace
	standbys   int // in a row that did not come up, or did not last
	looks      int // at a standby, ever

	rotationState
	retryAt  time.Time // when to try again to have a session; zero: not planned
	attempts int       // in a row at which nothing worked
	// rotateAfter holds back the next rotation after one at which nothing worked.
	rotateAfter time.Time
	// crashes counts the cores of the config crashing that ended by themselves in
	// a row; crashLoop tells that the last end was one too many.
	crashes   int
	crashing  int64
	crashLoop bool
	// passiveWait is how far apart checks are that the front's hints bring about.
	passiveWait time.Duration
	message     string // explains a state that is not well
	condition   ipc.Condition

	configs  int // that may be used
	revision uint64
}

// rotationState is what proxy_status tells.
type rotationState struct {
	lastTrigger   *ipc.Trigger
	lastResult    string
	lastCandidate *int64
	lastVerdict   string
	cooldownUntil time.Time
	timerAt       time.Time // when the timer rotates next; zero: never
	lastRotation  *ipc.RotationPayload
	lastLeft      int64 // the session that it left
}

// session is one life of one core process serving one config. Its fields are
// set before the loop sees it; only the loop changes those below the line.
type session struct {
	id         int64
	config     store.Config
	core       Core
	trigger    ipc.Trigger
	reasonCode string
	startedAt  time.Time
	// carried is what it counted under an earlier daemon.
	carried front.Counters

	// --

	standby      bool // has not served yet
	watched      bool // the loop learns of its core's end
	servingSince time.Time
	verified     bool // the way out worked once
	verifiedAt   time.Time
	latency      time.Duration // of the last probe that succeeded
	usual        time.Duration // the same, smoothed
	endpoints    []ipc.EndpointPayload
	savedAt      time.Time // when its counters were last written
	saved        front.Counters
	quiet        front.Counters // when all was last well
	toldAt       time.Time      // when its outcome was last written
}

// measured notes that a probe through the session succeeded.
func (s *session) measured(latency time.Duration) {
	s.verified, s.verifiedAt, s.latency = true, time.Now(), latency
	if s.usual == 0 {
		s.usual = latency
	}
	s.usual += (latency - s.usual) / 4
}

// target is the session as the front wants it.
func (s *session) target() *front.Target {
	in := s.core.Inbound()
	return &front.Target{ID: s.id, Address: in.Address, User: in.User, Password: in.Password, Latency: s.usual}
}

// proxy is the core's inbound as a prober wants it.
func (s *session) proxy() probe.Proxy {
	in := s.core.Inbound()
	return probe.Proxy{Address: in.Address, User: in.User, Password: in.Password}
}

// retirement is a session that is on its way out.
type retirement struct {
	session *session
	hurry   context.CancelFunc // ends the drain
	done    chan struct{}      // closed when its core is gone
}

// opKind is what an operation does.
type opKind int

const (
	opConnect    opKind = iota // the user wants a session
	opReplace                  // a rotation
	opRecover                  // there should be a session and there is none
	opDisconnect               // the user wants none
	opShutdown                 // the daemon ends
	opStandby                  // a second server is brought up, or looked after
)

// operation is an intent that is being carried out by a worker. At most one is
// current; one that was superseded is left to its successor, which waits for its
// end and disposes of what it brought up.
type operation struct {
	kind    opKind
	manual  bool
	trigger ipc.Trigger
	reason  reason
	since   time.Time
	from    *session
	lent    *session // the standby that it has in hand
	wanted  int64    // the config that the user named; 0: none
	findings
	control *store.Config // of the findings
	cancel  context.CancelFunc
	// outcome may be read once done is closed.
	outcome outcome
	done    chan struct{}
	replies []chan<- answer
	// disposal is done once, by whoever first waits for the end of an operation
	// that is no longer current; disposed is closed then.
	disposal atomic.Bool
	disposed chan struct{}
}

// reason says why a session began, for programs and for people.
type reason struct {
	code, text string
	dead       bool // of a session's end: its server did not answer any more
}

// The reason codes that this package gives; a failed probe adds its class.
const (
	reasonUser       = "user_request"
	reasonTimer      = "timer"
	reasonRestore    = "restored"
	reasonCoreExited = "core_exited"
	reasonCrashLoop  = "core_crash_loop"
	reasonRetry      = "retry"
)

// outcome is what a worker brought about.
type outcome struct {
	session *session // nil: nothing came up
	unused  *session // the plan's ready session, if it did not
	tried   []attempt
	err     error // why nothing came up
	opened  bool  // the front was opened, and still is
	// considered are the first of the candidates, which were so many.
	considered []sessions.Candidate
	candidates int
}

// attempt is one candidate that was tried and did not come up.
type attempt struct {
	config store.Config
	code   string
	err    error
}

// blamed tells whether the attempt says anything about the config, if others work.
func (a attempt) blamed() bool { return a.code != codeCanceled && a.code != codeNoCore }

// answer goes back to whoever asked for an operation.
type answer struct {
	payload any
	message string
	err     error
}

// name says which of the six states the user is in.
func (st *state) name() ipc.State {
	switch {
	case st.op != nil && (st.op.kind == opDisconnect || st.op.kind == opShutdown):
		return ipc.StateDisconnected
	case st.op != nil && st.active != nil && st.op.kind != opRecover:
		return ipc.StateRotating
	case st.op != nil && st.active == nil:
		return ipc.StateConnecting
	case st.active != nil && !st.frontOpen:
		return ipc.StateFailed
	case st.active != nil && st.health.doubtful():
		return ipc.StateDegraded
	case st.active != nil && !st.active.verified:
		return ipc.StateConnecting
	case st.active != nil:
		return ipc.StateConnected
	case st.desired.Connected && st.attempts > 0:
		return ipc.StateFailed
	case st.desired.Connected:
		return ipc.StateConnecting
	default:
		return ipc.StateDisconnected
	}
}
