package tray

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// daemonDouble answers what a tray asks; the rest of its socket is the real one.
type daemonDouble struct {
	socket   string
	mu       sync.Mutex
	status   ipc.StatusPayload
	configs  []ipc.ConfigPayload
	requests []ipc.Request
	answer   func(ipc.Request) error
	states   chan ipc.EventPayload
	seq      uint64
	crash    func()
}

// stop ends the daemon as if somebody had asked it to.
func (d *daemonDouble) stop() {
	p := d.status
	p.Daemon = &ipc.DaemonPayload{Ending: true}
	was := d.status
	d.publish(p)
	d.crash()
	d.status = was
}

func (d *daemonDouble) Handle(_ context.Context, r ipc.Request) (any, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.Type {
	case ipc.KindStatus:
		return d.status, "", nil
	case ipc.KindConfigList:
		return ipc.ConfigListPayload{Configs: d.configs}, "", nil
	}
	d.requests = append(d.requests, r)
	var err error
	if d.answer != nil {
		err = d.answer(r)
	}
	return ipc.ProxySwitchPayload{RotationEnabled: r.Type == ipc.KindProxyStart}, "", err
}

func (d *daemonDouble) Subscribe() (<-chan ipc.EventPayload, func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states = make(chan ipc.EventPayload, 1)
	d.states <- ipc.EventPayload{Seq: d.seq, Status: d.status}
	return d.states, func() {}
}

func (d *daemonDouble) publish(p ipc.StatusPayload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	d.status = p
	select {
	case <-d.states:
	default:
	}
	if d.states != nil {
		d.states <- ipc.EventPayload{Seq: d.seq, Status: p}
	}
}

func (d *daemonDouble) asked(kind ipc.Kind) *ipc.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.requests {
		if r.Type == kind {
			return &r
		}
	}
	return nil
}

// start serves until stop or crash is called.
func (d *daemonDouble) start(t testing.TB) {
	t.Helper()
	listener, err := ipc.Listen(d.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&ipc.Server{Handler: d, Log: zerolog.Nop()}).Serve(ctx, listener, time.Second)
	}()
	d.crash = func() {
		d.mu.Lock()
		if d.states != nil {
			close(d.states)
			d.states = nil
		}
		d.mu.Unlock()
		cancel()
		<-done
	}
}

// fakeScreen shows menus to a test.
type fakeScreen struct {
	mu    sync.Mutex
	shown menu
	paint int
}

func (s *fakeScreen) show(m menu) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = m
	s.paint++
}

func (s *fakeScreen) rebuild(m menu) { s.show(m) }

func (s *fakeScreen) item(at slot) item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.Items[at]
}

// stage is a tray with a screen and a daemon of a test.
type stage struct {
	t        *testing.T
	daemon   *daemonDouble
	screen   *fakeScreen
	tray     *tray
	clicks   chan slot
	launches chan struct{}
	launch   func() error
	tries    atomic.Int64 // of the tray to reach the daemon
	mu       sync.Mutex
	notes    []notification
	end      func() // ends the tray and waits for it
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "tray") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := sample()
	s := &stage{
		t: t, screen: &fakeScreen{}, clicks: make(chan slot), launches: make(chan struct{}, 100),
		daemon: &daemonDouble{socket: filepath.Join(dir, "s"), status: m.status, configs: m.configs},
	}
	s.tray = newTray(Options{
		Client: &ipc.Client{Socket: s.daemon.socket}, Log: zerolog.Nop(),
		PrefsFile: filepath.Join(dir, "tray.json"), LoginFile: filepath.Join(dir, "autostart", "x.desktop"), LoginExec: "/bin/x",
		Launch: func(context.Context) error {
			s.launches <- struct{}{}
			if s.launch != nil {
				return s.launch()
			}
			s.daemon.start(t)
			return nil
		},
	}, s.clicks, make(chan struct{}))
	subscribe := s.tray.attacher.subscribe
	s.tray.attacher.subscribe = func(ctx context.Context, receive func(ipc.EventPayload) error) error {
		s.tries.Add(1)
		return subscribe(ctx, receive)
	}
	s.tray.painter = newPainter(s.screen, s.tray.offered)
	s.tray.notifier = newNotifier(func(_ context.Context, n notification) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notes = append(s.notes, n)
		return nil
	}, make(chan string), zerolog.Nop())
	return s
}

