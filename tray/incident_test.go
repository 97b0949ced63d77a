package tray

import (
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// story feeds states to the incidents and the delivery, one a step, and keeps what reaches the
// user.
type story struct {
	incidents incidents
	delivery  delivery
	now       time.Time
	shown     []string
}

func (s *story) pass(d time.Duration) {
	for end := s.now.Add(d); ; {
		n, wait := s.delivery.due(s.now)
		if n != nil {
			s.shown = append(s.shown, n.Title)
		}
		if wait == 0 || s.now.Add(wait).After(end) {
			s.now = end
			return
		}
		s.now = s.now.Add(wait)
	}
}

func (s *story) tell(n news) {
	s.delivery.take(s.incidents.observe(n), s.now)
	s.pass(0)
}

func state(state ipc.State, change func(*ipc.StatusPayload)) news {
	p := sample().status
	p.State = state
	if change != nil {
		change(&p)
	}
	return news{attachment: attached, status: p}
}

func TestEachIncidentIsToldOnce(t *testing.T) {
	health, manual := ipc.TriggerHealthCheckFailed, ipc.TriggerManual
	rotatedBy := func(trigger ipc.Trigger, second int) func(*ipc.StatusPayload) {
		return func(p *ipc.StatusPayload) {
			p.LastRotation = &ipc.RotationPayload{At: noon.Add(time.Duration(second) * time.Second), Trigger: trigger,
				FromConfigID: 2, FromConfigName: "paris-2", ToConfigName: "tokyo-1", Reason: "3 failed checks in a row: no answer"}
		}
	}
	stuckBy := func(trigger *ipc.Trigger) func(*ipc.StatusPayload) {
		return func(p *ipc.StatusPayload) {
			p.Attempts, p.Rotation.LastTrigger = 1, trigger
			p.Message = "no working config found, staying on tokyo-1: none of 2 configs is usable"
		}
	}
	offline := func(p *ipc.StatusPayload) {
		stuckBy(&health)(p)
		p.Condition = ipc.ConditionOffline
	}
	ok := state(ipc.StateConnected, nil)
	failed := state(ipc.StateFailed, nil)
	stuckState := state(ipc.StateDegraded, stuckBy(&health))
	off := state(ipc.StateDisconnected, nil)
	gone := news{attachment: absent}
	const minute, second = time.Minute, time.Second

	type step struct {
		news  news
		after time.Duration
	}
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"an automatic rotation":                  {[]step{{ok, minute}, {state(ipc.StateConnected, rotatedBy(health, 1)), minute}}, "Switched to tokyo-1"},
		"told once":                              {[]step{{ok, minute}, {state(ipc.StateConnected, rotatedBy(health, 1)), minute}, {state(ipc.StateConnected, rotatedBy(health, 1)), minute}}, "Switched to tokyo-1"},
		"a manual rotation":                      {[]step{{ok, minute}, {state(ipc.StateConnected, rotatedBy(manual, 1)), minute}}, ""},
		"a rotation before the tray was there":   {[]step{{state(ipc.StateConnected, rotatedBy(health, 1)), minute}}, ""},
		"nothing works, and then something does": {[]step{{ok, minute}, {stuckState, minute}, {stuckState, minute}, {ok, minute}}, "No working server found, Connected again"},
		"nothing works, and then another does":   {[]step{{ok, minute}, {stuckState, minute}, {state(ipc.StateConnected, rotatedBy(health, 1)), minute}}, "No working server found, Switched to tokyo-1"},
		"a rotation by hand that fails":          {[]step{{ok, minute}, {state(ipc.StateDegraded, stuckBy(&manual)), minute}, {ok, minute}}, ""},
		"offline":                                {[]step{{ok, minute}, {state(ipc.StateDegraded, offline), minute}, {ok, minute}}, ""},
		"a check that fails":                     {[]step{{ok, minute}, {state(ipc.StateDegraded, nil), minute}, {ok, minute}}, ""},
		"the connection is lost and comes back":  {[]step{{ok, minute}, {failed, minute}, {failed, minute}, {ok, minute}}, "Connection lost, Connected again"},
		"a short loss":                           {[]step{{ok, minute}, {failed, 2 * second}, {ok, minute}}, ""},
		"the daemon dies":                        {[]step{{ok, minute}, {gone, minute}, {gone, minute}, {ok, minute}}, "Connection lost, Connected again"},
		"the daemon is restarted":                {[]step{{ok, minute}, {gone, second}, {ok, minute}}, ""},
		"the daemon is stopped":                  {[]step{{ok, minute}, {off, 0}, {gone, minute}}, ""},
		"the user stops in trouble":              {[]step{{ok, minute}, {failed, second}, {off, minute}}, ""},
		"no daemon from the beginning":           {[]step{{gone, minute}, {off, minute}}, ""},
		"stuck, then lost, then well":            {[]step{{ok, minute}, {stuckState, minute}, {failed, minute}, {ok, minute}}, "No working server found, Connection lost, Connected again"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := story{now: noon}
			for _, step := range test.steps {
				s.tell(step.news)
				s.pass(step.after)
			}
			if got := strings.Join(s.shown, ", "); got != test.want {
				t.Errorf("shown: %q, want %q", got, test.want)
			}
		})
	}
}

// A server that comes and goes does not flood the screen.
func TestNotificationsAreSpaced(t *testing.T) {
	s := story{now: noon}
	s.tell(state(ipc.StateConnected, nil))
	for i := range 600 { // one rotation a second, for ten minutes
		s.tell(state(ipc.StateConnected, func(p *ipc.StatusPayload) {
			p.LastRotation = &ipc.RotationPayload{At: noon.Add(time.Duration(i+1) * time.Second), Trigger: ipc.TriggerHealthCheckFailed}
		}))
		s.pass(time.Second)
	}
	if n := len(s.shown); n < 30 || n > 61 {
		t.Errorf("%d notifications in ten minutes", n)
	}
}

func TestNotificationOfARotationSaysWhyAndOffersUndo(t *testing.T) {
	n := rotationNote(&ipc.RotationPayload{FromConfigID: 7, FromConfigName: "a\nb", ToConfigName: "to", Reason: "3 failed checks in a row: x gave no answer"})
	if n.Body != "a b: 3 failed checks.\nX gave no answer" || n.Title != "Switched to to" {
		t.Errorf("%+v", n)
	}
	if len(n.Actions) != 2 || n.Actions[0].Key != "undo/7" || n.Actions[1].Key != actionPin {
		t.Errorf("actions %+v", n.Actions)
	}
}
