//go:build linux

package xray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestStartServesAndStops(t *testing.T) {
	spec := testSpec(t, realCore(t), "nonce-1")
	var recorded record
	c, err := Start(t.Context(), zerolog.Nop(), spec, func(id Identity, in Inbound) error {
		recorded = record{id, in}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop(context.Background(), 0)
	if recorded.Identity != c.Identity() || recorded.Inbound != c.Inbound() {
		t.Errorf("recorded %v, is %v", recorded, record{c.Identity(), c.Inbound()})
	}
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("health: %v", err)
	}
	if !strings.HasPrefix(c.Inbound().Address, "127.0.0.1:") {
		t.Errorf("inbound at %s", c.Inbound().Address)
	}
	if found, err := FindByNonce("nonce-1"); err != nil || found != c.Identity() {
		t.Errorf("found %v (%v), is %v", found, err, c.Identity())
	}
	if reason := c.ExitReason(); reason != "" {
		t.Errorf("exit reason %q while running", reason)
	}
	wrong := &Core{identity: c.identity, inbound: c.inbound, plan: c.plan, done: make(chan struct{})}
	wrong.inbound.Password = "wrong"
	if wrong.Health(t.Context()) == nil {
		t.Error("the inbound takes any password")
	}

	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := c.Stop(t.Context(), long); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	await(t, "done after Stop", c.Done())
	if alive(c.Identity().PID) {
		t.Error("the process is still there after Stop")
	}
	if !strings.Contains(c.ExitReason(), "exit status 0") && !strings.Contains(c.ExitReason(), "terminated") {
		t.Errorf("exit reason %q", c.ExitReason())
	}
	var exit *ExitError
	if err := c.Health(t.Context()); !errors.As(err, &exit) {
		t.Errorf("health after Stop: %v", err)
	}
	if err := c.Stop(t.Context(), long); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

// Stop ends also the processes that do not exit when asked.
func TestStopEndsTheStubborn(t *testing.T) {
	t.Run("stopped, ends on TERM once continued", func(t *testing.T) {
		c := startCore(t, testSpec(t, realCore(t), "n"))
		if err := syscall.Kill(c.Identity().PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.ExitReason(), "killed") {
			t.Errorf("it took a KILL: %s", c.ExitReason())
		}
	})
	t.Run("ignores TERM", func(t *testing.T) {
		c := startCore(t, testSpec(t, self(t), stubPrefix+"ignore TERM"))
		if err := c.Stop(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(c.ExitReason(), "killed") || !c.Killed() || alive(c.Identity().PID) {
			t.Errorf("exit reason %q, killed %v, alive %v", c.ExitReason(), c.Killed(), alive(c.Identity().PID))
		}
	})
	t.Run("the end of the context shortens the grace", func(t *testing.T) {
		c := startCore(t, testSpec(t, self(t), stubPrefix+"ignore TERM"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Stop(ctx, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	})
	for _, behaviour := range []string{"fork", "fork and exit"} {
		t.Run(behaviour, func(t *testing.T) {
			spec := testSpec(t, self(t), stubPrefix+behaviour)
			c := startCore(t, spec)
			output, err := os.ReadFile(spec.LogFile)
			var sleeper int
			if _, scanErr := fmt.Sscanf(string(output), "sleeper %d", &sleeper); scanErr != nil {
				t.Fatalf("%q: %v, %v", output, err, scanErr)
			}
			if behaviour == "fork" {
				err = c.Stop(t.Context(), long)
			} else {
				err = syscall.Kill(c.Identity().PID, misbehave)
			}
			if err != nil {
				t.Fatal(err)
			}
			await(t, "the core's end", c.Done())
			eventually(t, "the sleeper's end", func() bool { return !alive(sleeper) })
		})
	}
}

func TestCrashIsAnEvent(t *testing.T) {
	c := startCore(t, testSpec(t, self(t), stubPrefix+"crash later"))
	if err := syscall.Kill(c.Identity().PID, misbehave); err != nil {
		t.Fatal(err)
	}
	await(t, "the crash", c.Done())
	if !strings.HasPrefix(c.ExitReason(), "exit status 2: ") || c.exit.Code != 2 || c.Killed() {
		t.Errorf("exit reason %q, code %d, killed %v", c.ExitReason(), c.exit.Code, c.Killed())
	}
}

func BenchmarkHealth(b *testing.B) {
	c := startCore(b, testSpec(b, realCore(b), "n"))
	for b.Loop() {
		if err := c.Health(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
