package front

import (
	"bytes"
	"context"
	"net"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// trialWait is how long a connection that might be a trial waits for the client's first bytes; one
// a second does.
const trialWait = 10 * time.Millisecond

// serveTunnel tunnels c to dest, and closes c. While there is a target the client is told success
// before the core has been dialled: the core itself answers before it has tried the destination, so
// the word never meant more, and the client's first bytes come while the dial is under way. Without
// a target the client waits for the answer, and gets no if there is none.
func (f *Front) serveTunnel(ctx context.Context, c *net.TCPConn, dest socks5.Address, early, success, failure []byte) {
	f.understand(c)
	client, err := newLazyReader(f.pools, c)
	if err != nil {
		c.Close()
		return
	}
	told := f.state.Load().target != nil || f.standby.Load().target != nil && !f.guard.off()
	if told {
		if _, err := c.Write(success); err != nil {
			c.Close()
			return
		}
	}
	if len(early) == 0 && f.standIn() != nil && f.guard.trialDue(f.now()) {
		early = f.trialBytes(c, client)
	}
	u, err := f.connect(ctx, dest, early, client)
	switch {
	case err != nil && told:
		reset(c)
		return
	case err != nil:
		refuse(c, failure)
		return
	case !told:
		if _, err := c.Write(success); err != nil {
			c.Close()
			u.Close()
			return
		}
	}
	tunnel{f, c, client, u}.relay()
}

// trialBytes waits a moment for the client's first bytes: whether the suspected target may be tried
// depends on what the client says (see [guard.tryTarget]).
func (f *Front) trialBytes(c *net.TCPConn, client *lazyReader) []byte {
	c.SetReadDeadline(time.Now().Add(trialWait))
	defer c.SetReadDeadline(noDeadline)
	b, n, err := client.read(smallBuffer)
	if err != nil {
		return nil
	}
	defer b.release()
	return bytes.Clone(b.b[:n])
}
