package ipc

import (
	"fmt"
	"time"
)

// ProtocolVersion is the version of the wire protocol that this package speaks.
const ProtocolVersion = 1

// Kind names a request, as it is spelled on the wire.
type Kind string

// The requests of protocol version 1.
const (
	KindDaemonPing        Kind = "daemon_ping"
	KindDaemonShutdown    Kind = "daemon_shutdown"
	KindRuntimeStatus     Kind = "runtime_status"
	KindRuntimeConnect    Kind = "runtime_connect"
	KindRuntimeReplace    Kind = "runtime_replace"
	KindRuntimeDisconnect Kind = "runtime_disconnect"
	KindProxyStart        Kind = "proxy_start"
	KindProxyStatus       Kind = "proxy_status"
	KindProxyStop         Kind = "proxy_stop"

	// Besides these nine, which version 1 began with, what the CLI and the tray need.
	KindStatus       Kind = "status"
	KindSubscribe    Kind = "subscribe"
	KindConfigList   Kind = "config_list"
	KindConfigImport Kind = "config_import"
	KindConfigUpdate Kind = "config_update"
	KindConfigRemove Kind = "config_remove"
	KindSessionList  Kind = "session_list"

	KindSubscriptionAdd    Kind = "subscription_add"
	KindSubscriptionList   Kind = "subscription_list"
	KindSubscriptionUpdate Kind = "subscription_update"
	KindSubscriptionRemove Kind = "subscription_remove"

	KindSubscriptionSet     Kind = "subscription_set"
	KindSubscriptionReparse Kind = "subscription_reparse"
)

// Trigger says what caused a session to begin.
type Trigger string

// The triggers.
const (
	TriggerManual            Trigger = "manual"
	TriggerTimer             Trigger = "timer"
	TriggerHealthCheckFailed Trigger = "health_check_failed"
)

// Request is what a client asks for, with its arguments. The table in request.go lists the
// arguments of each kind; all others are refused.
type Request struct {
	Type Kind `json:"type"`
	// ConfigID is the config to connect to; absent: the one used last, or else the best.
	ConfigID *int64 `json:"config_id,omitempty"`
	// Keep has a shutdown end the daemon alone: what serves applications goes on for the next one.
	Keep bool `json:"keep,omitempty"`
	// Unchecked connects without a probe through the server first.
	Unchecked bool `json:"unchecked,omitempty"`
	// Trigger of a runtime_replace.
	Trigger Trigger `json:"trigger,omitempty"`
	// CandidateID is the config to rotate to; absent: the one used least recently or, for the
	// trigger health_check_failed, the best.
	CandidateID *int64 `json:"candidate_id,omitempty"`
	// Text of a config_import: share links, one a line, or what a subscription serves. It is a
	// secret.
	Text string `json:"text,omitempty"`
	// URL of a subscription, which a config_import fetches once. It is a secret.
	URL string `json:"url,omitempty"`
	// IDs of the configs or subscriptions to remove or to update.
	IDs []int64 `json:"ids,omitempty"`
	// Name to give to a config or a subscription.
	Name string `json:"name,omitempty"`
	// What a config_update changes; absent: nothing.
	Pinned     *bool    `json:"pinned,omitempty"`
	Excluded   *bool    `json:"excluded,omitempty"`
	Favourite  *bool    `json:"favourite,omitempty"`
	AddTags    []string `json:"add_tags,omitempty"`
	RemoveTags []string `json:"remove_tags,omitempty"`
	// Retired has a config_list list the configs that were retired.
	Retired bool `json:"retired,omitempty"`
	// IntervalSecs is how often to update a subscription; absent: as its provider says, or else the
	// settings.
	IntervalSecs int64 `json:"interval_secs,omitempty"`
	// NoUpdate adds a subscription without fetching it now.
	NoUpdate bool `json:"no_update,omitempty"`
	// Accept has a subscription_update believe what the provider sends, however little it is.
	Accept bool `json:"accept,omitempty"`
	// Private says whether a subscription may name servers on this machine and in private networks;
	// nil leaves that as it is.
	Private *bool `json:"private,omitempty"`
	// KeepConfigs keeps what came from a subscription that is removed.
	KeepConfigs bool `json:"keep_configs,omitempty"`
	// Limit of a session_list; 0 is the daemon's own limit.
	Limit int `json:"limit,omitempty"`

	SubscriptionArguments
	TestArguments
}

