package front

import "time"

// The core's Trojan client, which also leads to VMess and Shadowsocks, puts the first payload that
// it reads behind its header into one buffer of 8 KiB, and ends the connection when it does not
// fit. It reads first when it has reached its server, and takes what has come by then.
//
// What goes out together with the request is no danger, however much it is: the core reads the
// handshake into a buffer of 8 KiB as well, and keeps what fits there beside it for the Trojan
// client. It is enough that the handshake is not shorter than the Trojan header, for which
// runtime/xray gives its inbound a long password. But when the client was silent at that moment,
// whatever has come when the core first reads must fit.

// firstWindow is how much may follow a request that went out alone before the core is known to have
// read some of it. The header has 61 bytes and the address.
const firstWindow = 7 << 10

const (
	// The pauses between two looks at whether the core has read.
	shortestLook, longestLook = 1 * time.Millisecond, 16 * time.Millisecond
	// blindWait is for systems that cannot tell: enough to reach any server that is of use, and
	// once in an upload.
	blindWait = 1 * time.Second
)

// window needs the mu of u. It returns how much more may be sent over the leg at this moment.
func (l *leg) window() int {
	if !l.bare {
		return largeBuffer
	}
	return max(0, firstWindow-l.written)
}

// awaitRead waits until the core has read what was sent over the leg, or the leg no longer matters.
// Where the system cannot tell, it is taken to have done so after blindWait, and after the time
// that an answer usually takes. The error is that of the upstream's end.
func (l *leg) awaitRead() error {
	u := l.u
	u.mu.Lock()
	tcp, sent, since := l.tcp.Load(), l.head+l.written, u.f.now()
	u.mu.Unlock()
	for pause := shortestLook; ; pause = min(2*pause, longestLook) {
		if u.won.Load() != nil {
			return nil
		}
		read, known := peerHasRead(tcp, sent)
		if !known {
			read = time.Duration(u.f.now()-since) > max(blindWait, u.f.guard.limit(l.target.ledger))
		}
		if read || l.dropped() {
			u.mu.Lock()
			l.bare = false
			u.mu.Unlock()
			return nil
		}
		if err := u.pause(pause); err != nil {
			return err
		}
	}
}
