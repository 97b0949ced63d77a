//go:build linux

package descriptors

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What is kept back is there when all others are taken, and is kept back again afterwards.
func TestReserve(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	const few = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: few, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	if Limit() != few {
		t.Errorf("the limit is %d", Limit())
	}
	r := NewReserve(4)
	defer r.Close()
	take := func() (taken []*os.File) {
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				if !Exhausted(err) {
					t.Fatal(err)
				}
				return taken
			}
			taken = append(taken, f)
		}
	}
	free := func(files []*os.File) {
		for _, f := range files {
			f.Close()
		}
	}
	others := take()
	giveBack := r.Borrow()
	borrowed := take()
	if len(borrowed) != 4 {
		t.Errorf("%d were kept back", len(borrowed))
	}
	free(borrowed)
	giveBack()
	giveBack()
	if more := take(); len(more) > 0 {
		t.Errorf("%d are not kept back any more", len(more))
		free(more)
	}
	free(others)
}
