package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// PortError says which address could not be opened. The cause is within reach of errors.Is and errors.As; two of them
// come joined.
type PortError struct {
	Address string
	Err     error
}

func (e *PortError) Error() string { return fmt.Sprintf("listening on %s: %v", e.Address, e.Err) }

func (e *PortError) Unwrap() error { return e.Err }

var (
	errExposed = errors.New("an address beyond this machine needs a username and a password; set both, or listen on 127.0.0.1")
	errNotIP   = errors.New(`not an IP address and a port; write it like "127.0.0.1:10808" or "[::1]:10808"`)
)

// checkAddress wants an IP address and a port, and credentials unless it is a loopback address. Names are not accepted,
// because what they stand for can change.
func checkAddress(address string, authenticated bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errNotIP
	}
	if !ap.Addr().Unmap().IsLoopback() && !authenticated {
		return errExposed
	}
	return nil
}

// listen opens address exclusively. Clients get keep-alive probes, so that those which vanished without a word are noticed.
func listen(ctx context.Context, address string, authenticated bool) (*net.TCPListener, error) {
	if err := checkAddress(address, authenticated); err != nil {
		return nil, &PortError{address, err}
	}
	lc := net.ListenConfig{Control: controlListener, KeepAlive: acceptKeepAlive}
	lc.SetMultipathTCP(false) // splice and the socket options here are for plain TCP; the other end is this machine
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		// net.OpError repeats the address; the errno says it all.
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, &PortError{address, err}
	}
	return l.(*net.TCPListener), nil
}

// Accept errors that pass, such as too many open files, are waited for with growing pauses between these.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// accept hands each connection to serve until l is closed.
func (f *Front) accept(ctx context.Context, l *net.TCPListener, serve func(context.Context, *net.TCPConn)) {
	pause := minAcceptPause
	for {
		c, err := l.AcceptTCP()
		if err == nil {
			pause = minAcceptPause
			f.start(ctx, c, serve)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		f.log.Warn().Err(err).Dur("pause", pause).Msg("accepting connections")
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxAcceptPause)
	}
}
