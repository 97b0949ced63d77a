//go:build linux

package xray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// A core gets its own directory and group, and nothing of our environment that it does not need.
func TestWhatACoreIsGiven(t *testing.T) {
	t.Setenv("XRAY_LOCATION_CONFDIR", t.TempDir())
	t.Setenv("SSL_CERT_DIR", "/certs")
	t.Setenv("SSL_CERT_FILE", "/ca.pem")
	spec := testSpec(t, self(t), stubPrefix+"dump")
	if _, err := Start(t.Context(), zerolog.Nop(), spec, nil); err == nil {
		t.Fatal("no error although the core exits")
	}
	output, err := os.ReadFile(spec.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	var environment []string
	text, rest, _ := strings.Cut(string(output), "] ")
	if err := json.Unmarshal([]byte(text+"]"), &environment); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	want := []string{envNonce + "=" + spec.Nonce, "XRAY_LOCATION_ASSET=" + spec.Dir, "SSL_CERT_FILE=/ca.pem", "SSL_CERT_DIR=/certs"}
	var others []string
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "PWD=") { // os/exec adds it with Dir
			others = append(others, variable)
		}
	}
	if fmt.Sprint(others) != fmt.Sprint(want) {
		t.Errorf("environment %q, want %q", others, want)
	}
	var dir string
	var pid, group int
	var arguments string
	if _, err := fmt.Sscanf(rest, "%q %d %d", &dir, &pid, &group); err != nil {
		t.Fatalf("%v in %s", err, rest)
	}
	_, arguments, _ = strings.Cut(rest, "[")
	if dir != spec.Dir || pid != group || !strings.HasSuffix(strings.TrimSpace(arguments), `"run" "-c" "stdin:"]`) {
		t.Errorf("dir %s, pid %d, group %d, arguments %s", dir, pid, group, arguments)
	}
	if info, err := os.Stat(spec.LogFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log file: %v, %v", info.Mode(), err)
	}
}

// Of a core that never serves, nothing is left when Start returns.
func TestFailedStartLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		behaviour string
		timeout   time.Duration
		want      string
		code      int // of the ExitError; 0: none
	}{
		{"exit 23", long, "exit status 23: Failed to start: [31mbad[0m id " + redacted, 23},
		{"silent exit", long, "the core exited: exit status 1", 1},
		{"no listener", 300 * time.Millisecond, "did not serve within 300ms", 0},
		{"extra listener", long, "not planned: tcp 127.0.0.1:", 0},
		{"extra udp", long, "not planned: udp ", 0},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			spec := testSpec(t, self(t), stubPrefix+test.behaviour)
			spec.ReadyTimeout = test.timeout
			var id Identity
			calls := 0
			_, err := Start(t.Context(), zerolog.Nop(), spec, func(i Identity, _ Inbound) error {
				id = i
				calls++
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q in it", err, test.want)
			}
			var exit *ExitError
			if errors.As(err, &exit) != (test.code != 0) || exit != nil && exit.Code != test.code {
				t.Errorf("exit error %+v, want code %d", exit, test.code)
			}
			if calls != 1 {
				t.Errorf("%d tries", calls)
			}
			if alive(id.PID) {
				t.Errorf("process %d is still there", id.PID)
			}
			output, _ := os.ReadFile(spec.LogFile)
			if strings.Contains(string(output)+err.Error(), canary) {
				t.Error("the secret is in the log or in the error")
			}
		})
	}
}

func TestErrorOfStartedEndsTheStart(t *testing.T) {
	refusal := errors.New("store is full")
	var id Identity
	_, err := Start(t.Context(), zerolog.Nop(), testSpec(t, realCore(t), "n"), func(i Identity, _ Inbound) error {
		id = i
		return refusal
	})
	if !errors.Is(err, refusal) || id.PID == 0 || alive(id.PID) {
		t.Errorf("error %v, process %d alive: %v", err, id.PID, alive(id.PID))
	}
}

func TestStartCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var id Identity
	_, err := Start(ctx, zerolog.Nop(), testSpec(t, self(t), stubPrefix+"no listener"), func(i Identity, _ Inbound) error {
		id = i
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || alive(id.PID) {
		t.Errorf("error %v, process alive: %v", err, alive(id.PID))
	}
	if _, err := Start(ctx, zerolog.Nop(), testSpec(t, realCore(t), "n"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// Another program takes the port between the choice and the spawn: with an ordinary listener, and
// with one that shares it.
func TestTakenPortIsReplaced(t *testing.T) {
	for _, shared := range []bool{false, true} {
		var squatter net.Listener
		calls := 0
		pick := func() (Inbound, error) {
			in, err := newInbound()
			if calls++; calls == 1 && err == nil {
				config := net.ListenConfig{}
				if shared {
					config.Control = func(_, _ string, conn syscall.RawConn) error {
						return conn.Control(func(fd uintptr) {
							_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
						})
					}
				}
				squatter, err = config.Listen(t.Context(), "tcp4", in.Address)
			}
			return in, err
		}
		c, err := start(t.Context(), zerolog.Nop(), testSpec(t, realCore(t), "n"), nil, pick)
		if err != nil {
			t.Fatalf("shared %v: %v", shared, err)
		}
		if calls != 2 || c.Inbound().Address == squatter.Addr().String() {
			t.Errorf("shared %v: %d tries, inbound %s, squatter %s", shared, calls, c.Inbound().Address, squatter.Addr())
		}
		squatter.Close()
		if err := c.Stop(t.Context(), long); err != nil {
			t.Error(err)
		}
	}
}

func TestUnusableExecutablesAreExplained(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	core, err := os.ReadFile(realCore(t))
	if err != nil {
		t.Fatal(err)
	}
	foreign := []byte(string(core[:4096]))
	foreign[18], foreign[19] = 0xf3, 0 // e_machine of ELF: RISC-V
	for _, test := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "gone"), "is not there any more"},
		{"not executable", write("plain", "#!/bin/sh\n", 0o600), "chmod +x"},
		{"empty", write("empty", "", 0o700), "not a program for this machine"},
		{"cut", write("cut", string(core[:40]), 0o700), "not a program for this machine"},
		{"other machine", write("riscv", string(foreign), 0o700), "not a program for this machine"},
		{"folder", dir, "may not be executed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Start(t.Context(), zerolog.Nop(), testSpec(t, test.path, "n"), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
				t.Errorf("error %v, want %q and the path in it", err, test.want)
			}
		})
	}
}

func BenchmarkStart(b *testing.B) {
	spec := testSpec(b, realCore(b), "n")
	for b.Loop() {
		c, err := Start(b.Context(), zerolog.Nop(), spec, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := c.Stop(b.Context(), long); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
