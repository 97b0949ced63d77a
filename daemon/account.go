package daemon

import (
	"context"
	"encoding/json"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// maxConsidered and maxChecks bound what is kept of a rotation.
	maxConsidered = 10
	maxChecks     = 20
)

// account tells how a rotation came about: what was measured, who was considered,
// and what the applications noticed of it.
func (s *Supervisor) account(op *operation, old, next *session, now time.Time) *ipc.RotationPayload {
	r := &ipc.RotationPayload{
		At: now, Trigger: op.trigger, ReasonCode: op.reason.code, Reason: op.reason.text,
		FromConfigID: old.config.ID, FromConfigName: old.config.Name,
		ToConfigID: next.config.ID, ToConfigName: next.config.Name,
		DurationMillis: now.Sub(op.since).Milliseconds(),
		Checks:         []ipc.CheckPayload{}, Considered: []ipc.ConsideredPayload{}, Candidates: op.outcome.candidates,
	}
	if !op.began.IsZero() {
		r.DetectMillis = op.since.Sub(op.began).Milliseconds()
	}
	for _, m := range op.measured[:min(len(op.measured), maxChecks)] {
		c := ipc.CheckPayload{
			At: m.at, ConfigID: old.config.ID, ConfigName: old.config.Name,
			OK: m.result.OK, Code: m.result.Class, LatencyMillis: m.result.Latency.Milliseconds(),
		}
		if m.control && op.control != nil {
			c.ConfigID, c.ConfigName = op.control.ID, op.control.Name
		}
		if m.result.Err != nil {
			c.Message = m.result.Err.Error()
		}
		r.Checks = append(r.Checks, c)
	}
	if next.verifiedAt.After(op.since) { // it was probed for this
		r.Checks = append(r.Checks, ipc.CheckPayload{
			At: next.verifiedAt, ConfigID: next.config.ID, ConfigName: next.config.Name,
			OK: true, Code: probe.ClassOK, LatencyMillis: next.latency.Milliseconds(),
		})
	}
	for _, candidate := range op.outcome.considered {
		c := ipc.ConsideredPayload{
			ConfigID: candidate.ID, ConfigName: candidate.Name, Class: candidate.Class, Why: candidate.Why, Result: "not_tried",
		}
		for _, failed := range op.outcome.tried {
			if failed.config.ID == candidate.ID {
				c.Result, c.Message = failed.code, failed.err.Error()
			}
		}
		if candidate.ID == next.config.ID {
			c.Result = "won"
			r.Winner = candidate.Why
		}
		r.Considered = append(r.Considered, c)
	}
	switch {
	case op.lent == next && len(op.outcome.tried) == 0 && op.kind == opReplace && !op.manual:
		r.Winner = "the standby, which had answered while the other did not: " + r.Winner
	case op.lent == next:
		r.Winner = "the standby, which was running: " + r.Winner
	}
	// What was counted since all was last well: the old session's connections are
	// the ones that met with it, and what was rescued counts where it went.
	seen := map[int64]bool{}
	for _, w := range []*session{old, next, op.lent} {
		if w == nil || seen[w.id] {
			continue
		}
		seen[w.id] = true
		c := s.Front.Counters(w.id)
		r.Waited += c.Waited - w.quiet.Waited
		r.Replayed += c.Replayed - w.quiet.Replayed
		r.Rescued += c.Rescued - w.quiet.Rescued
	}
	return r
}

// noteCut adds connections of the session left that were cut after the rotation.
func (s *Supervisor) noteCut(left int64, n int) {
	if s.st.lastRotation == nil || s.st.lastLeft != left {
		return
	}
	r := *s.st.lastRotation // readers may have the other one
	r.Cut += n
	s.st.lastRotation = &r
	if w := s.st.active; w != nil && w.config.ID == r.ToConfigID {
		text := encodeRotation(&r)
		s.journal.Append(func(ctx context.Context) error {
			s.note(ctx, w.id, func(record *store.Session) { record.Rotation = text })
			return nil
		}, nil)
	}
}

func encodeRotation(r *ipc.RotationPayload) json.RawMessage {
	if r == nil {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil // strings, numbers and times: it cannot be
	}
	return text
}

// decodeRotation reads what encodeRotation wrote; nil if there is nothing.
func decodeRotation(text json.RawMessage) *ipc.RotationPayload {
	r := new(ipc.RotationPayload)
	if len(text) == 0 || json.Unmarshal(text, r) != nil {
		return nil
	}
	return r
}
