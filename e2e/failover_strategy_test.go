//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// strategy is a program that keeps a proxy working with the servers of a box. connect comes first,
// and the end of the test ends it.
type strategy interface {
	connect() // to the first server
	addresses() (socks, http string)
	rotate() error      // to another server, as the user asks
	killCore() error    // SIGKILL to the core that serves
	history() []serving // the first entry is that of connect
	replayed() int      // connections that were sent a second time
}

// serving says that a server was used from then on, by that core.
type serving struct {
	since  time.Time
	server string
	pid    int
}

// chronicle is a history that is being written.
type chronicle struct {
	mu      sync.Mutex
	entries []serving
}

func (c *chronicle) note(server string, pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.entries); n > 0 && c.entries[n-1].server == server && c.entries[n-1].pid == pid {
		return
	}
	c.entries = append(c.entries, serving{time.Now(), server, pid})
}

func (c *chronicle) history() []serving {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]serving(nil), c.entries...)
}

// probeURLs are two, as in the default settings.
func probeURLs(b *box) []string {
	return []string{b.lab.Origin().URL("/generate_204"), b.lab.Origin().URL("/generate_204?second")}
}

// countInterval is how often a session's counts are read: they go with it.
const countInterval = 500 * time.Millisecond

// product is xrat with its default settings.
type product struct {
	*box
	chronicle

	counting sync.Mutex
	replays  map[int64]int // by session
}

func newProduct(b *box) strategy {
	b.settings(fmt.Sprintf("urls = [%q, %q]\n", probeURLs(b)[0], probeURLs(b)[1]), "[log]\nlevel = \"debug\"\n")
	return &product{box: b, replays: make(map[int64]int)}
}

func (p *product) addresses() (socks, http string) { return p.socks, p.http }

func (p *product) connect() {
	p.serve(lab.VLESS, lab.VLESS, lab.VLESS)
	p.ok("connect", p.servers[0].Name())
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	first := make(chan struct{})
	watch.Go(func() {
		known := sync.OnceFunc(func() { close(first) })
		err := p.client().Subscribe(ctx, func(e ipc.EventPayload) error {
			if s := e.Status.Session; s != nil {
				p.note(s.ConfigName, s.PID)
			}
			known()
			return nil
		})
		if ctx.Err() == nil {
			p.t.Errorf("watching the daemon: %v", err)
		}
		known()
	})
	watch.Go(func() {
		for tick := time.NewTicker(countInterval); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				p.count(ctx)
			}
		}
	})
	<-first
	p.await("a standby", time.Minute, func(s ipc.StatusPayload) bool { return s.Standby != nil })
	p.t.Cleanup(func() {
		cancel()
		watch.Wait()
	})
}

func (p *product) rotate() error {
	_, _, err := p.client().Rotate(context.Background(), 0)
	return err
}

func (p *product) killCore() error {
	session := p.status().Session
	if session == nil {
		return errors.New("there is no session")
	}
	process, err := os.FindProcess(session.PID) // from here on it cannot become another one
	if err != nil {
		return err
	}
	defer process.Release()
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", session.PID)); err != nil || exe != programs.core {
		return fmt.Errorf("process %d is no core of ours: %q, %v", session.PID, exe, err)
	}
	return process.Kill()
}

// replayed adds up the last counts of all sessions.
func (p *product) replayed() int {
	p.count(context.Background())
	p.counting.Lock()
	defer p.counting.Unlock()
	sum := 0
	for _, n := range p.replays {
		sum += n
	}
	return sum
}

// count notes the replays of the session that serves.
func (p *product) count(ctx context.Context) {
	status, err := p.client().Status(ctx)
	if err != nil || status.Session == nil {
		return // the next time
	}
	p.counting.Lock()
	defer p.counting.Unlock()
	p.replays[status.Session.ID] = max(p.replays[status.Session.ID], int(status.Traffic.Replayed))
}

const (
	// The rival's checks: one every rivalInterval, and after rivalThreshold failures in a row the
	// next server.
	rivalInterval  = 15 * time.Second
	rivalTimeout   = 3 * time.Second
	rivalThreshold = 3
)

