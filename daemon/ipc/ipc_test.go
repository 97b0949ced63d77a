package ipc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// echo answers every request with the request.
type echo struct {
	block  chan struct{} // not nil: runtime_connect waits for it
	states chan EventPayload
}

func (e *echo) Handle(ctx context.Context, r Request) (any, string, error) {
	switch r.Type {
	case KindDaemonPing:
		return PingPayload{DaemonReady: true, PID: 7, Version: "test"}, "pong", nil
	case KindRuntimeConnect:
		if e.block != nil {
			<-e.block
		}
		return ConnectPayload{ConfigID: *r.ConfigID, SessionID: 3, PID: 4242}, "connected", nil
	case KindRuntimeReplace:
		return nil, "", Errorf(CodeBusy, "another one is in flight")
	case KindConfigList:
		return nil, "", errors.New("the disk is on fire")
	}
	return r, "", nil
}

func (e *echo) Subscribe() (<-chan EventPayload, func()) { return e.states, func() {} }

// socketDir is a directory for sockets; that of t.TempDir can be too long for them.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ipc")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serve starts a server and returns its socket.
func serve(t *testing.T, h Handler, adjust ...func(*Server)) string {
	t.Helper()
	path := filepath.Join(socketDir(t), "s")
	listener, err := Listen(path)
	must(t, err)
	server := &Server{Handler: h, Log: zerolog.Nop()}
	for _, a := range adjust {
		a(server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket is still there after the server's end")
		}
	})
	return path
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.UnixConn)
}

func readReply(t *testing.T, conn net.Conn) response {
	t.Helper()
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		t.Fatalf("reading the reply: %v", err)
	}
	var r response
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("reply %q: %v", line, err)
	}
	return r
}

