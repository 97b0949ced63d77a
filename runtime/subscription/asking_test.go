package subscription

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestUserAgent(t *testing.T) {
	var got string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("User-Agent") })
	for _, test := range []struct{ fetcher, request, want string }{
		{"", "", "xrat"}, {"xrat/1", "", "xrat/1"}, {"xrat/1", "My client/3", "My client/3"}, {"xrat/1", "Clash", clients["clash"]},
	} {
		if _, err := (Fetcher{UserAgent: test.fetcher}).Fetch(t.Context(), Request{URL: address, UserAgent: test.request}); err != nil || got != test.want {
			t.Errorf("%q, %q: %q, %v", test.fetcher, test.request, got, err)
		}
	}
	names := Clients()
	if len(names) != len(clients) {
		t.Errorf("%v", names)
	}
	for name, agent := range clients {
		if name != strings.ToLower(name) || CheckUserAgent(name) != nil || CheckUserAgent(agent) != nil || userAgent(agent) != agent {
			t.Errorf("%s: %s", name, agent)
		}
	}
	for _, bad := range []string{" x", "x\n", "x\x00", "клиент", strings.Repeat("x", 257)} {
		if CheckUserAgent(bad) == nil {
			t.Errorf("%q may be a user agent", bad)
		}
	}
}

func TestParseHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"X-Key=a=b": "X-Key|a=b", "x-key: a": "X-Key|a", " X-Key : a:b ": "X-Key|a:b", "Authorization=Bearer x": "Authorization|Bearer x", "Cookie: a=b": "Cookie|a=b",
		"X-Empty=": "", "X Key=a": "", "=a": "", "X-Key": "", "X-Key=a\nb": "", "X-Key=a\x00": "",
		strings.Repeat("x", 65) + "=a": "", "X-Key=" + strings.Repeat("x", 4097): "",
		"Host=a": "", "host: a": "", "Content-Length=1": "", "Connection=close": "", "Transfer-Encoding=chunked": "", "TE=x": "", "Upgrade=x": "", "Trailer=x": "",
		"Keep-Alive=x": "", "Proxy-Authorization=x": "", "Proxy-Connection=x": "", "User-Agent=x": "", "Accept-Encoding=br": "", "Range=bytes=1-": "", "If-None-Match=x": "",
	} {
		list, err := ParseHeaders([]string{text})
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Code != CodeBadRequest) {
			t.Errorf("%q: %v", text, err)
		}
		got := ""
		if len(list) == 1 {
			got = list[0].Name + "|" + list[0].Value
		}
		if got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ParseHeaders([]string{"X-Key=" + token, "x-key=" + token}); err == nil || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
	if _, err := ParseHeaders(make([]string, 17)); err == nil {
		t.Error("17 headers")
	}
	list, _ := ParseHeaders([]string{"X-Key=" + token})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if shown := fmt.Sprintf(verb+verb+verb, list, list[0], &list[0]); strings.Contains(shown, token) || strings.Contains(shown, fmt.Sprintf("%x", token)) {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

// What is for the provider goes to the provider alone.
func TestPersonalHeadersStayAtHome(t *testing.T) {
	personal := func(h http.Header) (names []string) {
		for _, name := range []string{"X-Key", "X-Hwid", "X-Device-Os", "X-Ver-Os", "X-Device-Model"} {
			if h.Get(name) != "" {
				names = append(names, name)
			}
		}
		return names
	}
	var away, home []string
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { away = append(away, personal(r.Header)...) })
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		home = personal(r.Header)
		switch r.URL.Query().Get("to") {
		case "":
			http.Redirect(w, r, "/?to=other", http.StatusFound)
		case "other":
			http.Redirect(w, r, other, http.StatusFound)
		}
	})
	device := ThisDevice("0123456789abcdef")
	headers, _ := ParseHeaders([]string{"X-Key=" + token})
	// The other server is at another port of the same loopback address, so it is refused after all
	// that is looked at here.
	_, err := Fetcher{}.Fetch(t.Context(), Request{URL: address, Headers: headers, Device: &device})
	if err == nil || len(home) != 5 {
		t.Errorf("at home: %v, %v", home, err)
	}
	if len(away) > 0 {
		t.Errorf("away: %v", away)
	}

	r, g := Request{Headers: headers, Device: &device}, newGuard(mustURL(t, "http://a.org/x"), false)
	for to, stays := range map[string]bool{
		"http://a.org/y": true, "http://A.org:80/": true, "https://a.org/x": true, "https://b.org/x": false, "http://a.org:8080/": false, "https://a.org:8443/": false,
		"http://sub.a.org/": false,
	} {
		if g.home(mustURL(t, to)) != stays {
			t.Errorf("%s: at home %v", to, !stays)
		}
	}
	h := http.Header{"User-Agent": {"x"}}
	r.setPersonal(h)
	if r.dropPersonal(h); len(h) != 1 {
		t.Errorf("%v is left", h)
	}
}

