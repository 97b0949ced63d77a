package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// The reason codes of sessions that could not be taken over.
const (
	reasonPIDMissing = "reattach_pid_missing"
	reasonMismatch   = "reattach_identity_mismatch"
	reasonUnhealthy  = "reattach_unhealthy"
	reasonNotNeeded  = "reattach_not_needed"
)

// Restore reads what the user last asked for and takes over the core that an
// earlier daemon left running, so that it goes on serving. It runs once, before
// Run and before the socket is there; cores that are not taken over are ended
// in the background.
func (s *Supervisor) Restore(ctx context.Context) error {
	st := &s.st
	desired, err := s.Store.Desired(ctx)
	if err != nil {
		return fmt.Errorf("reading the desired state: %w", err)
	}
	st.desired = desired
	configs, err := s.Store.Configs(ctx)
	if err != nil {
		return fmt.Errorf("reading the configs: %w", err)
	}
	if st.configs, err = s.catalog.Count(ctx); err != nil {
		return err
	}
	live, err := s.Store.LiveSessions(ctx)
	if err != nil {
		return fmt.Errorf("reading the sessions: %w", err)
	}
	// Those that served come first, the newest before the others: a session that
	// was only starting has not proven itself, and no connection is lost with it.
	slices.SortFunc(live, func(a, b store.Session) int {
		if served := func(r store.Session) bool { return r.Status == store.StatusRunning }; served(a) != served(b) {
			if served(a) {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.ID, a.ID)
	})
	for _, record := range live {
		code := reasonNotNeeded
		if desired.Connected && st.active == nil {
			if code = s.reattach(ctx, record, configs); code == "" {
				continue
			}
		}
		s.endLeftover(record, code)
	}
	s.tester.EndOld()
	if st.active == nil {
		s.publish()
		return nil
	}
	if err := s.Front.Open(ctx); err != nil {
		st.message = s.describeFront(err).Error()
		st.attempts++
		s.Log.Error().Err(err).Msg("the core is taken over, and the front does not open")
	} else {
		st.frontOpen = true
	}
	s.publish()
	return nil
}

// reattach takes over a session's core, or says in a reason code why it cannot.
func (s *Supervisor) reattach(ctx context.Context, record store.Session, configs []store.Config) (code string) {
	i := slices.IndexFunc(configs, func(c store.Config) bool { return c.ID == record.ConfigID })
	if i < 0 || (record.Status != store.StatusRunning && record.Status != store.StatusStarting) {
		return reasonNotNeeded
	}
	if len(record.Inbounds) == 0 {
		// It died between the spawn and the record of it; what port and
		// password that core has is lost with it.
		return reasonPIDMissing
	}
	in := record.Inbounds[0]
	core, err := s.Cores.Adopt(ctx, identityOf(record), xray.Inbound{Address: in.Address, User: in.User, Password: in.Password})
	if err != nil {
		s.Log.Warn().Err(err).Int64("session", record.ID).Int("pid", record.PID).Msg("the core of the last session cannot be taken over")
		switch {
		case errors.Is(err, xray.ErrIdentityMismatch):
			return reasonMismatch
		case errors.Is(err, xray.ErrPIDMissing):
			return reasonPIDMissing
		default:
			return reasonUnhealthy
		}
	}
	w := &session{
		id: record.ID, config: configs[i], core: core,
		trigger: triggerOf(record), reasonCode: record.ReasonCode, startedAt: record.StartedAt,
		carried: front.Counters{UpBytes: record.UpBytes, DownBytes: record.DownBytes, Connections: record.Connections},
	}
	st := &s.st
	st.lastRotation = decodeRotation(record.Rotation)
	st.active, st.served = w, w
	w.servingSince = time.Now()
	st.checkAt = time.Now() // at once: nobody has watched it meanwhile
	st.desired.ConfigID = w.config.ID
	w.endpoints = s.endpoints(notChecked, notChecked, "reachable")
	s.Front.SetTarget(w.target())
	w.watched = true
	s.watch(w)
	s.planTimer()
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, w.id, func(r *store.Session) { r.Status = store.StatusRunning })
		return nil
	}, nil)
	s.Log.Info().Int64("session", w.id).Int("pid", record.PID).Msg("core taken over")
	return ""
}

// endLeftover ends the core of a session that is not taken over, if it is still
// that very process, and completes the record.
func (s *Supervisor) endLeftover(record store.Session, code string) {
	s.work(func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, 3*stopGrace)
		defer cancel()
		id, err := identityOf(record), error(nil)
		if id.PID == 0 {
			id, err = s.Cores.FindByNonce(record.Nonce)
		}
		if err == nil {
			err = s.Cores.End(ctx, id, stopGrace)
		}
		if errors.Is(err, xray.ErrIdentityMismatch) {
			// A script that has become the core since looks like a stranger; the
			// nonce in its environment is ours all the same.
			if id, err = s.Cores.FindByNonce(record.Nonce); err == nil {
				err = s.Cores.End(ctx, id, stopGrace)
			}
		}
		text := "the daemon that ran it is gone"
		if err != nil && !errors.Is(err, xray.ErrPIDMissing) && !errors.Is(err, xray.ErrIdentityMismatch) {
			s.Log.Error().Err(err).Int64("session", record.ID).Int("pid", id.PID).Msg("ending the core of an old session")
			return nil // the record stays live, so that the next daemon tries again
		}
		if record.Status == store.StatusStandby {
			s.forget(record.ID)
			return nil
		}
		s.note(ctx, record.ID, func(r *store.Session) {
			r.Status, r.EndedAt = store.StatusFailed, time.Now()
			if code == reasonNotNeeded {
				r.Status = store.StatusStopped
			}
			r.EndCode, r.EndReason = code, text
		})
		return nil
	})
}

func identityOf(r store.Session) xray.Identity {
	return xray.Identity{PID: r.PID, StartTime: r.PIDStart, BootID: r.BootID, Executable: r.Executable}
}