// requestEnvelope is a request as it travels.
type requestEnvelope struct {
	ProtocolVersion int     `json:"protocol_version"`
	Request         Request `json:"request"`
}

// response is a reply as it travels.
type response struct {
	ProtocolVersion int    `json:"protocol_version"`
	OK              bool   `json:"ok"`
	Code            Code   `json:"code"`
	Message         string `json:"message"`
	Payload         any    `json:"payload"`
}

// PingPayload answers daemon_ping.
type PingPayload struct {
	DaemonReady bool `json:"daemon_ready"`
	// PID and Version are those of the daemon.
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// ShutdownPayload answers daemon_shutdown.
type ShutdownPayload struct {
	DaemonReady         bool `json:"daemon_ready"`
	RuntimeDisconnected bool `json:"runtime_disconnected"`
}

// RuntimeStatusPayload answers runtime_status. HTTPAPI* are for an HTTP interface of the daemon; it
// has none.
type RuntimeStatusPayload struct {
	DaemonReady    bool              `json:"daemon_ready"`
	RuntimeOwned   bool              `json:"runtime_owned"`
	RuntimeStatus  string            `json:"runtime_status"`
	SessionID      *int64            `json:"session_id"`
	ActiveConfigID *int64            `json:"active_config_id"`
	PIDRunning     bool              `json:"pid_running"`
	HTTPAPIEnabled bool              `json:"http_api_enabled"`
	HTTPAPIAddr    *string           `json:"http_api_addr"`
	State          State             `json:"state"`
	InboundHealth  []EndpointPayload `json:"inbound_health"`
}

// ConnectPayload answers runtime_connect.
type ConnectPayload struct {
	ConfigID  int64 `json:"config_id"`
	SessionID int64 `json:"session_id"`
	// PID of the core process.
	PID        int    `json:"pid"`
	ConfigName string `json:"config_name"`
}

// ReplacePayload answers runtime_replace.
type ReplacePayload struct {
	Trigger       Trigger `json:"trigger"`
	Replaced      bool    `json:"replaced"`
	OldSessionID  *int64  `json:"old_session_id"`
	NewConfigID   int64   `json:"new_config_id"`
	NewSessionID  int64   `json:"new_session_id"`
	NewPID        int     `json:"new_pid"`
	NewConfigName string  `json:"new_config_name"`
}

// DisconnectPayload answers runtime_disconnect.
type DisconnectPayload struct {
	// StoppedSession reports whether there was a session to stop.
	StoppedSession bool `json:"stopped_session"`
}

// ProxySwitchPayload answers proxy_start and proxy_stop.
type ProxySwitchPayload struct {
	RotationEnabled bool `json:"rotation_enabled"`
}

// ProxyStatusPayload answers proxy_status: the state of automatic rotation.
type ProxyStatusPayload struct {
	DaemonReady     bool `json:"daemon_ready"`
	RotationEnabled bool `json:"rotation_enabled"`
	// IntervalSecs is the timer trigger's interval, 0 when it is off.
	IntervalSecs         int64 `json:"interval_secs"`
	HealthTriggerEnabled bool  `json:"health_trigger_enabled"`
	CooldownSecs         int64 `json:"cooldown_secs"`

	ActiveConfigID *int64 `json:"active_config_id"`
	// LastTrigger caused the last rotation that was tried.
	LastTrigger *Trigger `json:"last_trigger"`
	// LastResult is "none", "replaced", "no_candidate", "all_failed" or "canceled".
	LastResult string `json:"last_result"`
	// LastCandidateResult is "none", "healthy" or the reason code of its failure.
	LastCandidateConfigID *int64 `json:"last_candidate_config_id"`
	LastCandidateResult   string `json:"last_candidate_result"`
	CooldownActive        bool   `json:"cooldown_active"`
	NextTimerEpochSecs    *int64 `json:"next_timer_epoch_secs"`
	// ConsecutiveFailures counts the failed checks of the session in a row.
	ConsecutiveFailures int `json:"consecutive_failures"`
}

// State says in one word what the daemon does for the user.
type State string

// The states.
const (
	StateDisconnected State = "disconnected"
	StateConnecting   State = "connecting"
	StateConnected    State = "connected"
	StateDegraded     State = "degraded" // connected, and the last check failed
	StateRotating     State = "rotating"
	StateFailed       State = "failed" // should be connected, but no server works; the daemon keeps trying
)

// EndpointPayload is an address for applications, and whether it answers.
type EndpointPayload struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	// State is "reachable", "unreachable" or "not_checked".
	State string `json:"state"`
	// Detail says why it is unreachable.
	Detail string `json:"detail,omitempty"`
}

