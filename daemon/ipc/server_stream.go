package ipc

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// subscribe sends states until the client goes away or ctx ends.
func (s *Server) subscribe(ctx context.Context, conn net.Conn, halfClosed bool) {
	states, cancel := s.Handler.Subscribe()
	defer cancel()
	ctx, release := whilePresent(ctx, conn, halfClosed)
	defer release()
	for {
		select {
		case <-ctx.Done():
			return
		case state, open := <-states:
			if !open || !s.reply(conn, state, "", nil) {
				return
			}
		}
	}
}

// test serves one config_test. The client stops it by closing the connection, or its half of it.
func (s *Server) test(ctx context.Context, conn net.Conn, request Request, halfClosed bool) {
	if s.Test == nil {
		s.reply(conn, nil, "", Errorf(CodeInvalidState, "nothing can be measured here"))
		return
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	present, release := whilePresent(ctx, conn, halfClosed)
	defer release()
	events, err := s.Test(present, request)
	if err != nil {
		s.reply(conn, nil, "", err)
		return
	}
	taken := true
	for event := range events { // to the end, also when nobody takes them any more
		if taken && !s.reply(conn, event, "", nil) {
			taken = false
			stop()
		}
	}
}

// whilePresent returns a context that ends with ctx, or earlier when the client closes the
// connection or its half of it. A half that was closed with the request shows nothing any more:
// only a failing write can show that such a client is gone. The caller calls release when it has
// written everything; that closes the connection.
func whilePresent(ctx context.Context, conn net.Conn, halfClosed bool) (present context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	if halfClosed {
		return ctx, cancel
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		cancel()
		return ctx, cancel
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	})
	return ctx, func() {
		cancel()
		conn.Close()
		reader.Wait()
	}
}
