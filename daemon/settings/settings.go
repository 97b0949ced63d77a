// Package settings reads the user's settings file and finds the directories in which xrat keeps its
// files. It owns the file's format, its defaults and its checks, and the rule by which every
// program of one user finds the same socket.
//
// It does not watch the file, does not open the store, the socket or the logs, and does not look
// for the core: it only says where they are.
package settings

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/xrat-tray/xrat/daemon/rules"
)

// Settings are the values of the settings file, with defaults where it says nothing. A Settings
// that came from [Default] or [Load] is valid.
type Settings struct {
	Core         Core
	Front        Front
	Health       Health
	Rotation     Rotation
	Rescue       Rescue
	Subscription Subscription
	Log          Log
}

// Core says which Xray core to run.
type Core struct {
	Path string // absolute path of the xray executable; empty: look for it
}

// Front says where applications reach the proxy, and on what terms.
type Front struct {
	SOCKS    string   // host:port of the listener for SOCKS5 and HTTP
	HTTP     string   // host:port of the listener for HTTP
	Username string   // empty, with Password: no authentication
	Password string   // secret: formatting and marshalling a Front hide it
	Wait     Duration // how long a new connection waits for a usable core
	Drain    Duration // how long old connections may stay on the data plane of another version
}

// HasPort reports whether one of the listeners has the port.
func (f Front) HasPort(port uint16) bool {
	for _, address := range []string{f.SOCKS, f.HTTP} {
		if _, own, err := net.SplitHostPort(address); err == nil && own == strconv.Itoa(int(port)) {
			return true
		}
	}
	return false
}

// Health says how the active session is checked.
type Health struct {
	Enabled   bool     // whether failed checks rotate
	Interval  Duration // between two checks
	Timeout   Duration // of one probe
	Threshold int      // more failures in a row than this rotate
	URLs      []string // fetched through the proxy; empty: only handshakes are checked
	Statuses  []int    // of HTTP, that prove a way out; empty: 204, and 200 where it is not said to be 204
	WorkURLs  []string // pages of 64 KiB and more, fetched to see whether a server does work; empty: nobody looks
}

// LooksAtWork reports whether it is checked that servers do work.
func (h Health) LooksAtWork() bool { return len(h.WorkURLs) > 0 }

// Rotation says when and how to move to another config.
type Rotation struct {
	Enabled  bool     // whether xrat rotates by itself
	Interval Duration // between two rotations of the timer; 0: no timer
	Cooldown Duration // how long a failed config is left alone
	Drain    Duration // how long old connections may stay on the old core
	Standby  bool     // whether a second server is kept verified and at hand
	Cut      bool     // whether connections that hang on a dead server are reset
	Only     []string // rules, of which one must fit a server that is to be chosen; empty: any may be
	Never    []string // rules, of which none may fit
}

// Rules returns the rules for servers that are to be chosen.
func (r Rotation) Rules() rules.Set {
	set, err := rules.NewSet(r.Only, r.Never)
	if err != nil {
		panic("settings: " + err.Error()) // they are checked
	}
	return set
}

// Rescue says when a connection that gets no answer is tried through another server.
type Rescue struct {
	Enabled bool
	Floor   Duration // never after less silence than this
	Ceiling Duration // always after more silence than this
}

// Subscription says when subscriptions are updated, and through what.
type Subscription struct {
	Interval Duration // between two updates where nobody says otherwise; 0: only by hand
	Direct   bool     // whether one may be fetched without the proxy
}

// Log says how much the daemon writes to its log.
type Log struct {
	Level string // one of zerolog's level names
}

// Duration is a time.Duration that prints and marshals as the settings file writes it ("15s").
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns d as the settings file writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText returns the same as String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// redacted stands where a password was.
const redacted = "[redacted]"

// safeFront is a Front without its methods and its password.
type safeFront Front

func (f Front) safe() safeFront {
	if f.Password != "" {
		f.Password = redacted
	}
	return safeFront(f)
}

// Format prints f for any verb, with the password hidden. It also works for a printed [Settings],
// whose other fields are no secrets, but not where fmt cannot call it: a Settings in an unexported
// field of a printed struct would show everything.
func (f Front) Format(state fmt.State, verb rune) {
	fmt.Fprintf(state, fmt.FormatString(state, verb), f.safe())
}

// MarshalJSON hides the password. Settings are never read back from JSON.
func (f Front) MarshalJSON() ([]byte, error) { return json.Marshal(f.safe()) }

// Default returns the settings that hold where the file says nothing.
func Default() Settings {
	return Settings{
		Front: Front{
			SOCKS: "127.0.0.1:10808",
			HTTP:  "127.0.0.1:10809",
			Wait:  Duration(10 * time.Second),
			Drain: Duration(time.Hour),
		},
		Health: Health{
			Enabled:   true,
			Interval:  Duration(15 * time.Second),
			Timeout:   Duration(3 * time.Second),
			Threshold: 2,
			URLs:      []string{"https://www.gstatic.com/generate_204", "https://cp.cloudflare.com/generate_204"},
			Statuses:  []int{},
			// Pages of 87 kB that never change, on two networks that sites use everywhere.
			WorkURLs: []string{
				"https://cdnjs.cloudflare.com/ajax/libs/jquery/3.7.1/jquery.min.js",
				"https://ajax.googleapis.com/ajax/libs/jquery/3.7.1/jquery.min.js",
			},
		},
		Rotation: Rotation{
			Enabled:  true,
			Cooldown: Duration(5 * time.Minute),
			Drain:    Duration(30 * time.Second),
			Standby:  true,
			Cut:      true,
			Only:     []string{},
			Never:    []string{},
		},
		Rescue: Rescue{
			Enabled: true,
			Floor:   Duration(60 * time.Millisecond),
			Ceiling: Duration(3 * time.Second),
		},
		Subscription: Subscription{Interval: Duration(24 * time.Hour), Direct: true},
		Log:          Log{Level: "info"},
	}
}
