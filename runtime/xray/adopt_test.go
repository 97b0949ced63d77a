//go:build linux

package xray

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A core outlives the program that started it and can be taken over.
func TestAdopt(t *testing.T) {
	r, kill := runDaemon(t, testSpec(t, realCore(t), "nonce-adopt"))
	kill()
	if !alive(r.Identity.PID) {
		t.Fatal("the core died with the program that started it")
	}
	if found, err := FindByNonce("nonce-adopt"); err != nil || found != r.Identity {
		t.Errorf("found %v (%v), recorded %v", found, err, r.Identity)
	}
	c, err := Adopt(t.Context(), zerolog.Nop(), r.Identity, r.Inbound)
	if err != nil {
		t.Fatal(err)
	}
	if c.Identity() != r.Identity || c.Inbound() != r.Inbound {
		t.Errorf("adopted %v at %v", c.Identity(), c.Inbound())
	}
	if err := c.Health(t.Context()); err != nil {
		t.Errorf("health: %v", err)
	}
	var log bytes.Buffer // read once the core has exited and nothing is written any more
	if c, err = Adopt(t.Context(), zerolog.New(&log).Level(zerolog.WarnLevel), r.Identity, r.Inbound); err != nil {
		t.Fatal(err)
	}
	if c.Killed() {
		t.Error("a running core is reported as killed")
	}
	// Its exit is an event although it is not our child.
	if err := syscall.Kill(r.Identity.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the exit of the adopted core", c.Done())
	if got := c.ExitReason(); got != "ended while it was not our child" || !c.Killed() {
		t.Errorf("exit reason %q, killed %v", got, c.Killed())
	}
	if log.Len() > 0 {
		t.Errorf("a warning about an ordinary end: %s", &log)
	}
}

func TestAdoptedCoreStops(t *testing.T) {
	for _, behaviour := range []string{"serve", "ignore TERM"} {
		r, kill := runDaemon(t, testSpec(t, self(t), stubPrefix+behaviour))
		kill()
		c, err := Adopt(t.Context(), zerolog.Nop(), r.Identity, r.Inbound)
		if err != nil {
			t.Fatalf("%s: %v", behaviour, err)
		}
		if err := syscall.Kill(r.Identity.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(t.Context(), 100*time.Millisecond); err != nil {
			t.Errorf("%s: %v", behaviour, err)
		}
		if alive(r.Identity.PID) {
			t.Errorf("%s: still there", behaviour)
		}
	}
}

// A record that fits no process is not adopted, and End touches no process for it.
func TestStrangersAreLeftAlone(t *testing.T) {
	stranger := startStub(t, "sleeper")
	var real Identity
	eventually(t, "the stranger runs", func() bool {
		var err error
		real, err = identify(stranger.Process.Pid)
		return err == nil && real.Executable != ""
	})
	exited := startStub(t, "silent exit") // which stays a zombie until the end of the test
	eventually(t, "the other has exited", func() bool { return !alive(exited.Process.Pid) })

	change := func(f func(*Identity)) Identity {
		id := real
		f(&id)
		return id
	}
	for _, test := range []struct {
		name string
		id   Identity
		want error
	}{
		{"none", Identity{}, ErrPIDMissing},
		{"negative", change(func(id *Identity) { id.PID = -1 }), ErrPIDMissing},
		{"gone", change(func(id *Identity) { id.PID = 1 << 30 }), ErrPIDMissing},
		{"zombie", change(func(id *Identity) { id.PID = exited.Process.Pid }), ErrPIDMissing},
		{"before the boot", change(func(id *Identity) { id.BootID = "other" }), ErrPIDMissing},
		{"other start", change(func(id *Identity) { id.StartTime-- }), ErrIdentityMismatch},
		{"other program", change(func(id *Identity) { id.Executable = "/usr/bin/xray" }), ErrIdentityMismatch},
		{"does not serve", real, ErrUnhealthy},
	} {
		_, err := Adopt(t.Context(), zerolog.Nop(), test.id, Inbound{Address: "127.0.0.1:1", User: "u", Password: "p"})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.want == ErrUnhealthy {
			continue
		}
		if err := End(t.Context(), zerolog.Nop(), test.id, 0); err != nil {
			t.Errorf("%s: End: %v", test.name, err)
		}
		if !alive(stranger.Process.Pid) {
			t.Fatalf("%s: End ended a stranger", test.name)
		}
	}
	if _, err := FindByNonce("no such nonce"); !errors.Is(err, ErrPIDMissing) {
		t.Errorf("FindByNonce: %v", err)
	}
	if _, err := FindByNonce(""); !errors.Is(err, ErrPIDMissing) {
		t.Errorf("FindByNonce without a nonce: %v", err)
	}
}

// A core that a signal has stopped is unusable, but ours to end.
func TestStoppedCoreIsNotAdopted(t *testing.T) {
	r, kill := runDaemon(t, testSpec(t, realCore(t), "n"))
	kill()
	if err := syscall.Kill(r.Identity.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Adopt(ctx, zerolog.Nop(), r.Identity, r.Inbound); !errors.Is(err, ErrUnhealthy) {
		t.Errorf("error %v, want ErrUnhealthy", err)
	}
	if err := End(t.Context(), zerolog.Nop(), r.Identity, long); err != nil {
		t.Fatal(err)
	}
	if alive(r.Identity.PID) {
		t.Error("still there after End")
	}
}
