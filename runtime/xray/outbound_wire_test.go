//go:build linux

package xray

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOutboundCarriesBytes runs one core that is both sides of every case: a SOCKS inbound leads to
// the outbound made from the link, which leads to an inbound of the same core, which leads out. The
// inbounds are written by hand, so that a misunderstood setting does not cancel itself out.
func TestOutboundCarriesBytes(t *testing.T) {
	vless := `{"clients":[{"id":"` + testUUID + `"}],"decryption":"none"}`
	uri := "vless://" + testUUID + "@SERVER"
	pem, pin := certificate(t)
	tls := `"security":"tls","tlsSettings":{"certificates":[` + pem + `]}`
	h3 := `"security":"tls","tlsSettings":{"alpn":["h3"],"certificates":[` + pem + `]}`
	tests := []wireTest{
		{"VLESS", "vless", vless, `{}`, uri},
		{"VLESS, short user ID", "vless", `{"clients":[{"id":"example"}],"decryption":"none"}`, `{}`, "vless://example@SERVER"},
		{"VLESS, pinned TLS", "vless", vless, `{` + tls + `}`, uri + "?security=tls&sni=example.org&pcs=" + pin},
		{"VLESS, mux", "vless", vless, `{}`, uri + "?mux=8"},
		{"raw, HTTP header", "vless", vless, `{"network":"tcp","tcpSettings":{"header":{"type":"http","request":{"path":["/a"]}}}}`, uri + "?headerType=http&host=example.org&path=/a"},
		{"WebSocket, early data", "vless", vless, `{"network":"ws","wsSettings":{"host":"example.org","path":"/a"}}`, uri + "?type=ws&path=/a&ed=2048&host=example.org"},
		{"WebSocket, TLS", "vless", vless, `{"network":"ws","wsSettings":{"path":"/a"},` + tls + `}`, uri + "?type=ws&path=a&security=tls&host=example.org&pcs=" + pin},
		{"HTTPUpgrade", "vless", vless, `{"network":"httpupgrade","httpupgradeSettings":{"host":"example.org","path":"/a"}}`, uri + "?type=httpupgrade&path=/a&host=example.org"},
		{"gRPC, multi", "vless", vless, `{"network":"grpc","grpcSettings":{"serviceName":"s"}}`, uri + "?type=grpc&serviceName=s&mode=multi"},
		{"gRPC, own path", "vless", vless, `{"network":"grpc","grpcSettings":{"serviceName":"/a/b|c"}}`, uri + "?type=grpc&serviceName=/a/b"},
		{"XHTTP", "vless", vless, `{"network":"xhttp","xhttpSettings":{"host":"example.org","path":"/a"}}`, uri + `?type=xhttp&path=/a&host=example.org&mode=packet-up&extra={"xPaddingBytes":"100-1000","scMaxEachPostBytes":500000}`},
		{"XHTTP, as panels write it", "vless", vless, `{"network":"xhttp","xhttpSettings":{"host":"example.org","path":"/a","xPaddingObfsMode":true,"xPaddingKey":"k","xPaddingPlacement":"cookie","sessionPlacement":"header","sessionKey":"X-S"}}`,
			uri + `?type=xhttp&path=/a&extra={"host":"example.org","mode":"packet-up","xPaddingObfsMode":true,"xPaddingKey":"k","xPaddingPlacement":"cookie","sessionIDPlacement":"header","sessionIDKey":"X-S"}`},
		{"XHTTP, a second way", "vless", vless, `{"network":"xhttp","xhttpSettings":{"path":"/a"},` + tls + `}`,
			uri + `?type=xhttp&path=/a&mode=stream-up&security=tls&sni=example.org&pcs=` + pin + `&extra={"downloadSettings":{"address":"127.0.0.1","port":PORT,"network":"xhttp","security":"tls",` +
				`"tlsSettings":{"serverName":"example.org","pinnedPeerCertSha256":"` + pin + `"},"xhttpSettings":{"path":"/a"}}}`},
		{"VMess", "vmess", `{"clients":[{"id":"` + testUUID + `"}]}`, `{}`, "vmess://" + testUUID + "@SERVER?encryption=chacha20-poly1305"},
		{"Trojan", "trojan", `{"clients":[{"password":"x/y @☂"}]}`, `{` + tls + `}`, "trojan://x%2Fy%20@☂@SERVER?sni=example.org&pcs=" + pin},
		{"Shadowsocks", "shadowsocks", `{"method":"aes-256-gcm","password":"p@ss:word"}`, `{}`, "ss://aes-256-gcm:p%40ss:word@SERVER"},
		{"Shadowsocks 2022", "shadowsocks", `{"method":"2022-blake3-aes-128-gcm","password":"AAECAwQFBgcICQoLDA0ODw=="}`, `{}`, "ss://2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw@SERVER"},
		{"SOCKS", "socks", `{"auth":"password","accounts":[{"user":"us:er","pass":"p:q"}]}`, `{}`, "socks://us%3Aer:p:q@SERVER"},
		{"HTTP", "http", `{"accounts":[{"user":"user","pass":"p:q"}]}`, `{}`, "http://user:p:q@SERVER"},
		{"HTTPS", "http", `{"accounts":[{"user":"user","pass":"p:q"}]}`, `{` + strings.Replace(h3, "h3", "http/1.1", 1) + `}`, "https://user:p:q@SERVER?sni=example.org&pcs=" + pin},
		{"Shadowsocks through a plugin", "shadowsocks", `{"method":"aes-256-gcm","password":"p"}`, `{"network":"ws","wsSettings":{"host":"example.org","path":"/a"},` + tls + `}`,
			"ss://aes-256-gcm:p@SERVER?plugin=v2ray-plugin%3Bmux%3D0%3Btls%3Bhost%3Dexample.org%3Bpath%3D%2Fa&pcs=" + pin},
		{"mKCP", "vless", vless, `{"network":"kcp","finalmask":{"udp":[{"type":"mkcp-original"}]}}`, uri + "?type=kcp"},
		{"mKCP, seed and header", "vless", vless, `{"network":"kcp","finalmask":{"udp":[{"type":"header-wechat"},{"type":"mkcp-aes128gcm","settings":{"password":"s d"}}]}}`,
			uri + "?type=kcp&headerType=wechat-video&seed=s%20d&mtu=1200&tti=20"},
		{"mKCP, DNS", "vless", vless, `{"network":"kcp","finalmask":{"udp":[{"type":"header-dns","settings":{"domain":"example.org"}},{"type":"mkcp-original"}]}}`,
			uri + "?type=kcp&headerType=dns&host=example.org"},
		{"Hysteria 2", "hysteria", `{"version":2,"clients":[{"auth":"user:p q"}]}`, `{"network":"hysteria","hysteriaSettings":{"version":2},` + h3 + `}`,
			"hy2://user:p%20q@SERVER?sni=example.org&pinSHA256=" + pin},
		{"Hysteria 2, obfuscated", "hysteria", `{"version":2,"clients":[{"auth":"x"}]}`,
			`{"network":"hysteria","hysteriaSettings":{"version":2},"finalmask":{"udp":[{"type":"salamander","settings":{"password":"salt"}}]},` + h3 + `}`,
			"hysteria2://x@SERVER?sni=example.org&obfs=salamander&obfs-password=salt&up=100&down=100&pinSHA256=" + pin},
		{"split packets", "vless", vless, `{` + tls + `}`, uri + "?security=tls&sni=example.org&fragment=1,40-60,1-2,tlshello&pcs=" + pin},
		{"split packets, WebSocket", "vless", vless, `{"network":"ws",` + tls + `}`, uri + "?security=tls&type=ws&sni=example.org&fragment=30-50,1,1-3&pcs=" + pin},
		{"a header of both sides", "vless", vless, `{"finalmask":{"tcp":[{"type":"header-custom","settings":{"clients":[[{"type":"str","packet":"hello"}]],"servers":[[{"type":"hex","packet":"6f6b"}]]}}]}}`,
			uri + `?fm={"tcp":[{"type":"header-custom","settings":{"clients":[[{"type":"str","packet":"hello"}]],"servers":[[{"type":"str","packet":"ok"}]]}}]}`},
		{"sudoku", "vless", vless, `{"finalmask":{"tcp":[{"type":"sudoku","settings":{"password":"p","ascii":"prefer_ascii"}}]}}`,
			uri + `?fm={"tcp":[{"type":"sudoku","settings":{"password":"p","ascii":"ascii"}}]}`},
		{"mKCP, noise", "vless", vless, `{"network":"kcp","finalmask":{"udp":[{"type":"mkcp-aes128gcm","settings":{"password":"s"}}]}}`,
			uri + `?type=kcp&seed=s&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":"10-20","delay":"1-2"}]}}]}`},
		{"Hysteria 2, noise", "hysteria", `{"version":2,"clients":[{"auth":"x"}]}`,
			`{"network":"hysteria","hysteriaSettings":{"version":2},"finalmask":{"udp":[{"type":"salamander","settings":{"password":"salt"}}]},` + h3 + `}`,
			`hysteria2://x@SERVER?sni=example.org&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":"10-20"}]}},{"type":"salamander","settings":{"password":"salt"}}],"quicParams":{"congestion":"bbr"}}&pinSHA256=` + pin},
	}

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer origin.Close()
	var proxies []string
	for range 10 { // somebody else may take a port before the core does
		if proxies = serveWire(t, tests); proxies != nil {
			break
		}
	}
	if proxies == nil {
		t.Fatal("the core does not start")
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := &url.URL{Scheme: "socks5", Host: proxies[i]}
			transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return proxy, nil }}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			// Little first: the core's Trojan client fails if more than about 8000 bytes come at
			// once, because they do not fit its buffer.
			for _, size := range []int{2000, 64 << 10} {
				sent := strings.Repeat("x", size)
				reply, err := client.Post(origin.URL, "text/plain", strings.NewReader(sent))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(reply.Body)
				_ = reply.Body.Close()
				if err != nil || string(got) != sent {
					t.Errorf("%d of %d bytes came back: %v", len(got), size, err)
				}
			}
		})
	}
}

