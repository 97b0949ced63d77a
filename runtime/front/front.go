package front

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/descriptors"
	"github.com/xrat-tray/xrat/runtime/mark"
)

// handshakeTimeout bounds what comes before the destination is known.
const handshakeTimeout = 10 * time.Second

// Options say how a Front serves.
type Options struct {
	// SOCKS is the address that speaks SOCKS5 and HTTP, and HTTP the one that speaks only HTTP;
	// empty: none. The host is an IP address, localhost for 127.0.0.1, or empty for every address
	// of the machine.
	SOCKS, HTTP string

	// Username and Password are asked for on both listeners; both empty: no authentication.
	// Addresses beyond loopback need them.
	Username, Password string

	Wait time.Duration // how long a new connection waits for a usable core

	Rescue Rescue
	Log    zerolog.Logger
}

// Front carries connections from applications to the current core. Its methods may be called from
// any goroutine, except that Open, Serve and Close exclude each other.
type Front struct {
	options      atomic.Pointer[Options]
	credentials  atomic.Pointer[credentials]
	log          zerolog.Logger
	pools        *pools
	pipes        *pipes
	dialer       net.Dialer
	signals      chan Signal
	state        atomic.Pointer[state]
	waiting      atomic.Int64
	waitedInVain atomic.Uint64
	watching     atomic.Bool   // somebody watches over stalls
	halfClosed   time.Duration // the constant; tests have less time
	epoch        time.Time     // where the front's clock begins
	guard        *guard
	marks        mark.Memory // of tunnels and of requests

	standby atomic.Pointer[state] // never nil; its target is
	setting sync.Mutex            // held by whoever replaces state or standby

	mu           sync.Mutex
	ledgers      map[int64]*ledger
	past         Counters               // of forgotten ledgers
	run          *run                   // nil: closed
	clients      map[*net.TCPConn]int64 // with the time at which they came, or understood
	crowd        crowd
	associations map[*association]struct{}
}

// run is what lives from Open to Close.
type run struct {
	listeners Listeners
	ctx       context.Context
	stop      context.CancelFunc
	wg        sync.WaitGroup // accept loops and connections
	web       *webServer
}

// New returns a closed Front without a target.
func New(o Options) *Front {
	f := &Front{
		log:          o.Log,
		pools:        newPools(),
		pipes:        newPipes(),
		signals:      make(chan Signal, 64),
		halfClosed:   halfClosed,
		ledgers:      make(map[int64]*ledger),
		clients:      make(map[*net.TCPConn]int64),
		crowd:        newCrowd(descriptors.Limit()),
		associations: make(map[*association]struct{}),
		epoch:        time.Now(),
		guard:        newGuard(o.Rescue),
	}
	// The core is on this machine: keep-alive has nothing to find out, and a dial that hangs means
	// that the core does not take connections.
	f.dialer = net.Dialer{KeepAlive: -1}
	f.dialer.SetMultipathTCP(false)
	f.state.Store(newState(nil))
	f.standby.Store(newState(nil))
	f.Configure(o)
	return f
}

// Configure replaces the options, but for the logger. What is new holds from the next connection
// on; addresses, from the next Open. Any goroutine may call it.
func (f *Front) Configure(o Options) {
	f.options.Store(&o)
	f.credentials.Store(&credentials{sha256.Sum256([]byte(o.Username)), sha256.Sum256([]byte(o.Password))})
	f.guard.follow(o.Rescue)
}

// wait is how long a new connection waits for a usable core.
func (f *Front) wait() time.Duration { return f.options.Load().Wait }

// credentials are what clients must know, hashed.
type credentials struct{ user, password [sha256.Size]byte }

// Open binds the listeners of the options and serves them until Close. It opens all or nothing; the
// error joins one *PortError for each address that failed. Open on an open Front does nothing.
func (f *Front) Open(ctx context.Context) error {
	f.mu.Lock()
	open := f.run != nil
	f.mu.Unlock()
	if open {
		return nil
	}
	l, err := Listen(ctx, *f.options.Load())
	if err != nil {
		return err
	}
	f.Serve(l)
	return nil
}

// Serve serves these listeners until Close, which closes them. An open Front closes those that it
// had and is not given again, and keeps their connections.
func (f *Front) Serve(l Listeners) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.run
	if r == nil {
		r = new(run)
		r.ctx, r.stop = context.WithCancel(context.Background())
		r.web = f.newWebServer(r)
		f.run = r
	}
	old := r.listeners
	r.listeners = l
	serve := func(next, had *net.TCPListener, serve func(context.Context, *net.TCPConn)) {
		if next == had {
			return
		}
		if next != nil {
			r.wg.Go(func() { f.accept(r.ctx, next, serve) })
		}
		if had != nil {
			had.Close()
		}
	}
	serve(l.SOCKS, old.SOCKS, f.serveAny)
	serve(l.HTTP, old.HTTP, f.serveHTTP)
}

// Close stops listening, resets every connection and waits until nothing of the Front runs. The
// target and the counters stay, and Open may follow. Closing a closed Front does nothing.
func (f *Front) Close() error {
	f.mu.Lock()
	r := f.run
	f.run = nil
	clients := f.clients
	f.clients = make(map[*net.TCPConn]int64)
	f.mu.Unlock()
	if r == nil {
		return nil
	}
	r.stop()
	r.listeners.Close()
	for c := range clients {
		reset(c)
	}
	// A dial in flight runs under a state: replace it by one alike.
	f.setting.Lock()
	for _, p := range []*atomic.Pointer[state]{&f.state, &f.standby} {
		p.Swap(newState(p.Load().target)).done()
	}
	f.setting.Unlock()
	for _, l := range f.allLedgers() {
		l.abort()
	}
	r.web.close()
	r.wg.Wait()
	f.pipes.close()
	return nil
}

// Leave reports false: this front ends with the process.
func (f *Front) Leave() bool { return false }

// Addresses returns the addresses as bound, empty while closed.
func (f *Front) Addresses() (socks, http string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil {
		return "", ""
	}
	return f.run.listeners.Addresses()
}

// now is the front's clock: monotonic, and small enough to be kept in an atomic.
func (f *Front) now() int64 { return int64(time.Since(f.epoch)) }

// start serves c in a goroutine of the run that ctx belongs to. The server closes c.
func (f *Front) start(ctx context.Context, c *net.TCPConn, serve func(context.Context, *net.TCPConn)) {
	f.mu.Lock()
	r := f.run
	if r == nil || r.ctx != ctx {
		f.mu.Unlock()
		c.Close()
		return
	}
	if !f.admit() {
		f.mu.Unlock()
		reset(c)
		return
	}
	f.clients[c] = f.now()
	r.wg.Add(1)
	f.mu.Unlock()
	go func() {
		defer r.wg.Done()
		defer f.gone(c)
		serve(ctx, c)
	}()
}

func (f *Front) gone(c *net.TCPConn) {
	f.mu.Lock()
	delete(f.clients, c)
	f.mu.Unlock()
}

func (f *Front) authenticates() bool {
	o := f.options.Load()
	return o.Username != "" || o.Password != ""
}

// authorized compares in a time that does not depend on how much is right.
func (f *Front) authorized(user, password []byte) bool {
	given, wanted := credentials{sha256.Sum256(user), sha256.Sum256(password)}, f.credentials.Load()
	return subtle.ConstantTimeCompare(given.user[:], wanted.user[:])&subtle.ConstantTimeCompare(given.password[:], wanted.password[:]) == 1
}
