package front

import (
	"sync/atomic"
	"time"
)

// unknownRTT is the limit of a core of which nothing is known yet.
const unknownRTT = 300 * time.Millisecond

// rtt is what is known about how soon a core answers. It is updated without a lock: of two answers
// at the same moment one may be lost, which does not matter.
type rtt struct {
	estimate atomic.Uint64 // mean and mean deviation of the time to the first byte, 32 bits each, in microseconds; 0: unknown
	proof    atomic.Int64  // the latest moment of sending that has been answered, on the front's clock
	answered atomic.Int64  // when the latest first answer came
}

func packRTT(mean, deviation uint64) uint64 {
	const most = 1<<32 - 1
	return min(max(mean, 1), most)<<32 | min(deviation, most)
}

// seed takes the latency of a probe for the estimate until traffic has been answered. The latest
// probe counts: the first one through a core often pays for what the later ones find done.
func (r *rtt) seed(latency time.Duration) {
	e, us := r.estimate.Load(), uint64(max(latency, 0).Microseconds())
	if us > 0 && r.answered.Load() == 0 {
		r.estimate.CompareAndSwap(e, packRTT(us, us/2))
	}
}

// limit is how long a silence may last before something is probably wrong: the estimate of RFC 6298
// for retransmissions, but never less than half as much again as the mean.
func (r *rtt) limit(floor, ceiling time.Duration) time.Duration {
	e := r.estimate.Load()
	if e == 0 {
		return min(max(unknownRTT, floor), ceiling)
	}
	mean, deviation := e>>32, e&(1<<32-1)
	return min(max(time.Duration(mean+max(4*deviation, mean/2))*time.Microsecond, floor), ceiling)
}

// prove notes that something that was sent at sent has been answered.
func (r *rtt) prove(sent int64) {
	for old := r.proof.Load(); sent > old && !r.proof.CompareAndSwap(old, sent); old = r.proof.Load() {
	}
}

// note records the first answer to something that was sent at sent. One very slow destination must
// not hide the death of the core from all others, so that a single observation counts at most twice
// the limit.
func (r *rtt) note(sent, now int64, floor, ceiling time.Duration) {
	r.answered.Store(now)
	r.prove(sent)
	x := int64(min(time.Duration(now-sent), 2*r.limit(floor, ceiling)) / time.Microsecond)
	e := r.estimate.Load()
	if e == 0 {
		r.estimate.Store(packRTT(uint64(x), uint64(x/2)))
		return
	}
	mean, deviation := int64(e>>32), int64(e&(1<<32-1))
	off := x - mean
	mean += off / 8
	deviation += (max(off, -off) - deviation) / 4
	r.estimate.Store(packRTT(uint64(mean), uint64(deviation)))
}
