package liveness

import "time"

const (
	// leastWorkPatience is how long the way out is given for the work at least, and workMultiple
	// how many times as long as the control took.
	leastWorkPatience = 1500 * time.Millisecond
	workMultiple      = 3
	// workTime bounds an examination: what takes longer is of no use to anybody. shortWorkTime does
	// for one of many.
	workTime      = 10 * time.Second
	shortWorkTime = 4 * time.Second
	// workPair is how much work is tried at a time on each side; one that succeeds is enough.
	workPair = 2
	// A way out is lossy if so many of the small probes that begin together are lost through it,
	// and at most lostByChance through the control.
	lossProbes   = 10
	lossyProbes  = 2
	lostByChance = 0
)

// Judgement is what a way out is good for.
type Judgement int

// The judgements.
const (
	Unclear   Judgement = iota // nothing can be said
	Works                      // the work was done
	Limited                    // the work was not done, and through the control it was
	NoneWorks                  // the work was strangled here, and through the control as well
)

// A WorkExamination finds out whether a way out does the work that applications want of it, or only
// answers checks. On each side it tries two downloads at a time, of which one must succeed. The
// time that the way out has for it follows from what the control takes. If connections are said to
// be lost, small probes are made as well, many at a time: a loss that a pair of downloads gets
// past.
//
// It is pure and used like an Examination.
type WorkExamination struct {
	Control bool // there is one
	Loss    bool // it is also examined whether connections are lost
	Short   bool // others came before, and others will follow

	began   time.Time
	way     side
	control side
}

// side is what has come of the measurements of one side.
type side struct {
	pending, smallPending int
	done                  time.Duration // until the first success; 0: none
	strangled             bool
	failed                WorkResult
	answered              int // small probes
	loops                 bool
}

// WorkMeasurement is one download, or one small probe.
type WorkMeasurement struct {
	Control bool
	Small   bool
	First   int // the number of the URL to begin with
	Result  WorkResult
}

// WorkResult is what came of it.
type WorkResult struct {
	OK        bool
	Strangled bool   // an answer had begun
	Class     string // what kind of failure it was
	Err       error
}

// WorkNext is what the examination wants done.
type WorkNext struct {
	Start []WorkMeasurement
	Wake  time.Time
	Done  bool
}

// Step moves the examination on to now with the measurements that have ended. The first one begins
// it. After the one that says Done, what is under way is to be called off and handed to Close.
func (e *WorkExamination) Step(now time.Time, ended ...WorkMeasurement) WorkNext {
	var next WorkNext
	if e.began.IsZero() {
		e.began = now
		next.Start = e.begin()
	}
	for _, m := range ended {
		e.take(now, m)
	}
	next.Done = e.settled(now)
	next.Wake = e.deadline()
	return next
}

func (e *WorkExamination) begin() (start []WorkMeasurement) {
	sides := []*side{&e.way}
	if e.Control {
		sides = append(sides, &e.control)
	}
	for i, s := range sides {
		for first := range workPair {
			start = append(start, WorkMeasurement{Control: i == 1, First: first})
			s.pending++
		}
		for first := range lossProbes {
			if e.Loss {
				start = append(start, WorkMeasurement{Control: i == 1, Small: true, First: first})
				s.smallPending++
			}
		}
	}
	return start
}

func (e *WorkExamination) take(now time.Time, m WorkMeasurement) {
	s := &e.way
	if m.Control {
		s = &e.control
	}
	s.loops = s.loops || m.Result.Class == ClassLoop
	if m.Small {
		s.smallPending--
		if m.Result.OK {
			s.answered++
		}
		return
	}
	s.pending--
	switch {
	case m.Result.OK:
		if s.done == 0 {
			s.done = max(now.Sub(e.began), 1)
		}
	case !s.strangled: // one that had begun tells more than one that had not
		s.strangled, s.failed = m.Result.Strangled, m.Result
	}
}

// settled reports whether nothing that may still come would change the judgement.
func (e *WorkExamination) settled(now time.Time) bool {
	if !now.Before(e.deadline()) {
		return true
	}
	if e.way.smallPending > 0 || e.control.smallPending > 0 && e.way.answered < lossProbes {
		return false
	}
	switch {
	case e.way.done > 0:
		return true
	case e.way.pending > 0:
		return false
	}
	return !e.Control || e.control.done > 0 || e.control.pending == 0
}

// deadline is when the examination ends, whatever is missing.
func (e *WorkExamination) deadline() time.Time {
	limit := workTime
	if e.Short {
		limit = shortWorkTime
	}
	if e.control.done > 0 {
		limit = min(max(leastWorkPatience, workMultiple*e.control.done), limit)
	}
	return e.began.Add(limit)
}

// WorkFindings are what an examination came to.
type WorkFindings struct {
	Began     time.Time
	Judgement Judgement
	// Class is what kind of failure it was: that of a measurement, or ClassLossy.
	Class string
	Err   error
	// ControlWorks: the control has done the work. ControlStrangled: it has failed at it.
	ControlWorks, ControlStrangled bool
}

// ClassLossy is the class of a way out that loses a share of its connections.
const ClassLossy = "lossy"

// ClassLoop is the class of a measurement that has come back to this machine. Nothing is known of
// the way out then, and there is another examination that finds it out.
const ClassLoop = "loop"

// Close takes what was called off and returns the findings.
func (e *WorkExamination) Close(now time.Time, calledOff ...WorkMeasurement) WorkFindings {
	timeUp := !now.Before(e.deadline())
	for _, m := range calledOff {
		// What succeeds now is too late, and the control has not failed if nobody waited for it.
		if !m.Result.OK && (timeUp || !m.Control) {
			e.take(now, m)
		}
	}
	f := WorkFindings{
		Began: e.began, Class: e.way.failed.Class, Err: e.way.failed.Err,
		ControlWorks: e.control.done > 0, ControlStrangled: e.Control && e.control.done == 0 && e.control.strangled,
	}
	switch {
	case e.way.loops:
		f.Class = ClassLoop
	case e.Loss && e.way.done == 0 && e.way.answered == 0:
		// It does not answer checks either: that is another examination's to judge.
	case e.way.done > 0 && e.isLossy():
		f.Judgement, f.Class = Limited, ClassLossy
	case e.way.done > 0:
		f.Judgement, f.Class, f.Err = Works, "", nil
	case f.ControlWorks:
		f.Judgement = Limited
	case e.way.strangled:
		f.Judgement = NoneWorks
	}
	return f
}

func (e *WorkExamination) isLossy() bool {
	return e.Loss && e.Control && lossProbes-e.way.answered >= lossyProbes && lossProbes-e.control.answered <= lostByChance
}
