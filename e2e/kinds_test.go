//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// TestEveryKind gives a link of each protocol and transport that the core can also serve to the
// product, connects, and moves bytes through the front in both directions. One front and one daemon
// serve them all, by rotation.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	origin := b.lab.Origin()
	// WireGuard does not get to the loopback network; the others take this address for it.
	b.settings(fmt.Sprintf("urls = [%q]\n", origin.RemoteURL("/generate_204")), "[rotation]\nenabled = false\n") // each serves when it is asked to
	b.serve(append(lab.Kinds(), lab.WireGuard)...)
	proxy := &url.URL{Scheme: "socks5", Host: b.socks}
	for _, s := range b.servers {
		b.ok("connect", s.Name())
		// A connection of its own: the front keeps those of before on the core of before.
		transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		if got := fetch(t, client, http.MethodGet, origin.RemoteURL("/exit"), ""); got != s.Name() {
			t.Errorf("%s: left through %q", s.Kind(), got)
		}
		sent := strings.Repeat("0123456789abcdef", 256<<10/16)
		if got := fetch(t, client, http.MethodPost, origin.RemoteURL("/echo"), sent); got != sent {
			t.Errorf("%s: %d of %d bytes came back", s.Kind(), len(got), len(sent))
		}
		const size = 1 << 20
		if got := fetch(t, client, http.MethodGet, origin.RemoteURL(fmt.Sprintf("/bytes?n=%d", size)), ""); len(got) != size {
			t.Errorf("%s: %d of %d bytes came", s.Kind(), len(got), size)
		}
		if n := s.Connections(); n == 0 {
			t.Errorf("%s: its gate saw nobody", s.Kind())
		}
	}
}

// fetch asks for a page and returns its body.
func fetch(t *testing.T, client *http.Client, method, page, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, page, strings.NewReader(body))
	must(t, err)
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
