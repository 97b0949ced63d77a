package tray

import (
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// lossGrace is how long a loss must last to be worth a notification: a restart of the daemon or
	// of the core takes less.
	lossGrace = 3 * time.Second
	// limitedGrace is how long a server must strangle work with nothing better in sight.
	limitedGrace = 10 * time.Second
	// noteSpacing is the shortest time between two notifications.
	noteSpacing = 10 * time.Second
	// manyLosses is how many lost daemons in a row are worth one: of a single one nobody need know.
	manyLosses = 3
)

// notification is one message to the user. A later one of the same subject takes its place on the
// screen.
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

// trouble is what is wrong as far as the user knows or is about to be told.
type trouble int

const (
	well  trouble = iota
	stuck         // the server seems dead, and no other works
	lost          // there is no connection
)

// incidents decides, from one state to the next, what is worth a notification. It is pure: it looks
// at no clock and sends nothing.
type incidents struct {
	trouble trouble
	wanted  bool // the user wanted to be connected, in the last state that is known
	seen    bool // there was a first state
	losses  int  // of daemons, that the user has been told of
	// rotated is the time of the newest rotation that was seen.
	rotated time.Time
}

// announcement is what the user should be told because of a state.
type announcement struct {
	note *notification
	// grace is how long the note waits, in case the incident is over before.
	grace time.Duration
	// over withdraws a note that was not sent yet; this note is sent only if there was none.
	over bool
}

// observe returns what the next piece of news calls for.
func (i *incidents) observe(n news) announcement {
	switch n.attachment {
	case attached:
		return i.state(n.status)
	case absent, unusable:
		if i.wanted && i.trouble != lost {
			i.trouble = lost
			body := "The daemon has ended and is being started again. What was connected may go on meanwhile."
			if n.asked {
				body = "The daemon was stopped. Choose \"Daemon not running · Start\" in the menu to connect again."
			}
			return announcement{grace: lossGrace, note: &notification{Icon: assets.Failed, Title: "Connection lost", Body: body}}
		}
	}
	return announcement{}
}

func (i *incidents) state(s ipc.StatusPayload) announcement {
	first := !i.seen
	i.seen = true
	i.wanted = s.State != ipc.StateDisconnected
	if d := s.Daemon; d != nil && d.Losses != i.losses {
		i.losses = d.Losses
		if d.Losses >= manyLosses {
			if s.State == ipc.StateConnected {
				i.trouble = well // this says that it is there again
			}
			return announcement{note: &notification{
				Icon: assets.Degraded, Title: "The daemon keeps ending",
				Body: sentence(fmt.Sprintf("%d times in a row; it is started again ever more slowly.", d.Losses), clean(d.LossReason, textWidth)),
			}}
		}
	}
	if r := s.LastRotation; r != nil && r.At.After(i.rotated) {
		i.rotated = r.At
		if r.Trigger == ipc.TriggerHealthCheckFailed && !first {
			i.trouble = well
			return announcement{note: rotationNote(r)}
		}
	}
	trigger := s.Rotation.LastTrigger
	switch {
	case s.State == ipc.StateDisconnected:
		i.trouble = well
		return announcement{over: true}
	case s.State == ipc.StateFailed && i.trouble != lost:
		i.trouble = lost
		return announcement{grace: lossGrace, note: &notification{
			Icon: assets.Failed, Title: "Connection lost",
			Body: sentence("No server works; xrat keeps trying.", clean(s.Message, textWidth)),
		}}
	case s.Condition == ipc.ConditionOffline:
		// The desktop says so itself, and no server is to blame.
	case s.State == ipc.StateDegraded && s.Attempts > 0 && trigger != nil && *trigger != ipc.TriggerManual && i.trouble == well:
		i.trouble = stuck
		return announcement{note: &notification{
			Icon: assets.Degraded, Title: "No working server found",
			Body: sentence(fmt.Sprintf("Staying on %s and trying again.", sessionName(s)), detail(s.Message)),
		}}
	case s.State == ipc.StateDegraded && s.Condition == ipc.ConditionClock && i.trouble == well:
		i.trouble = stuck
		return announcement{note: &notification{
			Icon: assets.Degraded, Title: "The clock is wrong", Body: clean(s.Message, textWidth),
		}}
	case s.State == ipc.StateDegraded && s.Condition == ipc.ConditionLimited && i.trouble == well:
		i.trouble = stuck
		return announcement{grace: limitedGrace, note: &notification{
			Icon: assets.Degraded, Title: "No server lets data through", Body: sentence(fmt.Sprintf("Staying on %s.", sessionName(s)), clean(s.Message, textWidth)),
		}}
	case s.State == ipc.StateConnected && i.trouble != well:
		i.trouble = well
		return announcement{over: true, note: &notification{
			Icon: assets.Connected, Title: "Connected again",
			Body: join(sessionName(s), milliseconds(latency(s))),
		}}
	}
	return announcement{}
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

// delivery decides when the newest note goes out: after its grace, and not too soon after the one
// before.
type delivery struct {
	pending *notification
	at      time.Time // when pending may go
	last    time.Time // when the last one went
}

// take makes an announcement's note the pending one.
func (d *delivery) take(a announcement, now time.Time) {
	if a.over && d.pending != nil {
		d.pending = nil // nobody was told, so nobody need be told that it is over
		return
	}
	if a.note == nil {
		return
	}
	d.pending, d.at = a.note, now.Add(a.grace)
	if soonest := d.last.Add(noteSpacing); !d.last.IsZero() && d.at.Before(soonest) {
		d.at = soonest
	}
}

// due returns the note to send now, or else how long the pending one still has to wait; 0 when
// there is none.
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