// wireTest is a link, in which SERVER stands for an address and PORT for its port, and the settings
// of the inbound to which it leads.
type wireTest struct{ name, protocol, settings, stream, link string }

// serveWire starts the core and returns the addresses of its SOCKS inbounds, one for each test, or
// nil if a port was taken meanwhile.
func serveWire(t *testing.T, tests []wireTest) []string {
	t.Helper()
	listeners := make([]net.Listener, 2*len(tests)) // kept open until all ports are chosen, so that they differ
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = l
	}
	port := func(i int) int { return listeners[i].Addr().(*net.TCPAddr).Port }

	outbounds := []any{map[string]any{"protocol": "freedom"}}
	var inbounds, rules []any
	for i, tt := range tests {
		l := mustParse(strings.NewReplacer("SERVER", listeners[2*i].Addr().String(), "PORT", fmt.Sprint(port(2*i))).Replace(tt.link))
		raw, err := Outbound(l)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var out map[string]any
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		tag := fmt.Sprint("case", i)
		out["tag"] = tag
		outbounds = append(outbounds, out)
		inbounds = append(inbounds,
			map[string]any{"listen": "127.0.0.1", "port": port(2 * i), "protocol": tt.protocol, "settings": json.RawMessage(tt.settings), "streamSettings": json.RawMessage(tt.stream)},
			map[string]any{"listen": "127.0.0.1", "port": port(2*i + 1), "protocol": "socks", "tag": tag})
		rules = append(rules, map[string]any{"type": "field", "inboundTag": []string{tag}, "outboundTag": tag})
	}
	config, err := json.Marshal(map[string]any{"log": map[string]any{"loglevel": "info"}, "inbounds": inbounds, "outbounds": outbounds, "routing": map[string]any{"rules": rules}})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	cmd := exec.CommandContext(t.Context(), realCore(t), "run", "-c", "stdin:")
	cmd.Env = []string{}
	cmd.Dir = t.TempDir()
	cmd.Stdin = bytes.NewReader(config)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if t.Failed() {
			t.Logf("%s", log.Bytes())
		}
	})
	var proxies []string
	for i := range tests {
		proxies = append(proxies, listeners[2*i+1].Addr().String())
	}
	for _, address := range proxies {
		ended := false
		eventually(t, "the core's inbound", func() bool {
			select {
			case <-exited:
				ended = true
				return true
			default:
			}
			conn, err := net.Dial("tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		if ended {
			t.Logf("the core has ended: %s", log.Bytes()[max(0, log.Len()-300):])
			return nil
		}
	}
	return proxies
}

// certificate makes a self-signed certificate for example.org. It returns the core's setting for it
// and its SHA-256 sum in hexadecimal.
func certificate(t *testing.T) (setting, pin string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(kind string, der []byte) []string {
		return strings.Split(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))), "\n")
	}
	raw, err := json.Marshal(map[string]any{"certificate": lines("CERTIFICATE", cert), "key": lines("PRIVATE KEY", private)})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert)
	return string(raw), hex.EncodeToString(sum[:])
}
