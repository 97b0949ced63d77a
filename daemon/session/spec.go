package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/descriptors"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// Spec says what is to be brought up.
type Spec struct {
	// Candidates are the configs to try; nil: only the front is to be opened.
	Candidates Candidates
	// Turn counts the attempts at which nothing worked, so that each one looks at other candidates.
	Turn int
	// Keep is how many of the first come first at every turn.
	Keep int
	// Race is how many are tried at a time; 0 means one. The first has a head start before the
	// others, if there is one: it is the most likely to work.
	Race      int
	HeadStart time.Duration
	// Ready is a session that runs already, for when its config is a candidate; Fresh tells that it
	// worked a moment ago. Who gives the spec hands the session over, and gets it back in the
	// result if it was not used.
	Ready *Session
	Fresh bool
	// Checked asks for a probe through the server before it counts as healthy; the config Trusted
	// needs none.
	Checked bool
	Trusted int64
	// Work asks that the session does work, too, before it counts as healthy. If none does, one
	// that only answers will do, unless MustWork is set.
	Work, MustWork bool
	// Standby tells that the session is not to serve for the time being.
	Standby bool
	// Against is the session whose place the candidate is to take because it seems dead, though
	// nothing has shown that it is not the network; nil: none. It is asked once more when a
	// candidate has answered, and stays if it answers. AgainstUsual is how long it usually takes.
	Against      *Session
	AgainstUsual time.Duration
	// Trigger, Reason and PreviousID, the session that served before, go into the record.
	Trigger    rotation.Trigger
	Reason     Reason
	PreviousID int64
	// OpenFront opens the front first, so that a port that is taken is found before anything is
	// started, and closes it again if nothing comes up and CloseFront is set.
	OpenFront, CloseFront bool
}

// ready reports whether the config's session runs already.
func (s Spec) ready(configID int64) bool { return s.Ready != nil && s.Ready.Config.ID == configID }

// Result is what a Spec came to.
type Result struct {
	Session *Session // nil: nothing came up
	Proof   Proof    // of the session
	Unused  *Session // the spec's ready session, if it did not serve the purpose
	Tried   []Failure
	Err     error // why nothing came up
	Opened  bool  // the front was opened, and still is
	// Considered are the first of the candidates, which were so many.
	Considered []Candidate
	Candidates int
}

// Failure is a candidate that was tried and did not come up.
type Failure struct {
	Config store.Config
	Code   string
	Err    error
	// Limited: it answers, and strangles work.
	Limited bool
}

// The codes of failures; a failed probe has "probe_" and its class.
const (
	CodeCanceled    = "canceled"
	codeNoCore      = "no_core"
	codeBadLink     = "bad_link"
	codeLoop        = "loop"
	codeClock       = "probe_" + probe.ClassClock
	codeStartFailed = "start_failed"
)

// ErrAnswers is why a session was not replaced after all.
var ErrAnswers = errors.New("the server in use answers again")

// failure returns that a candidate failed; once ctx has ended, whatever happens is the fault of
// that.
func failure(ctx context.Context, config store.Config, code string, err error) *Failure {
	if ctx.Err() != nil {
		code = CodeCanceled
	}
	return &Failure{Config: config, Code: code, Err: err}
}

// Blamed reports whether the failure says anything about the config, if others work.
func (f Failure) Blamed() bool {
	return !f.Limited && f.Code != CodeNoWork && f.Code != codeClock && f.Code != CodeCanceled && f.Code != codeNoCore && !descriptors.Exhausted(f.Err)
}

// sumUp says why none of the candidates came up.
func sumUp(tried []Failure) error {
	switch len(tried) {
	case 0:
		return ipc.Errorf(ipc.CodeInvalidState, "there is no other config to rotate to: add some with `xrat import`")
	case 1:
		return fmt.Errorf("%s is not usable: %w", tried[0].Config.Name, tried[0].Err)
	default:
		last := tried[len(tried)-1]
		return fmt.Errorf("none of %d configs is usable; the last one, %s: %w", len(tried), last.Config.Name, last.Err)
	}
}
