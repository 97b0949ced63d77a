package front

import (
	"net"
	"time"

	"github.com/xrat-tray/xrat/runtime/descriptors"
)

const (
	// perClient is what a client takes: its own connection and the one to the core. An association
	// takes one more.
	perClient = 2
	// halfOpenTime is how long a client may take to say where it wants to go when there is no room.
	halfOpenTime = time.Second
	// crowdPause lies between two looks for clients that take longer, and crowdLogPause between two
	// complaints.
	crowdPause    = 100 * time.Millisecond
	crowdLogPause = 10 * time.Second
)

// crowd bounds how many clients there are, so that some descriptors are always left: for the second
// leg of a rescue, for pipes, for the daemon that comes next. What the core needs for each client
// is as much as here, and its limit is the same. All of it is guarded by the mu of the front.
type crowd struct {
	most    int   // descriptors that clients may take
	looked  int64 // when clients were last looked for that say nothing
	refused int   // clients, since that was logged
	logged  int64 // 0: never
}

func newCrowd(limit int) crowd { return crowd{most: limit - min(max(limit/4, 24), 1024)} }

// admit needs mu. It reports whether there is room for one more client, if need be at the cost of
// clients that have connected and then said nothing.
func (f *Front) admit() bool {
	full := func() bool { return perClient*(len(f.clients)+1)+len(f.associations) > f.crowd.most }
	if !full() {
		return true
	}
	now := f.now()
	if now-f.crowd.looked >= int64(crowdPause) {
		f.crowd.looked = now
		for c, since := range f.clients {
			if since != understood && now-since >= int64(halfOpenTime) {
				delete(f.clients, c)
				reset(c)
			}
		}
	}
	if !full() {
		return true
	}
	f.crowd.refused++
	if f.crowd.logged == 0 || now-f.crowd.logged >= int64(crowdLogPause) {
		f.log.Warn().Int("refused", f.crowd.refused).Int("clients", len(f.clients)).Int("limit", descriptors.Limit()).
			Msg("too many connections for the limit of open files: new ones are refused; raise it (ulimit -n, LimitNOFILE)")
		f.crowd.refused, f.crowd.logged = 0, now
	}
	return false
}

// understood is what stands in place of the time at which a client has connected, once it has said
// where it wants to go.
const understood = -1

// understand notes that.
func (f *Front) understand(c *net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.clients[c]; there {
		f.clients[c] = understood
	}
}
