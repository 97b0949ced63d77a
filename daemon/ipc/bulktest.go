package ipc

// KindConfigTest measures configs, and streams what it finds.
const KindConfigTest Kind = "config_test"

// TestArguments are those of a config_test, besides the ids and the limit. Absent
// ids mean every config that is not excluded; the limit then takes those that
// come first in a rotation.
type TestArguments struct {
	// All takes those that are excluded, too.
	All bool `json:"all,omitempty"`
	// Tags take only configs that have all of them.
	Tags []string `json:"tags,omitempty"`
	// TCPOnly only connects to the servers, and asks nothing through them.
	TCPOnly bool `json:"tcp_only,omitempty"`
	// SpeedURL is downloaded through each config that works; absent: nothing is.
	SpeedURL string `json:"speed_url,omitempty"`
	// Concurrency is how many configs are measured at a time; absent: the daemon's own number.
	Concurrency int `json:"concurrency,omitempty"`
	// TimeoutMillis bounds the measurement of one config; absent: health.timeout.
	TimeoutMillis int64 `json:"timeout_ms,omitempty"`
}

// TestEventPayload is one message of a config_test: the first has Total, then
// each has one result, the last one the summary.
type TestEventPayload struct {
	// Total is how many configs there are to be measured.
	Total   int                 `json:"total,omitempty"`
	Result  *TestResultPayload  `json:"result,omitempty"`
	Summary *TestSummaryPayload `json:"summary,omitempty"`
}

// The codes of a TestResultPayload beyond the classes of a probe ("ok",
// "timeout", "refused" and so on).
const (
	TestCodeBadLink     = "bad_link"     // the stored link is not understood
	TestCodeCoreRefuses = "core_refuses" // the core does not take the config
	TestCodeCoreFailed  = "core_failed"  // the core ended while it was measured
	TestCodeUnreachable = "unreachable"  // no TCP connection to the server
	TestCodeNoTCP       = "no_tcp"       // TCPOnly, and the server speaks UDP only
)

// TestResultPayload is what was found out about one config.
type TestResultPayload struct {
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	Protocol   string `json:"protocol"`
	Address    string `json:"address"`
	Port       uint16 `json:"port"`
	OK         bool   `json:"ok"`
	// Code is "ok", or what went wrong, which Message explains.
	Code    string `json:"code"`
	Message string `json:"message"`
	// TCPMillis is the time to connect to the server, DelayMillis the time of a
	// request through it, both rounded up; 0: not measured.
	TCPMillis   int64 `json:"tcp_ms"`
	DelayMillis int64 `json:"delay_ms"`
	// SpeedBytes is the download's speed in bytes a second, 0: not measured, or
	// nothing came: SpeedMessage then says why.
	SpeedBytes   int64  `json:"speed_bytes_per_sec"`
	SpeedMessage string `json:"speed_message,omitempty"`
}

// TestSummaryPayload ends a config_test. Results that are counted are stored.
type TestSummaryPayload struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	// Canceled counts those that were not measured, because the client or the
	// daemon ended it.
	Canceled       int   `json:"canceled"`
	DurationMillis int64 `json:"duration_ms"`
	// Unblamed tells that failures were not stored: as nothing worked, the network
	// may be at fault.
	Unblamed bool `json:"unblamed"`
}
