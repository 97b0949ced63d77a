package front

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

const getRequest = "GET /x HTTP/1.1\r\nHost: a.invalid\r\n\r\n"

// site is the far end of a fake core: it replies, notes what comes, and does with the connection
// what answer says.
type site struct {
	mu    sync.Mutex
	heard []string
	// answer gets the connection when what was expected has been heard.
	answer func(c net.Conn)
	expect int
}

func (s *site) serve(c net.Conn, _ socks5.Address) {
	succeed(c)
	b := make([]byte, s.expect)
	n, err := io.ReadFull(c, b)
	if n > 0 {
		s.mu.Lock()
		s.heard = append(s.heard, string(b[:n]))
		s.mu.Unlock()
	}
	if err == nil {
		s.answer(c)
	}
}

func (s *site) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}

// The things that a far end may do.
func stayDark(c net.Conn)  { io.Copy(io.Discard, c) }
func hangUp(c net.Conn)    {}
func breakOff(c net.Conn)  { reset(c.(*net.TCPConn)) }
func sayGood(c net.Conn)   { io.WriteString(c, "good"); io.Copy(io.Discard, c) }
func sayTarget(c net.Conn) { io.WriteString(c, "targ"); io.Copy(io.Discard, c) }

// pair is a front with a target and a standby.
type pair struct {
	*Front
	target, standby         site
	targetCore, standbyCore *fakeCore
}

// newPair opens a front whose two cores expect n bytes.
func newPair(t testing.TB, n int, target, standby func(net.Conn), change func(*Options)) *pair {
	t.Helper()
	p := &pair{target: site{expect: n, answer: target}, standby: site{expect: n, answer: standby}}
	p.targetCore, p.standbyCore = startFakeCore(t, p.target.serve), startFakeCore(t, p.standby.serve)
	p.Front = openFront(t, change)
	p.SetTarget(p.targetCore.target(1))
	p.SetStandby(p.standbyCore.target(2))
	return p
}

// hears waits for a signal, and skips others.
func hears(t testing.TB, f *Front, want Signal) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-f.Signals():
			if s == want {
				return
			}
		case <-deadline:
			t.Fatalf("no signal %+v", want)
		}
	}
}

// What was sent and may be sent again is answered by the standby, whatever the target does instead
// of answering.
func TestRescue(t *testing.T) {
	hello := string(clientHello(t))
	for _, does := range []struct {
		name   string
		target func(net.Conn)
		signal SignalKind
	}{
		{"silent", stayDark, Silent},
		{"empty", hangUp, ClosedEmpty},
		{"reset", breakOff, CoreGone},
	} {
		for _, says := range []struct{ name, sent string }{{"GET", getRequest}, {"TLS", hello}} {
			t.Run(does.name+" "+says.name, func(t *testing.T) {
				checkLeaks(t)
				p := newPair(t, len(says.sent), does.target, sayGood, nil)
				c := mustDial(t, p.Front, "a.invalid:443")
				speak(t, c, says.sent, "good")
				hears(t, p.Front, Signal{1, does.signal})
				hears(t, p.Front, Signal{1, Rescued})
				if p.target.times() != 1 || p.standby.times() != 1 || p.standby.heard[0] != says.sent {
					t.Errorf("the target heard it %d times, the standby %q", p.target.times(), p.standby.heard)
				}
				eventually(t, "the answer is counted", func() bool { return p.Counters(2).DownBytes == 4 })
				if n := p.Counters(2); n.Replayed != 1 || n.Rescued != 1 || n.Connections != 1 || n.UpBytes != uint64(len(says.sent)) || n.DownBytes != 4 {
					t.Errorf("standby: %+v", n)
				}
				if n := p.Counters(1); n.Replayed != 0 || n.Rescued != 0 || n.DownBytes != 0 || n.Open != 0 {
					t.Errorf("target: %+v", n)
				}
				if n := p.Total(); n.Replayed != 1 || n.Rescued != 1 {
					t.Errorf("total: %+v", n)
				}
				c.Close()
				eventually(t, "nothing is open", func() bool { return p.Total().Open == 0 })
				p.Close()
				p.targetCore.kill()
				p.standbyCore.kill()
			})
		}
	}
}

// The client may send the hello in several writes.
func TestRescueOfPieces(t *testing.T) {
	hello := clientHello(t)
	p := newPair(t, len(hello), stayDark, sayGood, nil)
	c := mustDial(t, p.Front, "a.invalid:443")
	c.Write(hello[:100])
	hears(t, p.Front, Signal{1, Silent})
	if p.standby.times() > 0 {
		t.Error("half a hello was sent again")
	}
	speak(t, c, string(hello[100:]), "good")
}

// More than one piece is sent as such, and arrives whole.
func TestRescueOfMuch(t *testing.T) {
	get := "GET /" + strings.Repeat("x", 30<<10) + " HTTP/1.1\r\nHost: a.invalid\r\n\r\n"
	p := newPair(t, len(get), stayDark, sayGood, nil)
	c := mustDial(t, p.Front, "a.invalid:80")
	speak(t, c, get, "good")
	if p.standby.heard[0] != get {
		t.Error("something else arrived")
	}
}

