package liveness

import "time"

// Findings are what an examination came to.
type Findings struct {
	Began time.Time
	// Alive is false only if more rounds failed than the threshold allows. An examination that was
	// called off says true, without a Success: it found nothing.
	Alive        bool
	FailedRounds int
	Cause        Result // of the first failed round; zero without one
	Success      Result // the one that settled it; zero if there was none
	ControlOK    bool   // the control answered
	// ControlTook is how long the control took to its first answer; zero without one.
	ControlTook time.Duration
	// Measured are the measurements in the order in which their results came. One that was given up
	// is there with a timeout, and once more if it came to something later.
	Measured []Measurement
}

const (
	// slower is how many times as long as through the control an answer must take for the way out
	// to be slow, and leastSlower how much longer.
	slower      = 3
	leastSlower = 400 * time.Millisecond
)

// Slow reports whether the way out answered, but far later than the control.
func (f Findings) Slow() bool {
	took := f.Success.Latency
	return f.Success.OK && f.ControlOK && took >= slower*f.ControlTook && took-f.ControlTook >= leastSlower
}

// Measurement is one measurement of an examination, of the way out or of the control.
type Measurement struct {
	At      time.Time // when it began
	Control bool
	First   int // the number of the URL to begin with; it may exceed the number of URLs
	Result  Result

	round int
}

// Result is what a measurement came to.
type Result struct {
	OK      bool
	Class   string // what kind of failure it was, or ClassTimeout
	Latency time.Duration
	Err     error         // nil if OK
	Skew    time.Duration // by how much this computer's clock is ahead of the one that answered; 0: not known
}

// ClassTimeout is the class of a measurement that was given up. It is the one that the prober gives
// to what it gave up itself.
const ClassTimeout = "timeout"
