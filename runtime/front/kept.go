package front

// kept is what a client has sent, for as long as it may have to be sent again.
type kept struct {
	sent []byte // in held
	held *buffer
	lost bool // more was sent than is kept
}

// add stores p behind the rest, as long as it fits.
func (k *kept) add(p []byte, pools *pools) {
	if len(p) == 0 || k.lost {
		return
	}
	n := len(k.sent) + len(p)
	if n > largeBuffer {
		k.release()
		k.lost = true
		return
	}
	if k.held == nil || n > len(k.held.b) {
		b := pools.get(n)
		copy(b.b, k.sent)
		if k.held != nil {
			k.held.release()
		}
		k.held = b
	}
	copy(k.held.b[len(k.sent):], p)
	k.sent = k.held.b[:n]
}

// release gives the buffer back. Nothing is kept any more.
func (k *kept) release() {
	if k.held != nil {
		k.held.release()
		k.held, k.sent = nil, nil
	}
}

func (k *kept) nothing() bool { return len(k.sent) == 0 && !k.lost }

func (k *kept) mayRepeat() bool { return !k.lost && mayRepeat(k.sent) }
