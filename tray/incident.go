package tray

import (
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// lossGrace is how long a loss must last to be worth a notification: a
	// restart of the daemon or of the core is over before.
	lossGrace = 3 * time.Second
	// noteSpacing is the shortest time between two notifications.
	noteSpacing = 10 * time.Second
)

// notification is one message to the user. A later one of the same subject takes
// its place on the screen.
type notification struct {
	Subject     subject
	Icon        assets.Icon
	Title, Body string
	Actions     []action
}

// subject is what a notification is about.
type subject int

const (
	subjectConnection subject = iota // the incident; there is one at a time
	subjectAnswer                    // a command of the user
)

// action is a button of a notification.
type action struct{ Key, Label string }

// The keys of the actions. That of undo is followed by the id of a config.
const (
	actionUndo = "undo/"
	actionPin  = "pin"
)

// trouble is what is wrong, once the user knows or is about to.
type trouble int

const (
	well  trouble = iota
	stuck         // the server seems dead, and no other works
	lost          // there is no connection
)

// incidents tells, from one state to the next, what is worth a notification. It
// is pure: it keeps no time and sends nothing.
type incidents struct {
	trouble trouble
	wanted  bool // the user wanted to be connected, as far as was known last
	seen    bool // there was a first state
	// rotated is the time of the newest rotation that was seen.
	rotated time.Time
}

// verdict is what a state calls for.
type verdict struct {
	note *notification
	// grace is how long the note waits, in case that it is over before.
	grace time.Duration
	// over takes back a note that was not sent yet, and sends this note only if
	// there was none to take back.
	over bool
}

// observe takes the next piece of news.
func (i *incidents) observe(n news) verdict {
	switch n.attachment {
	case attached:
		return i.state(n.status)
	case absent, unusable:
		if i.wanted && i.trouble != lost {
			i.trouble = lost
			return verdict{grace: lossGrace, note: &notification{
				Icon: assets.Failed, Title: "Connection lost",
				Body: "The daemon has ended. Choose \"Daemon not running · Start\" in the menu to connect again.",
			}}
		}
	}
	return verdict{}
}

func (i *incidents) state(s ipc.StatusPayload) verdict {
	first := !i.seen
	i.seen = true
	i.wanted = s.State != ipc.StateDisconnected
	if r := s.LastRotation; r != nil && r.At.After(i.rotated) {
		i.rotated = r.At
		if r.Trigger == ipc.TriggerHealthCheckFailed && !first {
			i.trouble = well
			return verdict{note: rotationNote(r)}
		}
	}
	trigger := s.Rotation.LastTrigger
	switch {
	case s.State == ipc.StateDisconnected:
		i.trouble = well
		return verdict{over: true}
	case s.State == ipc.StateFailed && i.trouble != lost:
		i.trouble = lost
		return verdict{grace: lossGrace, note: &notification{
			Icon: assets.Failed, Title: "Connection lost",
			Body: sentence("No server works; xrat keeps trying.", clean(s.Message, textWidth)),
		}}
	case s.Condition == ipc.ConditionOffline:
		// The desktop tells of that, and no server is to blame.
	case s.State == ipc.StateDegraded && s.Attempts > 0 && trigger != nil && *trigger != ipc.TriggerManual && i.trouble == well:
		i.trouble = stuck
		return verdict{note: &notification{
			Icon: assets.Degraded, Title: "No working server found",
			Body: sentence(fmt.Sprintf("Staying on %s and trying again.", sessionName(s)), detail(s.Message)),
		}}
	case s.State == ipc.StateConnected && i.trouble != well:
		i.trouble = well
		return verdict{over: true, note: &notification{
			Icon: assets.Connected, Title: "Connected again",
			Body: join(sessionName(s), milliseconds(latency(s))),
		}}
	}
	return verdict{}
}

// rotationNote says from where, to where and why.
func rotationNote(r *ipc.RotationPayload) *notification {
	return &notification{
		Icon:  assets.Connected,
		Title: "Switched to " + clean(r.ToConfigName, nameWidth),
		Body:  sentence(fmt.Sprintf("%s: %s.", clean(r.FromConfigName, nameWidth), why(r)), detail(r.Reason)),
		Actions: []action{
			{fmt.Sprint(actionUndo, r.FromConfigID), "Undo"},
			{actionPin, "Pin"},
		},
	}
}

func sessionName(s ipc.StatusPayload) string {
	if s.Session == nil {
		return ""
	}
	return clean(s.Session.ConfigName, nameWidth)
}

func latency(s ipc.StatusPayload) int64 {
	if s.Session == nil {
		return 0
	}
	return s.Session.LatencyMillis
}

// delivery decides when the newest note goes out: after its grace, and not too
// soon after the one before.
type delivery struct {
	pending *notification
	at      time.Time // when pending may go
	last    time.Time // when the last one went
}

// take makes a verdict's note the pending one.
func (d *delivery) take(v verdict, now time.Time) {
	if v.over && d.pending != nil {
		d.pending = nil // nobody has heard of it, so nobody need hear of its end
		return
	}
	if v.note == nil {
		return
	}
	d.pending, d.at = v.note, now.Add(v.grace)
	if soonest := d.last.Add(noteSpacing); !d.last.IsZero() && d.at.Before(soonest) {
		d.at = soonest
	}
}

// due returns the note that goes out now, if one does, and otherwise how long it
// still waits; 0 when there is none.
func (d *delivery) due(now time.Time) (*notification, time.Duration) {
	if d.pending == nil {
		return nil, 0
	}
	if wait := d.at.Sub(now); wait > 0 {
		return nil, wait
	}
	n := d.pending
	d.pending, d.last = nil, now
	return n, 0
}