// What may not be sent twice is not, whatever happens and however long it takes. That it was left
// alone is known when a rescue that could have come much earlier has been seen on another
// connection.
func TestNeverTwice(t *testing.T) {
	hello := clientHello(t)
	post := "POST / HTTP/1.1\r\nHost: a.invalid\r\nContent-Length: 5\r\n\r\nhello"
	for name, sent := range map[string]string{
		"POST": post, "early data": string(withEarlyData(hello)), "early data in records": string(inRecords(withEarlyData(hello), 200)),
		"GET and POST": getRequest + post, "something": "\x00\x01\x02\x03",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, 1, stayDark, sayGood, func(o *Options) { o.Rescue = Rescue{Ceiling: 60 * time.Millisecond} })
			c := mustDial(t, p.Front, "b.invalid:443")
			io.WriteString(c, sent)
			hears(t, p.Front, Signal{1, Silent})
			// Three rescues after it, one after the other, each after a limit of its own.
			for range 3 {
				speak(t, mustDial(t, p.Front, "a.invalid:443"), getRequest, "good")
			}
			if n := p.standby.times(); n != 3 {
				t.Errorf("the standby heard %d requests", n)
			}
			p.targetCore.kill()
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("an answer from nowhere")
			}
			if n := p.standby.times(); n != 3 {
				t.Errorf("the standby heard %d requests after the target's death", n)
			}
		})
	}
	for _, how := range []func(net.Conn){hangUp, breakOff} {
		p := newPair(t, len(post), how, sayGood, nil)
		c := mustDial(t, p.Front, "a.invalid:443")
		io.WriteString(c, post)
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("answered %q", b)
		}
		if p.target.times() != 1 || p.standby.times() != 0 {
			t.Errorf("heard %d times and %d", p.target.times(), p.standby.times())
		}
	}
}

// While two cores have a GET, a POST comes behind it on the same connection. Only one core may get
// that.
func TestPipelinedPost(t *testing.T) {
	post := "POST / HTTP/1.1\r\nHost: a.invalid\r\nContent-Length: 0\r\n\r\n"
	var got [2]atomic.Value
	both := func(i int) func(net.Conn, socks5.Address) {
		return func(c net.Conn, _ socks5.Address) {
			succeed(c)
			b, _ := io.ReadAll(io.LimitReader(c, int64(len(getRequest+post))))
			got[i].Store(string(b))
			if len(b) == len(getRequest+post) {
				io.WriteString(c, "good")
			}
		}
	}
	f := openFront(t, nil)
	one, two := startFakeCore(t, both(0)), startFakeCore(t, both(1))
	f.SetTarget(one.target(1))
	f.SetStandby(two.target(2))
	c := mustDial(t, f, "a.invalid:80")
	io.WriteString(c, getRequest)
	eventually(t, "both have the GET", func() bool { return f.Counters(2).UpBytes == uint64(len(getRequest)) })
	speak(t, c, post, "good")
	eventually(t, "the target's leg has ended", func() bool { return got[0].Load() != nil })
	if got[0].Load() != getRequest || got[1].Load() != getRequest+post {
		t.Errorf("the target got %q, the standby %q", got[0].Load(), got[1].Load())
	}
}

// Plain HTTP through a proxy, where the connection to the core may be an old one.
func TestRescueOfPlainHTTP(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	var frozen atomic.Bool
	var posts [2]atomic.Int64
	serve := func(i int) func(net.Conn, socks5.Address) {
		return func(c net.Conn, _ socks5.Address) {
			succeed(c)
			serveHTTPOn(c, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					posts[i].Add(1)
				}
				if i == 0 && frozen.Load() {
					http.NewResponseController(rw).EnableFullDuplex()
					io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
					return
				}
				fmt.Fprint(rw, i)
			}))
		}
	}
	one, two := startFakeCore(t, serve(0)), startFakeCore(t, serve(1))
	f.SetTarget(one.target(1))
	f.SetStandby(two.target(2))
	client := proxied(t, f, nil)
	for range 3 {
		if _, body, _ := fetch(t, client, "http://a.invalid/"); body != "0" {
			t.Fatalf("answered by %s", body)
		}
	}
	frozen.Store(true)
	if _, body, _ := fetch(t, client, "http://a.invalid/"); body != "1" {
		t.Fatalf("answered by %s", body)
	}
	hears(t, f, Signal{1, Silent})
	hears(t, f, Signal{1, Rescued})
	if n := f.Counters(2); n.Replayed != 1 || n.Rescued != 1 {
		t.Errorf("standby: %+v", n)
	}
	client.Timeout = 500 * time.Millisecond
	if r, err := client.Post("http://a.invalid/", "text/plain", strings.NewReader("x")); err == nil {
		r.Body.Close()
		t.Error("the POST was answered")
	}
	if posts[0].Load() != 1 || posts[1].Load() != 0 {
		t.Errorf("POST was heard %d and %d times", posts[0].Load(), posts[1].Load())
	}
	client.CloseIdleConnections()
	f.Close()
	one.kill()
	two.kill()
}

// A whole TLS handshake, so that nothing is taken for granted about what TLS does.
func TestRescueOfTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "secure") }))
	defer srv.Close()
	p := newPair(t, 1, stayDark, nil, nil)
	p.standbyCore.serve = func(c net.Conn, _ socks5.Address) {
		succeed(c)
		up, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			return
		}
		defer up.Close()
		go func() { io.Copy(up, c); up.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, up)
	}
	client := proxied(t, p.Front, nil)
	tr := client.Transport.(*http.Transport).Clone()
	tr.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	client.Transport = tr
	defer tr.CloseIdleConnections()
	if _, body, _ := fetch(t, client, srv.URL); body != "secure" {
		t.Errorf("%q", body)
	}
}
