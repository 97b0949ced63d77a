package subscription_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// The panels with which providers run their servers write subscriptions in formats and habits of
// their own. The tests of these files make what each of them can write, of servers that are made
// up, and compare what comes out field by field. They know by themselves what that must be: nothing
// here asks runtime/link how a link is written or read.

// server is what a panel knows of a server, and what must come out of all that it writes about it.
type server struct {
	protocol   string // vless, vmess, trojan, shadowsocks, hysteria2, wireguard, socks, http
	remark     string
	host       string
	port       int
	secret     string // user ID or password
	user       string // of socks and http
	method     string // cipher of Shadowsocks or VMess
	flow       string
	encryption string
	transport  transport
	security   security
	quic       quic
	tunnel     tunnel
	mux        int
	masks      map[string]any // finalmask, in the words of the core
}

type transport struct {
	kind      string // tcp, ws, httpupgrade, grpc, xhttp, kcp
	host      string
	path      string
	early     int // bytes of early data
	disguised bool
	service   string
	authority string
	multi     bool
	mode      string
	extra     map[string]any
	header    string
	domain    string
	seed      string
}

type security struct {
	kind       string // none, tls, reality
	sni        string
	alpn       []string
	fp         string
	ech        string
	pins       string
	names      string
	insecure   bool
	publicKey  string
	shortID    string
	spiderX    string
	postQuanta string
}

type quic struct {
	salamander string
	ports      string // with dashes
	interval   string
	up, down   int
}

type tunnel struct {
	publicKey, preShared string
	addresses            string
	reserved             string
	mtu, keepAlive       int
}

// borrowing says where the name of the server comes from if TLS is given none: some clients take it
// from the Host header before they take the address.
type borrowing func(transport) bool

func fromLink(t transport) bool  { return t.kind != "grpc" }
func fromClash(t transport) bool { return t.kind == "ws" || t.kind == "httpupgrade" }
func fromJSON(transport) bool    { return false }

// fields is what must come out of s.
func (s server) fields(borrowed borrowing) map[string]string {
	f := map[string]string{
		"protocol": s.protocol, "name": s.remark, "host": ascii(s.host), "port": strconv.Itoa(s.port), "secret": s.secret, "user": s.user,
		"method": s.method, "flow": s.flow, "encryption": s.encryption, "mux": number(s.mux), "masks": canonical(s.masks),
	}
	t := s.transport
	f["transport"] = t.kind
	switch t.kind {
	case "tcp":
		if t.disguised {
			f["disguise"], f["host header"], f["path"] = "http", ascii(t.host), slash(t.path)
		}
	case "ws", "httpupgrade":
		f["host header"], f["path"] = ascii(t.host), slash(t.path)
		if t.early > 0 {
			f["path"] += map[bool]string{true: "&", false: "?"}[strings.Contains(t.path, "?")] + "ed=" + number(t.early)
		}
	case "grpc":
		f["service"], f["authority"], f["mode"] = t.service, t.authority, "gun"
		if t.multi {
			f["mode"] = "multi"
		}
	case "xhttp":
		f["host header"], f["path"], f["mode"], f["extra"] = ascii(t.host), slash(t.path), cmp.Or(t.mode, "auto"), canonical(t.extra)
	case "kcp":
		f["header"], f["domain"], f["seed"] = t.header, t.domain, t.seed
	}
	f["security"] = s.security.kind
	if s.security.kind != "none" && s.security.kind != "" {
		name := s.security.sni
		if name == "" && borrowed(t) {
			name = t.host
		}
		f["sni"], f["fp"] = strings.ToLower(ascii(cmp.Or(name, f["host"]))), cmp.Or(s.security.fp, "chrome")
		f["alpn"], f["ech"], f["pins"], f["names"] = strings.Join(s.security.alpn, ","), s.security.ech, s.security.pins, s.security.names
		if s.security.insecure {
			f["insecure"] = "yes"
		}
		f["public key"], f["short id"], f["post-quantum key"] = s.security.publicKey, s.security.shortID, s.security.postQuanta
		if s.security.spiderX != "/" {
			f["spider path"] = s.security.spiderX
		}
	}
	f["salamander"], f["ports"], f["interval"], f["up"], f["down"] = s.quic.salamander, s.quic.ports, s.quic.interval, number(s.quic.up), number(s.quic.down)
	if s.protocol == "wireguard" {
		f["public key"], f["pre-shared key"], f["addresses"], f["reserved"] = s.tunnel.publicKey, s.tunnel.preShared, s.tunnel.addresses, s.tunnel.reserved
		f["mtu"], f["keep alive"] = number(s.tunnel.mtu), number(s.tunnel.keepAlive)
	}
	maps.DeleteFunc(f, func(_, value string) bool { return value == "" })
	return f
}

