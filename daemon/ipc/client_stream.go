package ipc

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// testEndTime bounds how long a client waits for the end of a test that it has stopped.
const testEndTime = 10 * time.Second

// Subscribe calls receive with the state as it is, and then with every state that arrives, until
// ctx ends, receive returns an error, or the connection breaks; it returns that reason. It is
// ErrNoAnswer if the first state does not come at once.
func (c *Client) Subscribe(ctx context.Context, receive func(EventPayload) error) error {
	conn, err := c.send(ctx, Request{Type: KindSubscribe})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.patience(), func() { cancel(ErrNoAnswer) })
	defer silence.Stop()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a blocked read
	reader := bufio.NewReader(conn)
	for {
		var event EventPayload
		if err := readEvent(ctx, reader, &event); err != nil {
			return err
		}
		silence.Stop()
		if err := receive(event); err != nil {
			return err
		}
	}
}

// TestOptions say which configs to test, and how. Without IDs these are all that are not excluded.
type TestOptions struct {
	IDs []int64
	// Limit takes only so many of them, those that a rotation would try first; 0: all.
	Limit int
	TestArguments
}

// Test calls receive with everything that a test finds, until the summary has come. When ctx ends,
// the daemon is asked to stop; what it has found until then is still received, and then the
// summary. When receive returns an error, it is not called again. The error is receive's, or why
// there is no summary.
func (c *Client) Test(ctx context.Context, o TestOptions, receive func(TestEventPayload) error) error {
	conn, err := c.send(ctx, Request{Type: KindConfigTest, IDs: o.IDs, Limit: o.Limit, TestArguments: o.TestArguments})
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := sync.OnceFunc(func() {
		if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_ = conn.SetReadDeadline(time.Now().Add(testEndTime))
			return
		}
		conn.Close()
	})
	defer context.AfterFunc(ctx, stop)()
	reader := bufio.NewReader(conn)
	var receiveErr error
	for {
		var event TestEventPayload
		err := readEvent(context.WithoutCancel(ctx), reader, &event)
		var timeout net.Error
		switch {
		case receiveErr != nil && err != nil:
			return receiveErr
		case errors.As(err, &timeout) && timeout.Timeout():
			return ErrNoReply
		case err != nil:
			return err
		}
		if receiveErr == nil {
			if receiveErr = receive(event); receiveErr != nil {
				stop()
			}
		}
		if event.Summary != nil {
			return receiveErr
		}
	}
}

// readEvent reads the next message of a stream.
func readEvent(ctx context.Context, reader *bufio.Reader, event any) error {
	r, err := nextReply(reader)
	if err != nil {
		return readError(ctx, err)
	}
	_, err = r.decode(event)
	return err
}
