package front

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// crowded has room for n clients.
func crowded(t *testing.T, n int) (*Front, string) {
	f := openFront(t, nil)
	f.mu.Lock()
	f.crowd.most = n * perClient
	f.mu.Unlock()
	f.SetTarget(startFakeCore(t, echoServe).target(1))
	socks, _ := f.Addresses()
	return f, socks
}

// refused reports whether the front turns a new client away.
func refused(t *testing.T, socks string) bool {
	t.Helper()
	c := dialFront(t, socks)
	defer c.Close()
	fmt.Fprint(c, "\x05\x01\x00")
	_, err := c.Read(make([]byte, 2))
	return err != nil
}

// Without room for more, new clients are refused, and those that there are go on.
func TestNewClientsAreRefusedWithoutRoom(t *testing.T) {
	f, socks := crowded(t, 8)
	var clients []*net.TCPConn
	for range 8 {
		c := mustDial(t, f, "a.invalid:1")
		speak(t, c, "in", "in")
		clients = append(clients, c)
	}
	time.Sleep(halfOpenTime + crowdPause) // time is what this is about: nobody is half open
	if !refused(t, socks) {
		t.Error("a ninth client was taken")
	}
	for _, c := range clients {
		speak(t, c, "still in", "still in")
	}
	clients[0].Close()
	eventually(t, "there is room again", func() bool { return !refused(t, socks) })
}

// Clients that connect and say nothing make room for those that do say something.
func TestSilentClientsMakeRoom(t *testing.T) {
	f, socks := crowded(t, 8)
	asked := mustDial(t, f, "a.invalid:1")
	speak(t, asked, "in", "in")
	for range 20 {
		dialFront(t, socks)
	}
	began := time.Now()
	eventually(t, "somebody who speaks is let in", func() bool { return !refused(t, socks) })
	if took := time.Since(began); took > 10*halfOpenTime {
		t.Errorf("after %v", took)
	}
	speak(t, asked, "still in", "still in")
}
