package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
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
	s.desired, s.configs = desired, configs
	live, err := s.Store.LiveSessions(ctx)
	if err != nil {
		return fmt.Errorf("reading the sessions: %w", err)
	}
	session.SortLeftovers(live)
	life, codes := s.life, make([]string, len(live)) // why each is not taken over
	for i, record := range live {
		codes[i] = session.CodeNotNeeded
		if desired.Connected && s.active == nil {
			if codes[i], err = s.reattach(ctx, record); err != nil {
				return err
			}
		}
	}
	for i, record := range live { // nothing is stopped before it is clear that the daemon can start
		if code := codes[i]; code != "" {
			s.workers.background(func(ctx context.Context) { life.EndLeftover(ctx, record, code) })
		}
	}
	if s.active != nil {
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

// reattach takes over a session's core and serves with it, or returns in a code why it cannot.
func (s *Supervisor) reattach(ctx context.Context, record store.Session) (code string, err error) {
	if !session.Adoptable(record) {
		return session.CodeNotNeeded, nil
	}
	config, err := s.Store.Config(ctx, record.ConfigID)
	if errors.Is(err, store.ErrNotFound) {
		return session.CodeNotNeeded, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading config %d: %w", record.ConfigID, err)
	}
	taken, code := s.life.Reattach(ctx, record, config)
	if taken == nil {
		return code, nil
	}
	t := &tracked{
		Session: taken, trigger: rotation.Trigger(record.Trigger), reasonCode: record.ReasonCode,
		startedAt: record.StartedAt, servingSince: time.Now(),
		endpoints: s.Remote.listeners.endpoints(notChecked, reachable),
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
