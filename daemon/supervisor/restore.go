package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// Restore reads what the user last asked for and takes over the core that an earlier daemon left
// running, so that it goes on serving. It runs once, before Run and before the socket is there;
// cores that are not taken over are ended in the background. configs is how many configs may be
// used.
func (s *Supervisor) Restore(ctx context.Context, configs int) error {
	desired, err := s.Store.Desired(ctx)
	if err != nil {
		return fmt.Errorf("reading the desired state: %w", err)
	}
	s.desired, s.configs, s.frontOpen = desired, configs, s.FrontOpen
	live, err := s.Store.LiveSessions(ctx)
	if err != nil {
		return fmt.Errorf("reading the sessions: %w", err)
	}
	session.SortLeftovers(live)
	life, codes := s.life, make([]string, len(live)) // why each is not taken over
	for i, record := range live {
		if codes[i], err = s.reattach(ctx, record); err != nil {
			return err
		}
	}
	if why := s.Store.Stale(); why != nil && s.FrontOpen && s.active == nil {
		// To close the front, or to give it another target, would cut applications off from a core
		// that serves them. It goes on without a daemon, and has one started again and again.
		return fmt.Errorf("the session that is served now is not in what could be read: %w", why)
	}
	// What the front has from an earlier daemon may have ended with it.
	if s.active == nil {
		s.Front.SetTarget(nil)
	}
	if s.standby.session == nil {
		s.Front.SetStandby(nil)
	}
	for i, record := range live { // nothing is stopped before it is clear that the daemon can start
		if code := codes[i]; code != "" {
			s.workers.background(func(ctx context.Context) { life.EndLeftover(ctx, record, code) })
		}
	}
	switch {
	case !desired.Connected && s.frontOpen:
		s.frontOpen = false
		if err := s.Front.Close(); err != nil {
			s.Log.Error().Err(err).Msg("closing the front that an earlier daemon left")
		}
	case s.active != nil:
		if err := s.Front.Open(ctx); err != nil {
			s.retry.message = life.ExplainFront(err).Error()
			s.retry.attempts++
			s.Log.Error().Err(err).Msg("the core is taken over, and the front does not open")
		} else {
			s.frontOpen = true
		}
	}
	s.publish()
	return nil
}

// reattach takes over a session's core for what it is of use: to serve, to step in, or to serve the
// connections that it has. If that cannot be, it returns in a code why.
func (s *Supervisor) reattach(ctx context.Context, record store.Session) (code string, err error) {
	var counted front.Counters
	if s.FrontOpen {
		counted = s.Front.Counters(record.ID)
	}
	serves := session.Adoptable(record) && s.desired.Connected && s.active == nil
	stepsIn := record.Status == store.StatusStandby && s.frontOpen && s.active != nil && s.standby.session == nil && s.wantsStandby()
	drains := s.desired.Connected && counted.Open > 0
	if !serves && !stepsIn && !drains {
		return session.CodeNotNeeded, nil
	}
	config, err := s.Store.Config(ctx, record.ConfigID)
	if errors.Is(err, store.ErrNotFound) {
		return session.CodeNotNeeded, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading config %d: %w", record.ConfigID, err)
	}
	taken, code := s.life.Reattach(ctx, record, config, counted)
	if taken == nil {
		return code, nil
	}
	if !serves && !stepsIn {
		life, why := s.life, session.Reason{Code: record.EndCode, Text: record.EndReason}
		s.journal.Update(taken.ID, func(r *store.Session) { r.Status = store.StatusDraining })
		s.letGo(taken, func(drain context.Context) { life.Retire(drain, taken, why) })
		return "", nil
	}
	t := &tracked{
		Session: taken, trigger: rotation.Trigger(record.Trigger), reasonCode: record.ReasonCode,
		startedAt: record.StartedAt, servingSince: time.Now(),
		endpoints: s.Remote.listeners.endpoints(notChecked, reachable),
	}
	if stepsIn {
		taken.Standby = true
		s.keepStandby(t)
		s.standby.dueAt = time.Now() // it is looked at once the active one has proven itself
		return "", nil
	}
	s.rotation.report = record.Rotation
	s.active, s.served = t, t
	s.health.dueAt = time.Now() // at once: nobody has watched it meanwhile
	s.desired.ConfigID = config.ID
	s.Front.SetTarget(t.target())
	s.watch(t)
	s.planTimer()
	s.journal.Update(t.ID, func(r *store.Session) { r.Status = store.StatusRunning })
	return "", nil
}
