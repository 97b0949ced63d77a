package xray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/link"
)

// BatchSpec is what StartBatch needs to know. The fields mean the same as in Spec.
type BatchSpec struct {
	Executable   string
	Version      Version
	Links        []link.Link // at least one; see Alone
	Nonce        string
	Dir          string
	LogFile      string
	ReadyTimeout time.Duration
}

// Batch is one core process that goes out through many servers: the user who logs in to its inbound
// chooses which. It carries measurements, not applications: it has no UDP, closes silent
// connections soon, and runs with a low priority. Its methods may be called at any time and by
// several goroutines.
type Batch struct {
	core    *Core    // nil: the core would serve none of the links
	users   []string // by link; empty for those that are refused
	refused []error  // by link
}

// Alone reports whether l needs a core to itself, in a batch of one: a core has one resolver, and a
// link that carries packets needs it for its own server.
func Alone(l link.Link) bool { return resolver(l) != nil }

// StartBatch starts one core with an outbound for every link and returns once it serves, as Start
// does. A link that the core refuses fails the whole configuration; such links are found by
// halving, at some tens of milliseconds a try, and left out: see Refused. An error means that
// nothing runs.
func StartBatch(ctx context.Context, log zerolog.Logger, spec BatchSpec) (*Batch, error) {
	b := &Batch{users: make([]string, len(spec.Links)), refused: make([]error, len(spec.Links))}
	var members []member
	for i, l := range spec.Links {
		outbound, err := Outbound(l)
		if lacks := spec.Version.Lacks(l); err == nil && lacks != "" {
			err = errors.New(lacks)
		}
		if err == nil && len(spec.Links) > 1 && Alone(l) {
			err = fmt.Errorf("%v cannot share a core with others", l)
		}
		if err != nil {
			b.refused[i] = err
			continue
		}
		b.users[i] = randomHex(8)
		members = append(members, member{index: i, user: b.users[i], outbound: outbound, link: l})
	}
	var err error
	for searched := false; len(members) > 0; searched = true {
		b.core, err = start(ctx, log, spec.of(members), nil, func() (Inbound, error) {
			in, err := newInbound()
			in.User = members[0].user // any that the core knows will do for the handshake
			in.Relay = ""
			return in, err
		})
		var exit *ExitError
		if err == nil || searched || !errors.As(err, &exit) || exit.Code != exitBadConfig {
			break
		}
		if members, err = b.sift(ctx, log, spec, members); err != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// exitBadConfig is the core's exit code for a configuration that it refuses.
const exitBadConfig = 23

// Inbound returns the address, user and password that lead to the server of the link with that
// index. It is empty for a refused link.
func (b *Batch) Inbound(index int) Inbound {
	if b.core == nil || b.refused[index] != nil {
		return Inbound{}
	}
	in := b.core.inbound
	in.User = b.users[index]
	return in
}

// Refused returns why the core does not serve the link with that index, or nil if it does.
func (b *Batch) Refused(index int) error { return b.refused[index] }

// Done is closed when the process has exited. It is nil, and so never ready, when there is no
// process because every link was refused.
func (b *Batch) Done() <-chan struct{} {
	if b.core == nil {
		return nil
	}
	return b.core.Done()
}

// ExitReason is Core.ExitReason; empty if there is no process.
func (b *Batch) ExitReason() string {
	if b.core == nil {
		return ""
	}
	return b.core.ExitReason()
}

// PID is the pid of the process, or 0 if there is none.
func (b *Batch) PID() int {
	if b.core == nil {
		return 0
	}
	return b.core.identity.PID
}

// Stop is Core.Stop.
func (b *Batch) Stop(ctx context.Context, grace time.Duration) error {
	if b.core == nil {
		return nil
	}
	return b.core.Stop(ctx, grace)
}

// of returns the Spec of a core for some of the links.
func (s BatchSpec) of(members []member) Spec {
	return Spec{
		Executable: s.Executable, Nonce: s.Nonce, Dir: s.Dir, LogFile: s.LogFile, ReadyTimeout: s.ReadyTimeout,
		batch: members,
	}
}

// sift finds the members that the core refuses and returns the others.
func (b *Batch) sift(ctx context.Context, log zerolog.Logger, spec BatchSpec, members []member) ([]member, error) {
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("preparing the core's working directory: %w", err)
	}
	var good []member
	var search func(part []member) error
	search = func(part []member) error {
		reason, err := tryConfig(ctx, spec.of(part))
		switch {
		case err != nil:
			return err
		case reason == "":
			good = append(good, part...)
			return nil
		case len(part) == 1:
			b.refused[part[0].index] = fmt.Errorf("the core refuses it: %s", reason)
			return nil
		}
		middle := len(part) / 2
		if err := search(part[:middle]); err != nil {
			return err
		}
		return search(part[middle:])
	}
	// The whole is known to be refused.
	middle := (len(members) + 1) / 2
	for part := range slices.Chunk(members, middle) {
		if err := search(part); err != nil {
			return nil, err
		}
	}
	log.Info().Int("refused", len(members)-len(good)).Int("of", len(members)).Msg("the core refuses some servers of a batch")
	return good, nil
}
