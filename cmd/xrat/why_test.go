package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestRotationIsExplained(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	r := &ipc.RotationPayload{
		At: now.Add(-2 * time.Minute), Trigger: ipc.TriggerHealthCheckFailed, Reason: "3 failed checks in a row: no answer within 1s",
		FromConfigName: "paris\x1b[31m", ToConfigName: "tokyo", DurationMillis: 3, DetectMillis: 1410, Winner: "the standby",
		Checks: []ipc.CheckPayload{
			{At: now, ConfigName: "paris", Code: "timeout", Message: "no answer within 1s", LatencyMillis: 1000},
			{At: now, ConfigName: "tokyo", Code: "ok", OK: true, LatencyMillis: 42},
		},
		Considered: []ipc.ConsideredPayload{{ConfigName: "tokyo", Why: "never tried", Result: "won"}, {ConfigName: "oslo", Why: "never tried", Result: "not_tried"}},
		Candidates: 9, Waited: 1, Replayed: 5, Rescued: 4, Cut: 2,
	}
	var out strings.Builder
	printRotations(&out, []*ipc.RotationPayload{r}, now)
	for _, want := range []string{
		"Switched from paris·[31m to tokyo, 2 min ago (2026-03-01 11:58:00)", "health check failed", "1410 ms to be sure, 3 ms to switch",
		"1 connection waited, 4 connections were answered through another server, 1 connection was tried through another server in vain, 2 connections hung",
		"12:00:00.000  paris  timeout  1000 ms  no answer within 1s", "tokyo  ok       42 ms    answered", "oslo   not tried  never tried", "and 7 more",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	out.Reset()
	printRotations(&out, nil, now)
	if out.String() != "xrat has not switched servers yet.\n" {
		t.Errorf("%q", out.String())
	}
	if got := noticed(&ipc.RotationPayload{}); got != "nothing" {
		t.Errorf("%q", got)
	}
}

// The rules because of which configs are not considered are told, the weightiest first.
func TestWhyNamesRules(t *testing.T) {
	var configs []ipc.ConfigPayload
	for i := range 30 {
		c := ipc.ConfigPayload{ID: int64(i)}
		switch {
		case i < 2:
			c.KeptAway = "rotation.never tag:x"
		case i < 5:
			c.KeptAway = "only country:DE (a\x1b[31m)"
		case i < 17:
			c.KeptAway = fmt.Sprintf("never name:%d (b)", i)
		}
		configs = append(configs, c)
	}
	var out strings.Builder
	printKeptAway(&out, configs)
	for _, want := range []string{"Rules keep 17 of 30 configs", "\n      3  only country:DE (a·[31m)\n      2  rotation.never tag:x\n      1  never name:10 (b)\n", "… and 4 more rules"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	out.Reset()
	if printKeptAway(&out, configs[20:]); out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
