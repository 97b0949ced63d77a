package ipc

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/xrat-tray/xrat/runtime/usersock"
)

// maxReply bounds what a client reads of one reply.
const maxReply = 64 << 20

// readSize is the size of a client's read buffer: a list can be several megabytes.
const readSize = 64 << 10

// do makes a request and decodes the payload of its reply into payload, unless that is nil. It
// returns the daemon's message.
func (c *Client) do(ctx context.Context, request Request, payload any) (message string, err error) {
	conn, err := c.send(ctx, request)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if !needsWork(request.Type) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.patience(), ErrNoAnswer)
		defer cancel()
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends a blocked read
	r, err := nextReply(bufio.NewReaderSize(io.LimitReader(conn, maxReply), readSize))
	if err != nil {
		return "", readError(ctx, err)
	}
	return r.decode(payload)
}

func (c *Client) patience() time.Duration { return cmp.Or(c.answerTime, answerTime) }

// send connects and writes the request.
func (c *Client) send(ctx context.Context, request Request) (net.Conn, error) {
	line, err := encodeRequest(request)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	err = conn.SetWriteDeadline(time.Now().Add(answerTime))
	if err == nil {
		_, err = conn.Write(line)
	}
	// After a broken pipe the daemon's reason can still be read, and a daemon that ended before it
	// took the connection gives no reply.
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		conn.Close()
		return nil, fmt.Errorf("sending the request: %w", err)
	}
	return conn, nil
}

// encodeRequest writes a request as the line that goes to the daemon.
func encodeRequest(request Request) ([]byte, error) {
	var line bytes.Buffer
	// The standard library's, whose omitempty the requests have. Links are full of ampersands,
	// which need no escape.
	encoder := stdjson.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(requestEnvelope{ProtocolVersion, request})
	return line.Bytes(), err
}

// dial connects to a daemon of this user, and to nobody else.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	conn, err := usersock.Dial(ctx, c.Socket, answerTime)
	var refused *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotRunning
	case errors.As(err, &refused):
		return nil, fmt.Errorf("connecting to the daemon: %w", err)
	case err != nil:
		return nil, err
	}
	return conn, nil
}

// readError says why a reply could not be read.
func readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return ErrNoReply
	}
	return fmt.Errorf("reading the reply: %w", err)
}

// reply is a response as a client reads it.
type reply struct {
	ProtocolVersion int            `json:"protocol_version"`
	OK              bool           `json:"ok"`
	Code            Code           `json:"code"`
	Message         string         `json:"message"`
	Payload         jsontext.Value `json:"payload"`
}

func nextReply(reader *bufio.Reader) (r reply, err error) {
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("the reply is no valid JSON: %w", err)
	}
	return r, nil
}

// decode turns a reply into the payload that the caller asked for, and the message.
func (r reply) decode(payload any) (message string, err error) {
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