// DaemonPayload describes the daemon process.
type DaemonPayload struct {
	PID        int    `json:"pid"`
	Version    string `json:"version"`
	UptimeSecs int64  `json:"uptime_secs"`
	// Ending: it is about to end because somebody has asked for that.
	Ending bool `json:"ending"`
	// Losses is how many daemons before this one have ended without being asked to, in a row and
	// each soon after its start. LossReason is the last word of the last one; empty: it had none.
	Losses     int    `json:"losses"`
	LossReason string `json:"loss_reason"`
}

// SessionPayload is the session that serves the user now.
type SessionPayload struct {
	ID         int64     `json:"id"`
	ConfigID   int64     `json:"config_id"`
	ConfigName string    `json:"config_name"`
	PID        int       `json:"pid"`
	Trigger    Trigger   `json:"trigger"`
	ReasonCode string    `json:"reason_code"`
	StartedAt  time.Time `json:"started_at"`
	// LatencyMillis is that of the last probe that succeeded; 0: none did.
	LatencyMillis int64 `json:"latency_ms"`
	// Limit is as in ConfigPayload.
	Limit string `json:"limit"`
}

// TrafficPayload counts what the front carried in the session.
type TrafficPayload struct {
	UpBytes     uint64 `json:"up_bytes"`
	DownBytes   uint64 `json:"down_bytes"`
	Connections uint64 `json:"connections"`
	// Open is the number of connections that are open now.
	Open uint64 `json:"open"`
	// Waited counts the connections that had to wait for a core, Replayed those that were sent
	// again through another server, and Rescued those of them that it answered.
	Waited   uint64 `json:"waited"`
	Replayed uint64 `json:"replayed"`
	Rescued  uint64 `json:"rescued"`
}

// RotationPayload is the report of a rotation that took place.
type RotationPayload struct {
	At             time.Time `json:"at"`
	Trigger        Trigger   `json:"trigger"`
	ReasonCode     string    `json:"reason_code"`
	Reason         string    `json:"reason"`
	FromConfigID   int64     `json:"from_config_id"`
	FromConfigName string    `json:"from_config_name"`
	ToConfigID     int64     `json:"to_config_id"`
	ToConfigName   string    `json:"to_config_name"`
	// DurationMillis is the time from the decision to the swap, and DetectMillis that from the
	// first sign of trouble to the decision.
	DurationMillis int64 `json:"duration_ms"`
	DetectMillis   int64 `json:"detect_ms"`
	// Checks are the measurements before the decision, the oldest first.
	Checks []CheckPayload `json:"checks"`
	// Considered are the first ten candidates at most, in the order in which they would be tried.
	Considered []ConsideredPayload `json:"considered"`
	// Candidates counts all of them.
	Candidates int `json:"candidates"`
	// Winner says why the new config won.
	Winner string `json:"winner"`
	// From the first sign of trouble to the swap, Waited counts the connections that had to wait
	// for a core, Replayed those that were sent again through another server, and Rescued those of
	// them that it answered.
	Waited   uint64 `json:"waited"`
	Replayed uint64 `json:"replayed"`
	Rescued  uint64 `json:"rescued"`
	// Cut counts connections that hung on the dead server and were reset.
	Cut int `json:"cut"`
}

