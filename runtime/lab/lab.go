package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// startTimeout bounds the start of one server.
	startTimeout = 15 * time.Second
	// firstExit and lastExit bound N in the exits' addresses 127.0.0.N.
	firstExit, lastExit = 10, 254
)

// Options for New.
type Options struct {
	Core string // the core's executable; empty: as xray.Locate finds it
	Dir  string // the lab's files, made if missing; the caller removes it
	Log  zerolog.Logger
}

// Lab is the whole of it. Its methods may be called by several goroutines.
type Lab struct {
	options Options
	origin  *Origin
	keeper  *keeper
	cert    certificate
	stop    func() bool // forgets the context

	mu      sync.Mutex
	servers []*Server
	closed  bool
	ended   chan struct{} // closed when Close has done its work
	err     error         // of Close
}

// New makes a lab with an origin and no servers. The end of ctx closes it.
func New(ctx context.Context, o Options) (*Lab, error) {
	if o.Core == "" {
		core, err := xray.Locate("")
		if err != nil {
			return nil, fmt.Errorf("opening the lab: %w", err)
		}
		o.Core = core
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the lab: %w", err)
	}
	cert, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("opening the lab: %w", err)
	}
	origin, err := newOrigin(cert)
	if err != nil {
		return nil, fmt.Errorf("opening the lab: %w", err)
	}
	l := &Lab{options: o, origin: origin, cert: cert, keeper: newKeeper(), ended: make(chan struct{})}
	l.stop = context.AfterFunc(ctx, func() { _ = l.Close() })
	return l, nil
}

// Origin is the site that everybody visits.
func (l *Lab) Origin() *Origin { return l.origin }

// AddServer starts a server and returns once it takes connections. name is how it is called in its
// link and what the origin answers at /exit.
func (l *Lab) AddServer(name string, kind Kind) (*Server, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("adding the server %s: the lab is closed", name)
	}
	index := firstExit + len(l.servers)
	if index > lastExit {
		return nil, fmt.Errorf("adding the server %s: a lab has room for %d", name, lastExit-firstExit+1)
	}
	folder := filepath.Join(l.options.Dir, fmt.Sprintf("server-%d", index))
	s, err := newServer(l, name, kind, fmt.Sprintf("127.0.0.%d", index), folder)
	if err != nil {
		return nil, fmt.Errorf("adding the server %s: %w", name, err)
	}
	l.servers = append(l.servers, s)
	return s, nil
}

// Close ends every server, connection and goroutine of the lab, within some seconds. It may be
// called more than once; every call waits for the end.
func (l *Lab) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	servers := l.servers
	l.mu.Unlock()
	if !first {
		<-l.ended
		return l.err
	}
	l.stop()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.close())
	}
	l.keeper.close()
	errs = append(errs, l.origin.close())
	l.err = errors.Join(errs...)
	close(l.ended)
	return l.err
}
