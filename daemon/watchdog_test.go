package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A loop that answers is left alone, also if it was late once; one that does not is given up after
// ten seconds.
func TestWatchdog(t *testing.T) {
	for name, test := range map[string]struct {
		answers func(asked int) bool
		hangs   bool
	}{
		"well":      {func(int) bool { return true }, false},
		"late once": {func(asked int) bool { return asked != 3 }, false},
		"hangs":     {func(asked int) bool { return asked < 3 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				asked, hung := 0, time.Duration(0)
				begin := time.Now()
				watchdog{
					pulse: func(ctx context.Context) error {
						if asked++; test.answers(asked) {
							return nil
						}
						<-ctx.Done()
						return errors.New("no answer")
					},
					hung: func() { hung = time.Since(begin) },
					log:  zerolog.Nop(),
				}.run(ctx)
				if test.hangs != (hung > 0) {
					t.Errorf("given up after %v", hung)
				}
				if want := 3*pulseSpacing + pulseTime; test.hangs && hung != want {
					t.Errorf("given up after %v, not %v", hung, want)
				}
			})
		})
	}
}
