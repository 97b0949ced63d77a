package ipc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Handler answers requests. Its methods are called from many goroutines at
// once, and their context ends when the server does, not when the client goes
// away: an operation that was begun is finished.
type Handler interface {
	// Handle answers one request with a payload and a message for the user. An
	// *Error gives the code; any other error is an internal one.
	Handle(ctx context.Context, request Request) (payload any, message string, err error)
	// Subscribe returns a channel that always holds the newest state, and a
	// function that ends the subscription.
	Subscribe() (states <-chan EventPayload, cancel func())
}

const (
	// maxClients is how many connections are served at once.
	maxClients = 2048
	// requestTime is how long a client may take to send its request, and
	// replyTime to take the reply.
	requestTime = 5 * time.Second
	replyTime   = 5 * time.Second
)

// Server serves the socket. Its fields are set before Serve and not changed after.
type Server struct {
	Handler Handler
	// Test carries out what measures configs; nil: nothing does.
	Test Test
	Log  zerolog.Logger

	// requestTime replaces the constant of that name in tests.
	requestTime time.Duration
}

// Serve answers requests until ctx ends, then closes the listener, gives
// requests in flight the time to be answered (at most grace), and waits for
// every goroutine. It returns nil unless the listener fails.
func (s *Server) Serve(ctx context.Context, listener *Listener, grace time.Duration) error {
	// Requests in flight outlive ctx by the grace, so that the client which
	// asked for the shutdown gets its answer.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var handlers sync.WaitGroup
	var mu sync.Mutex
	idle := make(map[net.Conn]struct{}) // connections without a complete request
	big := make(places, bigLines)
	slots := make(chan struct{}, maxClients)
	patience := cmp.Or(s.requestTime, requestTime)

	stop := context.AfterFunc(ctx, func() {
		listener.Close()
		mu.Lock()
		for conn := range idle {
			conn.Close()
		}
		mu.Unlock()
	})
	defer stop()

	serve := func(conn net.Conn) {
		defer handlers.Done()
		defer func() { <-slots }()
		defer conn.Close()
		mu.Lock()
		idle[conn] = struct{}{}
		ended := ctx.Err() != nil
		mu.Unlock()
		if ended {
			return
		}
		line, eof, err := readLine(ctx, conn, time.Now().Add(patience), big)
		mu.Lock()
		delete(idle, conn)
		mu.Unlock()
		if err != nil {
			if errors.Is(err, errLineTooLong) || errors.Is(err, errTooSlow) {
				s.reply(conn, nil, "", Errorf(CodeInvalidState, "%s; the request was not carried out", err))
			}
			return
		}
		request, err := decodeRequest(line)
		if err != nil {
			s.reply(conn, nil, "", err)
			return
		}
		if request.Type == KindSubscribe {
			s.stream(ctx, conn, eof)
			return
		}
		if request.Type == KindConfigTest {
			s.test(requests, conn, request, eof)
			return
		}
		payload, message, err := s.Handler.Handle(requests, request)
		s.reply(conn, payload, message, err)
	}

	var failure error
	for backoff := time.Duration(0); ; {
		conn, err := listener.accept()
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			var temporary *net.OpError
			if !errors.As(err, &temporary) || errors.Is(err, net.ErrClosed) {
				failure = fmt.Errorf("accepting clients: %w", err)
				break
			}
			// Out of file descriptors, or a foreign peer: not the listener's end.
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			s.Log.Warn().Err(err).Msg("accepting a client")
			select {
			case <-ctx.Done():
			case <-time.After(backoff):
			}
			continue
		}
		backoff = 0
		if err := checkPeer(conn); err != nil {
			s.Log.Warn().Err(err).Msg("client refused")
			conn.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
			handlers.Add(1)
			go serve(conn)
		default:
			// Not worth a goroutine: one write into an empty socket buffer.
			s.reply(conn, nil, "", Errorf(CodeBusy, "the daemon serves %d clients already", maxClients))
			conn.Close()
		}
	}
	timer := time.AfterFunc(grace, cancel)
	handlers.Wait()
	timer.Stop()
	return failure
}

// stream sends states until the client or the server ends.
func (s *Server) stream(ctx context.Context, conn net.Conn, halfClosed bool) {
	states, cancel := s.Handler.Subscribe()
	defer cancel()
	gone := make(chan struct{})
	if halfClosed {
		// The end of the stream ended the request; only a failing write can
		// tell that this client is gone.
		gone = nil
	} else {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return
		}
		var reader sync.WaitGroup
		defer reader.Wait()
		defer conn.Close()
		reader.Go(func() {
			defer close(gone)
			buffer := make([]byte, 64)
			for {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case state, open := <-states:
			if !open || !s.reply(conn, state, "", nil) {
				return
			}
		}
	}
}

// reply writes one line and reports whether it was taken.
func (s *Server) reply(conn net.Conn, payload any, message string, err error) bool {
	r := response{ProtocolVersion: ProtocolVersion, OK: err == nil, Code: CodeOf(err), Message: message, Payload: payload}
	if err != nil {
		r.Message = err.Error()
	}
	line, merr := json.Marshal(r)
	if merr != nil {
		s.Log.Error().Err(merr).Msg("encoding a reply")
		line, merr = json.Marshal(response{ProtocolVersion: ProtocolVersion, Code: CodeInternalError, Message: "encoding the reply: " + merr.Error()})
	}
	if merr != nil {
		return false
	}
	if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return false
	}
	_, werr := conn.Write(append(line, '\n'))
	return werr == nil
}

// Test starts what a config_test asks for and returns what it finds: the
// channel is closed after the summary. It has room for everything, so that
// whoever measures does not wait for the client. The end of ctx stops it.
type Test func(ctx context.Context, request Request) (<-chan TestEventPayload, error)

// test serves one config_test. The client ends it by closing the connection, or
// its half of it.
func (s *Server) test(ctx context.Context, conn net.Conn, request Request, halfClosed bool) {
	if s.Test == nil {
		s.reply(conn, nil, "", Errorf(CodeInvalidState, "nothing can be measured here"))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Test(ctx, request)
	if err != nil {
		s.reply(conn, nil, "", err)
		return
	}
	if !halfClosed {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			cancel()
		}
		var reader sync.WaitGroup
		defer reader.Wait()
		defer conn.Close()
		reader.Go(func() {
			_, _ = io.Copy(io.Discard, conn)
			cancel()
		})
	}
	taken := true
	for event := range events { // to the end, when whoever measures has stopped
		if taken && !s.reply(conn, event, "", nil) {
			taken = false
			cancel()
		}
	}
}
