package store

import (
	"encoding/json"
	"time"
)

// Report is the account of a rotation: what was measured, who was considered, and what applications
// noticed of it. It is kept with the session that the rotation began.
type Report struct {
	At             time.Time `json:"at"` // of the swap
	Trigger        string    `json:"trigger"`
	ReasonCode     string    `json:"reason_code"`
	Reason         string    `json:"reason"`
	FromConfigID   int64     `json:"from_config_id"`
	FromConfigName string    `json:"from_config_name"`
	ToConfigID     int64     `json:"to_config_id"`
	ToConfigName   string    `json:"to_config_name"`
	// DurationMillis is the time from the decision to the swap, DetectMillis the one from the first
	// sign that something was wrong to the decision.
	DurationMillis int64 `json:"duration_ms"`
	DetectMillis   int64 `json:"detect_ms"`
	// Checks are what was measured before the decision, the oldest first.
	Checks []ReportCheck `json:"checks"`
	// Considered are the first candidates, in the order in which they were to be tried; Candidates
	// counts all that there were.
	Considered []ReportCandidate `json:"considered"`
	Candidates int               `json:"candidates"`
	// Winner says why the new config won.
	Winner string `json:"winner"`
	// What the applications' connections met with from the first sign to the swap: those that had
	// to wait for a core, those that were sent again through another server, and of these the ones
	// that it answered.
	Waited   uint64 `json:"waited"`
	Replayed uint64 `json:"replayed"`
	Rescued  uint64 `json:"rescued"`
	// Cut counts connections that hung on the dead server and were reset.
	Cut int `json:"cut"`
}

// UnmarshalJSON reads a report. One that does not fit, as another version may have written it, is
// read as an empty one: that is no reason to give up the session that it is kept with.
func (r *Report) UnmarshalJSON(text []byte) error {
	type fields Report
	var f fields
	if json.Unmarshal(text, &f) != nil {
		f = fields{}
	}
	*r = Report(f)
	return nil
}

// ReportCheck is one measurement of a way out.
type ReportCheck struct {
	At            time.Time `json:"at"`
	ConfigID      int64     `json:"config_id"`
	ConfigName    string    `json:"config_name"`
	OK            bool      `json:"ok"`
	Code          string    `json:"code"`
	Message       string    `json:"message"`
	LatencyMillis int64     `json:"latency_ms"`
}

// ReportCandidate is a candidate of a rotation.
type ReportCandidate struct {
	ConfigID   int64  `json:"config_id"`
	ConfigName string `json:"config_name"`
	// Class and Why tell what spoke for it, or against it.
	Class string `json:"class"`
	Why   string `json:"why"`
	// Result is "won", "not_tried", "canceled", or the code of what went wrong, which Message
	// explains.
	Result  string `json:"result"`
	Message string `json:"message"`
}
