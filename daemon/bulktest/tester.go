// Package bulktest measures many configs for the user: `xrat test`. It starts cores that serve many
// servers each, asks through them, streams the results, and hands what was learned to the
// catalogue.
//
// It does not choose the configs or keep what was learned (daemon/catalog), make a single
// measurement (runtime/probe) or handle processes (runtime/xray). Nothing here touches the session
// in use.
//
// Begin with tester.go, which starts one test at a time; run.go is the course of one.
package bulktest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/descriptors"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// defaultConcurrency and maxConcurrency are how many configs are measured at a time.
	defaultConcurrency, maxConcurrency = 64, 512
	// testShare is the part of all descriptors that bounds it: some configs take two.
	testShare = 8
	// minTestTime and maxTestTime bound what a client may ask for as the time of one config.
	minTestTime, maxTestTime = 100 * time.Millisecond, time.Minute
	// speedBytes, speedTime and speedWait bound one download.
	speedBytes = 10 << 20
	speedTime  = 5 * time.Second
	speedWait  = 10 * time.Second
	// stopGrace is how long a core may take to end by itself when asked.
	stopGrace = 2 * time.Second
	// handOver is how long a new test waits for the end of one that was called off.
	handOver = 3 * stopGrace
)

// Catalog is what a test asks of the catalogue, and tells it.
type Catalog interface {
	// Choose returns the configs that a request names or describes.
	Choose(ctx context.Context, r ipc.Request) ([]store.Config, error)
	// Learn changes what is known of configs.
	Learn(ctx context.Context, lessons ...rotation.Lesson)
}

// Supervisor is what a test asks of whoever runs the sessions, and tells it.
type Supervisor interface {
	// Active returns the config in use; the id is 0 if there is none.
	Active() (id int64, name string)
	// Stopping returns why nothing new may begin; nil: it may.
	Stopping() error
	// Revised reports that what is listed of the configs has changed.
	Revised()
}

// Deps is what a Tester works with. All fields are needed.
type Deps struct {
	Settings   settings.Settings
	Catalog    Catalog
	Supervisor Supervisor
	Tools      Tools
	// Handshake asks a SOCKS inbound whether it answers.
	Handshake func(ctx context.Context, inbound probe.Proxy) error
	// Locate returns the path of the core's executable.
	Locate func() (string, error)
	// EndCore ends exactly the process with this identity.
	EndCore func(ctx context.Context, id xray.Identity, grace time.Duration) error
	// CoreDir is the working directory of cores, CoreLog the file that the core in use writes to.
	CoreDir, CoreLog string
	Log              zerolog.Logger
}

// Tester runs tests, one at a time. Its methods may be called from any goroutine.
type Tester struct {
	Deps
	// family begins the nonces of the cores of tests that any daemon with these directories has
	// started. Daemons with others, such as a demonstration's, have others. own begins this one's.
	family, own string

	base    context.Context // of tests
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex
	latest *run // may be over
}

// New returns a tester that has done nothing yet. Close ends it.
func New(deps Deps) *Tester {
	sum := sha256.Sum256([]byte(deps.CoreDir))
	family := "test-" + hex.EncodeToString(sum[:8]) + "-"
	t := &Tester{Deps: deps, family: family, own: fmt.Sprintf("%s%d.%d-", family, os.Getpid(), time.Now().UnixNano())}
	t.base, t.cancel = context.WithCancel(context.Background())
	return t
}

// Close ends the test that runs, and waits for the end of everything that was begun.
func (t *Tester) Close() {
	t.mu.Lock()
	t.cancel() // under the lock: nothing begins after this
	t.mu.Unlock()
	t.workers.Wait()
}

// Test measures configs; see ipc.Server. A second test is refused while one runs, unless the first
// was called off: then it waits for its end.
func (t *Tester) Test(ctx context.Context, r ipc.Request) (<-chan ipc.TestEventPayload, error) {
	next, err := t.newRun(ctx, r)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeoutCause(ctx, handOver, errTestRuns)
	defer cancel()
	for {
		previous, err := t.begin(next)
		if err != nil {
			return nil, err
		}
		if previous == nil {
			return next.events, nil
		}
		select {
		case <-previous.done:
		case <-wait.Done():
			return nil, context.Cause(wait)
		}
	}
}

