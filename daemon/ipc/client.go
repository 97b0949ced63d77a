package ipc

import (
	"bufio"
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// DialTimeout bounds how long a client waits for a daemon that is there to take
// a request, and for the reply of one that needs no work (a stopped daemon still
// accepts connections, so that only the missing reply shows).
const DialTimeout = 3 * time.Second

// maxReply bounds what a client reads of one reply.
const maxReply = 64 << 20

// readSize is the size of a client's read buffer: a list can be several megabytes.
const readSize = 64 << 10

// Client talks to the daemon. It holds no connection between two calls and may
// be used from many goroutines.
type Client struct {
	// Socket is the path of the daemon's socket.
	Socket string
}

// Do sends one request and decodes the payload of its reply into payload, unless
// that is nil. It returns the daemon's message. The error is ErrNotRunning when
// no daemon listens, an *Error when the daemon refused, and ctx's when it ended.
func (c *Client) Do(ctx context.Context, request Request, payload any) (message string, err error) {
	conn, err := c.send(ctx, request)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := closeOnDone(ctx, conn)
	defer stop()
	r, err := readResponse(bufio.NewReaderSize(io.LimitReader(conn, maxReply), readSize))
	if err != nil {
		return "", readError(ctx, err)
	}
	return decodeResponse(r, payload)
}

// Quick is Do for requests that are answered without work: it gives up after
// DialTimeout.
func (c *Client) Quick(ctx context.Context, request Request, payload any) (message string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, DialTimeout, ErrNoAnswer)
	defer cancel()
	return c.Do(ctx, request, payload)
}

// Ping asks the daemon whether it is ready.
func (c *Client) Ping(ctx context.Context) (PingPayload, error) {
	var payload PingPayload
	_, err := c.Quick(ctx, Request{Type: KindDaemonPing}, &payload)
	return payload, err
}

// Subscribe calls receive with every state that arrives until ctx ends, receive
// returns an error, or the connection breaks; it returns that reason.
func (c *Client) Subscribe(ctx context.Context, receive func(EventPayload) error) error {
	conn, err := c.send(ctx, Request{Type: KindSubscribe})
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := closeOnDone(ctx, conn)
	defer stop()
	reader := bufio.NewReader(conn)
	for {
		r, err := readResponse(reader)
		if err != nil {
			return readError(ctx, err)
		}
		var event EventPayload
		if _, err := decodeResponse(r, &event); err != nil {
			return err
		}
		if err := receive(event); err != nil {
			return err
		}
	}
}

// send connects and writes the request.
func (c *Client) send(ctx context.Context, request Request) (net.Conn, error) {
	var line bytes.Buffer
	// The standard library's, whose omitempty the requests have. Links are full of
	// ampersands, which need no escape.
	encoder := stdjson.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(requestEnvelope{ProtocolVersion, request}); err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	info, err := os.Lstat(c.Socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("looking at the socket: %w", err)
	}
	if err := checkSocketFile(c.Socket, info); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: DialTimeout}
	conn, err := dialer.DialContext(ctx, "unix", c.Socket)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotRunning
		}
		return nil, fmt.Errorf("connecting to the daemon: %w", err)
	}
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("refusing to talk to %s: %w", c.Socket, err)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(DialTimeout)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("sending the request: %w", err)
	}
	if _, err := conn.Write(line.Bytes()); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		// After a broken pipe the daemon's reason can still be read, and a daemon
		// that ended before it took the connection gives no reply.
		conn.Close()
		return nil, fmt.Errorf("sending the request: %w", err)
	}
	return conn, nil
}

// closeOnDone ends a blocked read when ctx does.
func closeOnDone(ctx context.Context, conn net.Conn) (stop func()) {
	cancel := context.AfterFunc(ctx, func() { conn.Close() })
	return func() { cancel() }
}

func readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return ErrNoReply
	}
	return fmt.Errorf("reading the reply: %w", err)
}

func readResponse(reader *bufio.Reader) (reply, error) {
	var r reply
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("the reply is no valid JSON: %w", err)
	}
	return r, nil
}

// reply is a response as a client reads it.
type reply struct {
	ProtocolVersion int            `json:"protocol_version"`
	OK              bool           `json:"ok"`
	Code            Code           `json:"code"`
	Message         string         `json:"message"`
	Payload         jsontext.Value `json:"payload"`
}

// decodeResponse turns a reply into what the caller asked for.
func decodeResponse(r reply, payload any) (string, error) {
	if r.ProtocolVersion != ProtocolVersion {
		return "", Errorf(CodeInvalidState, "the daemon speaks protocol version %d and this program %d: update the older of the two and run `xrat daemon restart`",
			r.ProtocolVersion, ProtocolVersion)
	}
	if !r.OK {
		return "", &Error{Code: r.Code, Message: r.Message}
	}
	if payload != nil {
		if err := json.Unmarshal(r.Payload, payload); err != nil {
			return "", fmt.Errorf("decoding the reply: %w", err)
		}
	}
	return r.Message, nil
}
