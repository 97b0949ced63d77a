//go:build unix

package plane

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/proxy"

	"github.com/xrat-tray/xrat/runtime/front"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// childSocket makes this test program a data plane that listens there.
const childSocket = "XRAT_TEST_PLANE"

func TestMain(m *testing.M) {
	if socket := os.Getenv(childSocket); socket != "" {
		if err := child(socket); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is the process of a data plane. It notes in a file how often it has started the daemon.
func child(socket string) error {
	conn, err := net.FileConn(os.NewFile(3, "daemon"))
	if err != nil {
		return err
	}
	revived := 0
	return Run(context.Background(), Process{
		Socket: socket, First: conn.(*net.UnixConn), Version: os.Getenv("XRAT_TEST_VERSION"), Nonce: os.Getenv("XRAT_TEST_NONCE"), Log: zerolog.New(os.Stderr),
		Revive: func(context.Context) error {
			revived++
			return os.WriteFile(socket+".revived", []byte(strconv.Itoa(revived)), 0o600)
		},
		orphanTimes: orphanTimes{
			revive: 10 * time.Millisecond, most: time.Second, leave: time.Minute, soon: time.Minute, idle: 300 * time.Millisecond, look: 50 * time.Millisecond,
			drain: time.Minute,
		},
	})
}

// box is where the data planes of one test are.
type box struct {
	t       *testing.T
	dir     string
	version string

	mu   sync.Mutex
	pids []int
}

func newBox(t *testing.T) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "plane") // t.TempDir can be too long for a socket
	must(t, err)
	b := &box{t: t, dir: dir, version: "v1"}
	t.Cleanup(func() {
		for _, pid := range b.started() {
			if running(pid) {
				syscall.Kill(pid, syscall.SIGKILL) // our child, which nobody has waited for
			}
		}
		os.RemoveAll(dir)
	})
	return b
}

func (b *box) start(first *os.File, socket, nonce string) (int, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childSocket+"="+socket, "XRAT_TEST_VERSION="+b.version, "XRAT_TEST_NONCE="+nonce)
	cmd.ExtraFiles = []*os.File{first}
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go cmd.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pids = append(b.pids, cmd.Process.Pid)
	return cmd.Process.Pid, nil
}

// started are the pids of all data planes, the last one last.
func (b *box) started() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]int(nil), b.pids...)
}

func (b *box) pid() int {
	all := b.started()
	return all[len(all)-1]
}

// running reports whether a process is there and no zombie.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// client is a daemon's front. It is closed at the end, if the test has not done so.
func (b *box) client(change ...func(*ClientDeps)) *Client {
	deps := ClientDeps{
		Front: front.Options{SOCKS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Wait: patience},
		Dir:   b.dir, Version: b.version, Start: b.start, Log: zerolog.Nop(),
	}
	for _, f := range change {
		f(&deps)
	}
	c := NewClient(deps)
	b.t.Cleanup(func() { c.Close() })
	return c
}

// open is a client whose front is open and has k as its target, with the id 1.
func (b *box) open(k *core, change ...func(*ClientDeps)) *Client {
	b.t.Helper()
	c := b.client(change...)
	must(b.t, c.Open(b.t.Context()))
	c.SetTarget(k.target(1))
	return c
}

// die ends a daemon as a kill does: its connections end, and it says nothing.
func (c *Client) die() {
	c.mu.Lock()
	l := c.listeners
	c.left, c.open, c.listeners = true, false, front.Listeners{}
	c.mu.Unlock()
	for _, p := range c.peers() {
		p.channel.close()
		<-p.gone
	}
	l.Close()
}

// core is a SOCKS server in the place of a core, which sends everything back.
type core struct {
	t testing.TB
	l net.Listener
}

func newCore(t testing.TB) *core {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	k := &core{t, l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	return k
}

func (k *core) target(id int64) *front.Target {
	return &front.Target{ID: id, Address: k.l.Addr().String(), User: "u", Password: "p"}
}

// echo serves one connection. The front sends greeting, credentials and request in one go.
func echo(conn net.Conn) {
	defer conn.Close()
	b := make([]byte, 4096)
	seen := 0
	// 05 01 02, 01 01 u 01 p, 05 01 00 03 n name port
	const before = 3 + 5 + 5
	for seen < before || seen < before+int(b[before-1])+2 {
		n, err := conn.Read(b[seen:])
		if err != nil {
			return
		}
		seen += n
	}
	length := before + int(b[before-1]) + 2
	conn.Write([]byte{5, 2, 1, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	conn.Write(b[length:seen])
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return
		}
	}
}

// dialThrough connects through the front that listens at an address.
func dialThrough(socks string) (net.Conn, error) {
	d, err := proxy.SOCKS5("tcp", socks, nil, proxy.Direct)
	if err != nil {
		return nil, err
	}
	return d.Dial("tcp", "echo.invalid:1")
}

func connect(t testing.TB, c *Client) net.Conn {
	t.Helper()
	socks, _ := c.Addresses()
	conn, err := dialThrough(socks)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// speak sends a text and expects it back.
func speak(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if err := say(conn, text); err != nil {
		t.Fatal(err)
	}
}

func say(conn net.Conn, text string) error {
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	b := make([]byte, len(text))
	for n := 0; n < len(b); {
		m, err := conn.Read(b[n:])
		if err != nil {
			return err
		}
		n += m
	}
	if string(b) != text {
		return fmt.Errorf("sent %q, got %q", text, b)
	}
	return nil
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func withCancel(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// serving is the data plane that takes new connections.
func (c *Client) serving() *peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}
