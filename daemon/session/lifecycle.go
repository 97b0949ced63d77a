package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// Store keeps the records of sessions.
type Store interface {
	CreateSession(ctx context.Context, s store.Session) (store.Session, error)
	UpdateSession(ctx context.Context, id int64, change func(*store.Session)) (store.Session, error)
	RemoveSession(ctx context.Context, id int64) error
}

// Front is what the life of a session needs of the front.
type Front interface {
	Open(ctx context.Context) error
	Close() error
	Cut(id int64, h front.Hanging) int
	Drain(ctx context.Context, id int64) (cut int)
	Counters(id int64) front.Counters
	Forget(id int64)
}

// Deps is what a Lifecycle works with. All fields are needed.
type Deps struct {
	Settings settings.Settings
	Store    Store
	Front    Front
	Cores    Cores
	Journal  *Journal
	// Probe makes one measurement of the way out through a core. The URL number first, counted
	// around, is asked first.
	Probe func(ctx context.Context, core probe.Proxy, first int) probe.Result
	// Work has a session do work, beginning with the page number first, counted around. The end of
	// ctx means that it is given up.
	Work func(ctx context.Context, core probe.Proxy, first int) probe.Work
	// Own reports whether a host is this machine.
	Own func(ctx context.Context, host string) bool
	// Locate returns the path of the core's executable.
	Locate func() (string, error)
	// CheckFree returns who has an address that could not be listened on.
	CheckFree func(address string) error
	// Go runs f in a worker that the owner of the lifecycle waits for. The context ends with it.
	Go func(f func(ctx context.Context))
	// Left reports whether what runs is left to the next daemon; nothing may be stopped then.
	Left func() bool
	// CoreDir is the working directory of cores, CoreLog the file they write to.
	CoreDir, CoreLog string
	Log              zerolog.Logger
}

// Lifecycle carries out what the life of a session needs. It has no state; its methods are for
// workers, and several may run at a time.
type Lifecycle struct{ Deps }

const (
	// stopGrace is how long a core may take to end by itself when asked, stopTime how long it may
	// take in all.
	stopGrace = 2 * time.Second
	stopTime  = 3 * stopGrace
	// recordTime bounds one piece of bookkeeping, so that a disk that hangs does not keep answers
	// back for ever.
	recordTime = 5 * time.Second
)

// ErrDiskSilent is the cause of giving up on a store that does not answer.
var ErrDiskSilent = errors.New("the disk does not answer")

// stopCore ends a core within a bounded time.
func (l *Lifecycle) stopCore(core Core) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := core.Stop(ctx, stopGrace); err != nil {
		l.Log.Error().Err(err).Int("pid", core.Identity().PID).Msg("stopping a core")
	}
}

// Counted is what a session carried, under this daemon and earlier ones.
func (l *Lifecycle) Counted(s *Session) front.Counters {
	c := l.Front.Counters(s.ID)
	c.UpBytes += s.Carried.UpBytes
	c.DownBytes += s.Carried.DownBytes
	c.Connections += s.Carried.Connections
	return c
}

// ExplainFront explains why the front does not open, naming the program that holds a port if the
// operating system reveals it.
func (l *Lifecycle) ExplainFront(err error) error {
	var reasons []error
	for _, address := range []string{l.Settings.Front.SOCKS, l.Settings.Front.HTTP} {
		if taken := l.CheckFree(address); taken != nil {
			reasons = append(reasons, taken)
		}
	}
	if len(reasons) == 0 {
		return fmt.Errorf("opening the front: %w", err)
	}
	return ipc.Errorf(ipc.CodeInvalidState, "opening the front: %v (its addresses are in the [front] section of the settings)", errors.Join(reasons...))
}
