package store

import (
	"testing"
	"time"
)

// A report that does not fit, as another version may have written it, costs neither the session
// that it is kept with nor the start of the daemon.
func TestReportThatDoesNotFitIsReadAsEmpty(t *testing.T) {
	for text, want := range map[string]Report{
		`{"reason_code":"timer","cut":2}`: {ReasonCode: "timer", Cut: 2},
		`{"reason_code":7,"cut":2}`:       {},
		`"nonsense"`:                      {},
	} {
		r := Report{At: time.Unix(1, 0)}
		if err := r.UnmarshalJSON([]byte(text)); err != nil || r.ReasonCode != want.ReasonCode || r.Cut != want.Cut || !r.At.IsZero() {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
}
