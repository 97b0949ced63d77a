package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// defaultConcurrency and maxConcurrency are how many configs are measured at a time.
	defaultConcurrency, maxConcurrency = 64, 512
	// minTestTime and maxTestTime bound what a client may ask for as the time of one config.
	minTestTime, maxTestTime = 100 * time.Millisecond, time.Minute
	// speedBytes, speedTime and speedWait bound one download.
	speedBytes = 10 << 20
	speedTime  = 5 * time.Second
	speedWait  = 10 * time.Second
	// handOver is how long a new test waits for the end of one that was called off.
	handOver = 3 * stopGrace
)

// Batch is one core that goes out through many servers; see xray.Batch.
type Batch interface {
	Inbound(index int) xray.Inbound
	Refused(index int) error
	Done() <-chan struct{}
	ExitReason() string
	Stop(ctx context.Context, grace time.Duration) error
}

// Measuring is what a test of many configs works with.
type Measuring struct {
	StartBatch func(ctx context.Context, spec xray.BatchSpec) (Batch, error)
	// FindNonces lists the processes whose nonce is wanted.
	FindNonces func(wanted func(nonce string) bool) ([]xray.Identity, error)
	// Connect makes a TCP connection and closes it.
	Connect func(ctx context.Context, address string) error
	Get     func(ctx context.Context, p probe.Proxy, urls []string, timeout time.Duration) probe.Result
	Fetch   func(ctx context.Context, p probe.Proxy, url string, most int64, wait, limit time.Duration) probe.Download
}

// NewMeasuring returns the real thing; a probe tries the next URL after stagger.
func NewMeasuring(log zerolog.Logger, stagger time.Duration) Measuring {
	return Measuring{
		StartBatch: func(ctx context.Context, spec xray.BatchSpec) (Batch, error) {
			b, err := xray.StartBatch(ctx, log, spec)
			if err != nil {
				return nil, err // not a nil *xray.Batch in an interface
			}
			return b, nil
		},
		FindNonces: xray.FindNonces,
		Connect: func(ctx context.Context, address string) error {
			var dialer net.Dialer
			conn, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return conn.Close()
		},
		Get: func(ctx context.Context, p probe.Proxy, urls []string, timeout time.Duration) probe.Result {
			return probe.Get(ctx, p, urls, timeout, stagger)
		},
		Fetch: probe.Fetch,
	}
}

// Test measures configs; see ipc.Test. One test runs at a time; a second one is
// refused, unless the first was called off: then it waits for its end.
func (s *Supervisor) Test(ctx context.Context, r ipc.Request) (<-chan ipc.TestEventPayload, error) {
	t, err := s.newTest(ctx, r)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeoutCause(ctx, handOver, errTestRuns)
	defer cancel()
	for {
		verdict := make(chan any, 1)
		s.tell(func() { verdict <- s.beginTest(ctx, t) })
		select {
		case v := <-verdict:
			switch v := v.(type) {
			case error:
				return nil, v
			case *configTest:
				select {
				case <-v.done:
					continue
				case <-wait.Done():
					return nil, context.Cause(wait)
				}
			}
			return t.events, nil
		case <-s.ended:
			return nil, errShuttingDown
		}
	}
}

var errTestRuns = ipc.Errorf(ipc.CodeBusy, "another `xrat test` is running: wait for it, or end it with Ctrl-C")

// beginTest starts a test, in the loop. It returns nil, why it does not, or the
// test that is to be waited for.
func (s *Supervisor) beginTest(client context.Context, t *configTest) any {
	if s.st.stopping {
		return errShuttingDown
	}
	if old := s.st.test; old != nil && !old.over() {
		if old.client.Err() != nil {
			return old
		}
		return errTestRuns
	}
	s.st.test, t.client = t, client
	s.work(func(ctx context.Context) func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(client, cancel)()
		t.run(ctx)
		return func() {
			s.st.revision++ // what is listed has changed
		}
	})
	return nil
}

// newTest reads what is to be measured, and how.
func (s *Supervisor) newTest(ctx context.Context, r ipc.Request) (*configTest, error) {
	if r.Concurrency < 0 || r.Concurrency > maxConcurrency {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "the concurrency has to be from 1 to %d", maxConcurrency)
	}
	timeout := millis(r.TimeoutMillis)
	switch {
	case r.TimeoutMillis == 0:
		timeout = s.Settings.Health.Timeout.Std()
	case timeout < minTestTime || timeout > maxTestTime:
		return nil, ipc.Errorf(ipc.CodeInvalidState, "the timeout has to be from %v to %v", minTestTime, maxTestTime)
	}
	if !r.TCPOnly && len(s.Settings.Health.URLs) == 0 {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "there is no URL to ask for: set health.urls in the settings, or use --tcp-only")
	}
	configs, err := s.chosen(ctx, r)
	if err != nil {
		return nil, err
	}
	t := &configTest{
		s: s, arguments: r.TestArguments, timeout: timeout, concurrency: defaultConcurrency,
		events: make(chan ipc.TestEventPayload, len(configs)+2), done: make(chan struct{}),
		nonce: s.ownTestNonces() + uuid.NewString(),
	}
	if r.Concurrency > 0 {
		t.concurrency = r.Concurrency
	}
	if !r.TCPOnly {
		if t.executable, err = s.Locate(); err != nil {
			return nil, err
		}
	}
	for _, c := range configs {
		t.subjects = append(t.subjects, &subject{config: c})
	}
	return t, nil
}

