package catalog

import (
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
)

// The user's interval comes before the provider's, and that before the settings'; after a failure
// the next try comes after 5 minutes, doubled each time up to the interval.
func TestIntervals(t *testing.T) {
	for name, test := range map[string]struct {
		setting, user, provider, want time.Duration
	}{
		"setting":          {24 * time.Hour, 0, 0, 24 * time.Hour},
		"provider":         {24 * time.Hour, 0, 6 * time.Hour, 6 * time.Hour},
		"user":             {24 * time.Hour, 2 * time.Hour, 6 * time.Hour, 2 * time.Hour},
		"off":              {0, 0, 6 * time.Hour, 0},
		"off but for this": {0, 2 * time.Hour, 0, 2 * time.Hour},
	} {
		cat := &Catalog{}
		cat.Settings.Subscription.Interval = settings.Duration(test.setting)
		got := cat.updateInterval(store.Subscription{IntervalSecs: int64(test.user.Seconds()), ProviderSecs: int64(test.provider.Seconds())})
		if got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	if next := nextUpdate(store.Subscription{CreatedAt: now.Add(time.Hour)}, time.Hour, now); !next.Equal(now) {
		t.Errorf("from the future: %v", next)
	}
	if next := nextUpdate(store.Subscription{CreatedAt: now}, 0, now); !next.IsZero() {
		t.Errorf("off: %v", next)
	}
	for failures, want := range map[int]time.Duration{0: 24 * time.Hour, 1: 5 * time.Minute, 3: 20 * time.Minute, 99: 24 * time.Hour} {
		wait := nextUpdate(store.Subscription{AttemptedAt: now, Failures: failures}, 24*time.Hour, now).Sub(now)
		if wait < want || wait > want+want/10 {
			t.Errorf("after %d failures: %v, want %v and up to a tenth", failures, wait, want)
		}
	}
}