// CheckPayload is one probe through a server.
type CheckPayload struct {
	At time.Time `json:"at"`
	// ConfigID and ConfigName are those of the server.
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	OK         bool   `json:"ok"`
	// Code is "ok", or what went wrong: "timeout", "closed", "status" and so on.
	Code          string `json:"code"`
	Message       string `json:"message"`
	LatencyMillis int64  `json:"latency_ms"`
}

// ConsideredPayload is a candidate of a rotation.
type ConsideredPayload struct {
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	// Class and Why say what spoke for it or against it.
	Class string `json:"class"`
	Why   string `json:"why"`
	// Result is "won", "not_tried", "canceled", or the code of what went wrong, which Message then
	// explains.
	Result  string `json:"result"`
	Message string `json:"message"`
}

// StandbyPayload is the server that is ready to step in.
type StandbyPayload struct {
	ConfigID      int64     `json:"config_id"`
	ConfigName    string    `json:"config_name"`
	PID           int       `json:"pid"`
	CheckedAt     time.Time `json:"checked_at"`
	LatencyMillis int64     `json:"latency_ms"`
}

// Condition names what is wrong apart from the server in use.
type Condition string

// The conditions.
const (
	ConditionOffline   Condition = "offline"           // the machine has no route to anywhere
	ConditionNoWorking Condition = "no_working_config" // no server works, and none is blamed
	ConditionClock     Condition = "clock"             // checks fail because this computer's clock is wrong
	ConditionLimited   Condition = "limited"           // the server in use strangles work, and none that does better is known
)

// StatusPayload is the whole state: what "xrat status --json" prints and what the tray shows.
type StatusPayload struct {
	State State `json:"state"`
	// Message explains a state that is not well.
	Message string `json:"message"`
	// Condition is empty, or says why no other server would do better.
	Condition Condition `json:"condition"`
	// Attempts counts the attempts in a row that found no server that works.
	Attempts     int                `json:"attempts"`
	Daemon       *DaemonPayload     `json:"daemon"`
	Session      *SessionPayload    `json:"session"`
	Inbounds     []EndpointPayload  `json:"inbounds"`
	Rotation     ProxyStatusPayload `json:"rotation"`
	Traffic      TrafficPayload     `json:"traffic"`
	LastRotation *RotationPayload   `json:"last_rotation"`
	Standby      *StandbyPayload    `json:"standby"`
	// Warnings hold for as long as the daemon runs: records that were lost, for example.
	Warnings []string `json:"warnings"`
	// Configs counts the stored configs.
	Configs int `json:"configs"`
	// ConfigsRevision changes with the list of configs, so that a client knows when to list them
	// again.
	ConfigsRevision uint64 `json:"configs_revision"`
}

// EventPayload is one message after a subscribe: the whole state at that time. A client that reads
// slowly misses states in between, which a gap in the sequence numbers shows, but always gets the
// newest.
type EventPayload struct {
	Seq    uint64        `json:"seq"`
	Status StatusPayload `json:"status"`
}