var errTestRuns = ipc.Errorf(ipc.CodeBusy, "another `xrat test` is running: wait for it, or end it with Ctrl-C")

// begin starts a test, or returns the one that is called off and has to be waited for.
func (t *Tester) begin(next *run) (previous *run, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.Supervisor.Stopping(); err != nil {
		return nil, err
	}
	if t.latest != nil && !t.latest.over() {
		if t.latest.client.Err() != nil {
			return t.latest, nil
		}
		return nil, errTestRuns
	}
	if t.base.Err() != nil {
		return nil, context.Cause(t.base)
	}
	t.latest = next
	t.workers.Go(func() {
		ctx, cancel := context.WithCancel(t.base)
		defer cancel()
		defer context.AfterFunc(next.client, cancel)()
		next.run(ctx)
		t.Supervisor.Revised()
	})
	return nil, nil
}

// newRun reads what is to be measured, and how.
func (t *Tester) newRun(ctx context.Context, r ipc.Request) (*run, error) {
	if r.Concurrency < 0 || r.Concurrency > maxConcurrency {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "the concurrency has to be from 1 to %d", maxConcurrency)
	}
	timeout := time.Duration(r.TimeoutMillis) * time.Millisecond
	switch {
	case r.TimeoutMillis == 0:
		timeout = t.Settings.Health.Timeout.Std()
	case timeout < minTestTime || timeout > maxTestTime:
		return nil, ipc.Errorf(ipc.CodeInvalidState, "the timeout has to be from %v to %v", minTestTime, maxTestTime)
	}
	if !r.TCPOnly && len(t.Settings.Health.URLs) == 0 {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "there is no URL to ask for: set health.urls in the settings, or use --tcp-only")
	}
	if r.Work && (r.TCPOnly || !t.Settings.Health.LooksAtWork()) {
		return nil, ipc.Errorf(ipc.CodeInvalidState, "no work can be done: set health.work_urls in the settings, and do not ask for TCP only")
	}
	configs, err := t.Catalog.Choose(ctx, r)
	if err != nil {
		return nil, err
	}
	next := &run{
		Deps: t.Deps, client: ctx, arguments: r.TestArguments, timeout: timeout, concurrency: defaultConcurrency,
		events: make(chan ipc.TestEventPayload, len(configs)+2), done: make(chan struct{}),
		nonce: t.own + uuid.NewString(), working: make(chan struct{}, worksAtOnce),
	}
	if r.Concurrency > 0 {
		next.concurrency = r.Concurrency
	}
	next.concurrency = min(next.concurrency, descriptors.Share(testShare))
	if !r.TCPOnly {
		if next.executable, err = t.Locate(); err != nil {
			return nil, err
		}
	}
	for _, c := range configs {
		next.subjects = append(next.subjects, &subject{config: c})
	}
	return next, nil
}

// EndOld ends, in the background, the cores of tests whose daemon was killed. There is no record of
// them: their nonce says what they are.
func (t *Tester) EndOld() {
	t.workers.Go(func() {
		// A test of this daemon may have begun meanwhile.
		left, err := t.Tools.FindNonces(func(nonce string) bool {
			return strings.HasPrefix(nonce, t.family) && !strings.HasPrefix(nonce, t.own)
		})
		for _, id := range left {
			ctx, cancel := context.WithTimeout(t.base, 3*stopGrace)
			err = errors.Join(err, t.EndCore(ctx, id, stopGrace))
			cancel()
		}
		if err != nil {
			t.Log.Error().Err(err).Msg("ending the cores of an old test")
		} else if len(left) > 0 {
			t.Log.Info().Int("cores", len(left)).Msg("ended the cores of an old test")
		}
	})
}
