//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/socks5"
	"github.com/xrat-tray/xrat/runtime/trojan"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	long = 30 * time.Second // no test passes or fails by coming near it

	// envVictim makes the test binary open a lab and wait to be killed.
	envVictim = "XRAT_TEST_VICTIM"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		l, err := New(context.Background(), Options{Core: os.Getenv(xray.EnvCore), Dir: dir, Log: zerolog.Nop()})
		if err != nil {
			panic(err)
		}
		s, err := l.AddServer("victim", VLESS)
		if err != nil {
			panic(err)
		}
		fmt.Println(s.process.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

// realCore gives the core to test with: $XRAT_XRAY, or the one that the Makefile builds.
func realCore(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(xray.EnvCore); path != "" {
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

func newLab(t testing.TB) *Lab {
	t.Helper()
	l, err := New(t.Context(), Options{Core: realCore(t), Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func addServer(t testing.TB, l *Lab, name string, kind Kind) *Server {
	t.Helper()
	s, err := l.AddServer(name, kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// client starts a core that goes out through s, and gives its inbound.
func client(t testing.TB, s *Server) xray.Inbound {
	t.Helper()
	return clientOf(t, s, s.Link())
}

// clientOf is client with a link of the test's.
func clientOf(t testing.TB, s *Server, text string) xray.Inbound {
	t.Helper()
	parsed, err := link.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Name != s.Name() {
		t.Errorf("the link names %q", parsed.Name)
	}
	dir := t.TempDir()
	core, err := xray.Start(t.Context(), zerolog.Nop(), xray.Spec{
		Executable: realCore(t), Link: parsed, Nonce: "lab", Dir: dir, LogFile: filepath.Join(dir, "core.log"), ReadyTimeout: long,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := core.Stop(context.Background(), 0); err != nil {
			t.Error(err)
		}
	})
	return core.Inbound()
}

func proxy(in xray.Inbound) probe.Proxy {
	return probe.Proxy{Address: in.Address, User: in.User, Password: in.Password}
}

// get asks for a page through in and closes the connection after it.
func get(ctx context.Context, in xray.Inbound, page string) (string, error) {
	transport := &http.Transport{
		Proxy:             http.ProxyURL(&url.URL{Scheme: "socks5", Host: in.Address, User: url.UserPassword(in.User, in.Password)}),
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// connect opens a connection to target through in.
func connect(t testing.TB, in xray.Inbound, target string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", in.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	request := socks5.AppendOpening(nil, in.User, in.Password)
	_, err = conn.Write(socks5.AppendRequest(request, socks5.CommandConnect, destination(t, target)))
	if err != nil {
		t.Fatal(err)
	}
	_, greeting, err := socks5.ReadReplies(conn, true)
	if err != nil {
		t.Fatal(err)
	}
	return &greetedConn{Conn: conn, reader: io.MultiReader(bytes.NewReader(greeting), conn)}
}

// greetedConn is a connection on which a greeting came together with the answer of the proxy.
type greetedConn struct {
	net.Conn
	reader io.Reader
}

func (c *greetedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func destination(t testing.TB, target string) socks5.Address {
	t.Helper()
	dest, err := socks5.ParseAddress(target)
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

// askUDP sends text to the origin's echo through in and returns the answer.
func askUDP(t testing.TB, in xray.Inbound, target, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", in.Relay)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(trojan.AppendAssociate(nil, in.Password)); err != nil {
		t.Fatal(err)
	}
	packet := trojan.AppendPacket(nil, destination(t, target), []byte(text))
	var got []byte
	b := make([]byte, 4096)
	// Sent again when lost, as every user of UDP has to.
	for deadline := time.Now().Add(long); time.Now().Before(deadline); {
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, _ := conn.Read(b)
		got = append(got, b[:n]...)
		if _, answer, _, err := trojan.CutPacket(got); err == nil {
			return string(answer)
		}
	}
	t.Fatalf("no answer by UDP to %q", text)
	return ""
}

// TestKinds uses every kind of server for everything that the origin has.
func TestKinds(t *testing.T) {
	l := newLab(t)
	each(t, func(t *testing.T, kind Kind) {
		s := addServer(t, l, "server "+string(kind), kind)
		in := client(t, s)
		got, err := get(t.Context(), in, l.Origin().URL("/exit"))
		if err != nil || got != s.Name() {
			t.Errorf("exit %q, %v", got, err)
		}
		got, err = get(t.Context(), in, l.Origin().URL("/bytes?n=300000"))
		if err != nil || len(got) != 300000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		conn := connect(t, in, l.Origin().TCPAddress())
		reader := bufio.NewReader(conn)
		_ = conn.SetReadDeadline(time.Now().Add(long))
		// The server speaks first; the client stays silent until it has.
		if kind.ServerFirst() {
			if line, err := reader.ReadString('\n'); err != nil || line != "hello "+s.Name()+"\n" {
				t.Errorf("greeting %q, %v", line, err)
			}
		}
		fmt.Fprintln(conn, "anyone?")
		line, err := reader.ReadString('\n')
		if !kind.ServerFirst() && line == "hello "+s.Name()+"\n" { // it may come through, and may not
			line, err = reader.ReadString('\n')
		}
		if err != nil || line != "anyone?\n" {
			t.Errorf("echo %q, %v", line, err)
		}
		if s.Connections() == 0 {
			t.Error("the gate saw no connection")
		}
		if !kind.UDP() {
			return
		}
		if got := askUDP(t, in, l.Origin().UDPAddress(), "exit"); got != s.Name() {
			t.Errorf("exit by UDP %q", got)
		}
		if got := askUDP(t, in, l.Origin().UDPAddress(), "ping"); got != "ping" {
			t.Errorf("echo by UDP %q", got)
		}
	})
	if n := l.Origin().Requests("GET", "/exit"); n != int64(len(Kinds())) {
		t.Errorf("the origin counted %d requests", n)
	}
	if _, err := l.AddServer("x", "nonsense"); err == nil {
		t.Error("a kind that does not exist")
	}
}

// each runs test for all kinds at once, and waits.
func each(t *testing.T, test func(*testing.T, Kind)) {
	t.Run("kinds", func(t *testing.T) {
		for _, kind := range Kinds() {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				test(t, kind)
			})
		}
	})
}

// TestEnd closes connections from the site's side: the application must learn of it at once, since
// many answers end with their connection.
func TestEnd(t *testing.T) {
	site, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	go func() {
		for {
			conn, err := site.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = conn.Read(make([]byte, 16))
				_, _ = io.WriteString(conn, "bye")
				_ = conn.Close()
			}()
		}
	}()
	l := newLab(t)
	each(t, func(t *testing.T, kind Kind) {
		if !kind.Ends() {
			return
		}
		conn := connect(t, client(t, addServer(t, l, "server "+string(kind), kind)), site.Addr().String())
		_ = conn.SetReadDeadline(time.Now().Add(long))
		_, _ = io.WriteString(conn, "hello")
		if got, err := io.ReadAll(conn); err != nil || string(got) != "bye" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// TestLeave closes connections from the application's side: the site learns of it soon, and nothing
// is kept open for those who have gone.
func TestLeave(t *testing.T) {
	l := newLab(t)
	site, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	var sites sync.WaitGroup // most cores take their 5 s: all of them wait together
	for _, kind := range Kinds() {
		if !kind.Ends() {
			continue
		}
		conn := connect(t, client(t, addServer(t, l, "server "+string(kind), kind)), site.Addr().String())
		_, _ = io.WriteString(conn, "hello")
		_ = site.SetDeadline(time.Now().Add(long))
		visitor, err := site.Accept()
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		_ = visitor.SetReadDeadline(time.Now().Add(2 * long))
		if _, err := io.ReadFull(visitor, make([]byte, len("hello"))); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		_ = conn.Close()
		sites.Go(func() {
			defer visitor.Close()
			if _, err := io.Copy(io.Discard, visitor); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: the site was not told: %v", kind, err)
			}
		})
	}
	sites.Wait()
}

// TestOrigin visits the pages without a proxy.
func TestOrigin(t *testing.T) {
	o := newLab(t).Origin()
	page := func(method, path, body string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, o.URL(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	for _, test := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/generate_204", "", 204, ""},
		{"GET", "/exit", "", 200, "direct"},
		{"GET", "/bytes?n=5", "", 200, "\x00\x00\x00\x00\x00"},
		{"GET", "/bytes?n=-1", "", 400, "n has to be a number of bytes\n"},
		{"GET", "/stream?interval=1ms&chunks=3", "", 200, "chunk 0\nchunk 1\nchunk 2\n"},
		{"GET", "/stream?interval=0s&chunks=3", "", 400, ""},
		{"GET", "/slow?wait=1ms", "", 204, ""},
		{"GET", "/slow", "", 400, ""},
		{"POST", "/echo", "hear me", 200, "hear me"},
		{"POST", "/echo/7", "hear me too", 200, "hear me too"},
		{"GET", "/echo", "", 405, ""},
		{"GET", "/", "", 404, ""},
	} {
		status, got := page(test.method, test.path, test.body)
		if status != test.status || test.want != "" && got != test.want {
			t.Errorf("%s %s: %d %q", test.method, test.path, status, got)
		}
	}
	if o.Requests("GET", "/bytes") != 2 || o.Requests("POST", "/bytes") != 0 {
		t.Errorf("counts %d and %d", o.Requests("GET", "/bytes"), o.Requests("POST", "/bytes"))
	}
	o.Lose("/generate_204", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL("/generate_204"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(request); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lost request ended with %v", err)
	}
	o.Lose("/generate_204", 0)
	o.SetAnswer(AnswerPortal)
	if status, got := page("GET", "/generate_204", ""); status != 200 || !strings.Contains(got, "log in") {
		t.Errorf("portal: %d %q", status, got)
	}
	o.SetAnswer(AnswerError)
	if status, _ := page("GET", "/generate_204", ""); status != 503 {
		t.Errorf("error page: %d", status)
	}
}

// TestFaults breaks a server in every way and mends it.
func TestFaults(t *testing.T) {
	l := newLab(t)
	s := addServer(t, l, "one", VLESS)
	in := client(t, s)
	works := func(t *testing.T) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		for { // SYNs that were dropped are sent again after some time
			got, err := get(ctx, in, l.Origin().URL("/exit"))
			if err == nil && got == "one" {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("not mended: %q, %v", got, err)
			}
		}
	}
	silent := func(t *testing.T) {
		t.Helper()
		got := probe.Get(t.Context(), proxy(in), probe.Question{URLs: []string{l.Origin().URL("/generate_204")}, Timeout: 300 * time.Millisecond, Stagger: long}, nil)
		if got.Class != probe.ClassTimeout {
			t.Errorf("class %q (%v), want silence", got.Class, got.Err)
		}
	}
	closed := func(t *testing.T) {
		t.Helper()
		got := probe.Get(t.Context(), proxy(in), probe.Question{URLs: []string{l.Origin().URL("/generate_204")}, Timeout: long, Stagger: long}, nil)
		if got.Class != probe.ClassClosed {
			t.Errorf("class %q (%v), want closed", got.Class, got.Err)
		}
	}
	refused := func(t *testing.T) {
		t.Helper()
		if _, err := net.Dial("tcp", s.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialing the server: %v, want refused", err)
		}
		closed(t)
	}
	for _, test := range []struct {
		name        string
		break_, fix func() error
		check       func(*testing.T)
	}{
		{"kill and restart", s.Kill, s.Restart, refused},
		{"kill and heal", s.Kill, s.Heal, refused},
		{"refuse", s.Refuse, s.Heal, refused},
		{"freeze and thaw", s.Freeze, s.Thaw, silent},
		{"freeze and heal", s.Freeze, s.Heal, silent},
		{"freeze and restart", s.Freeze, s.Restart, silent},
		{"blackhole", s.Blackhole, s.Heal, silent},
		{"dead exit", s.DeadExit, s.Heal, silent},
		{"blackhole, then refuse", func() error { return errors.Join(s.Blackhole(), s.Refuse()) }, s.Heal, refused},
		{"refuse, then blackhole", func() error { return errors.Join(s.Refuse(), s.Blackhole()) }, s.Heal, silent},
	} {
		t.Run(test.name, func(t *testing.T) {
			works(t)
			if err := test.break_(); err != nil {
				t.Fatal(err)
			}
			test.check(t)
			if err := test.fix(); err != nil {
				t.Fatal(err)
			}
			works(t)
		})
	}
	t.Run("blackhole drops SYNs", func(t *testing.T) {
		before := s.Connections()
		if err := s.Blackhole(); err != nil {
			t.Fatal(err)
		}
		conn, err := net.DialTimeout("tcp", s.Address(), 200*time.Millisecond)
		if err == nil {
			conn.Close()
			t.Error("a connection was made")
		}
		if err := s.Heal(); err != nil {
			t.Fatal(err)
		}
		works(t)
		if got := s.Connections() - before; got > 3 { // works makes one, and one that it gave up may arrive late
			t.Errorf("%d connections counted", got)
		}
	})
	t.Run("frozen processes can be killed", func(t *testing.T) {
		if err := errors.Join(s.Freeze(), s.Kill()); err != nil {
			t.Fatal(err)
		}
		if s.Thaw() == nil {
			t.Error("a killed process was continued")
		}
		if err := s.Heal(); err != nil {
			t.Fatal(err)
		}
		works(t)
	})
}

// TestOldConnections looks at what happens to a connection that existed.
func TestOldConnections(t *testing.T) {
	l := newLab(t)
	s := addServer(t, l, "one", VLESS)
	in := client(t, s)
	conn := connect(t, in, l.Origin().TCPAddress())
	reader := bufio.NewReader(conn)
	ask := func(deadline time.Duration) error {
		_ = conn.SetReadDeadline(time.Now().Add(deadline))
		fmt.Fprintln(conn, "line")
		_, err := reader.ReadString('\n')
		return err
	}
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := ask(long); err != nil {
		t.Fatal(err)
	}
	const delay = 150 * time.Millisecond
	if err := s.Slow(delay); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := ask(long); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < delay {
		t.Errorf("slowed by %v, the answer took %v", delay, took)
	}
	if err := s.Blackhole(); err != nil {
		t.Fatal(err)
	}
	if err := ask(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("swallowed: %v", err)
	}
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := reader.ReadString('\n'); err != nil {
		t.Errorf("what was sent meanwhile is lost: %v", err)
	}
	if err := ask(long); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := s.DeadExit(); err != nil {
		t.Fatal(err)
	}
	if err := ask(200 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the way out is dead: %v", err)
	}
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if _, err := reader.ReadString('\n'); err != nil {
		t.Errorf("what was sent through a dead exit is lost: %v", err)
	}
	if err := s.Refuse(); err != nil {
		t.Fatal(err)
	}
	if err := ask(long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("refused: %v, want an end", err)
	}
}

// TestUDPFaults: Shadowsocks has datagrams of its own on the wire.
func TestUDPFaults(t *testing.T) {
	l := newLab(t)
	s := addServer(t, l, "ss", Shadowsocks)
	conn, err := net.Dial("udp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := client(t, s)
	if got := askUDP(t, in, l.Origin().UDPAddress(), "ping"); got != "ping" {
		t.Fatalf("echo %q", got)
	}
	if err := s.Slow(20 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if got := askUDP(t, in, l.Origin().UDPAddress(), "ping"); got != "ping" || time.Since(begin) < 40*time.Millisecond {
		t.Errorf("slow echo %q after %v", got, time.Since(begin))
	}
}

// TestCloseEndsAll closes by the context, with connections open and servers in every state.
func TestCloseEndsAll(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := New(ctx, Options{Core: realCore(t), Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for i, do := range []func(*Server) error{(*Server).Heal, (*Server).Freeze, (*Server).Kill, (*Server).Blackhole, (*Server).DeadExit} {
		s := addServer(t, l, "s"+strconv.Itoa(i), VLESS)
		connect(t, client(t, s), l.Origin().TCPAddress())
		pids = append(pids, s.process.Process.Pid)
		if err := do(s); err != nil {
			t.Fatal(err)
		}
		if s.process != nil {
			pids = append(pids, s.process.Process.Pid)
		}
	}
	cancel()
	done := make(chan error, 1)
	go func() { done <- l.Close() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(long):
		t.Fatal("Close does not end")
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if _, err := l.AddServer("late", VLESS); err == nil {
		t.Error("a closed lab took a server")
	}
	if err := l.servers[0].Restart(); err == nil {
		t.Error("a closed server started")
	}
}

// TestKilled kills the program that has the lab.
func TestKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), envVictim+"="+t.TempDir(), xray.EnvCore+"="+realCore(t))
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(line))
	_ = command.Process.Kill()
	_ = command.Wait()
	if err := errors.Join(err, convErr); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(long); ; time.Sleep(5 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the server outlived the program")
		}
	}
}

// TestWireGuard reaches the origin through a tunnel: what carries packets cannot be told to go to
// the loopback network.
func TestWireGuard(t *testing.T) {
	l := newLab(t)
	s := addServer(t, l, "tunnel", WireGuard)
	// One client at a time: a server has one peer for a key, wherever that is. The server's own
	// name must not be looked up through the tunnel to it.
	t.Run("name", func(t *testing.T) {
		in := clientOf(t, s, strings.Replace(s.Link(), "127.0.0.1", "localhost", 1))
		if got, err := get(t.Context(), in, l.Origin().RemoteURL("/exit")); err != nil || got != "tunnel" {
			t.Errorf("exit %q, %v", got, err)
		}
	})
	in := client(t, s)
	got, err := get(t.Context(), in, l.Origin().RemoteURL("/exit"))
	if err != nil || got != "tunnel" {
		t.Errorf("exit %q, %v", got, err)
	}
	got, err = get(t.Context(), in, l.Origin().RemoteURL("/bytes?n=300000"))
	if err != nil || len(got) != 300000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if s.Connections() == 0 {
		t.Error("the gate saw nothing")
	}
	_, port, _ := net.SplitHostPort(l.Origin().UDPAddress())
	if got := askUDP(t, in, net.JoinHostPort(RemoteHost, port), "exit"); got != "tunnel" {
		t.Errorf("exit by UDP %q", got)
	}
}

// A core carries datagrams for xrat and for nobody else: they need the password, and SOCKS5, for
// which the core would ask for none, has none of them.
func TestDatagramsAreForTheOwnerOfTheCore(t *testing.T) {
	l := newLab(t)
	in := client(t, addServer(t, l, "server", VLESS))
	conn, err := net.Dial("tcp", in.Relay)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := trojan.AppendAssociate(nil, "not "+in.Password)
	_, _ = conn.Write(trojan.AppendPacket(request, destination(t, l.Origin().UDPAddress()), []byte("ping")))
	_ = conn.SetReadDeadline(time.Now().Add(long))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a wrong password: %d bytes, %v", n, err)
	}

	socks, err := net.Dial("tcp", in.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer socks.Close()
	request = socks5.AppendOpening(nil, in.User, in.Password)
	_, _ = socks.Write(socks5.AppendRequest(request, socks5.CommandAssociate, destination(t, "0.0.0.0:0")))
	_ = socks.SetReadDeadline(time.Now().Add(long))
	if bound, _, err := socks5.ReadReplies(socks, true); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("SOCKS5 gave an association at %v, %v", bound, err)
	}

	if got := askUDP(t, in, l.Origin().UDPAddress(), "ping"); got != "ping" {
		t.Errorf("echo by UDP %q", got)
	}
}