func (s *stage) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.tray.run(ctx)
		cancel()
		s.tray.work.Wait()
	}()
	s.end = func() {
		cancel()
		<-done
	}
}

func (s *stage) await(what string, good func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !good() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not in time; the menu is\n%s", what, s.screen.shown.text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// triesAgain waits until the tray has looked for the daemon twice more.
func (s *stage) triesAgain() {
	s.t.Helper()
	before := s.tries.Load()
	s.await("two more tries", func() bool { return s.tries.Load() >= before+2 })
}

func (s *stage) header(want string) {
	s.t.Helper()
	s.await(want, func() bool { return strings.HasPrefix(s.screen.item(slotHeader).Title, want) })
}

// click waits until the painter has shown the item as one that can be clicked, and clicks it.
func (s *stage) click(at slot) {
	s.t.Helper()
	s.await(fmt.Sprintf("slot %d", at), func() bool { return s.tray.painter.shown.Load().Items[at].Enabled })
	s.clicks <- at
}

func TestDaemonIsLaunchedOnceAndThenOnRequest(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.header("Connected · tokyo-1")
	if len(s.launches) != 1 {
		t.Errorf("%d launches", len(s.launches))
	}
	// It ends, and is not started again by itself.
	s.daemon.stop()
	s.header("Daemon not running")
	s.triesAgain()
	if len(s.launches) != 1 {
		t.Errorf("%d launches after the daemon was stopped", len(s.launches))
	}
	s.click(slotHeader)
	s.header("Connected · tokyo-1")
	// It is restarted by somebody else.
	s.daemon.stop()
	s.header("Daemon not running")
	s.daemon.start(t)
	s.header("Connected · tokyo-1")
	if len(s.launches) != 2 {
		t.Errorf("%d launches", len(s.launches))
	}
	s.daemon.stop()
}

// A daemon that ends without being asked to is started again, and the user is told of it once it
// does so again and again.
func TestLostDaemonIsLaunchedAgain(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.header("Connected · tokyo-1")
	s.daemon.crash()
	s.header("Daemon not running")
	s.header("Connected · tokyo-1")
	if len(s.launches) != 2 {
		t.Errorf("%d launches", len(s.launches))
	}
	s.daemon.mu.Lock()
	again := s.daemon.status
	s.daemon.mu.Unlock()
	again.Daemon = &ipc.DaemonPayload{Losses: manyLosses, LossReason: "out of luck"}
	s.daemon.publish(again)
	s.await("a notification", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.notes) > 0 && s.notes[len(s.notes)-1].Title == "The daemon keeps ending" && strings.Contains(s.notes[len(s.notes)-1].Body, "out of luck")
	})
	s.daemon.stop()
	s.header("Daemon not running")
}

// A daemon that is lost again and again has to wait ever longer; one that was stopped is left
// alone.
func TestRevival(t *testing.T) {
	var r revival
	now := noon
	for n, want := range []time.Duration{time.Second, time.Second, 8 * time.Second, 16 * time.Second} {
		r.lost(now, time.Second, false)
		if r.due(now.Add(want-1)) || !r.due(now.Add(want)) {
			t.Errorf("loss %d: at %v", n+1, r.at.Sub(now))
		}
		if r.due(now.Add(2*want - 1)) {
			t.Errorf("loss %d: started again at once", n+1)
		}
	}
	for range 100 {
		r.failed(now)
	}
	if r.at.Sub(now) != lastRevive {
		t.Errorf("at %v", r.at.Sub(now))
	}
	r.lost(now, soonLost, false)
	if r.at.Sub(now) != time.Second {
		t.Errorf("after a long life: at %v", r.at.Sub(now))
	}
	if r.lost(now, time.Second, true); r.due(now.Add(time.Hour)) || r.losses != 0 {
		t.Error("one that was stopped is started again")
	}
	if r.failed(now); !r.at.IsZero() {
		t.Error("a first start that failed is tried again")
	}
}

