package liveness

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// silent is an answer that never comes.
const silent = 0

// A script is what measurements of the way out and of the control come to, each in the order in
// which they begin: a success after that time, a refusal after it if it is negative, or silence.
// The last one repeats.
type script struct {
	active, control []time.Duration
	callOff         time.Duration // 0: never
}

// play lets an examination meet a script. It returns what was started when, and the findings.
// "400ms doubt c0 1 2" means that after that time there was doubt for the first time, and that
// measurements began: the control with URL 0, the way out with URLs 1 and 2.
func (s script) play(t *testing.T, e Examination) (started string, found Findings, took time.Duration) {
	t.Helper()
	type answer struct {
		at          time.Time
		measurement Measurement
	}
	var (
		lines    []string
		underWay []answer
		begin    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		now      = begin
	)
	next := e.Step(now)
	for {
		var line []string
		if next.Doubt {
			line = append(line, "doubt")
		}
		for _, m := range next.Start {
			times, name := &s.active, fmt.Sprint(m.First)
			if m.Control {
				times, name = &s.control, "c"+name
			}
			line = append(line, name)
			after := (*times)[0]
			if len(*times) > 1 {
				*times = (*times)[1:]
			}
			m.Result = Result{OK: true, Class: "ok", Latency: after}
			if after < 0 {
				m.Result = Result{Class: "refused", Latency: -after, Err: errors.New("refused")}
			}
			if after != silent {
				underWay = append(underWay, answer{now.Add(after.Abs()), m})
			}
		}
		if line != nil {
			lines = append(lines, fmt.Sprint(now.Sub(begin).Milliseconds(), "ms ", strings.Join(line, " ")))
		}
		if next.Done {
			break
		}
		if !next.Wake.After(now) {
			t.Fatalf("at %v it wants to be woken after %v", now.Sub(begin), next.Wake.Sub(now))
		}
		slices.SortStableFunc(underWay, func(a, b answer) int { return a.at.Compare(b.at) })
		answered := len(underWay) > 0 && !underWay[0].at.After(next.Wake)
		at := next.Wake
		if answered {
			at = underWay[0].at
		}
		if s.callOff > 0 && at.Sub(begin) > s.callOff {
			now = begin.Add(s.callOff)
			break
		}
		if now = at; answered {
			next = e.Step(now, underWay[0].measurement)
			underWay = underWay[1:]
		} else {
			next = e.Step(now)
		}
	}
	return strings.Join(lines, ", "), e.Findings(), now.Sub(begin)
}

func times(d ...time.Duration) []time.Duration { return d }