func TestRequestEndsAtNewlineOrEndOfStream(t *testing.T) {
	path := serve(t, &echo{})
	const request = `{"protocol_version":1,"request":{"type":"runtime_connect","config_id":7}}`
	const want = `{"protocol_version":1,"ok":true,"code":"ok","message":"connected","payload":{"config_id":7,"session_id":3,"pid":4242,"config_name":""}}` + "\n"
	for name, send := range map[string]func(*net.UnixConn) error{
		"newline, connection kept open": func(c *net.UnixConn) error { _, err := io.WriteString(c, request+"\n"); return err },
		"carriage return and newline":   func(c *net.UnixConn) error { _, err := io.WriteString(c, request+"\r\n"); return err },
		"half-close, no newline": func(c *net.UnixConn) error {
			if _, err := io.WriteString(c, request); err != nil {
				return err
			}
			return c.CloseWrite()
		},
		"byte by byte": func(c *net.UnixConn) error {
			for i := range len(request) {
				if _, err := io.WriteString(c, request[i:i+1]); err != nil {
					return err
				}
			}
			return c.CloseWrite()
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, path)
			if err := send(conn); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || string(got) != want {
				t.Errorf("got %q, %v; want %q and the end", got, err, want)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	path := serve(t, &echo{})
	for name, test := range map[string]struct{ line, want string }{
		"empty":               {``, "empty"},
		"no JSON":             {`hello`, "malformed"},
		"byte order mark":     {"\ufeff" + `{"protocol_version":1,"request":{"type":"daemon_ping"}}`, "malformed"},
		"NUL":                 {"\x00", "malformed"},
		"array":               {`[]`, "malformed"},
		"no version":          {`{"request":{"type":"daemon_ping"}}`, "protocol_version"},
		"other version":       {`{"protocol_version":2,"request":{"type":"daemon_ping"}}`, "version 2 is not supported"},
		"no request":          {`{"protocol_version":1}`, `"request"`},
		"no type":             {`{"protocol_version":1,"request":{}}`, `"type"`},
		"unknown type":        {`{"protocol_version":1,"request":{"type":"make_coffee"}}`, `"make_coffee"`},
		"unknown argument":    {`{"protocol_version":1,"request":{"type":"daemon_ping","config_id":1}}`, `does not take "config_id"`},
		"argument's case":     {`{"protocol_version":1,"request":{"type":"runtime_connect","Config_ID":1}}`, `does not take "Config_ID"`},
		"type's case":         {`{"protocol_version":1,"request":{"Type":"daemon_ping"}}`, `no "type"`},
		"twice the same name": {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":1,"config_id":2}}`, "twice"},
		"twice the request":   {`{"protocol_version":1,"request":{"type":"daemon_ping"},"request":{"type":"daemon_shutdown"}}`, "twice"},
		"missing argument":    {`{"protocol_version":1,"request":{"type":"runtime_replace"}}`, `needs "trigger"`},
		"null argument":       {`{"protocol_version":1,"request":{"type":"runtime_replace","trigger":null}}`, `needs "trigger"`},
		"unknown trigger":     {`{"protocol_version":1,"request":{"type":"runtime_replace","trigger":"whim"}}`, `"whim"`},
		"wrong type":          {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":"seven"}}`, "/config_id"},
		"fraction":            {`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":1.5}}`, "/config_id"},
		"too long":            {`{"protocol_version":1,"request":{"type":"config_import","text":"` + strings.Repeat("x", maxLine) + `"}}`, "1 MiB"},
		"deep":                {strings.Repeat("[", 200000), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, path)
			go func() { // the server may cut us off before all is written
				io.WriteString(conn, test.line)
				conn.CloseWrite()
			}()
			r := readReply(t, conn)
			if r.OK || r.Code != CodeInvalidState || !strings.Contains(r.Message, test.want) {
				t.Errorf("got %+v; want invalid_state with %q", r, test.want)
			}
		})
	}
}

func TestMalformedRequestIsNotRepeated(t *testing.T) {
	const secret = "5f0a2c1e-secret"
	for _, line := range []string{
		`{"protocol_version":1,"request":{"type":"config_import","text":{"vless":"` + secret + `"}}}`,
		`{"protocol_version":1,"request":{"type":"config_import","text":"` + secret,
	} {
		if _, err := decodeRequest([]byte(line)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}

func TestSlowSenderIsToldAndCutOff(t *testing.T) {
	path := serve(t, &echo{}, func(s *Server) { s.requestTime = 50 * time.Millisecond })
	conn := dial(t, path)
	io.WriteString(conn, `{"protocol_version":1,`)
	r := readReply(t, conn)
	if r.Code != CodeInvalidState || !strings.Contains(r.Message, "in time") {
		t.Errorf("got %+v", r)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is still open: %v", err)
	}
}

// A thousand silent clients and many with long lines must not keep others waiting.
func TestIdleAndGreedyClientsDoNotStarveOthers(t *testing.T) {
	path := serve(t, &echo{})
	for range 500 {
		dial(t, path)
	}
	long := strings.Repeat("x", maxLine-100)
	var greedy sync.WaitGroup
	for range 64 {
		conn := dial(t, path)
		greedy.Go(func() { io.WriteString(conn, long) })
	}
	client := &Client{Socket: path}
	for range 20 {
		if _, err := client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// makeStale leaves a socket behind as a killed daemon does.
func makeStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListenReplacesOnlyAStaleSocket(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string // "" when it is replaced
	}{
		"nothing":      {func(*testing.T, string) {}, ""},
		"stale socket": {makeStale, ""},
		"file":         {func(t *testing.T, p string) { must(t, os.WriteFile(p, []byte("precious"), 0o600)) }, "another kind"},
		"directory":    {func(t *testing.T, p string) { must(t, os.Mkdir(p, 0o700)) }, "directory"},
		"symlink": {func(t *testing.T, p string) {
			makeStale(t, p+".target")
			must(t, os.Symlink(p+".target", p))
		}, "symbolic link"},
		"live socket": {func(t *testing.T, p string) {
			l, err := net.Listen("unix", p)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(socketDir(t), "s")
			test.make(t, path)
			before, _ := os.Lstat(path)
			l, err := Listen(path)
			if test.want == "" {
				must(t, err)
				defer l.Close()
				info, err := os.Lstat(path)
				must(t, err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v", info.Mode())
				}
				return
			}
			if err == nil {
				l.Close()
				t.Fatal("replaced")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name %q and the path", err, test.want)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("the target was touched: %v", err)
			}
			if test.want == "another program" {
				return
			}
			if _, err := (&Client{Socket: path}).Ping(t.Context()); err == nil || errors.Is(err, ErrNotRunning) {
				t.Errorf("the client accepts it: %v", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptionEndsWithTheClient(t *testing.T) {
	states := make(chan EventPayload)
	ended := make(chan struct{})
	h := &endNotice{echo: echo{states: states}, ended: ended}
	path := serve(t, h)
	conn := dial(t, path)
	io.WriteString(conn, `{"protocol_version":1,"request":{"type":"subscribe"}}`+"\n")
	states <- EventPayload{Seq: 1}
	readReply(t, conn)
	conn.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the subscription of a client that is gone goes on")
	}
}

type endNotice struct {
	echo
	ended chan struct{}
}

func (e *endNotice) Subscribe() (<-chan EventPayload, func()) {
	return e.states, sync.OnceFunc(func() { close(e.ended) })
}

// A request in flight when the server ends is answered within the grace.
func TestRequestInFlightIsAnsweredAtTheEnd(t *testing.T) {
	listener, err := Listen(filepath.Join(socketDir(t), "s"))
	must(t, err)
	h := &echo{block: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&Server{Handler: h}).Serve(ctx, listener, 10*time.Second) }()
	conn := dial(t, listener.Path())
	silent := dial(t, listener.Path())
	io.WriteString(conn, `{"protocol_version":1,"request":{"type":"runtime_connect","config_id":1}}`+"\n")
	// The ping's answer shows that the request before it was read.
	if _, err := (&Client{Socket: listener.Path()}).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("a client without a request got an answer")
	}
	close(h.block)
	if r := readReply(t, conn); !r.OK {
		t.Errorf("got %+v", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"protocol_version":1,"request":{"type":"runtime_connect","config_id":7}}`))
	f.Add([]byte(`{"protocol_version":1,"request":{"type":"config_remove","ids":[1,2]}}`))
	f.Add([]byte(`{"protocol_version":9}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := decodeRequest(line)
		if err != nil {
			if CodeOf(err) != CodeInvalidState {
				t.Errorf("code %s", CodeOf(err))
			}
			return
		}
		if _, known := arguments[r.Type]; !known {
			t.Errorf("accepted type %q", r.Type)
		}
	})
}