func TestReasonOfAFailedLaunchStays(t *testing.T) {
	s := newStage(t)
	s.launch = func() error { return errors.New("the settings have errors: line 3") }
	s.run()
	defer s.end()
	s.header("Daemon not running · Start")
	s.await("the reason", func() bool { return strings.Contains(s.screen.item(slotNotice).Title, "line 3") })
	s.triesAgain()
	if notice := s.screen.item(slotNotice).Title; !strings.Contains(notice, "line 3") {
		t.Errorf("the reason has become %q", notice)
	}
}

func TestDaemonOfAnotherVersionIsNotUsable(t *testing.T) {
	s := newStage(t)
	s.tray.attacher.subscribe = func(context.Context, func(ipc.EventPayload) error) error {
		return ipc.Errorf(ipc.CodeInvalidState, "the daemon speaks protocol version 2 and this program 1: update the older of the two")
	}
	s.run()
	defer s.end()
	s.header("Daemon not usable")
	s.await("the reason", func() bool { return strings.Contains(s.screen.item(slotNotice).Title, "protocol version 2") })
	if len(s.launches) != 0 {
		t.Error("a daemon was started beside it")
	}
}

func TestClicksAskTheDaemon(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.header("Connected · tokyo-1")
	s.await("the configs", func() bool { return s.screen.item(slotConfig + 2).Visible })
	s.click(slotConfig + 1)
	s.await("connect", func() bool { r := s.daemon.asked(ipc.KindRuntimeConnect); return r != nil && *r.ConfigID == 3 })
	s.click(slotRotate)
	s.await("rotate", func() bool {
		r := s.daemon.asked(ipc.KindRuntimeReplace)
		return r != nil && r.Trigger == ipc.TriggerManual
	})
	s.click(slotAutoRotate)
	s.await("rotation off", func() bool { return s.daemon.asked(ipc.KindProxyStop) != nil })
	s.click(slotStop)
	s.await("stop", func() bool { return s.daemon.asked(ipc.KindRuntimeDisconnect) != nil })
	s.await("its end", func() bool { return s.screen.item(slotStop).Title == "Stop" })

	// A command that fails says so, until the next.
	s.daemon.mu.Lock()
	s.daemon.answer = func(ipc.Request) error { return ipc.Errorf(ipc.CodeBusy, "the daemon is rotating") }
	s.daemon.mu.Unlock()
	s.click(slotRotate)
	s.await("the failure", func() bool { return s.screen.item(slotNotice).Title == "the daemon is rotating" })
	s.await("its notification", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.notes) == 1 && s.notes[0].Subject == subjectAnswer
	})

	// Switches of the tray's own are kept.
	s.click(slotNotifications)
	s.await("notifications off", func() bool { return !s.screen.item(slotNotifications).Checked })
	s.click(slotLogin)
	s.await("start at login", func() bool { return s.screen.item(slotLogin).Checked })
	if again := newTray(s.tray.Options, nil, nil); again.model.notifications || !again.model.login {
		t.Errorf("after a restart: %+v", again.model)
	}
	s.click(slotLogin)
	s.await("no start at login", func() bool { return !s.screen.item(slotLogin).Checked })
	if _, err := os.Stat(s.tray.LoginFile); !os.IsNotExist(err) {
		t.Errorf("the entry for logins: %v", err)
	}
	s.daemon.stop()
}

