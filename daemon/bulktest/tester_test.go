package bulktest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/xray"
)

// A daemon ends the cores of tests that an earlier one has left, not those of others, nor its own.
func TestCoresOfOldTestsAreEnded(t *testing.T) {
	var ended []int
	tester := New(Deps{Log: zerolog.Nop(), EndCore: func(_ context.Context, id xray.Identity, _ time.Duration) error {
		ended = append(ended, id.PID)
		return nil
	}})
	nonces := map[int]string{1: tester.own + "a", 2: tester.family + "7.8-b", 3: "test-00-7.8-c", 4: "b5b1c2f4-3c11-4c6e-9c39-7d5f2f1f5f11"}
	tester.Tools.FindNonces = func(wanted func(string) bool) (found []xray.Identity, err error) {
		for pid, nonce := range nonces {
			if wanted(nonce) {
				found = append(found, xray.Identity{PID: pid})
			}
		}
		return found, nil
	}
	tester.EndOld()
	tester.workers.Wait()
	if !slices.Equal(ended, []int{2}) {
		t.Errorf("ended %v of %v", ended, nonces)
	}
}
