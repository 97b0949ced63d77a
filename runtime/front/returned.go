package front

import (
	"errors"

	"github.com/xrat-tray/xrat/runtime/mark"
)

// errReturned refuses what comes back from a core that leads to this front. Without an end, one
// connection would become thousands.
var errReturned = errors.New("it has come back to this front again and again")

// returned notes the mark of something new, and reports whether it has come back so often that it
// is to be refused. Then the daemon is told of it, too.
func (f *Front) returned(m mark.Mark) bool {
	if !f.marks.Note(m) {
		return false
	}
	if t := f.state.Load().target; t != nil {
		f.signal(t.id, Returned)
	}
	return true
}

// Returned reports whether something with this mark has come not long ago, from an application or
// from a core that leads back to the front.
func (f *Front) Returned(m mark.Mark) bool { return f.marks.Seen(m) }