func TestDefaultsHoldWithDamagedPrefs(t *testing.T) {
	s := newStage(t)
	if err := os.WriteFile(s.tray.PrefsFile, []byte("{\"notifications\": 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := newTray(s.tray.Options, nil, nil); !again.model.notifications {
		t.Error("the defaults do not hold")
	}
}

// However many states come, the screen gets few, and the newest in the end.
func TestMenuIsPaintedSeldom(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.header("Connected · tokyo-1")
	began := time.Now()
	p := s.daemon.status
	for i := range 10_000 {
		session := *p.Session
		session.LatencyMillis = int64(i + 1)
		p.Session = &session
		s.daemon.publish(p)
	}
	s.header("Connected · tokyo-1 · 10000 ms")
	if most := 3 + int(time.Since(began)/paintSpacing); s.screen.paint > 3+most {
		t.Errorf("%d times painted in %v", s.screen.paint, time.Since(began))
	}
	s.daemon.stop()
}

// A thousand rotations and a hundred daemons leave nothing behind.
func TestNothingLeaks(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.header("Connected")
	s.await("the configs", func() bool { return s.screen.item(slotConfig).Visible })
	files := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0 // only Linux tells
		}
		return len(open)
	}
	goroutines, descriptors := runtime.NumGoroutine(), files()
	p := s.daemon.status
	for i := range 1000 {
		session := *p.Session
		session.ID, session.ConfigID, session.ConfigName = int64(i+10), int64(i%3+1), fmt.Sprint("server-", i)
		p.Session = &session
		p.LastRotation = &ipc.RotationPayload{At: noon.Add(time.Duration(i) * time.Second), Trigger: ipc.TriggerHealthCheckFailed, ToConfigID: session.ConfigID}
		s.daemon.publish(p)
		if i%10 == 0 {
			s.daemon.stop()
			s.daemon.start(t)
		}
		if i%50 == 0 {
			s.header("Connected · server-" + fmt.Sprint(i))
		}
	}
	s.header("Connected · server-999")
	s.await("as few goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines+goroutines/10 })
	s.await("as few descriptors as before", func() bool { return files() <= descriptors+descriptors/10 })
	s.daemon.stop()
}

func TestSilentDaemonIsNotUsable(t *testing.T) {
	s := newStage(t)
	mute, err := net.Listen("unix", s.daemon.socket) // a stopped process takes the connection and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	s.run()
	defer s.end()
	s.header("Daemon not usable")
	s.await("the reason", func() bool { return strings.Contains(s.screen.item(slotNotice).Title, "does not answer") })
}

func TestConfigsAreListedAnew(t *testing.T) {
	s := newStage(t)
	s.run()
	defer s.end()
	s.await("three configs", func() bool { return s.screen.item(slotConfig+2).Visible && !s.screen.item(slotConfig+3).Visible })
	change := func(configs []ipc.ConfigPayload, status func(*ipc.StatusPayload)) {
		s.daemon.mu.Lock()
		s.daemon.configs = configs
		p := s.daemon.status
		s.daemon.mu.Unlock()
		status(&p)
		s.daemon.publish(p)
	}
	configs := append(sample().configs, ipc.ConfigPayload{ID: 4, Rank: 4, Name: "bergen"})
	change(configs, func(p *ipc.StatusPayload) { p.ConfigsRevision++ })
	s.await("the new one", func() bool { return s.screen.item(slotConfig+3).Title == "bergen" })
	configs = append(sample().configs, ipc.ConfigPayload{ID: 4, Rank: 4, Name: "bergen", LatencyMillis: 7})
	change(configs, func(p *ipc.StatusPayload) {
		session := *p.Session
		session.ID++
		p.Session = &session
	})
	s.await("its latency", func() bool { return s.screen.item(slotConfig+3).Title == "bergen · 7 ms" })
	s.daemon.stop()
}
