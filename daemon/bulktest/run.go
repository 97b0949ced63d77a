package bulktest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// batchSize bounds how many servers share a core: 200 of them take some 30 MB.
	batchSize = 200
	// linger is how long a batch that is not full waits for more.
	linger = 300 * time.Millisecond
	// batchReady bounds how long a batch's core may take until it serves.
	batchReady = 15 * time.Second
	// worksAtOnce is how many configs do work at a time: more would only take each other's
	// bandwidth.
	worksAtOnce = 8
	// leastWorkTime and mostWorkTime bound what a config has for it, which is workMultiple times
	// what a request took otherwise.
	leastWorkTime, mostWorkTime = 4 * time.Second, 10 * time.Second
	workMultiple                = 8
	// aloneAtOnce is how many cores run at a time that serve one server each.
	aloneAtOnce = 4
)

// subject is a config that is measured.
type subject struct {
	config store.Config
	link   link.Link
	took   time.Duration // of the TCP connection
	ended  bool          // has its result

	result    ipc.TestResultPayload // of what answers, until it is finished
	strangled bool                  // it answers, and strangles work
}

// run is one test of many configs; done is closed after the last event.
type run struct {
	Deps
	client      context.Context // of who asked for it
	arguments   ipc.TestArguments
	timeout     time.Duration // of one config
	concurrency int
	executable  string
	nonce       string
	subjects    []*subject
	events      chan ipc.TestEventPayload
	done        chan struct{}

	working chan struct{} // has room for those that do work

	mu      sync.Mutex
	summary ipc.TestSummaryPayload
	worked  bool // something did: the network is there
	learned []rotation.Lesson
	didWork bool              // something did: the network does not strangle all of it
	limited []rotation.Lesson // kept until then
}

// over reports whether the test has ended.
func (t *run) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// run measures. A TCP connection to each server comes first: for a dead one it costs next to
// nothing and says why it is dead. The servers that answer go through a core in batches, one batch
// after the other, while the connections go on. Servers that need a core to themselves are measured
// at the same time.
func (t *run) run(ctx context.Context) {
	began := time.Now()
	t.events <- ipc.TestEventPayload{Total: len(t.subjects)}
	together := make(chan *subject, len(t.subjects))
	alone := make(chan *subject, len(t.subjects))
	var stages errgroup.Group
	stages.Go(func() error {
		defer close(together)
		defer close(alone)
		t.connectAll(ctx, together, alone)
		return nil
	})
	stages.Go(func() error {
		for batch := range batches(together) {
			t.through(ctx, batch)
			t.record(ctx)
		}
		return nil
	})
	for range aloneAtOnce {
		stages.Go(func() error {
			for s := range alone {
				t.through(ctx, []*subject{s})
			}
			return nil
		})
	}
	_ = stages.Wait() // none returns an error
	t.record(ctx)

	t.mu.Lock()
	summary := t.summary
	summary.Canceled = len(t.subjects) - summary.OK - summary.Failed
	summary.DurationMillis = ipc.Millis(time.Since(began))
	summary.Unblamed = summary.Failed > 0 && !t.worked
	t.mu.Unlock()
	t.Log.Info().Int("ok", summary.OK).Int("failed", summary.Failed).Int("canceled", summary.Canceled).
		Int64("ms", summary.DurationMillis).Msg("configs tested")
	t.events <- ipc.TestEventPayload{Summary: &summary}
	close(t.done) // before the events, so that who has read them all may begin another
	close(t.events)
}

// connectAll connects to every server and passes on those that answer, or that are not reached by
// TCP.
func (t *run) connectAll(ctx context.Context, together, alone chan<- *subject) {
	var group errgroup.Group
	// A connection costs less than what follows it.
	group.SetLimit(2 * t.concurrency)
	for _, s := range t.subjects {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if !t.connect(ctx, s) {
				return nil
			}
			if xray.Alone(s.link) {
				alone <- s
			} else {
				together <- s
			}
			return nil
		})
	}
	_ = group.Wait()
}

