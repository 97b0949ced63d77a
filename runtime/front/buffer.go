package front

import "sync"

const (
	smallBuffer = 4 << 10  // handshakes, first bytes, interactive traffic
	largeBuffer = 64 << 10 // bulk, and the largest UDP datagram
)

// A buffer is on loan from the pools. Whoever holds it gives it back with release exactly once.
type buffer struct {
	b    []byte
	home *sync.Pool
}

func (b *buffer) release() { b.home.Put(b) }

type pools struct {
	small, large sync.Pool
}

func newPools() *pools {
	p := new(pools)
	p.small.New = func() any { return &buffer{make([]byte, smallBuffer), &p.small} }
	p.large.New = func() any { return &buffer{make([]byte, largeBuffer), &p.large} }
	return p
}

// get lends a buffer of at least size bytes, but never more than largeBuffer.
func (p *pools) get(size int) *buffer {
	if size <= smallBuffer {
		return p.small.Get().(*buffer)
	}
	return p.large.Get().(*buffer)
}

// Get and Put make the pools an httputil.BufferPool.
func (p *pools) Get() []byte { return p.large.Get().(*buffer).b }

func (p *pools) Put(b []byte) { p.large.Put(&buffer{b, &p.large}) }
