package session

import (
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Session is one life of one core process serving one config. It is never changed.
type Session struct {
	// ID is that of the record; negative if there is none, as it could not be written.
	ID     int64
	Config store.Config
	Core   Core
	// Standby tells that it was brought up to step in: while it has not served, nobody is
	// interested in its record.
	Standby   bool
	StartedAt time.Time
	// Carried is what it counted under an earlier daemon.
	Carried front.Counters
}

// Proxy is the core's inbound as a prober wants it.
func (s *Session) Proxy() probe.Proxy {
	in := s.Core.Inbound()
	return probe.Proxy{Address: in.Address, User: in.User, Password: in.Password}
}

// Target is the session as the front wants it; latency is what its probes usually take, 0 if that
// is not known, and limited whether it strangles work.
func (s *Session) Target(latency time.Duration, limited bool) *front.Target {
	in := s.Core.Inbound()
	return &front.Target{
		ID: s.ID, Address: in.Address, Relay: in.Relay, User: in.User, Password: in.Password, Latency: latency, Limited: limited,
	}
}

// Ended reports whether the core has exited.
func (s *Session) Ended() bool {
	select {
	case <-s.Core.Done():
		return true
	default:
		return false
	}
}

// Proof is what was measured through a session. The zero value is nothing.
type Proof struct {
	// OK tells that the way out works, as far as the settings have that measured.
	OK bool
	// At is when a probe succeeded, and Latency how long it took; zero if none was made.
	At      time.Time
	Latency time.Duration
	// Worked tells that the session has done work. Limit is how it failed at it, "" if it did not
	// or nothing can be said.
	Worked bool
	Limit  string
}

// Reason says why a session began or ended, for programs and for people.
type Reason struct{ Code, Text string }

// identityOf returns the identity of the process in a record.
func identityOf(r store.Session) xray.Identity {
	return xray.Identity{PID: r.PID, StartTime: r.PIDStart, BootID: r.BootID, Executable: r.Executable}
}
