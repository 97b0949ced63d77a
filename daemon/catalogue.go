package daemon

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// Active implements catalog.Supervisor.
func (s *Supervisor) Active() (id int64, name string) {
	if active := s.snapshot.Load().status.Session; active != nil {
		return active.ConfigID, active.ConfigName
	}
	return 0, ""
}

// Proxy implements catalog.Supervisor.
func (s *Supervisor) Proxy() (proxy *subscription.Proxy, soon bool) {
	snap := s.snapshot.Load()
	if snap.status.Session == nil || snap.status.State == ipc.StateFailed {
		return nil, snap.connecting
	}
	socks, _ := s.frontInbounds()
	return &subscription.Proxy{
		Address: socks.Address, User: link.NewSecret(socks.User), Password: link.NewSecret(socks.Password),
	}, false
}

// InUse implements catalog.Supervisor.
func (s *Supervisor) InUse(ctx context.Context) (map[int64]bool, error) {
	found := make(chan map[int64]bool, 1)
	select {
	case s.reports <- func() { found <- s.used() }:
	case <-s.ended:
		return nil, errShuttingDown
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case used := <-found:
		return used, nil
	case <-s.ended:
		return nil, errShuttingDown
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// used returns the configs that a session has, or is about to have.
func (s *Supervisor) used() map[int64]bool {
	st, used := &s.st, make(map[int64]bool)
	if st.desired.Connected {
		used[st.desired.ConfigID] = true
	}
	if st.op != nil {
		used[st.op.wanted] = true
		if st.op.lent != nil {
			used[st.op.lent.config.ID] = true
		}
	}
	for _, w := range []*session{st.active, st.standby} {
		if w != nil {
			used[w.config.ID] = true
		}
	}
	return used
}

// Changed implements catalog.Supervisor.
func (s *Supervisor) Changed(count int, eligible map[int64]bool) {
	s.tell(func() { s.configsChanged(count, eligible) })
}

// configsChanged takes a change of the configs over into the state.
func (s *Supervisor) configsChanged(count int, eligible map[int64]bool) {
	st := &s.st
	st.configs = count
	st.revision++
	if w := st.standby; w != nil && eligible != nil && !eligible[w.config.ID] {
		s.dropStandby()
	} else if w == nil {
		st.standbys, st.standbyAt = 0, time.Time{}
	}
}

// Stopping implements bulktest.Supervisor.
func (s *Supervisor) Stopping() error {
	if s.snapshot.Load().stopping {
		return errShuttingDown
	}
	return nil
}

// Revised implements bulktest.Supervisor.
func (s *Supervisor) Revised() { s.tell(func() { s.st.revision++ }) }
