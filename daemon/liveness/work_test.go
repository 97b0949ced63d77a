package liveness

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A workScript is what the downloads of each side come to, after which time: a success, a failure
// in the midst of an answer if it is negative, or silence. lost is how many of ten small probes
// each side loses; the others take 50 ms.
type workScript struct {
	loops                bool // a small probe of the way has come back
	way, control         []time.Duration
	unreachable          bool // failures are those of pages that cannot be reached
	wayLost, controlLost int
}

func (s workScript) play(t *testing.T, e WorkExamination) (WorkFindings, time.Duration) {
	t.Helper()
	type answer struct {
		at time.Time
		WorkMeasurement
	}
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var underWay []answer
	now := begin
	next := e.Step(now)
	for _, m := range next.Start {
		times, lost := s.way, s.wayLost
		if m.Control {
			times, lost = s.control, s.controlLost
		}
		after := 50 * ms
		switch {
		case m.Small && m.First < lost:
			after = silent
		case m.Small && s.loops && !m.Control && m.First == 0:
			m.Result.Class = ClassLoop
		case m.Small:
			m.Result.OK = true
		default:
			after = times[min(m.First, len(times)-1)]
			m.Result.OK = after > 0
		}
		if !m.Result.OK && m.Result.Class == "" {
			m.Result = WorkResult{Class: "stalls", Strangled: !s.unreachable, Err: errors.New("16384 bytes")}
		}
		at := begin.Add(after.Abs())
		if after == silent {
			at = begin.Add(time.Hour)
		}
		underWay = append(underWay, answer{at, m})
	}
	for !next.Done {
		slices.SortStableFunc(underWay, func(a, b answer) int { return a.at.Compare(b.at) })
		if len(underWay) > 0 && !underWay[0].at.After(next.Wake) {
			now = underWay[0].at
			next = e.Step(now, underWay[0].WorkMeasurement)
			underWay = underWay[1:]
			continue
		}
		if !next.Wake.After(now) {
			t.Fatalf("at %v it wants to be woken at %v", now.Sub(begin), next.Wake.Sub(begin))
		}
		now = next.Wake
		next = e.Step(now)
	}
	var rest []WorkMeasurement
	for _, a := range underWay {
		a.Result = WorkResult{Class: "stalls", Strangled: !s.unreachable, Err: errors.New("given up")}
		rest = append(rest, a.WorkMeasurement)
	}
	return e.Close(now, rest...), now.Sub(begin)
}

func TestWorkExamination(t *testing.T) {
	both, loss := WorkExamination{Control: true}, WorkExamination{Control: true, Loss: true}
	names := map[Judgement]string{Unclear: "unclear", Works: "works", Limited: "limited", NoneWorks: "none works"}
	for name, test := range map[string]struct {
		WorkExamination
		workScript
		want string
	}{
		"it works":                 {both, workScript{way: times(400 * ms), control: times(300 * ms)}, "works 400ms"},
		"nobody waits for control": {both, workScript{way: times(400 * ms), control: times(silent)}, "works 400ms"},
		"one of a pair":            {both, workScript{way: times(silent, 900*ms), control: times(300 * ms)}, "works 900ms"},
		"slow, as the control is":  {both, workScript{way: times(5 * time.Second), control: times(2 * time.Second)}, "works 5000ms"},
		"far slower":               {both, workScript{way: times(5 * time.Second), control: times(300 * ms)}, "limited stalls 1500ms"},
		"three times as long":      {both, workScript{way: times(3100 * ms), control: times(time.Second)}, "limited stalls 3000ms"},
		"cut short at once":        {both, workScript{way: times(-100 * ms), control: times(300 * ms)}, "limited stalls 300ms"},
		"so is the control":        {both, workScript{way: times(-100 * ms), control: times(-200 * ms)}, "none works stalls 200ms"},
		"both stall":               {both, workScript{way: times(silent), control: times(silent)}, "none works stalls 10000ms"},
		"no page is reached":       {both, workScript{way: times(-100 * ms), control: times(-200 * ms), unreachable: true}, "unclear stalls 200ms"},
		"pages of the control":     {both, workScript{way: times(silent), control: times(300 * ms), unreachable: true}, "limited stalls 1500ms"},
		"one of many":              {WorkExamination{Control: true, Short: true}, workScript{way: times(silent), control: times(silent)}, "none works stalls 4000ms"},
		"no control":               {WorkExamination{}, workScript{way: times(-100 * ms)}, "none works stalls 100ms"},
		"no control, it works":     {WorkExamination{}, workScript{way: times(100 * ms)}, "works 100ms"},
		"nothing is lost":          {loss, workScript{way: times(400 * ms), control: times(300 * ms)}, "works 400ms"},
		"one is lost by chance":    {loss, workScript{way: times(400 * ms), control: times(300 * ms), wayLost: 1}, "works 1500ms"},
		"it leads back":            {loss, workScript{way: times(400 * ms), control: times(300 * ms), loops: true}, "unclear loop 400ms"},
		"three are lost":           {loss, workScript{way: times(400 * ms), control: times(300 * ms), wayLost: 3}, "limited lossy 1500ms"},
		"three on each side":       {loss, workScript{way: times(400 * ms), control: times(300 * ms), wayLost: 3, controlLost: 3}, "works 1500ms"},
		"it does not even answer":  {loss, workScript{way: times(silent), control: times(300 * ms), wayLost: 10}, "unclear stalls 1500ms"},
		"the control loses":        {loss, workScript{way: times(400 * ms), control: times(300 * ms), controlLost: 3}, "works 400ms"},
	} {
		t.Run(name, func(t *testing.T) {
			f, took := test.play(t, test.WorkExamination)
			got := names[f.Judgement]
			if f.Class != "" {
				got += " " + f.Class
			}
			if f.ControlStrangled != (f.Judgement == NoneWorks && test.Control) {
				t.Errorf("the control has failed: %v", f.ControlStrangled)
			}
			if got = fmt.Sprint(got, " ", took.Milliseconds(), "ms"); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
