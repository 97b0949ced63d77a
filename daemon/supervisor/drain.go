package supervisor

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/runtime/front"
)

// drainSpacing is how often a session that drains is looked at because of hints.
const drainSpacing = 2 * time.Second

// drainHint takes a hint of the front that connections hang on a session that drains. Its server
// may have died since, and with it what would otherwise end in peace: if it has, beside the one in
// use, what hangs is cut, so that applications need not wait for the end of the drain.
func (s *Supervisor) drainHint(r *retirement, now time.Time) {
	active := s.active
	if r.cutting || active == nil || !s.Settings.Rotation.Cut || now.Sub(r.looked) < drainSpacing/2 {
		return
	}
	r.looked = now
	checker, left, serving := s.checker, r.session, active.Session
	timeout, looksAtWork := s.Settings.Health.Timeout.Std(), s.Settings.Health.LooksAtWork()
	work(s, func(ctx context.Context) liveness.Judgement {
		if looksAtWork {
			return checker.examineWork(ctx, workOrder{left, serving, liveness.WorkExamination{Control: true, Short: true}}).findings.Judgement
		}
		exam := liveness.Examination{Threshold: 1, Timeout: timeout, Urgent: true, Control: true}
		if f := examine(ctx, exam, checker.measuring(left), checker.measuring(serving), func() {}); !f.Alive && f.ControlOK {
			return liveness.Limited
		}
		return liveness.Unclear
	}, func(s *Supervisor, judgement liveness.Judgement) {
		remote, drain := s.Remote, r.drain
		if judgement == liveness.Works || r.cutting || drain.Err() != nil {
			return
		}
		if judgement != liveness.Limited {
			// Neither does it. That may be the network, or they have one server: the one in use is
			// examined, and then it is looked again.
			if looksAtWork && active == s.active {
				s.work.evident(front.Stalled, time.Now())
			}
			s.workers.background(func(context.Context) {
				select {
				case <-drain.Done():
				case <-time.After(drainSpacing):
					remote.tell(func(s *Supervisor) { s.drainHint(r, time.Now()) })
				}
			})
			return
		}
		s.cutHanging(r, true, time.Time{})
	})
}

// cutHanging has what hangs on a session that drains cut, until its drain is over: its server is
// dead, or limited.
func (s *Supervisor) cutHanging(r *retirement, limited bool, doubted time.Time) {
	if r.cutting || !s.Settings.Rotation.Cut {
		return
	}
	r.cutting = true
	life, remote, id, drain := s.life, s.Remote, r.session.ID, r.drain
	s.workers.background(func(context.Context) {
		life.CutHanging(drain, id, limited, doubted, func(n int) {
			remote.tell(func(s *Supervisor) { s.noteCut(id, n) })
		})
	})
}
