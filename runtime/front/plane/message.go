package plane

import (
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/mark"
)

// What a command asks for.
const (
	doHello    = "hello"    // be the daemon from now on; the reply has the state and the listeners
	doOpen     = "open"     // serve the listeners that come along, instead of those before
	doOptions  = "options"  // serve with these from now on
	doClose    = "close"    // end every connection, and then the process
	doTarget   = "target"   // front.SetTarget
	doStandby  = "standby"  // front.SetStandby
	doCut      = "hanging"  // front.Cut; "cut" of older versions would cut more
	doDrain    = "drain"    // front.Drain, until doHurry
	doHurry    = "hurry"    // end that drain
	doCounters = "counters" // front.Counters
	doReturned = "returned" // front.Returned
	doEvidence = "evidence" // front.Evidence
	doTrust    = "trust"    // front.Trust
	doAnswers  = "answers"  // front.Answers
	doForget   = "forget"   // front.Forget
	doRetire   = "retire"   // take no new connections, and end with the last one
	doSeen     = "seen"     // the signals have arrived
	doLeave    = "leave"    // the daemon ends of its own will
)

// command is a line of the daemon's. Which fields count depends on Do.
type command struct {
	// Call is what the reply refers to; 0: no reply is wanted.
	Call    uint64        `json:"call,omitempty"`
	Do      string        `json:"do"`
	Options *Options      `json:"options,omitempty"`
	Target  *front.Target `json:"target,omitempty"`
	Session int64         `json:"session,omitempty"`
	Hanging front.Hanging `json:"hanging,omitzero"`
	Other   uint64        `json:"other,omitempty"` // a call that this one is about
	Mark    mark.Mark     `json:"mark,omitempty"`
	// Listeners names the sockets that come along, in order.
	Listeners []string `json:"listeners,omitempty"`
}

// reply is a line of the data plane's: the answer to a call, or what the front has noticed.
type reply struct {
	Call        uint64                   `json:"call,omitempty"`
	Error       string                   `json:"error,omitempty"`
	State       *State                   `json:"state,omitempty"`
	Counters    map[int64]front.Counters `json:"counters,omitempty"`
	Connections int                      `json:"connections,omitempty"`
	Returned    bool                     `json:"returned,omitempty"`
	Evidence    front.Evidence           `json:"evidence,omitzero"`
	Signals     []front.Signal           `json:"signals,omitempty"` // the next come after doSeen
	Listeners   []string                 `json:"listeners,omitempty"`
	// Replaced is the last word to a daemon after which another one has come.
	Replaced bool `json:"replaced,omitempty"`
}

func (r reply) err() error {
	if r.Error != "" {
		return fmt.Errorf("the data plane: %s", r.Error)
	}
	return nil
}

// The names of listeners.
const (
	socksListener = "socks"
	httpListener  = "http"
)

// Options say how a data plane serves. They hold until the next daemon brings others.
type Options struct {
	Username string        `json:"username,omitempty"`
	Password string        `json:"password,omitempty"`
	Wait     time.Duration `json:"wait"`
	Rescue   front.Rescue  `json:"rescue"`
	// Drain is how long connections are served after another data plane has taken over; 0: an hour.
	Drain time.Duration `json:"drain,omitempty"`
	// Revive tells the data plane to start the daemon again when that ends without its leave; it
	// must not where a service manager does.
	Revive bool `json:"revive,omitempty"`
}

// String leaves the password out.
func (o Options) String() string { return "options of a data plane" }

// GoString leaves the password out.
func (o Options) GoString() string { return o.String() }

// State is what a data plane tells the daemon that greets it.
type State struct {
	PID     int    `json:"pid"`
	Version string `json:"version"` // of the program
	Nonce   string `json:"nonce"`
	Open    bool   `json:"open"`
	Retired bool   `json:"retired,omitempty"`
	// Target is the session in use; 0: none.
	Target int64 `json:"target,omitempty"`
	// Lost is how many daemons have ended without their leave in a row, the last ones soon after
	// their start.
	Lost int `json:"lost,omitempty"`
}