// connect reads the subject's link and connects to its server. It reports whether there is more to
// measure.
func (t *run) connect(ctx context.Context, s *subject) bool {
	l, err := link.Parse(s.config.Link)
	if err != nil {
		t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeBadLink, Message: "reading its link: " + err.Error()})
		return false
	}
	s.link = l
	switch {
	case t.Settings.Front.HasPort(l.Port) && t.Tools.Own(ctx, l.Host):
		t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeLoop, Message: "it is xrat's own address: what is sent there would come back for ever"})
		return false
	case datagrams(l) && t.arguments.TCPOnly:
		t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeNoTCP, Message: "it is not reached by TCP"})
		return false
	case datagrams(l):
		return true
	}
	limited, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	began := time.Now()
	err = t.Tools.Connect(limited, net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))))
	s.took = time.Since(began)
	switch {
	case err != nil:
		t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeUnreachable, Message: t.explain(limited, err)})
		return false
	case t.arguments.TCPOnly:
		t.finish(ctx, s, ipc.TestResultPayload{OK: true, Code: probe.ClassOK})
		return false
	}
	return true
}

// datagrams reports whether a server is reached by UDP.
func datagrams(l link.Link) bool {
	switch l.Transport.(type) {
	case link.KCP, link.QUIC, link.Datagrams:
		return true
	}
	return false
}

// explain says why there was no connection.
func (t *run) explain(limited context.Context, err error) string {
	var op *net.OpError
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		return fmt.Sprintf("no connection within %v", t.timeout)
	case errors.As(err, &op):
		return op.Err.Error() // without the addresses
	}
	return err.Error()
}

// batches groups the subjects as they come: at most batchSize, and none waits long for others.
func batches(subjects <-chan *subject) func(yield func([]*subject) bool) {
	return func(yield func([]*subject) bool) {
		for first := range subjects {
			batch := []*subject{first}
			full := time.NewTimer(linger)
		gather:
			for len(batch) < batchSize {
				select {
				case s, open := <-subjects:
					if !open {
						break gather
					}
					batch = append(batch, s)
				case <-full.C:
					break gather
				}
			}
			full.Stop()
			if !yield(batch) {
				return
			}
		}
	}
}

// errCoreEnded is why measurements through a core were called off.
var errCoreEnded = errors.New("the core ended")

// through measures a batch through one core. When the core ends by itself, the halves of what is
// left get one each, so that the server that ends a core spoils nobody else's result.
func (t *run) through(ctx context.Context, batch []*subject) {
	if ctx.Err() != nil {
		return
	}
	spec := xray.BatchSpec{
		Executable: t.executable, Nonce: t.nonce, Dir: t.CoreDir, LogFile: testLog(t.CoreLog), ReadyTimeout: batchReady,
	}
	for _, s := range batch {
		spec.Links = append(spec.Links, s.link)
	}
	core, err := t.Tools.StartBatch(ctx, spec)
	if err != nil {
		for _, s := range batch {
			t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeCoreFailed, Message: err.Error()})
		}
		return
	}
	t.measure(ctx, core, batch)
	ended := false
	select {
	case <-core.Done():
		ended = true
	default:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*stopGrace)
	defer cancel()
	if err := core.Stop(stop, stopGrace); err != nil {
		t.Log.Error().Err(err).Msg("stopping the core of a test")
	}
	left := slices.DeleteFunc(slices.Clone(batch), func(s *subject) bool { return s.ended })
	switch {
	case !ended || len(left) == 0:
	case len(batch) == 1:
		t.finish(ctx, batch[0], ipc.TestResultPayload{Code: ipc.TestCodeCoreFailed, Message: "the core ended: " + core.ExitReason()})
	default:
		t.Log.Warn().Str("reason", core.ExitReason()).Int("left", len(left)).Msg("the core of a test ended by itself")
		for half := range slices.Chunk(left, (len(batch)+1)/2) {
			t.through(ctx, half)
		}
	}
}

// testLog is where the cores of tests write: they say something about every server, which would
// drown what the session's core says.
func testLog(path string) string {
	extension := filepath.Ext(path)
	return strings.TrimSuffix(path, extension) + "-test" + extension
}

