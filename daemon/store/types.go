package store

import (
	"fmt"
	"io"
	"time"
)

// Config is a stored proxy server. Link is a secret: it is in the database and in the export, but
// neither in the JSON nor in any printed form of a Config.
type Config struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Link      string    `json:"-"`
	Identity  string    `json:"identity"`             // link.Link.Identity: no two configs share one
	IdentityV int       `json:"identity_v,omitempty"` // link.IdentityVersion when Identity was made; 0: 1
	Protocol  string    `json:"protocol"`
	Address   string    `json:"address"`
	Port      uint16    `json:"port"`
	Network   string    `json:"network"`
	Security  string    `json:"security"`
	Source    string    `json:"source"` // one of the Source constants
	CreatedAt time.Time `json:"created_at"`

	// Subscriptions are the ids of those that have it, first the one that it is named after.
	// RetiredAt is when the last of them ceased to have it (it stays in Subscriptions); zero: not
	// retired. A retired config is never chosen.
	Subscriptions []int64   `json:"subscriptions,omitempty"`
	RetiredAt     time.Time `json:"retired_at,omitzero"`

	// Named: the name is the user's and not a subscription's.
	Named bool `json:"named,omitempty"`

	// What the user decided. A pinned config is preferred, an excluded one is never chosen without
	// being asked for.
	Pinned    bool     `json:"pinned,omitempty"`
	Excluded  bool     `json:"excluded,omitempty"`
	Favourite bool     `json:"favourite,omitempty"`
	Tags      []string `json:"tags,omitempty"`
}

// Where configs come from. An imported one belongs to the user and is never retired, even if
// subscriptions have it too.
const (
	SourceImport       = "import"
	SourceSubscription = "subscription"
)

// Retired reports whether no subscription has the config any more.
func (c Config) Retired() bool { return !c.RetiredAt.IsZero() }

// Format prints the config without its link, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "config %d %q (%s %s:%d)", c.ID, c.Name, c.Protocol, c.Address, c.Port)
}

// Status is where a session is in its life.
type Status string

// The statuses of a session. Stopped and failed are final.
const (
	StatusStarting Status = "starting"
	StatusStandby  Status = "standby" // runs and works, but has not served yet
	StatusRunning  Status = "running"
	StatusDraining Status = "draining"
	StatusStopping Status = "stopping"
	StatusStopped  Status = "stopped"
	StatusFailed   Status = "failed"
)

// Live reports whether a session with this status may still have a process.
func (s Status) Live() bool { return s != StatusStopped && s != StatusFailed }

// Inbound is an address the core of a session listens on. User and Password are secrets and treated
// as Config.Link is.
type Inbound struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	User     string `json:"-"`
	Password string `json:"-"`
}

// Format prints the inbound without its credentials, whatever the verb.
func (i Inbound) Format(f fmt.State, _ rune) {
	io.WriteString(f, i.Protocol+"://"+i.Address)
}

// Session is one life of one core process serving one config.
type Session struct {
	ID         int64  `json:"id"`
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	Status     Status `json:"status"`
	Trigger    string `json:"trigger,omitempty"`
	ReasonCode string `json:"reason_code,omitempty"`
	Reason     string `json:"reason,omitempty"`
	EndCode    string `json:"end_code,omitempty"` // why it ended
	EndReason  string `json:"end_reason,omitempty"`
	PreviousID int64  `json:"previous_id,omitempty"` // 0: none

	// What identifies the process; see xray.Identity.
	Nonce      string `json:"nonce,omitempty"`
	PID        int    `json:"pid,omitempty"`
	PIDStart   uint64 `json:"pid_start,omitempty"`
	BootID     string `json:"boot_id,omitempty"`
	Executable string `json:"executable,omitempty"`

	Inbounds []Inbound `json:"inbounds,omitempty"`

	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	UpBytes     uint64    `json:"up_bytes"`
	DownBytes   uint64    `json:"down_bytes"`
	Connections uint64    `json:"connections"` // accepted in total

	// Rotation tells how the rotation that began the session came about; nil if none did.
	Rotation *Report `json:"rotation,omitempty"`
}

// Desired is what the user last asked for. The zero value, also that of a new store, is
// disconnected with the rotation on.
type Desired struct {
	Connected   bool  `json:"connected"`
	ConfigID    int64 `json:"config_id,omitempty"` // 0: any
	RotationOff bool  `json:"rotation_off,omitempty"`
}

// Outcome is the probe history of one config.
type Outcome struct {
	ConfigID            int64     `json:"config_id"`
	Successes           int       `json:"successes"`
	Failures            int       `json:"failures"`
	ConsecutiveFailures int       `json:"consecutive_failures"`
	LastSuccess         time.Time `json:"last_success,omitzero"`
	LastFailure         time.Time `json:"last_failure,omitzero"`
	LastUsed            time.Time `json:"last_used,omitzero"`
	LatencyMS           int64     `json:"latency_ms"`
	DeviationMS         int64     `json:"deviation_ms,omitempty"`
	CooldownUntil       time.Time `json:"cooldown_until,omitzero"`
	// Good and Bad are the successes and failures of late, weighted by age.
	Good  float64 `json:"good,omitempty"`
	Bad   float64 `json:"bad,omitempty"`
	Flaps int     `json:"flaps,omitempty"`
	// Limit is what the config does to work although it answers checks, as of LimitedAt.
	Limit     string    `json:"limit,omitempty"`
	LimitedAt time.Time `json:"limited_at,omitzero"`
	// Network names the network in which the config last answered, as of NetworkAt.
	Network   string    `json:"network,omitempty"`
	NetworkAt time.Time `json:"network_at,omitzero"`
}

// configRecord is a Config as the database has it, with its secret.
type configRecord struct {
	Config
	Secret string `json:"link"`
}

// sessionRecord is a Session as the database has it, with its secrets.
type sessionRecord struct {
	Session
	Secrets []inboundRecord `json:"inbounds,omitempty"`
}

type inboundRecord struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
}

func newConfigRecord(c Config) configRecord { return configRecord{Config: c, Secret: c.Link} }

func (r configRecord) config() Config {
	r.Link = r.Secret
	return r.Config
}

func newSessionRecord(s Session) sessionRecord {
	r := sessionRecord{Session: s}
	for _, in := range s.Inbounds {
		r.Secrets = append(r.Secrets, inboundRecord(in))
	}
	return r
}

func (r sessionRecord) session() Session {
	r.Inbounds = nil
	for _, in := range r.Secrets {
		r.Inbounds = append(r.Inbounds, Inbound(in))
	}
	return r.Session
}
