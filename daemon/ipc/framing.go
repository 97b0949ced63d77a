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
	// maxLine bounds the line of a request, in bytes.
	maxLine = 1 << 20
	// smallLine is what every connection may buffer. A longer line needs one of a few places, so
	// that many clients with long lines cannot fill the memory together.
	smallLine = 64 << 10
	// bigLines is the number of those places.
	bigLines = 8
)

var (
	errLineTooLong = errors.New("the line is longer than 1 MiB")
	errTooSlow     = errors.New("the line did not come to its end in time")
)

// places are taken by putting something in, and given back by taking it out.
type places chan struct{}

// readLine reads up to a newline or the end of the stream, at most maxLine bytes, and reports
// whether it was the end of the stream. What follows a newline is dropped, since a connection
// carries one request.
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