// measure asks through every server of a batch, and then downloads through those that answered, one
// at a time and the fastest first.
func (t *run) measure(ctx context.Context, core Batch, batch []*subject) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		select {
		case <-core.Done():
			cancel(errCoreEnded)
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel(nil)
		<-watch
	}()
	delays := make([]time.Duration, len(batch)) // 0: nothing to download through
	var group errgroup.Group
	group.SetLimit(t.concurrency)
	for i, s := range batch {
		if err := core.Refused(i); err != nil {
			t.finish(ctx, s, ipc.TestResultPayload{Code: ipc.TestCodeCoreRefuses, Message: err.Error()})
			continue
		}
		group.Go(func() error {
			delays[i] = t.ask(ctx, s, proxyOf(core.Inbound(i)))
			return nil
		})
	}
	_ = group.Wait()
	if t.arguments.SpeedURL == "" {
		return
	}
	var order []int
	for i, delay := range delays {
		if delay > 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(delays[a], delays[b]) })
	for _, i := range order {
		result := batch[i].result
		d := t.Tools.Fetch(ctx, proxyOf(core.Inbound(i)), t.arguments.SpeedURL, speedBytes, speedWait, speedTime)
		if context.Cause(ctx) == errCoreEnded {
			return
		}
		switch {
		case d.OK:
			result.SpeedBytes = d.Rate()
		case ctx.Err() != nil:
			result.SpeedMessage = "not measured: the test was ended"
		default:
			result.SpeedMessage = d.Err.Error()
		}
		// Also when it was called off: that it answers is known.
		t.finish(context.WithoutCancel(ctx), batch[i], result)
	}
}

// ask makes one request through a server. If that is not all that there is to measure it returns
// the delay instead of ending the subject.
func (t *run) ask(ctx context.Context, s *subject, p probe.Proxy) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	r := t.Tools.Get(ctx, p, probe.Question{
		URLs: t.Settings.Health.URLs, Statuses: t.Settings.Health.Statuses, Timeout: max(t.timeout-s.took, t.timeout/4),
	})
	switch {
	case !r.OK && r.Class != probe.ClassTimeout && t.Handshake(ctx, p) != nil:
		return 0 // the core is gone, which is not this server's fault as far as is known
	case !r.OK:
		t.finish(ctx, s, ipc.TestResultPayload{Code: r.Class, Message: r.Err.Error()})
	default:
		s.result = ipc.TestResultPayload{OK: true, Code: probe.ClassOK, DelayMillis: ipc.Millis(r.Latency)}
		if t.arguments.Work {
			t.work(ctx, s, p, r.Latency)
		}
		if t.arguments.SpeedURL != "" {
			return r.Latency
		}
		t.finish(ctx, s, s.result)
	}
	return 0
}

// work has a server do work, which takes its turn, and notes what came of it.
func (t *run) work(ctx context.Context, s *subject, p probe.Proxy, latency time.Duration) {
	select {
	case t.working <- struct{}{}:
		defer func() { <-t.working }()
	case <-ctx.Done():
		return
	}
	limited, cancel := context.WithTimeout(ctx, min(max(leastWorkTime, workMultiple*latency), mostWorkTime))
	defer cancel()
	pages := t.Settings.Health.WorkURLs
	w := t.Tools.Work(limited, p, pages[int(s.config.ID)%len(pages)])
	if ctx.Err() != nil {
		return
	}
	if s.result.Work = w.Class; w.Err != nil {
		s.result.WorkMessage = w.Err.Error()
	}
	s.strangled = w.Strangled()
}

func proxyOf(in xray.Inbound) probe.Proxy {
	return probe.Proxy{Address: in.Address, User: in.User, Password: in.Password}
}

// finish gives a subject its result, unless ctx has ended: what is measured after that says
// nothing.
func (t *run) finish(ctx context.Context, s *subject, r ipc.TestResultPayload) {
	if ctx.Err() != nil {
		return
	}
	c := s.config
	r.ConfigID, r.ConfigName, r.Protocol, r.Address, r.Port = c.ID, c.Name, c.Protocol, c.Address, c.Port
	r.TCPMillis = ipc.Millis(s.took)
	if r.Code == ipc.TestCodeUnreachable {
		r.TCPMillis = 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.ended = true
	if r.OK {
		t.summary.OK++
	} else {
		t.summary.Failed++
	}
	t.learn(s, r)
	t.events <- ipc.TestEventPayload{Result: &r} // has room
}