func TestExamination(t *testing.T) {
	usual := func(d time.Duration) Examination {
		return Examination{Threshold: 2, Timeout: 3 * time.Second, Usual: d}
	}
	urgent := func(d time.Duration) Examination {
		e := usual(d)
		e.Urgent = true
		return e
	}
	threshold := func(n int) Examination {
		e := usual(50 * ms)
		e.Threshold = n
		return e
	}
	for name, test := range map[string]struct {
		Examination
		script
		started, found string
	}{
		"one success is enough": {
			usual(50 * ms), script{active: times(50 * ms)},
			"0ms 0",
			"50ms alive",
		},
		"slow but not unusually": {
			usual(100 * ms), script{active: times(399 * ms)},
			"0ms 0",
			"399ms alive",
		},
		"no doubt below 250 ms": {
			usual(10 * ms), script{active: times(249 * ms)},
			"0ms 0",
			"249ms alive",
		},
		"unknown what is usual": {
			usual(0), script{active: times(251 * ms)},
			"0ms 0, 250ms doubt 1 2",
			"251ms alive",
		},
		"doubt after 4x usual": {
			usual(100 * ms), script{active: times(401*ms, silent)},
			"0ms 0, 400ms doubt 1 2",
			"401ms alive",
		},
		"doubt at half the time": {
			usual(time.Second), script{active: times(1501*ms, silent)},
			"0ms 0, 1500ms doubt 1 2",
			"1501ms alive",
		},
		"slow, the control works": {
			usual(500 * ms), script{active: times(2100*ms, silent), control: times(50 * ms)},
			"0ms 0, 1500ms doubt c0 c1 1 2, 1700ms 2 3",
			"2100ms alive, control ok",
		},

		"fails at once, then answers": {
			usual(50 * ms), script{active: times(-ms, 50*ms)},
			"0ms 0, 1ms doubt 1 2",
			"51ms alive, 1 failed, first: refused",
		},
		"one of a pair is enough": {
			usual(50 * ms), script{active: times(-ms, -ms, 50*ms)},
			"0ms 0, 1ms doubt 1 2",
			"51ms alive, 1 failed, first: refused",
		},
		"half a pair is no round": {
			usual(50 * ms), script{active: times(-ms, -ms, silent, -ms, silent)},
			"0ms 0, 1ms doubt 1 2, 201ms 2 3",
			"1401ms dead, 3 failed, first: refused",
		},
		"refusing": {
			usual(50 * ms), script{active: times(-ms), control: times(50 * ms)},
			"0ms 0, 1ms doubt c0 c1 1 2, 201ms 2 3",
			"202ms dead, 3 failed, first: refused, control ok",
		},
		"refusing, urgent": {
			urgent(50 * ms), script{active: times(-ms), control: times(50 * ms)},
			"0ms 0 1 c0 c1, 1ms doubt, 200ms 1 2, 400ms 2 3",
			"401ms dead, 3 failed, first: refused, control ok",
		},
		"the first failure is too many": {
			threshold(0), script{active: times(-ms), control: times(50 * ms)},
			"0ms 0, 1ms doubt",
			"1ms dead, 1 failed, first: refused",
		},

		"silent, no control": {
			usual(50 * ms), script{active: times(silent)},
			"0ms 0, 250ms doubt 1 2, 450ms 2 3",
			"1650ms dead, 3 failed, first: no answer within 1.2s",
		},
		"silent, usually slow, no control": {
			usual(500 * ms), script{active: times(silent)},
			"0ms 0, 1500ms doubt 1 2, 1700ms 2 3",
			"4200ms dead, 3 failed, first: no answer within 2.5s",
		},
		"silent, unknown what is usual": {
			usual(0), script{active: times(silent)},
			"0ms 0, 250ms doubt 1 2, 450ms 2 3",
			"3450ms dead, 3 failed, first: no answer within 3s",
		},
		"silent, the control works": {
			usual(50 * ms), script{active: times(silent), control: times(60 * ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"1450ms dead, 3 failed, first: no answer within 1s, control ok",
		},
		"silent, urgent": {
			urgent(50 * ms), script{active: times(silent), control: times(60 * ms)},
			"0ms 0 1 c0 c1, 200ms 1 2, 250ms doubt, 400ms 2 3",
			"1400ms dead, 3 failed, first: no answer within 1s, control ok",
		},
		"silent, the control is slow": {
			urgent(50 * ms), script{active: times(silent), control: times(500 * ms)},
			"0ms 0 1 c0 c1, 200ms 1 2, 250ms doubt, 400ms 2 3",
			"2900ms dead, 3 failed, first: no answer within 2.5s, control ok",
		},
		"silent, usually slow": {
			usual(300 * ms), script{active: times(silent), control: times(50 * ms)},
			"0ms 0, 1200ms doubt c0 c1 1 2, 1400ms 2 3",
			"2900ms dead, 3 failed, first: no answer within 1.5s, control ok",
		},
		"silent, the control very slow": {
			usual(50 * ms), script{active: times(silent), control: times(900 * ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"3450ms dead, 3 failed, first: no answer within 3s, control ok",
		},
		"silent, the control refuses": {
			usual(50 * ms), script{active: times(silent), control: times(-ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"1650ms dead, 3 failed, first: no answer within 1.2s",
		},
		"silent, the control is silent": {
			urgent(50 * ms), script{active: times(silent), control: times(silent)},
			"0ms 0 1 c0 c1, 200ms 1 2, 250ms doubt, 400ms 2 3",
			"1600ms dead, 3 failed, first: no answer within 1.2s",
		},
		"only the control's first counts": {
			usual(50 * ms), script{active: times(silent), control: times(300*ms, 400*ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"1950ms dead, 3 failed, first: no answer within 1.5s, control ok",
		},

		"answers after it was given up": {
			usual(50 * ms), script{active: times(1200*ms, silent), control: times(60 * ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"1200ms alive, 1 failed, first: no answer within 1s, control ok",
		},
		"refuses after it was given up": {
			usual(50 * ms), script{active: times(-1200*ms, silent), control: times(60 * ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3",
			"1450ms dead, 3 failed, first: no answer within 1s, control ok",
		},
		"a later round fails first": {
			urgent(50 * ms), script{active: times(silent, silent, -ms)},
			"0ms 0 1, 200ms 1 2, 201ms doubt, 400ms 2 3",
			"1200ms dead, 3 failed, first: refused",
		},

		"spacing grows up to 2 s": {
			threshold(8), script{active: times(-ms)},
			"0ms 0, 1ms doubt 1 2, 201ms 2 3, 601ms 3 4, 1401ms 4 5, 3001ms 5 6, 5001ms 6 7, 7001ms 7 8, 9001ms 8 9",
			"9002ms dead, 9 failed, first: refused",
		},
		"four rounds under way": {
			threshold(6), script{active: times(silent)},
			"0ms 0, 250ms doubt 1 2, 450ms 2 3, 850ms 3 4, 1650ms 4 5, 3250ms 5 6, 5250ms 6 7",
			"6450ms dead, 7 failed, first: no answer within 1.2s",
		},
		"four under way, then given up": {
			threshold(6), script{active: times(silent), control: times(60 * ms)},
			"0ms 0, 250ms doubt c0 c1 1 2, 450ms 2 3, 850ms 3 4, 1650ms 4 5, 3250ms 5 6, 5250ms 6 7",
			"6250ms dead, 7 failed, first: no answer within 1s, control ok",
		},

		"called off": {
			usual(50 * ms), script{active: times(silent), callOff: 100 * ms},
			"0ms 0",
			"100ms alive, no success",
		},
		"called off after failures": {
			usual(50 * ms), script{active: times(-ms, -ms, -ms, silent), callOff: 300 * ms},
			"0ms 0, 1ms doubt 1 2, 201ms 2 3",
			"300ms alive, 2 failed, first: refused, no success",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.Control = test.control != nil
			started, f, took := test.play(t, test.Examination)
			found := fmt.Sprint(took.Milliseconds(), "ms dead")
			if f.Alive {
				found = fmt.Sprint(took.Milliseconds(), "ms alive")
			}
			if f.FailedRounds > 0 {
				found += fmt.Sprintf(", %d failed, first: %v", f.FailedRounds, f.Cause.Err)
			}
			if f.Alive && !f.Success.OK {
				found += ", no success"
			}
			if f.ControlOK {
				found += ", control ok"
			}
			if started != test.started {
				t.Errorf("started %q,\n   want %q", started, test.started)
			}
			if found != test.found {
				t.Errorf("found %q, want %q", found, test.found)
			}
		})
	}
}

// What was given up is there as a timeout when it is given up, and once more when a result comes.
func TestMeasured(t *testing.T) {
	e := Examination{Threshold: 2, Timeout: 3 * time.Second, Urgent: true, Control: true}
	s := script{active: times(-1300*ms, -700*ms, silent), control: times(-40*ms, 60*ms)}
	_, f, _ := s.play(t, e)
	var got []string
	for _, m := range f.Measured {
		name := fmt.Sprint(m.First)
		if m.Control {
			name = "c" + name
		}
		got = append(got, fmt.Sprint(name, " of ", m.At.Sub(f.Began), ": ", m.Result.Class, " ", m.Result.Latency))
	}
	want := []string{
		"c0 of 0s: refused 40ms", "c1 of 0s: ok 60ms", "1 of 0s: refused 700ms", "0 of 0s: timeout 1s",
		"1 of 200ms: timeout 1s", "2 of 200ms: timeout 1s", "0 of 0s: refused 1.3s",
		"2 of 400ms: timeout 1s", "3 of 400ms: timeout 1s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("measured %q,\n    want %q", got, want)
	}
}
