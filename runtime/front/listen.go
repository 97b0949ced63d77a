package front

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// PortError says which address could not be opened. The cause is within reach of errors.Is and
// errors.As; two of them come joined.
type PortError struct {
	Address string
	Err     error
}

func (e *PortError) Error() string { return fmt.Sprintf("listening on %s: %v", e.Address, e.Err) }

func (e *PortError) Unwrap() error { return e.Err }

var (
	errExposed    = errors.New("an address beyond this machine needs a username and a password; set both, or listen on 127.0.0.1")
	errNotAddress = errors.New(`not an IP address and a port; write it like "127.0.0.1:10808" or "[::1]:10808"`)
)

// parseAddress turns what the user wrote into an IP address with a port for the net package. The
// host may also be localhost, which is 127.0.0.1 here whatever the system makes of it, or empty for
// every address. Other names are not accepted, because what they stand for can change. Addresses
// beyond loopback need credentials. The settings accept the same, but for port 0.
func parseAddress(text string, authenticated bool) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errNotAddress
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errNotAddress
	}
	loopback := false
	switch {
	case strings.EqualFold(host, "localhost"):
		host, loopback = "127.0.0.1", true
	case host != "":
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return "", errNotAddress
		}
		loopback = ip.Unmap().IsLoopback()
	}
	if !loopback && !authenticated {
		return "", errExposed
	}
	return net.JoinHostPort(host, port), nil
}

// listen opens address exclusively. Clients get keep-alive probes, so that those which vanished
// without a word are noticed.
func listen(ctx context.Context, address string, authenticated bool) (*net.TCPListener, error) {
	ip, err := parseAddress(address, authenticated)
	if err != nil {
		return nil, &PortError{address, err}
	}
	lc := net.ListenConfig{Control: controlListener, KeepAlive: acceptKeepAlive}
	lc.SetMultipathTCP(false) // splice and the socket options here are for plain TCP; the other end is this machine
	l, err := lc.Listen(ctx, "tcp", ip)
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

// Listeners are where applications come in; nil: not there.
type Listeners struct {
	SOCKS *net.TCPListener // speaks SOCKS5 and HTTP
	HTTP  *net.TCPListener // speaks only HTTP
}

// Listen binds the addresses of o, all or nothing. The error joins one *PortError for each address
// that failed.
func Listen(ctx context.Context, o Options) (l Listeners, err error) {
	authenticated := o.Username != "" && o.Password != ""
	var errs [2]error
	if o.SOCKS != "" {
		l.SOCKS, errs[0] = listen(ctx, o.SOCKS, authenticated)
	}
	if o.HTTP != "" {
		l.HTTP, errs[1] = listen(ctx, o.HTTP, authenticated)
	}
	if err := errors.Join(errs[:]...); err != nil {
		l.Close()
		return Listeners{}, err
	}
	return l, nil
}

// Relisten returns listeners for o: of those that there are the ones at the right address, and new
// ones. The others are left open. On an error nothing has changed.
func Relisten(ctx context.Context, have Listeners, o Options) (Listeners, error) {
	next, missing := have.Of(o), o
	if next.SOCKS != nil {
		missing.SOCKS = ""
	}
	if next.HTTP != nil {
		missing.HTTP = ""
	}
	opened, err := Listen(ctx, missing)
	if err != nil {
		return Listeners{}, err
	}
	if opened.SOCKS != nil {
		next.SOCKS = opened.SOCKS
	}
	if opened.HTTP != nil {
		next.HTTP = opened.HTTP
	}
	return next, nil
}

// Of returns those of the listeners that are at the right address for o.
func (l Listeners) Of(o Options) (right Listeners) {
	authenticated := o.Username != "" && o.Password != ""
	if listensAt(l.SOCKS, o.SOCKS, authenticated) {
		right.SOCKS = l.SOCKS
	}
	if listensAt(l.HTTP, o.HTTP, authenticated) {
		right.HTTP = l.HTTP
	}
	return right
}

// CloseBut closes those of the listeners that are not among kept.
func (l Listeners) CloseBut(kept Listeners) {
	if l.SOCKS != nil && l.SOCKS != kept.SOCKS {
		l.SOCKS.Close()
	}
	if l.HTTP != nil && l.HTTP != kept.HTTP {
		l.HTTP.Close()
	}
}

// listensAt reports whether l listens where the user wants it, at whatever port if that is 0.
func listensAt(l *net.TCPListener, wanted string, authenticated bool) bool {
	if l == nil || wanted == "" {
		return false
	}
	address, err := parseAddress(wanted, authenticated)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	at := l.Addr().(*net.TCPAddr)
	if port != "0" && port != strconv.Itoa(at.Port) {
		return false
	}
	if host == "" {
		return at.IP.IsUnspecified()
	}
	return net.ParseIP(host).Equal(at.IP)
}

// Close stops listening in this process.
func (l Listeners) Close() {
	for _, l := range []*net.TCPListener{l.SOCKS, l.HTTP} {
		if l != nil {
			l.Close()
		}
	}
}

// Addresses returns the addresses as bound, empty for those that are not there.
func (l Listeners) Addresses() (socks, http string) {
	if l.SOCKS != nil {
		socks = l.SOCKS.Addr().String()
	}
	if l.HTTP != nil {
		http = l.HTTP.Addr().String()
	}
	return socks, http
}

// Accept errors that pass, such as too many open files, are waited for with growing pauses between
// these.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// accept hands each connection to serve until l is closed.
func (f *Front) accept(ctx context.Context, l *net.TCPListener, serve func(context.Context, *net.TCPConn)) {
	pause := minAcceptPause
	beyond := !l.Addr().(*net.TCPAddr).IP.IsLoopback()
	for {
		c, err := l.AcceptTCP()
		if err == nil {
			pause = minAcceptPause
			if beyond && !f.authenticates() && !c.LocalAddr().(*net.TCPAddr).IP.IsLoopback() {
				c.Close() // the password was taken away, and the listener is about to move
				continue
			}
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
