package supervisor

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// Store keeps what must outlive the process.
type Store interface {
	session.Store
	LiveSessions(ctx context.Context) ([]store.Session, error)
	Config(ctx context.Context, id int64) (store.Config, error)
	Desired(ctx context.Context) (store.Desired, error)
	SetDesired(ctx context.Context, d store.Desired) error
	// Stale says why what it knows may be older than what an earlier daemon did; nil: it is not.
	Stale() error
}

// Front is the pair of stable listeners that applications use.
type Front interface {
	session.Front
	SetTarget(t *front.Target)
	SetStandby(t *front.Target)
	Signals() <-chan front.Signal
	// Recent is Counters as they were last seen, without asking for them.
	Recent(id int64) front.Counters
	Addresses() (socks, http string)
	// Evidence is what the traffic of a session has shown of late. It may wait for a moment;
	// workers call it.
	Evidence(id int64) front.Evidence
	// Answers tells that a check was answered through a session just now.
	Answers(id int64)
	// Trust tells that a session does the work, whatever the front suspects.
	Trust(id int64)
	// Leave gives the front up without ending anything, if it goes on without this process, and
	// reports whether it does. Nothing has an effect after it then.
	Leave() bool
}

// Catalog knows the configs. Workers call it.
type Catalog interface {
	// Candidates returns the configs that are selected, in the order in which to try them.
	Candidates(ctx context.Context, selected rotation.Selection) ([]session.Candidate, error)
	// Explore returns a config, none of exclude, that is worth a look, and whether it is known to
	// strangle work; found is false if there is none.
	Explore(ctx context.Context, exclude ...int64) (id int64, limited, found bool, err error)
	// Better reports whether the config challenger is clearly better than incumbent.
	Better(ctx context.Context, challenger, incumbent int64) bool
	// NothingWorks tells that an attempt has found no config that works, although there is a
	// network. It returns at once.
	NothingWorks()
	// Learn changes what is known of configs.
	Learn(ctx context.Context, lessons ...rotation.Lesson)
}

// Watchdog is told when the loop begins with an event and when it is through.
type Watchdog interface {
	Busy()
	Idle()
}

// Deps is what a Supervisor works with. All fields are needed.
type Deps struct {
	Settings settings.Settings
	Store    Store
	Front    Front
	Cores    session.Cores
	Catalog  Catalog
	Watchdog Watchdog
	// FrontOpen tells that the front serves already, as an earlier daemon left it.
	FrontOpen bool
	// Remote is what other goroutines will have of the supervisor.
	Remote *Remote
	// Probe makes one measurement of the way out through a core. The URL number first, counted
	// around, is asked first.
	Probe func(ctx context.Context, core probe.Proxy, first int) probe.Result
	// Work has a session do work, beginning with the page number first, counted around. The end of
	// ctx means that it is given up.
	Work func(ctx context.Context, core probe.Proxy, first int) probe.Work
	// Online reports whether the machine has a route to the host, or to anywhere if that is a name.
	// It sends nothing.
	Online func(host string) bool
	// Own reports whether a host is this machine, by whatever address or name.
	Own func(ctx context.Context, host string) bool
	// Slept reports whether the machine slept between two readings of the clock; see
	// rotation.Slept.
	Slept func(before, now time.Time, tolerance time.Duration) bool
	// Handshake asks a SOCKS inbound, and HTTPInbound an HTTP one, whether it answers.
	Handshake   func(ctx context.Context, inbound probe.Proxy) error
	HTTPInbound func(ctx context.Context, inbound probe.Proxy) error
	// CheckFree returns who has an address that could not be listened on.
	CheckFree func(address string) error
	// Locate returns the path of the core's executable.
	Locate func() (string, error)
	// CapLog bounds the file that the cores write to; it is called now and then.
	CapLog func()
	// CoreDir is the working directory of cores, CoreLog the file they write to.
	CoreDir, CoreLog string
	// Losses is how many daemons before this one have ended unasked, and LossReason why the last
	// did.
	Losses     int
	LossReason string
	// Warnings are shown in every status.
	Warnings []string
	Log      zerolog.Logger
}
