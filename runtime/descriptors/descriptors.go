// Package descriptors knows how many open files this process may have, and keeps a few back for
// what must not fail for want of one.
//
// It does not raise the limit: Go's os package raises the soft limit to the hard one before main
// begins. Whoever takes many descriptors on behalf of others bounds that by [Limit].
package descriptors

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// Exhausted reports whether err is about the limit of open files, of this process or of the system.
func Exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Share returns the nth part of the limit, and at least one.
func Share(n int) int { return max(Limit()/n, 1) }

// Reserve keeps descriptors back. Its methods may be called from any goroutine. The zero value
// keeps none.
type Reserve struct {
	size int

	mu   sync.Mutex
	kept []*os.File
	lent int // borrowers
}

// NewReserve keeps n descriptors back, or as many as there are.
func NewReserve(n int) *Reserve {
	r := &Reserve{size: n}
	r.fill()
	return r
}

// Borrow frees the descriptors for what follows, until giveBack is called. Others may be faster to
// take them.
func (r *Reserve) Borrow() (giveBack func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lent++
	r.drop()
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.lent--; r.lent == 0 {
			r.fill()
		}
	})
}

// BorrowIfShort is Borrow if there are no others at this moment, and nothing otherwise.
func (r *Reserve) BorrowIfShort() (giveBack func()) {
	f, err := os.Open(os.DevNull)
	if Exhausted(err) {
		return r.Borrow()
	}
	f.Close()
	return func() {}
}

// Close gives the descriptors up.
func (r *Reserve) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size = 0
	r.drop()
}

// drop needs mu.
func (r *Reserve) drop() {
	for _, f := range r.kept {
		f.Close()
	}
	r.kept = r.kept[:0]
}

// fill needs mu. What is not to be had is tried for again at the next giving back.
func (r *Reserve) fill() {
	for len(r.kept) < r.size {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return
		}
		r.kept = append(r.kept, f)
	}
}
