package front

// SignalKind says what the front noticed about a core.
type SignalKind string

const (
	DialRefused SignalKind = "dial_refused" // the core's port did not take a connection
	ClosedEmpty SignalKind = "closed_empty" // the core ended a connection that had sent something, with nothing received
	CoreGone    SignalKind = "core_gone"    // an established connection to the core broke, or the core ended one before its reply
	Silent      SignalKind = "silent"       // the core was silent for longer than its limit, on a connection that had sent something
	Returned    SignalKind = "returned"     // a connection through the core has come back to the front again and again: a strong hint
	Rescued     SignalKind = "rescued"      // an answer came through another core where this one had none: a strong hint
)

// A Signal is a hint, not a verdict: one bad destination is enough to cause a ClosedEmpty.
type Signal struct {
	TargetID int64
	Kind     SignalKind
}

// Signals delivers what the front notices in passing. It is lossy: a reader that falls behind
// misses signals, the front never waits for it. The channel is the same for the life of the Front
// and is never closed.
func (f *Front) Signals() <-chan Signal { return f.signals }

func (f *Front) signal(id int64, kind SignalKind) {
	select {
	case f.signals <- Signal{id, kind}:
	default:
	}
}