// rival does what graphical clients of Xray do: it stops the core and starts it with the next
// config on the same port. A core that exits is started again.
type rival struct {
	*box
	chronicle
	port     int
	commands chan func() error
	answers  chan error
	ended    chan struct{}

	// Of the one goroutine that runs it.
	core    *exec.Cmd
	exited  chan struct{}
	current int
}

func newRival(b *box) strategy {
	r := &rival{box: b, commands: make(chan func() error), answers: make(chan error), ended: make(chan struct{})}
	_, port, err := net.SplitHostPort(b.socks)
	must(b.t, err)
	r.port, err = strconv.Atoi(port)
	must(b.t, err)
	return r
}

// addresses: one inbound of the core takes SOCKS and HTTP.
func (r *rival) addresses() (socks, http string) { return r.socks, r.socks }

func (r *rival) replayed() int { return 0 }

func (r *rival) connect() {
	for i := range 3 {
		server, err := r.lab.AddServer(fmt.Sprintf("s%d", i+1), lab.VLESS)
		must(r.t, err)
		r.servers = append(r.servers, server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.ended)
		r.run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	must(r.t, r.do(r.launch))
}

// do has the goroutine do something.
func (r *rival) do(f func() error) error {
	select {
	case r.commands <- f:
		return <-r.answers
	case <-r.ended:
		return errors.New("the rival has ended")
	}
}

func (r *rival) rotate() error { return r.do(r.next) }

func (r *rival) killCore() error { return r.do(func() error { return r.core.Process.Kill() }) }

func (r *rival) run(ctx context.Context) {
	runtime.LockOSThread() // the cores die with this thread, and so with the test
	defer func() { r.stop() }()
	failures := 0
	verdicts := make(chan bool, 1)
	// The fault comes at any time between two checks.
	check := time.NewTimer(rand.N(rivalInterval))
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case f := <-r.commands:
			r.answers <- f()
		case <-r.exited:
			err = r.launch()
		case <-check.C:
			check.Reset(rivalInterval)
			go func() {
				result := probe.Get(ctx, probe.Proxy{Address: r.socks}, probe.Question{URLs: probeURLs(r.box), Timeout: rivalTimeout, Stagger: rivalTimeout}, nil)
				verdicts <- result.OK
			}()
		case good := <-verdicts:
			failures++
			if good {
				failures = 0
			}
			if failures >= rivalThreshold {
				failures = 0
				err = r.next()
			}
		}
		if err != nil {
			r.t.Errorf("the rival: %v", err)
			return
		}
	}
}

func (r *rival) next() error {
	r.stop()
	r.current = (r.current + 1) % len(r.servers)
	return r.launch()
}

func (r *rival) stop() {
	if r.core == nil {
		return
	}
	_ = r.core.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.exited:
	case <-time.After(3 * time.Second):
		_ = r.core.Process.Kill()
		<-r.exited
	}
	r.core, r.exited = nil, nil
}

// launch starts the core with the current config and returns once it takes connections.
func (r *rival) launch() error {
	server := r.servers[r.current]
	parsed, err := link.Parse(server.Link())
	if err != nil {
		return err
	}
	outbound, err := xray.Outbound(parsed)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"log": map[string]any{"loglevel": "none", "access": "none"},
		"inbounds": []any{map[string]any{
			"listen": "127.0.0.1", "port": r.port, "protocol": "mixed", "settings": map[string]any{"udp": true},
		}},
		"outbounds": []any{outbound},
	})
	if err != nil {
		return err
	}
	core := exec.Command(programs.core, "run", "-c", "stdin:")
	core.Dir = r.path("home")
	core.Env = []string{"XRAY_LOCATION_ASSET=" + core.Dir}
	core.Stdin = bytes.NewReader(config)
	core.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := core.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = core.Wait()
	}()
	r.core, r.exited = core, exited
	for {
		conn, err := net.Dial("tcp", r.socks)
		if err == nil {
			conn.Close()
			r.note(server.Name(), core.Process.Pid)
			return nil
		}
		select {
		case <-exited:
			return errors.New("the core exited at once")
		case <-time.After(time.Millisecond):
		}
	}
}

// both are the strategies that the benchmark compares.
var both = []struct {
	name string
	new  func(*box) strategy
}{
	{"xrat", newProduct},
	{"restart", newRival},
}