// A redirect to another server carries nothing personal.
func TestRedirectedRequestIsStripped(t *testing.T) {
	var got http.Header
	var port string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Host, "other.") {
			got = r.Header
			_, _ = io.WriteString(w, plainList)
			return
		}
		http.Redirect(w, r, "http://other.example.org:"+port+"/", http.StatusFound)
	})
	_, port, _ = net.SplitHostPort(strings.Split(address, "/")[2])
	// Through a proxy nothing is looked up here.
	socks := newSOCKS(t, "u", password, "127.0.0.1:"+port)
	headers, _ := ParseHeaders([]string{"X-Key=" + token, "Authorization=" + token})
	device := ThisDevice("0123456789abcdef")
	_, err := Fetcher{}.Fetch(t.Context(), Request{URL: "http://provider.example.org:" + port + "/" + token, Headers: headers, Device: &device, UserAgent: "clash", Proxy: socks.proxy()})
	if err != nil || got == nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprint(got); strings.Contains(shown, token) || strings.Contains(shown, "Hwid") || strings.Contains(shown, "Device") || got.Get("User-Agent") != clients["clash"] {
		t.Errorf("the other server was sent %v", got)
	}
}

func TestDeviceHeaders(t *testing.T) {
	var got http.Header
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header })
	device := ThisDevice("0123456789abcdef")
	if _, err := (Fetcher{}).Fetch(t.Context(), Request{URL: address, Device: &device}); err != nil {
		t.Fatal(err)
	}
	if got.Get("X-Hwid") != "0123456789abcdef" || got.Get("X-Device-Os") == "" || got.Get("X-Ver-Os") == "" || got.Get("X-Device-Model") == "" {
		t.Errorf("%v", got)
	}
	if _, err := (Fetcher{}).Fetch(t.Context(), Request{URL: address}); err != nil || got.Get("X-Hwid") != "" || got.Get("X-Device-Model") != "" {
		t.Errorf("unasked: %v, %v", got, err)
	}
	for text, want := range map[string]string{"": "", " laptop\n": "laptop", "ноутбук-1": "-1", strings.Repeat("x", 99): strings.Repeat("x", 64)} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := osRelease("# x\nNAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n", "PRETTY_NAME"); got != "Debian GNU/Linux 12" {
		t.Errorf("%q", got)
	}
}

