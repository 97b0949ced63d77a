package ipc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

const (
	// maxLine bounds a request line and a reply to a client that asked for one.
	maxLine = 1 << 20
	// smallLine is what a connection may buffer without asking anybody. Longer
	// lines take one of a few places, so that many clients with long lines
	// cannot fill the memory together.
	smallLine = 64 << 10
	// bigLines is the number of those places.
	bigLines = 8
)

var (
	errLineTooLong = errors.New("the line is longer than 1 MiB")
	errTooSlow     = errors.New("the line did not come to its end in time")
)

// places hands out the right to buffer a long line.
type places chan struct{}

// readLine reads up to a newline or the end of the stream, at most maxLine
// bytes. It reads no further than one chunk past the newline, since a
// connection carries one request. It reports whether the line ended at the end
// of the stream.
func readLine(ctx context.Context, conn net.Conn, deadline time.Time, big places) (line []byte, eof bool, err error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return nil, false, err
	}
	buffer := make([]byte, 0, 1024)
	holding := false
	defer func() {
		if holding {
			<-big
		}
	}()
	for {
		if len(buffer) == cap(buffer) {
			if len(buffer) > maxLine {
				return nil, false, errLineTooLong
			}
			if len(buffer) >= smallLine && !holding {
				timer := time.NewTimer(time.Until(deadline))
				select {
				case big <- struct{}{}:
					holding = true
					timer.Stop()
				case <-timer.C:
					return nil, false, errTooSlow
				case <-ctx.Done():
					timer.Stop()
					return nil, false, ctx.Err()
				}
			}
			bigger := make([]byte, len(buffer), min(4*cap(buffer), maxLine+1))
			if cap(bigger) == cap(buffer) {
				return nil, false, errLineTooLong
			}
			copy(bigger, buffer)
			buffer = bigger
		}
		seen := len(buffer)
		n, err := conn.Read(buffer[seen:cap(buffer)])
		buffer = buffer[:seen+n]
		if i := bytes.IndexByte(buffer[seen:], '\n'); i >= 0 {
			return buffer[:seen+i], false, nil
		}
		var timeout net.Error
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if len(buffer) > maxLine {
				return nil, false, errLineTooLong
			}
			return buffer, true, nil
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil, false, errTooSlow
		default:
			return nil, false, err
		}
	}
}