// chosen returns the configs that a request names, or else those that it
// describes, the most promising first.
func (s *Supervisor) chosen(ctx context.Context, r ipc.Request) ([]store.Config, error) {
	k, err := s.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []store.Config
	if len(r.IDs) > 0 {
		taken := make(map[int64]bool, len(r.IDs)) // one may be named twice
		for _, id := range r.IDs {
			c, there := k.configs[id]
			if !there { // or it is retired
				if c, err = s.Store.Config(ctx, id); errors.Is(err, store.ErrNotFound) {
					return nil, ipc.Errorf(ipc.CodeNotFound, "there is no config %d: see `xrat list`", id)
				}
				if err != nil {
					return nil, fmt.Errorf("reading config %d: %w", id, err)
				}
			}
			if !taken[id] {
				chosen = append(chosen, c)
			}
			taken[id] = true
		}
	} else {
		candidates := slices.DeleteFunc(k.candidates, func(c rotation.Candidate) bool {
			return c.Excluded && !r.All || !tagged(k.configs[c.ConfigID], r.Tags)
		})
		for i := range candidates {
			candidates[i].Excluded = false // it would not be ranked
		}
		for _, c := range rotation.Rank(time.Now(), rotation.PreferBest, 0, candidates) {
			chosen = append(chosen, k.configs[c.ConfigID])
		}
	}
	switch {
	case len(k.configs)+len(chosen) == 0:
		return nil, ipc.Errorf(ipc.CodeInvalidState, "there are no configs yet: add some with `xrat import`")
	case len(chosen) == 0:
		return nil, ipc.Errorf(ipc.CodeNotFound, "no config is as described: see `xrat list`; those that are excluded are left out")
	case r.Limit > 0:
		chosen = chosen[:min(len(chosen), r.Limit)]
	}
	return chosen, nil
}

// tagged tells whether a config has all of the tags, in whatever case.
func tagged(c store.Config, tags []string) bool {
	for _, tag := range tags {
		if !slices.ContainsFunc(c.Tags, func(has string) bool { return strings.EqualFold(has, tag) }) {
			return false
		}
	}
	return true
}

// testNonces begins the nonces of the cores of tests that any daemon of this
// user's directories has started. Daemons of other directories, such as a
// demonstration's, have others.
func (s *Supervisor) testNonces() string {
	sum := sha256.Sum256([]byte(s.CoreDir))
	return "test-" + hex.EncodeToString(sum[:8]) + "-"
}

// ownTestNonces begins those of this daemon.
func (s *Supervisor) ownTestNonces() string {
	return fmt.Sprintf("%s%d.%d-", s.testNonces(), s.pid, s.startedAt.UnixNano())
}

// endOldTests ends, in a worker, the cores of tests whose daemon was killed.
// There is no record of them: their nonce says what they are.
func (s *Supervisor) endOldTests() {
	all, own := s.testNonces(), s.ownTestNonces()
	s.work(func(ctx context.Context) func() {
		// A test of this daemon may have begun meanwhile.
		left, err := s.Measuring.FindNonces(func(nonce string) bool {
			return strings.HasPrefix(nonce, all) && !strings.HasPrefix(nonce, own)
		})
		for _, id := range left {
			ctx, cancel := context.WithTimeout(ctx, 3*stopGrace)
			err = errors.Join(err, s.Cores.End(ctx, id, stopGrace))
			cancel()
		}
		if err != nil {
			s.Log.Error().Err(err).Msg("ending the cores of an old test")
		} else if len(left) > 0 {
			s.Log.Info().Int("cores", len(left)).Msg("ended the cores of an old test")
		}
		return nil
	})
}

// subject is a config that is measured.
type subject struct {
	config store.Config
	link   link.Link
	took   time.Duration // of the TCP connection
	ended  bool          // has its result
}

// configTest is one test of many configs. Its worker runs it; done is closed
// after the last event.
type configTest struct {
	s           *Supervisor
	client      context.Context // of who asked for it
	arguments   ipc.TestArguments
	timeout     time.Duration // of one config
	concurrency int
	executable  string
	nonce       string
	subjects    []*subject
	events      chan ipc.TestEventPayload
	done        chan struct{}

	mu      sync.Mutex
	summary ipc.TestSummaryPayload
	worked  bool // something did: the network is there
	learned []learned
}

// over tells whether the test has ended.
func (t *configTest) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}
