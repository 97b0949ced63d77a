package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/xrat-tray/xrat/daemon/failpoint"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// readyTime bounds how long a new core may take until its inbound answers.
const readyTime = 5 * time.Second

// errLoop refuses a server that is the front itself: each connection through it would come back as
// a new one, until there are no descriptors left.
var errLoop = errors.New("it is xrat's own address: what is sent there would come back for ever; remove it with `xrat remove`")

// start starts one candidate and makes sure that it is healthy. The record is written before the
// spawn and completed after it, so that a daemon that dies in between leaves a trace that the next
// one can follow.
func (l *Lifecycle) start(ctx context.Context, config store.Config, spec Spec) (*Session, Proof, *Failure) {
	executable, err := l.Locate()
	if err != nil {
		return nil, Proof{}, failure(ctx, config, codeNoCore, err)
	}
	server, err := link.Parse(config.Link)
	if err != nil {
		return nil, Proof{}, failure(ctx, config, codeBadLink, fmt.Errorf("reading its link: %w", err))
	}
	if l.Settings.Front.HasPort(server.Port) && l.Own(ctx, server.Host) {
		return nil, Proof{}, failure(ctx, config, codeLoop, errLoop)
	}
	record, err := l.intend(ctx, config, spec)
	if err != nil {
		return nil, Proof{}, failure(ctx, config, CodeCanceled, err)
	}
	core, err := l.Cores.Start(ctx, xray.Spec{
		Executable: executable, Link: server, Nonce: record.Nonce,
		Dir: l.CoreDir, LogFile: l.CoreLog, ReadyTimeout: readyTime,
	}, func(id xray.Identity, in xray.Inbound) error {
		failpoint.Hit("after-spawn")
		l.update(ctx, record.ID, func(r *store.Session) {
			r.PID, r.PIDStart, r.BootID, r.Executable = id.PID, id.StartTime, id.BootID, id.Executable
			r.Inbounds = recordOf(in)
		})
		return nil
	})
	if err != nil {
		failed := failure(ctx, config, codeStartFailed, err)
		l.neverServed(record.ID, *failed, spec.Standby)
		return nil, Proof{}, failed
	}
	s := &Session{ID: record.ID, Config: config, Core: core, Standby: spec.Standby, StartedAt: record.StartedAt}
	failpoint.Hit("before-probe")
	var proof Proof
	var failed *Failure
	if spec.Checked && config.ID != spec.Trusted {
		proof, failed = l.prove(ctx, s, l.asksWork(spec))
	}
	if failed == nil && ctx.Err() != nil {
		failed = failure(ctx, config, CodeCanceled, context.Cause(ctx))
	}
	if failed != nil {
		l.stopCore(core)
		l.neverServed(s.ID, *failed, spec.Standby)
		return nil, Proof{}, failed
	}
	return s, proof, nil
}

// intend records that a core is about to be started. It fails only if ctx has ended.
func (l *Lifecycle) intend(ctx context.Context, config store.Config, spec Spec) (store.Session, error) {
	record := store.Session{
		ConfigID: config.ID, ConfigName: config.Name, Status: store.StatusStarting,
		Trigger: string(spec.Trigger), ReasonCode: spec.Reason.Code, Reason: spec.Reason.Text, PreviousID: spec.PreviousID,
		Nonce: uuid.NewString(), StartedAt: time.Now(),
	}
	if spec.Standby {
		record.Status = store.StatusStandby
	}
	created, err := l.Store.CreateSession(ctx, record)
	switch {
	case err == nil:
		return created, nil
	case ctx.Err() != nil:
		return record, err
	}
	// A full disk must not keep the user from the network. Such a session has an id that no stored
	// one can have, and is not found after a crash.
	record.ID = -time.Now().UnixNano()
	l.Log.Error().Err(err).Msg("the session cannot be recorded; it goes on without a record")
	return record, nil
}
