//go:build linux

package xray

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	long = 30 * time.Second // bounds a wait that takes milliseconds; no test depends on it

	canary = "b831381d-6324-4d53-ad4f-8cda48b30811"

	// envDaemon makes the test binary start a core and wait to be killed.
	envDaemon = "XRAT_TEST_DAEMON"
	// stubPrefix begins the nonce of a core that is the test binary itself; the rest says how it
	// behaves.
	stubPrefix = "stub "
	// misbehave is the signal on which a stub that serves first does what it is for.
	misbehave = syscall.SIGUSR1
)

func TestMain(m *testing.M) {
	if behaviour, ok := strings.CutPrefix(os.Getenv(envNonce), stubPrefix); ok {
		os.Exit(stub(behaviour))
	}
	if spec := os.Getenv(envDaemon); spec != "" {
		os.Exit(daemon(spec))
	}
	os.Exit(m.Run())
}

// stub is a core that does what real ones hardly ever do.
func stub(behaviour string) int {
	config, _ := io.ReadAll(os.Stdin)
	var plan struct {
		Inbounds []struct{ Port int }
	}
	_ = json.Unmarshal(config, &plan)
	var ports []int
	for _, in := range plan.Inbounds {
		ports = append(ports, in.Port)
	}
	wait := func() { select {} }
	serveUntilSignal := func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, misbehave)
		go serveSOCKS(ports)
		<-told
	}
	switch behaviour {
	case "exit 23":
		fmt.Printf("noise\nFailed to start: \x1b[31mbad\x1b[0m \u202eid %s\n", canary)
		return 23
	case "silent exit":
		return 1
	case "crash later":
		serveUntilSignal()
		panic("stub")
	case "no listener":
		wait()
	case "extra listener":
		if _, err := net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 9
		}
		serveSOCKS(ports)
	case "extra udp":
		if _, err := net.ListenPacket("udp", "0.0.0.0:0"); err != nil {
			return 9
		}
		serveSOCKS(ports)
	case "ignore TERM":
		signal.Ignore(syscall.SIGTERM)
		serveSOCKS(ports)
	case "fork", "fork and exit":
		child := exec.Command("/proc/self/exe")
		child.Env = []string{envNonce + "=" + stubPrefix + "sleeper"}
		if err := child.Start(); err != nil {
			return 9
		}
		fmt.Println("sleeper", child.Process.Pid)
		if behaviour == "fork and exit" {
			serveUntilSignal()
			return 3
		}
		serveSOCKS(ports)
	case "sleeper":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		wait()
	case "dump":
		environment, _ := json.Marshal(os.Environ())
		dir, _ := os.Getwd()
		group := syscall.Getpgrp()
		fmt.Printf("%s %q %d %d %q\n", environment, dir, os.Getpid(), group, os.Args)
		return 0
	case "serve":
		serveSOCKS(ports)
	}
	return 9
}

// serveSOCKS listens on the ports, and on the first answers every greeting and login, as a healthy
// core does.
func serveSOCKS(ports []int) {
	var listeners []net.Listener
	for _, port := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			fmt.Println("listen: address already in use")
			os.Exit(255)
		}
		listeners = append(listeners, l)
	}
	for {
		conn, err := listeners[0].Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.ReadFull(conn, make([]byte, 3))
			conn.Write([]byte{5, 2})
			conn.Read(make([]byte, 512))
			conn.Write([]byte{1, 0})
			io.Copy(io.Discard, conn)
		}()
	}
}

// record is what the daemon stores of a core.
type record struct {
	Identity Identity
	Inbound  Inbound
}

// daemon starts a core, prints its record and waits to be killed.
func daemon(specText string) int {
	var spec struct{ Executable, Nonce, Dir, LogFile string }
	if err := json.Unmarshal([]byte(specText), &spec); err != nil {
		panic(err)
	}
	c, err := Start(context.Background(), zerolog.Nop(), Spec{
		Executable: spec.Executable, Nonce: spec.Nonce, Dir: spec.Dir, LogFile: spec.LogFile, Link: mustLink(),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	text, _ := json.Marshal(record{c.Identity(), c.Inbound()})
	fmt.Println(string(text))
	select {}
}

// runDaemon runs daemon in a process of its own. It returns the record that this printed, and a
// function that kills it.
func runDaemon(t *testing.T, spec Spec) (record, func()) {
	t.Helper()
	text, _ := json.Marshal(map[string]string{
		"Executable": spec.Executable, "Nonce": spec.Nonce, "Dir": spec.Dir, "LogFile": spec.LogFile,
	})
	command := exec.Command(self(t))
	command.Env = append(os.Environ(), envDaemon+"="+string(text))
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	var r record
	if err != nil || json.Unmarshal([]byte(line), &r) != nil {
		t.Fatalf("the daemon said %q (%v)", line, err)
	}
	t.Cleanup(func() { _ = End(context.Background(), zerolog.Nop(), r.Identity, 0) })
	return r, kill
}

func mustLink() link.Link {
	return mustParse("vless://" + canary + "@127.0.0.1:9?type=tcp&security=none#test")
}

func mustParse(uri string) link.Link {
	l, err := link.Parse(uri)
	if err != nil {
		panic(err)
	}
	return l
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// realCore returns the core to test with: $XRAT_XRAY, or the one that the Makefile builds.
func realCore(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(EnvCore); path != "" {
		return path
	}
	path, err := filepath.Abs("../../bin/xray")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no core to test with (make build makes bin/xray): %v", err)
	}
	return path
}

func testSpec(t testing.TB, executable, nonce string) Spec {
	dir := t.TempDir()
	return Spec{
		Executable: executable, Link: mustLink(), Nonce: nonce,
		Dir: filepath.Join(dir, "work"), LogFile: filepath.Join(dir, "core.log"), ReadyTimeout: long,
	}
}

// startCore starts a core and stops it at the end of the test.
func startCore(t testing.TB, spec Spec) *Core {
	t.Helper()
	c, err := Start(t.Context(), zerolog.New(zerolog.NewTestWriter(t)), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, c.Stop)
	return c
}

// stopAtEnd calls stop, of a core or of a batch, at the end of the test.
func stopAtEnd(t testing.TB, stop func(context.Context, time.Duration) error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(context.Background(), 0); err != nil {
			t.Error(err)
		}
	})
}

// startStub starts a stub that is not a core, and reaps it at the end of the test.
func startStub(t *testing.T, behaviour string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = []string{envNonce + "=" + stubPrefix + behaviour}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}

func alive(pid int) bool {
	stat, err := readStat(pid)
	return err == nil && stat.state != 'Z' && stat.state != 'X'
}

// eventually waits for something of which there is no event.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(long); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// await waits for an event.
func await(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(long):
		t.Fatalf("still not: %s", what)
	}
}
