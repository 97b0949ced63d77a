package supervisor

import (
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// maxChecks bounds the measurements that are kept of a rotation.
const maxChecks = 20

// report tells how a rotation came about: what was measured, who was considered, and what the
// applications noticed of it.
func (s *Supervisor) report(op *operation, old, next *tracked, now time.Time) *store.Report {
	r := &store.Report{
		At: now, Trigger: string(op.trigger), ReasonCode: op.reason.Code, Reason: op.reason.Text,
		FromConfigID: old.Config.ID, FromConfigName: old.Config.Name,
		ToConfigID: next.Config.ID, ToConfigName: next.Config.Name,
		DurationMillis: now.Sub(op.since).Milliseconds(),
		Checks:         op.checks(old, next), Candidates: op.result.Candidates,
	}
	if !op.findings.Began.IsZero() {
		r.DetectMillis = op.since.Sub(op.findings.Began).Milliseconds()
	}
	r.Considered, r.Winner = op.considered(next)
	switch {
	case op.lent == next && len(op.result.Tried) == 0 && op.kind == opReplace && !op.manual:
		r.Winner = "the standby, which had answered while the other did not: " + r.Winner
	case op.lent == next:
		r.Winner = "the standby, which was running: " + r.Winner
	}
	// What was counted since all was last well: the old session's connections are the ones that met
	// with it, and what was rescued counts where it went.
	seen := map[int64]bool{}
	for _, t := range []*tracked{old, next, op.lent} {
		if t == nil || seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		c := s.Front.Counters(t.ID)
		r.Waited += c.Waited - t.quiet.Waited
		r.Replayed += c.Replayed - t.quiet.Replayed
		r.Rescued += c.Rescued - t.quiet.Rescued
	}
	return r
}

// checks are the measurements that led to the rotation, the oldest first.
func (op *operation) checks(old, next *tracked) []store.ReportCheck {
	var checks []store.ReportCheck
	measured := op.findings.Measured
	for _, m := range measured[:min(len(measured), maxChecks)] {
		c := store.ReportCheck{
			At: m.At, ConfigID: old.Config.ID, ConfigName: old.Config.Name,
			OK: m.Result.OK, Code: m.Result.Class, LatencyMillis: m.Result.Latency.Milliseconds(),
		}
		if m.Control && op.control != nil {
			c.ConfigID, c.ConfigName = op.control.ID, op.control.Name
		}
		if m.Result.Err != nil {
			c.Message = m.Result.Err.Error()
		}
		checks = append(checks, c)
	}
	if next.verifiedAt.After(op.since) { // it was probed for this
		checks = append(checks, store.ReportCheck{
			At: next.verifiedAt, ConfigID: next.Config.ID, ConfigName: next.Config.Name,
			OK: true, Code: probe.ClassOK, LatencyMillis: next.latency.Milliseconds(),
		})
	}
	return checks
}

// considered are the candidates with what became of each, and why the winner was among them.
func (op *operation) considered(next *tracked) (all []store.ReportCandidate, winner string) {
	for _, candidate := range op.result.Considered {
		c := store.ReportCandidate{
			ConfigID: candidate.ID, ConfigName: candidate.Name, Class: candidate.Class, Why: candidate.Why, Result: "not_tried",
		}
		for _, failed := range op.result.Tried {
			if failed.Config.ID == candidate.ID {
				c.Result, c.Message = failed.Code, failed.Err.Error()
			}
		}
		if candidate.ID == next.Config.ID {
			c.Result, winner = "won", candidate.Why
		}
		all = append(all, c)
	}
	return all, winner
}

// noteCut adds connections of the session left that were cut after the rotation.
func (s *Supervisor) noteCut(left int64, n int) {
	if s.rotation.report == nil || s.rotation.left != left {
		return
	}
	r := *s.rotation.report
	r.Cut += n
	s.rotation.report = &r
	if t := s.active; t != nil && t.Config.ID == r.ToConfigID {
		s.journal.Update(t.ID, func(record *store.Session) { record.Rotation = &r })
	}
}

// ReportPayload is a report as the wire shows it; nil is none.
func ReportPayload(r *store.Report) *ipc.RotationPayload {
	if r == nil || r.At.IsZero() { // or it could not be read
		return nil
	}
	p := &ipc.RotationPayload{
		At: r.At, Trigger: ipc.Trigger(r.Trigger), ReasonCode: r.ReasonCode, Reason: r.Reason,
		FromConfigID: r.FromConfigID, FromConfigName: r.FromConfigName, ToConfigID: r.ToConfigID, ToConfigName: r.ToConfigName,
		DurationMillis: r.DurationMillis, DetectMillis: r.DetectMillis,
		Checks: make([]ipc.CheckPayload, 0, len(r.Checks)), Considered: make([]ipc.ConsideredPayload, 0, len(r.Considered)),
		Candidates: r.Candidates, Winner: r.Winner, Waited: r.Waited, Replayed: r.Replayed, Rescued: r.Rescued, Cut: r.Cut,
	}
	for _, c := range r.Checks {
		p.Checks = append(p.Checks, ipc.CheckPayload(c))
	}
	for _, c := range r.Considered {
		p.Considered = append(p.Considered, ipc.ConsideredPayload(c))
	}
	return p
}