// An answer that speaks of devices is named as that, whatever its status and body.
func TestDeviceLimit(t *testing.T) {
	for name, test := range map[string]struct {
		headers []string
		status  int
		asked   bool // with the id of the device
		code    string
	}{
		"too many":                   {[]string{"x-hwid-max-devices-reached"}, 200, true, CodeDeviceLimit},
		"limit":                      {[]string{"x-hwid-limit"}, 404, true, CodeDeviceLimit},
		"unknown":                    {[]string{"x-hwid-not-supported"}, 200, false, CodeDeviceUnknown},
		"unknown comes with a limit": {[]string{"x-hwid-not-supported", "x-hwid-limit"}, 403, false, CodeDeviceUnknown},
		"not taken":                  {[]string{"x-hwid-not-supported", "x-hwid-limit"}, 200, true, CodeDeviceUnknown},
		"active":                     {[]string{"x-hwid-active"}, 200, true, ""},
		"status":                     {nil, 404, true, CodeBadStatus},
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range test.headers {
				w.Header().Set(name, " True")
			}
			w.Header().Set("X-Other", "false")
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, "vless://"+uuid+"@0.0.0.0:1#Limit of devices reached\n")
		})
		r := Request{URL: address}
		if test.asked {
			r.Device = &Device{ID: "x"}
		}
		if test.code == "" {
			if _, err := (Fetcher{}).Fetch(t.Context(), r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		e := fails(t, Fetcher{}, r, test.code)
		if wants := strings.Contains(e.Message, "--hwid"); wants != (test.code == CodeDeviceUnknown && !test.asked) {
			t.Errorf("%s: %v", name, e)
		}
	}
	no := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-hwid-limit", "false")
		_, _ = io.WriteString(w, plainList)
	})
	if _, err := (Fetcher{}).Fetch(t.Context(), Request{URL: no}); err != nil {
		t.Error(err)
	}
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a provider's own"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return authority{t, cert, key}
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// serve starts a provider whose certificate is for 127.0.0.1, or for another name, until end, and
// returns the address and the hash of the public key.
func (a authority) serve(name string, end time.Time, handler http.HandlerFunc) (address string, pin [32]byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	if name != "" {
		template.IPAddresses, template.DNSNames = nil, []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	a.t.Cleanup(server.Close)
	cert, _ := x509.ParseCertificate(der)
	return server.URL + "/" + token, sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// A provider's own certificate is accepted with the authority that has signed it, or by its key,
// and another one is not.
func TestPrivateCertificates(t *testing.T) {
	list := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, plainList) }
	theirs, other := newAuthority(t), newAuthority(t)
	good, pin := theirs.serve("", time.Now().Add(time.Hour), list)
	expired, oldPin := theirs.serve("", time.Now().Add(-time.Hour), list)
	misnamed, _ := theirs.serve("a.org", time.Now().Add(time.Hour), list)
	text := func(pin [32]byte) string {
		text, err := ParsePin(hex.EncodeToString(pin[:]))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, test := range map[string]struct {
		request Request
		says    string // of the error; empty: it is accepted
	}{
		"nothing":            {Request{URL: good}, "unknown authority"},
		"authority":          {Request{URL: good, CA: theirs.pem()}, ""},
		"two authorities":    {Request{URL: good, CA: other.pem() + theirs.pem()}, ""},
		"another authority":  {Request{URL: good, CA: other.pem()}, "unknown authority"},
		"expired":            {Request{URL: expired, CA: theirs.pem()}, "has expired"},
		"for another name":   {Request{URL: misnamed, CA: theirs.pem()}, "another name"},
		"pin":                {Request{URL: good, Pin: text(pin)}, ""},
		"pin of an old one":  {Request{URL: expired, Pin: text(oldPin)}, ""},
		"pin of another key": {Request{URL: good, Pin: text(oldPin)}, "another public key than the one that is pinned"},
	} {
		if test.says != "" {
			if e := fails(t, Fetcher{}, test.request, CodeBadCertificate); !strings.Contains(e.Message, test.says) {
				t.Errorf("%s: %v", name, e)
			}
			continue
		}
		if response, err := (Fetcher{}).Fetch(t.Context(), test.request); err != nil || string(response.Body) != plainList {
			t.Errorf("%s: %v", name, err)
		}
	}
	fails(t, Fetcher{}, Request{URL: good, CA: "nonsense"}, CodeBadRequest)
}

// The certificates and the pin are for the server of the address: a redirect to another one is
// verified as always.
func TestPrivateCertificatesAreForTheAddressAlone(t *testing.T) {
	a := newAuthority(t)
	list, _ := a.serve("elsewhere.example.org", time.Now().Add(time.Hour), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, plainList) })
	_, port, _ := net.SplitHostPort(strings.Split(list, "/")[2])
	socks := newSOCKS(t, "u", password, "127.0.0.1:"+port)
	r := Request{URL: "https://elsewhere.example.org/" + token, CA: a.pem(), Proxy: socks.proxy()}
	if _, err := (Fetcher{}).Fetch(t.Context(), r); err != nil {
		t.Fatalf("at the address: %v", err)
	}
	start, startPin := a.serve("start.example.org", time.Now().Add(time.Hour), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example.org:"+port+"/"+token, http.StatusFound)
	})
	_, startPort, _ := net.SplitHostPort(strings.Split(start, "/")[2])
	socks = newSOCKS(t, "u", password, "")
	socks.route = func(asked string) string {
		if strings.HasPrefix(asked, "start.") {
			return "127.0.0.1:" + startPort
		}
		return "127.0.0.1:" + port
	}
	for name, r := range map[string]Request{"authority": {CA: a.pem()}, "pin": {Pin: base64.StdEncoding.EncodeToString(startPin[:])}} {
		r.URL, r.Proxy = "https://start.example.org/"+token, socks.proxy()
		if e := fails(t, Fetcher{}, r, CodeBadCertificate); !strings.Contains(e.Message, "elsewhere.example.org") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestReadCA(t *testing.T) {
	a := newAuthority(t)
	key, _ := x509.MarshalPKCS8PrivateKey(a.key)
	secret := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	for name, data := range map[string]string{"PEM": a.pem(), "DER": string(a.cert.Raw), "with a key": secret + "text\n" + a.pem()} {
		if got, err := ReadCA([]byte(data)); err != nil || got != a.pem() {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	for name, data := range map[string]string{"empty": "", "text": "x", "a key": secret, "broken": broken, "very many": strings.Repeat(a.pem(), 100)} {
		if got, err := ReadCA([]byte(data)); err == nil || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestParsePin(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	want := base64.StdEncoding.EncodeToString(sum[:])
	digits := hex.EncodeToString(sum[:])
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	for _, text := range []string{want, "sha256//" + want, "sha256/" + want, strings.TrimRight(want, "="), digits, strings.ToUpper(digits), "SHA256:" + strings.Join(pairs, ":"), " " + digits + "\n"} {
		if got, err := ParsePin(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", digits[:62], want + want, "md5//" + want} {
		if got, err := ParsePin(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// A name that the user calls his own may be one in his network, and no other name may.
func TestPrivateNames(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, plainList) })
	_, port, _ := net.SplitHostPort(strings.Split(address, "/")[2])
	leads := func(to string) Fetcher {
		return Fetcher{resolver: newDNS(t, func() netip.Addr { return netip.MustParseAddr(to) })}
	}
	f := leads("127.0.0.1")
	r := Request{URL: "http://nas.example.org:" + port + "/" + token}
	fails(t, f, r, CodeBlockedAddress)
	r.Private = true
	if _, err := f.Fetch(t.Context(), r); err != nil {
		t.Error(err)
	}
	for _, to := range []string{"169.254.169.254", "100.100.100.200", "0.0.0.0", "fe80::1"} {
		fails(t, leads(to), r, CodeBlockedAddress)
	}
	// Not to where it redirects.
	away := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://other.example.org:"+port+"/", http.StatusFound)
	})
	_, awayPort, _ := net.SplitHostPort(strings.Split(away, "/")[2])
	fails(t, f, Request{URL: "http://nas.example.org:" + awayPort + "/" + token, Private: true}, CodeBlockedAddress)
}
