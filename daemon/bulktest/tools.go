package bulktest

import (
	"context"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Batch is one core that goes out through many servers; see xray.Batch.
type Batch interface {
	Inbound(index int) xray.Inbound
	Refused(index int) error
	Done() <-chan struct{}
	ExitReason() string
	Stop(ctx context.Context, grace time.Duration) error
}

// Tools are what a test measures with.
type Tools struct {
	StartBatch func(ctx context.Context, spec xray.BatchSpec) (Batch, error)
	// FindNonces lists the processes whose nonce is wanted.
	FindNonces func(wanted func(nonce string) bool) ([]xray.Identity, error)
	// Own reports whether a host is this machine.
	Own func(ctx context.Context, host string) bool
	// Connect makes a TCP connection and closes it.
	Connect func(ctx context.Context, address string) error
	Get     func(ctx context.Context, p probe.Proxy, q probe.Question) probe.Result
	Work    func(ctx context.Context, p probe.Proxy, page string) probe.Work
	Fetch   func(ctx context.Context, p probe.Proxy, url string, most int64, wait, limit time.Duration) probe.Download
}

// RealTools measures for real; a probe tries the next URL after stagger, and asks returned whether
// it has come back (see probe.Get).
func RealTools(log zerolog.Logger, versions *xray.Versions, stagger time.Duration, own func(ctx context.Context, host string) bool, returned func(mark.Mark) bool) Tools {
	return Tools{
		StartBatch: func(ctx context.Context, spec xray.BatchSpec) (Batch, error) {
			spec.Version = versions.Of(ctx, spec.Executable)
			b, err := xray.StartBatch(ctx, log, spec)
			if err != nil {
				return nil, err // not a nil *xray.Batch in an interface
			}
			return b, nil
		},
		FindNonces: xray.FindNonces,
		Own:        own,
		Connect: func(ctx context.Context, address string) error {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		Get: func(ctx context.Context, p probe.Proxy, q probe.Question) probe.Result {
			q.Stagger = stagger
			return probe.Get(ctx, p, q, returned)
		},
		Work: func(ctx context.Context, p probe.Proxy, page string) probe.Work {
			return probe.DoWork(ctx, p, page, returned)
		},
		Fetch: probe.Fetch,
	}
}
