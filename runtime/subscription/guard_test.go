package subscription

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/xrat-tray/xrat/runtime/link"
)

// forbidden are addresses to which no redirect and no name may lead.
var forbidden = []string{
	"127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1",
	"100.100.100.200", "192.0.0.192", "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1",
	"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "3fff::1",
}

var public = []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "198.18.0.1", "2606:4700::1111", "2001:4860::1", "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1"}

func TestIsPublic(t *testing.T) {
	for _, ip := range forbidden {
		if isPublic(netip.MustParseAddr(ip)) {
			t.Errorf("%s is public", ip)
		}
	}
	for _, ip := range public {
		if !isPublic(netip.MustParseAddr(ip)) {
			t.Errorf("%s is not public", ip)
		}
	}
	if isPublic(netip.Addr{}) || isPublic(netip.MustParseAddr("2606:4700::1%eth0")) {
		t.Error("no address, or one with a zone, is public")
	}
}

// What the user types literally may be in his own network, but not a metadata service of a cloud.
func TestTypedAddresses(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "192.168.1.1": true, "10.1.2.3": true, "fd12::1": true, "100.64.1.1": true, "localhost": true, "LOCALHOST": true,
		"169.254.169.254": false, "fd00:ec2::254": false, "100.100.100.200": false, "::ffff:127.0.0.1": false, "0.0.0.0": false, "::": false, "fe80::1": false,
		"fe80::1%eth0": false, "127.1": false, "0x7f000001": false, "nas.lan": false, "1.1.1.1": false,
	} {
		if got := typedLocal(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	for _, ip := range []string{"169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "[fe80::1]", "[64:ff9b::a9fe:a9fe]"} {
		fails(t, Fetcher{}, Request{URL: "http://" + ip + ":9/" + token}, CodeBlockedAddress)
	}
}

func TestRedirectsNeverLeadInside(t *testing.T) {
	var hits atomic.Int64
	victim := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		_, _ = io.WriteString(w, plainList)
	}))
	t.Cleanup(victim.Close)
	_, port, _ := net.SplitHostPort(victim.Listener.Addr().String())

	targets := map[string]string{"http://metadata.google.internal/" + token: CodeBlockedAddress}
	for _, ip := range forbidden {
		targets["http://"+net.JoinHostPort(ip, port)+"/"+token] = CodeBlockedAddress
	}
	for _, host := range []string{"localhost", "LOCALHOST.", "x.localhost", "127.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001"} {
		targets["http://"+host+":"+port+"/"+token] = CodeBlockedAddress
	}
	for _, other := range []string{"file:///etc/passwd", "ftp://a.org/" + token, "unix:/run/" + token, "gopher://a.org/", "data:,x", "javascript:" + token} {
		targets[other] = CodeBadRedirect
	}
	for target, code := range targets {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
		})
		fails(t, Fetcher{}, Request{URL: address}, code)
		// Likewise through a proxy, which is asked for the first server only.
		socks := newSOCKS(t, "u", password, strings.Split(address, "/")[2])
		fails(t, Fetcher{}, Request{URL: "http://provider.example.org/" + token, Proxy: &Proxy{Address: socks.address, User: link.NewSecret("u"), Password: link.NewSecret(password)}}, code)
		if asked := socks.asked(); len(asked) != 1 || asked[0] != "provider.example.org:80" {
			t.Errorf("the proxy was asked for %q", asked)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestRedirectsAreFollowed(t *testing.T) {
	var hops atomic.Int64
	handler := func(last int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Referer") != "" {
				t.Error("the request names the previous address")
			}
			if n := hops.Add(1); n <= last {
				http.Redirect(w, r, fmt.Sprintf("/%d?token=%s", n, token), http.StatusMovedPermanently)
				return
			}
			_, _ = io.WriteString(w, plainList)
		}
	}
	response, err := Fetcher{}.Fetch(t.Context(), Request{URL: serve(t, handler(maxRedirects))})
	if err != nil || string(response.Body) != plainList {
		t.Error(err)
	}
	hops.Store(0)
	fails(t, Fetcher{}, Request{URL: serve(t, handler(1<<40))}, CodeBadRedirect)
	if n := hops.Load(); n != maxRedirects+1 {
		t.Errorf("%d requests", n)
	}
	// A Location that net/http cannot read is quoted by it, token and all.
	fails(t, Fetcher{}, Request{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[::1/"+token)
		w.WriteHeader(http.StatusFound)
	})}, CodeBadAnswer)
}

// Once a redirect has led away, no other may lead back into the user's network.
func TestNoRedirectLeadsBackInside(t *testing.T) {
	start := mustURL(t, "http://127.0.0.1:8080/sub")
	g := newGuard(start, false)
	via := []*http.Request{{URL: start}}
	hop := func(address string) error {
		next := &http.Request{URL: mustURL(t, address), Header: http.Header{}}
		err := g.checkRedirect(next, via)
		via = append(via, next)
		return err
	}
	if err := g.checkDial("127.0.0.1:8080", "127.0.0.1:8080"); err != nil {
		t.Error(err)
	}
	if err := hop("http://127.0.0.1:8080/other"); err != nil {
		t.Error(err)
	}
	if g.checkDial("127.0.0.1:8081", "127.0.0.1:8081") == nil {
		t.Error("another port can be dialed")
	}
	if err := hop("https://a.org/"); err != nil {
		t.Error(err)
	}
	if hop("http://b.org/") == nil {
		t.Error("from https to http")
	}
	if hop("https://127.0.0.1:8080/sub") == nil || g.checkDial("127.0.0.1:8080", "127.0.0.1:8080") == nil {
		t.Error("back to where the fetch began")
	}
}

// A name that resolves to a forbidden address is refused when it is dialed, whatever it resolved to
// before.
func TestNamesNeverResolveInside(t *testing.T) {
	var hits atomic.Int64
	victim := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(victim.Close)
	_, port, _ := net.SplitHostPort(victim.Listener.Addr().String())

	for _, ip := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "64:ff9b::7f00:1", "0.0.0.0", "::ffff:127.0.0.1"} {
		var asked atomic.Int64
		resolver := newDNS(t, func() netip.Addr { asked.Add(1); return netip.MustParseAddr(ip) })
		fails(t, Fetcher{resolver: resolver}, Request{URL: "http://provider.example.org:" + port + "/" + token}, CodeBlockedAddress)
		if asked.Load() == 0 {
			t.Errorf("%s: nobody was asked", ip)
		}
		// Likewise as the second hop.
		address := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://rebind.example.org:"+port+"/"+token, http.StatusTemporaryRedirect)
		})
		fails(t, Fetcher{resolver: resolver}, Request{URL: address}, CodeBlockedAddress)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

func TestUnknownName(t *testing.T) {
	resolver := newDNS(t, func() netip.Addr { return netip.Addr{} })
	e := fails(t, Fetcher{resolver: resolver}, Request{URL: "http://provider.example.org/" + token}, CodeUnreachable)
	if !strings.Contains(e.Message, "no server with the name") {
		t.Error(e)
	}
}

// newDNS starts a DNS server on loopback. answer returns the address of every name; the zero Addr
// means that there is no such name.
func newDNS(t *testing.T, answer func() netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if reply := dnsReply(packet[:n], answer()); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func dnsReply(packet []byte, ip netip.Addr) []byte {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || len(m.Questions) != 1 {
		return nil
	}
	question := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 0}
	switch {
	case !ip.IsValid():
		m.RCode = dnsmessage.RCodeNameError
	case ip.Is4() && question.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}}}
	case ip.Is6() && question.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
