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
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// echo answers every request with the request.
type echo struct {
	block  chan struct{} // not nil: runtime_connect receives from it when it begins, and before it ends
	states chan EventPayload
}

func (e *echo) Handle(ctx context.Context, r Request) (any, string, error) {
	switch r.Type {
	case KindDaemonPing:
		return PingPayload{DaemonReady: true, PID: 7, Version: "test"}, "pong", nil
	case KindRuntimeConnect:
		if e.block != nil {
			<-e.block
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

// Nobody is cut off here for being slow: a ping that had to wait for the others would wait for
// ever.
func TestIdleAndGreedyClientsDoNotStarveOthers(t *testing.T) {
	path := serve(t, &echo{}, func(s *Server) { s.requestTime = time.Hour })
	for range 500 {
		dial(t, path)
	}
	long := strings.Repeat("x", maxLine-100)
	for range 64 {
		conn := dial(t, path)
		go io.WriteString(conn, long)
	}
	client := &Client{Socket: path, answerTime: 20 * time.Second}
	for range 20 {
		if _, err := client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
	h.block <- struct{}{} // it has begun
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
