package ipc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/usersock"
)

// Handler answers requests. Its methods are called from many goroutines at once. Their context ends
// with the server, not when the client goes away: what was begun is finished.
type Handler interface {
	// Handle answers one request with a payload and a message for the user. The code of the reply
	// is that of an *Error, and internal_error for any other error.
	Handle(ctx context.Context, request Request) (payload any, message string, err error)
	// Subscribe returns a channel that always holds the newest state, and a function that the
	// server calls when it needs no more states.
	Subscribe() (states <-chan EventPayload, cancel func())
}

const (
	// maxClients is how many connections are served at once, and clientShare the part of all
	// descriptors that they may take.
	maxClients  = 2048
	clientShare = 4
	// requestTime is how long a client may take to send its request, and replyTime how long it may
	// take to read the reply.
	requestTime = 5 * time.Second
	replyTime   = 5 * time.Second
)

// Test starts the test that a config_test asks for and returns what it finds: the channel is closed
// after the summary. It has room for everything, so that the test does not wait for the client. The
// end of ctx stops it.
type Test func(ctx context.Context, request Request) (<-chan TestEventPayload, error)

// Server serves the socket. Its fields are set before Serve and not changed after.
type Server struct {
	Handler Handler
	// Test carries out a config_test; nil: nothing does.
	Test Test
	Log  zerolog.Logger

	// requestTime replaces the constant of this name in tests.
	requestTime time.Duration
}

// Serve answers requests until ctx ends. Then it closes the listener, gives requests in flight the
// time to be answered, at most grace, and waits for every goroutine. It returns nil unless the
// listener fails.
func (s *Server) Serve(ctx context.Context, listener *Listener, grace time.Duration) error {
	// Requests in flight outlive ctx by the grace, so that the client that asked for the shutdown
	// gets its answer.
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := newClients()
	stop := context.AfterFunc(ctx, func() {
		listener.Close()
		c.closeIdle()
	})
	defer stop()
	err := s.accept(ctx, listener, c, func(conn net.Conn) { s.serve(ctx, requests, conn, c) })
	timer := time.AfterFunc(grace, cancel)
	defer timer.Stop()
	c.serving.Wait()
	return err
}

// accept runs serve in a goroutine for each client, until ctx ends or the listener fails.
func (s *Server) accept(ctx context.Context, listener *Listener, c *clients, serve func(net.Conn)) error {
	for backoff := time.Duration(0); ; {
		conn, err := listener.socket.Accept()
		var temporary *net.OpError
		switch {
		case err == nil:
			backoff = 0
		case ctx.Err() != nil:
			return nil
		case !errors.As(err, &temporary) || errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting clients: %w", err)
		default:
			// Out of file descriptors: not the listener's end.
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			s.Log.Warn().Err(err).Msg("accepting a client")
			select {
			case <-ctx.Done():
			case <-time.After(backoff):
			}
			continue
		}
		if err := usersock.CheckPeer(conn); err != nil {
			s.Log.Warn().Err(err).Msg("client refused")
			conn.Close()
			continue
		}
		if !c.serve(func() { serve(conn) }) {
			// Not worth a goroutine: one write into an empty socket buffer.
			s.reply(conn, nil, "", Errorf(CodeBusy, "the daemon serves %d clients already", cap(c.places)))
			conn.Close()
		}
	}
}

// serve is the life of one client's connection: it takes a request and answers it. The requests
// context is for what has to outlive ctx, which ends when the daemon takes no more requests.
func (s *Server) serve(ctx, requests context.Context, conn net.Conn, c *clients) {
	defer conn.Close()
	line, halfClosed, err := c.readRequest(ctx, conn, cmp.Or(s.requestTime, requestTime))
	switch {
	case errors.Is(err, errLineTooLong), errors.Is(err, errTooSlow):
		s.reply(conn, nil, "", Errorf(CodeInvalidState, "%s; the request was not carried out", err))
		return
	case err != nil:
		return // the client or the server has gone
	}
	request, err := decodeRequest(line)
	if err != nil {
		s.reply(conn, nil, "", err)
		return
	}
	switch request.Type {
	case KindSubscribe:
		s.subscribe(ctx, conn, halfClosed)
	case KindConfigTest:
		s.test(requests, conn, request, halfClosed)
	default:
		payload, message, err := s.Handler.Handle(requests, request)
		s.reply(conn, payload, message, err)
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
	_ = conn.SetWriteDeadline(time.Time{}) // one that is left would wake the process later
	return werr == nil
}
