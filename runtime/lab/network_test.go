//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/xray"
)

// download fetches a page through in, and returns how many bytes came, and how it ended.
func download(t *testing.T, in xray.Inbound, page string, patience time.Duration) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body, err := get(ctx, in, page)
	return len(body), err
}

func timedOut(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

func TestNetwork(t *testing.T) {
	const size = 60_000
	l := newLab(t)
	s := addServer(t, l, "one", VLESS)
	in := client(t, s)
	page := l.Origin().URL(fmt.Sprint("/bytes?n=", size))
	set := func(n Network) {
		t.Helper()
		if err := s.Network(n); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := download(t, in, page, long); n != size || err != nil {
		t.Fatal(n, err)
	}

	const rtt = 100 * time.Millisecond
	set(Network{RTT: rtt, Jitter: rtt / 5})
	begin := time.Now()
	if n, err := download(t, in, page, long); n != size || err != nil || time.Since(begin) < 2*rtt {
		t.Errorf("with a round trip: %d bytes after %v, %v", n, time.Since(begin), err)
	}
	if err := s.Heal(); err != nil || s.gate.current().network.RTT != rtt {
		t.Error("the round trip is gone", err)
	}

	set(Network{Curtain: 16 << 10})
	if n, err := download(t, in, page, 500*time.Millisecond); n < 8<<10 || n > 16<<10 || !timedOut(err) {
		t.Errorf("behind a curtain: %d bytes, %v", n, err)
	}
	conn := connect(t, in, l.Origin().HTTPAddress())
	fmt.Fprintf(conn, "GET /bytes?n=%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", size)
	time.AfterFunc(200*time.Millisecond, func() { s.Heal() })
	if all, err := io.ReadAll(conn); len(all) < size || err != nil {
		t.Errorf("when the curtain has gone: %d bytes, %v", len(all), err)
	}

	set(Network{Rate: 200_000})
	begin = time.Now()
	if n, err := download(t, in, page, long); n != size || err != nil || time.Since(begin) < 200*time.Millisecond {
		t.Errorf("throttled: %d bytes after %v, %v", n, time.Since(begin), err)
	}

	set(Network{ResetAfter: 8 << 10})
	if n, err := download(t, in, page, long); n > 8<<10 || err == nil || timedOut(err) {
		t.Errorf("reset: %d bytes, %v", n, err)
	}

	set(Network{Unanswered: 1})
	if n, err := download(t, in, page, 300*time.Millisecond); n != 0 || !timedOut(err) {
		t.Errorf("unanswered: %d bytes, %v", n, err)
	}

	set(Network{})
	if err := s.HealthOnly(); err != nil {
		t.Fatal(err)
	}
	if _, err := download(t, in, l.Origin().URL("/generate_204"), long); err != nil {
		t.Errorf("the health page: %v", err)
	}
	if _, err := download(t, in, page, 300*time.Millisecond); !timedOut(err) {
		t.Errorf("another page: %v", err)
	}
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	if n, err := download(t, in, l.Origin().URL("/stall?n=50000&after=20000"), 300*time.Millisecond); n != 20000 || !timedOut(err) {
		t.Errorf("a page that stalls: %d bytes, %v", n, err)
	}
	if n, err := download(t, in, page, long); n != size || err != nil {
		t.Errorf("mended: %d bytes, %v", n, err)
	}
}