// ConfigPayload is a stored config without its secrets.
type ConfigPayload struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     uint16 `json:"port"`
	Network  string `json:"network"`
	Security string `json:"security"`
	// Source is "import" or "subscription".
	Source    string    `json:"source"`
	CreatedAt time.Time `json:"created_at"`
	Active    bool      `json:"active"`
	// What the user has decided: a pinned config is preferred to all others, an excluded one is
	// used only when asked for.
	Pinned    bool     `json:"pinned"`
	Excluded  bool     `json:"excluded"`
	Favourite bool     `json:"favourite"`
	Tags      []string `json:"tags"`
	// Subscriptions are the ids of the subscriptions that have the config. RetiredAt is when the
	// last one dropped it; that one is then still listed.
	Subscriptions []int64    `json:"subscriptions"`
	RetiredAt     *time.Time `json:"retired_at"`
	// Rank is the place, from 1, in the order in which configs would be tried if the best one were
	// wanted now; 0: the config would not be tried.
	Rank int `json:"rank"`
	// KeptAway names the rule because of which the config is used only when asked for:
	// "rotation.never country:RU", "only country:DE (Provider)". Empty: there is none.
	KeptAway string `json:"kept_away"`
	// What is known of its health; zero where nothing is known.
	Successes     int        `json:"successes"`
	Failures      int        `json:"failures"`
	LatencyMillis int64      `json:"latency_ms"`
	LastSuccess   *time.Time `json:"last_success"`
	LastFailure   *time.Time `json:"last_failure"`
	// Limit is what the config does to work although it answers checks: "stalls", "throttled",
	// "cuts_short", "lossy" or "slow". Empty: nothing of that is known.
	Limit string `json:"limit"`
}

// ConfigListPayload answers config_list, by id.
type ConfigListPayload struct {
	Configs []ConfigPayload `json:"configs"`
}

// ImportErrorPayload says why an entry of an import or a subscription was refused or changed.
type ImportErrorPayload struct {
	// Line in a list, or Entry among those of a document, from 1. Both 0: the error is about all of
	// it.
	Line  int `json:"line"`
	Entry int `json:"entry"`
	// Name of the entry; empty if it has none.
	Name    string `json:"name"`
	Code    string `json:"code"`
	Message string `json:"message"`
	// Kept reports whether the entry was added all the same.
	Kept bool `json:"kept"`
}

// Place says where the entry is: "line 3", "entry 3" of a document, or "".
func (p ImportErrorPayload) Place() string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("line %d", p.Line)
	case p.Entry > 0:
		return fmt.Sprintf("entry %d", p.Entry)
	}
	return ""
}

// ConfigImportPayload answers config_import.
type ConfigImportPayload struct {
	Added []ConfigPayload `json:"added"`
	// Existing were there before.
	Existing []ConfigPayload      `json:"existing"`
	Errors   []ImportErrorPayload `json:"errors"`
	// Notices are what the provider says in entries that are no servers.
	Notices []string `json:"notices"`
}

// ConfigUpdatePayload answers config_update: the configs as they are now.
type ConfigUpdatePayload struct {
	Configs []ConfigPayload `json:"configs"`
}

// ConfigRemovePayload answers config_remove.
type ConfigRemovePayload struct {
	Removed int `json:"removed"`
}

// SessionRecordPayload is one session of the history.
type SessionRecordPayload struct {
	ID         int64  `json:"id"`
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	// Status is "starting", "standby", "running", "draining", "stopping", "stopped" or "failed".
	Status     string  `json:"status"`
	Trigger    Trigger `json:"trigger"`
	ReasonCode string  `json:"reason_code"`
	Reason     string  `json:"reason"`
	// EndCode and EndReason say why it ended.
	EndCode           string     `json:"end_code"`
	EndReason         string     `json:"end_reason"`
	PreviousSessionID *int64     `json:"previous_session_id"`
	PID               int        `json:"pid"`
	StartedAt         time.Time  `json:"started_at"`
	EndedAt           *time.Time `json:"ended_at"`
	UpBytes           uint64     `json:"up_bytes"`
	DownBytes         uint64     `json:"down_bytes"`
	Connections       uint64     `json:"connections"`
	// Rotation is the report of the rotation with which the session began; null: it began
	// otherwise.
	Rotation *RotationPayload `json:"rotation"`
}

// SessionListPayload answers session_list, the newest first.
type SessionListPayload struct {
	Sessions []SessionRecordPayload `json:"sessions"`
}
