package ipc

// KindConfigTest tests configs, and streams the results.
const KindConfigTest Kind = "config_test"

// TestArguments are the arguments of a config_test besides the ids and the limit. Without ids,
// every config that is not excluded is tested; a limit then takes those that a rotation would try
// first.
type TestArguments struct {
	// All takes excluded configs, too.
	All bool `json:"all,omitempty"`
	// Tags takes only the configs that have all of these.
	Tags []string `json:"tags,omitempty"`
	// TCPOnly connects to the servers without a request through them.
	TCPOnly bool `json:"tcp_only,omitempty"`
	// Work has each config that answers do work: a page of health.work_urls is fetched through it.
	Work bool `json:"work,omitempty"`
	// SpeedURL is downloaded through each config that works; absent: there is no download.
	SpeedURL string `json:"speed_url,omitempty"`
	// Concurrency is how many configs are measured at a time; absent: the daemon's own number.
	Concurrency int `json:"concurrency,omitempty"`
	// TimeoutMillis bounds the measurement of one config; absent: health.timeout.
	TimeoutMillis int64 `json:"timeout_ms,omitempty"`
}

// TestEventPayload is one message of a config_test. The first has the total, the last the summary,
// and each one in between a result.
type TestEventPayload struct {
	// Total is the number of configs to be tested.
	Total   int                 `json:"total,omitempty"`
	Result  *TestResultPayload  `json:"result,omitempty"`
	Summary *TestSummaryPayload `json:"summary,omitempty"`
}

// The codes of a TestResultPayload beyond the classes of a probe ("ok", "timeout", "refused" and so
// on).
const (
	TestCodeBadLink     = "bad_link"     // the stored link is not understood
	TestCodeLoop        = "loop"         // the server is this front
	TestCodeCoreRefuses = "core_refuses" // the core refuses the config
	TestCodeCoreFailed  = "core_failed"  // the core ended during the test
	TestCodeUnreachable = "unreachable"  // no TCP connection to the server
	TestCodeNoTCP       = "no_tcp"       // TCPOnly, and the server speaks UDP only
)

// TestResultPayload is the result for one config.
type TestResultPayload struct {
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	Protocol   string `json:"protocol"`
	Address    string `json:"address"`
	Port       uint16 `json:"port"`
	OK         bool   `json:"ok"`
	// Code is "ok", or what went wrong; Message then explains it.
	Code    string `json:"code"`
	Message string `json:"message"`
	// TCPMillis is the time to connect to the server, and DelayMillis that of a request through it,
	// both rounded up; 0: not measured.
	TCPMillis   int64 `json:"tcp_ms"`
	DelayMillis int64 `json:"delay_ms"`
	// SpeedBytes is the speed of the download in bytes a second. It is 0 if there was none, and if
	// nothing came, which SpeedMessage then explains.
	SpeedBytes   int64  `json:"speed_bytes_per_sec"`
	SpeedMessage string `json:"speed_message,omitempty"`
	// Work is "ok" if the config has done work, and otherwise how it failed at it: "stalls",
	// "throttled", "cuts_short", or another code, which WorkMessage then explains. Empty: it was
	// not asked to.
	Work        string `json:"work,omitempty"`
	WorkMessage string `json:"work_message,omitempty"`
}

// TestSummaryPayload ends a config_test. The results that OK and Failed count are stored.
type TestSummaryPayload struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
	// Canceled counts the configs that were not tested, because the client or the daemon stopped
	// the test.
	Canceled       int   `json:"canceled"`
	DurationMillis int64 `json:"duration_ms"`
	// Unblamed reports whether failures were left out of the store: since nothing worked, the
	// network may be at fault.
	Unblamed bool `json:"unblamed"`
}