// fieldsOf is what came out.
func fieldsOf(l link.Link) map[string]string {
	f := map[string]string{
		"protocol": string(l.Protocol), "name": l.Name, "host": l.Host, "port": strconv.Itoa(int(l.Port)), "mux": number(int(l.Mux)),
		"masks": canonicalText(l.Mask.Reveal()), "security": l.Security(), "transport": l.Network(),
	}
	switch a := l.Account.(type) {
	case link.VLESS:
		f["secret"], f["flow"], f["encryption"] = a.UUID.Reveal(), a.Flow, a.Encryption.Reveal()
	case link.VMess:
		f["secret"], f["method"] = a.UUID.Reveal(), a.Cipher
	case link.Trojan:
		f["secret"] = a.Password.Reveal()
	case link.Shadowsocks:
		f["secret"], f["method"] = a.Password.Reveal(), a.Method
	case link.SOCKS:
		f["user"], f["secret"] = a.User.Reveal(), a.Password.Reveal()
	case link.HTTP:
		f["user"], f["secret"] = a.User.Reveal(), a.Password.Reveal()
	case link.Hysteria2:
		f["secret"] = a.Auth.Reveal()
	case link.WireGuard:
		f["secret"], f["public key"], f["pre-shared key"] = a.PrivateKey.Reveal(), a.PublicKey.Reveal(), a.PreSharedKey.Reveal()
		f["addresses"], f["reserved"], f["mtu"], f["keep alive"] = a.Addresses, a.Reserved, number(int(a.MTU)), number(int(a.KeepAlive))
	}
	switch t := l.Transport.(type) {
	case link.Raw:
		if t.HTTPHeader {
			f["disguise"], f["host header"], f["path"] = "http", t.Host, t.Path
		}
	case link.WebSocket:
		f["host header"], f["path"] = t.Host, t.Path
	case link.HTTPUpgrade:
		f["host header"], f["path"] = t.Host, t.Path
	case link.GRPC:
		f["service"], f["authority"], f["mode"] = t.Service, t.Authority, "gun"
		if t.Multi {
			f["mode"] = "multi"
		}
	case link.XHTTP:
		f["host header"], f["path"], f["mode"] = t.Host, t.Path, t.Mode
		f["extra"] = canonicalText(t.ExtraWithDownload())
	case link.KCP:
		f["header"], f["domain"], f["seed"] = t.Header, t.Domain, t.Seed.Reveal()
	case link.QUIC:
		f["salamander"], f["ports"], f["interval"], f["up"], f["down"] = t.Salamander.Reveal(), ports(t.Ports), t.HopSeconds, number(int(t.Up)), number(int(t.Down))
	}
	switch s := l.Secure.(type) {
	case link.TLS:
		f["sni"], f["fp"], f["alpn"], f["ech"], f["pins"], f["names"] = strings.ToLower(cmp.Or(s.ServerName, l.Host)), cmp.Or(s.Fingerprint, "chrome"), s.ALPN, s.ECH, s.PinnedCerts, s.VerifyNames
		if s.AllowInsecure {
			f["insecure"] = "yes"
		}
	case link.REALITY:
		f["sni"], f["fp"], f["public key"], f["short id"] = strings.ToLower(cmp.Or(s.ServerName, l.Host)), cmp.Or(s.Fingerprint, "chrome"), s.PublicKey.Reveal(), s.ShortID.Reveal()
		f["spider path"], f["post-quantum key"] = s.SpiderX, s.PostQuantum.Reveal()
	}
	f["host header"] = strings.ToLower(f["host header"])
	maps.DeleteFunc(f, func(_, value string) bool { return value == "" })
	return f
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// ports writes a range of one port as that port.
func ports(list string) string {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if from, to, _ := strings.Cut(item, "-"); from == to {
			item = from
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}

func slash(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// otherScripts are host names with letters that the DNS does not have, and what is looked up.
var otherScripts = map[string]string{
	"сервер.a.org": "xn--b1afb6bcb.a.org", "节点.a.org": "xn--3px729a.a.org", "سرور.a.org": "xn--wgbae9f.a.org", "münchen.a.org": "xn--mnchen-3ya.a.org",
}

func ascii(host string) string {
	if host == "" {
		return ""
	}
	return strings.ToLower(cmp.Or(otherScripts[host], host))
}

// canonical writes settings so that they can be compared: whether a number is written as a text
// does not matter, nor does what is empty or false.
func canonical(settings map[string]any) string {
	if settings == nil {
		return ""
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return err.Error()
	}
	return canonicalText(string(text))
}

func canonicalText(text string) string {
	if text == "" {
		return ""
	}
	var value any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return err.Error()
	}
	return texts(value)
}

func texts(value any) string {
	switch value := value.(type) {
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if text := texts(value[key]); text != "" && (key != "mode" || text != "auto") {
				parts = append(parts, key+":"+text)
			}
		}
		if parts == nil {
			return ""
		}
		return "{" + strings.Join(parts, " ") + "}"
	case []any:
		var parts []string
		for _, item := range value {
			parts = append(parts, texts(item))
		}
		if parts == nil {
			return ""
		}
		return "[" + strings.Join(parts, " ") + "]"
	case json.Number:
		if value == "0" {
			return ""
		}
		return value.String()
	case bool:
		if !value {
			return ""
		}
		return "true"
	case string:
		if value != "0" {
			return value
		}
	}
	return ""
}

// item is one entry of a subscription.
type item struct {
	text string // a line of a list, or an element of a document in JSON
	want server

	// What cannot be used is refused with a code, and a reason that contains a word.
	code, reason string

	left string // a word of what is named as left out; empty: nothing is
}

// format is one of the formats of a panel.
type format struct {
	name   string
	frame  func(entries []string) string // makes a body of entries
	borrow borrowing
	items  []item

	// packed means that the items are those of another format, in another wrapping.
	packed bool
}

// panels are all the formats of all the panels. Nothing in them is left to chance but by seeds.
func panels() []format {
	return slices.Concat(threeXUI(), marzban(), remnawave(), hiddify(), sui())
}

func TestPanels(t *testing.T) {
	for _, f := range panels() {
		t.Run(f.name, func(t *testing.T) {
			found := faults{byKind: map[string]*fault{}}
			var all []string
			usable := 0
			for i, it := range f.items {
				if i%oneIn == 0 && (!f.packed || i%10 == 0) {
					found.check(f.frame([]string{it.text}), it, f.borrow)
				}
				all = append(all, it.text)
				if it.code == "" {
					usable++
				}
			}
			found.report(t)

			// All together are as many, and each refused one is named.
			b, err := subscription.Parse([]byte(f.frame(all)))
			refused := b.Unlisted
			for _, p := range b.Problems {
				if !p.Kept {
					refused++
				}
			}
			if (err != nil) != (usable == 0) || len(b.Entries) != usable || refused != len(f.items)-usable || b.Partial {
				t.Errorf("of %d entries, of which %d are usable, together: %d came in, %d are named, partial %v, error %v",
					len(f.items), usable, len(b.Entries), refused, b.Partial, err)
			}
			t.Logf("%d entries, of which %d are usable", len(f.items), usable)
		})
	}
}

// faults gathers what is wrong by its kind: what is wrong once is wrong for many.
type faults struct {
	kinds  []string
	byKind map[string]*fault
}

type fault struct {
	count int
	first string
}

func (f *faults) add(kind, detail, text string) {
	if f.byKind[kind] == nil {
		f.kinds = append(f.kinds, kind)
		f.byKind[kind] = &fault{first: strings.TrimPrefix(detail+"\n"+text, "\n")}
	}
	f.byKind[kind].count++
}

func (f *faults) report(t *testing.T) {
	t.Helper()
	for _, kind := range f.kinds {
		t.Errorf("%d times: %s\n%s", f.byKind[kind].count, kind, f.byKind[kind].first)
	}
}

// check compares what comes out of body, which has nothing but it.
func (f *faults) check(body string, it item, borrow borrowing) {
	b, err := subscription.Parse([]byte(body))
	var left, refused []subscription.Problem
	for _, p := range b.Problems {
		if p.Kept {
			left = append(left, p)
		} else {
			refused = append(refused, p)
		}
	}
	switch {
	case it.code != "":
		switch {
		case len(b.Entries) > 0:
			f.add("accepted, where "+it.code+" was due", "", it.text)
		case len(refused) != 1:
			f.add(fmt.Sprintf("%d problems instead of one", len(refused)), fmt.Sprint(refused, err), it.text)
		case refused[0].Code != it.code || !strings.Contains(refused[0].Message, it.reason):
			f.add("refused for another reason: "+refused[0].Code+": "+refused[0].Message, "want "+it.code+" and "+it.reason, it.text)
		}
		return
	case len(b.Entries) == 0:
		reason := fmt.Sprint(err)
		if len(refused) > 0 {
			reason = refused[0].Code + ": " + refused[0].Message
		}
		f.add("refused: "+reason, "notices: "+strings.Join(b.Notices, " / "), it.text)
		return
	case len(b.Entries) > 1:
		f.add("one entry became several", "", it.text)
		return
	}
	got, want := fieldsOf(b.Entries[0].Link), it.want.fields(borrow)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			kind := "wrong " + name
			if otherScripts[got[name]] != "" {
				kind += " (in letters that the DNS does not have)"
			}
			f.add(kind, fmt.Sprintf("got  %q\nwant %q", got[name], want[name]), it.text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == "" {
			f.add("unwanted "+name, fmt.Sprintf("got  %q", got[name]), it.text)
		}
	}
	switch {
	case it.left == "" && len(left) > 0:
		f.add("needless warning: "+left[0].Message, "", it.text)
	case it.left != "" && (len(left) == 0 || !strings.Contains(left[0].Message, it.left)):
		f.add("not named as left out: "+it.left, fmt.Sprint(left), it.text)
	}
	if len(refused) > 0 {
		f.add("a problem beside the entry: "+refused[0].Message, "", it.text)
	}
}
