//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// browserPage fetches at a steady rate until it is told to stop, and tells what became of it when
// the last fetch has ended or had ten seconds more.
const browserPage = `<!doctype html><script>
const asked = new URLSearchParams(location.search), took = [], failures = []
let sent = 0, pending = 0, stopped = false
async function visit() {
  const began = performance.now()
  sent++
  pending++
  try {
    const answer = await fetch(asked.get('page') + '&visit=' + sent, {mode: 'no-cors', cache: 'no-store'})
    await answer.blob()
    took.push(performance.now() - began)
  } catch (e) {
    failures.push(Math.round(performance.now() - began) + ' ms: ' + e)
  }
  pending--
}
const clock = setInterval(visit, 50)
async function report() {
  await fetch('/report', {method: 'POST', body: JSON.stringify({
    sent, pending, failures, answered: took.length, longest: Math.max(...took)})})
}
(async () => {
  while (!(await (await fetch('/stop?')).json())) await new Promise(r => setTimeout(r, 500))
  clearInterval(clock)
  for (let i = 0; pending > 0 && i < 100; i++) await new Promise(r => setTimeout(r, 100))
  report()
})()
</script>`

// visits are what a browser did.
type visits struct {
	Sent, Pending, Answered int
	Failures                []string
	Longest                 float64 // in milliseconds
}

// browse has a real browser, through the proxy, fetch 20 pages of 20 kB a second over one
// connection of HTTP/2, while happen runs.
func (b *box) browse(proxy string, happen func()) visits {
	b.t.Helper()
	stop, reported := make(chan struct{}), make(chan visits, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, browserPage)
	})
	mux.HandleFunc("/stop", func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-stop:
			fmt.Fprint(w, "true")
		default:
			fmt.Fprint(w, "false")
		}
	})
	mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
		var v visits
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			b.t.Error(err)
		}
		reported <- v
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b.t, err)
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	profile, err := os.MkdirTemp(b.dir, "browser")
	must(b.t, err)
	address := fmt.Sprintf("http://%s/page?page=%s", listener.Addr(), b.lab.Origin().HTTPSURL("/bytes?n=20000"))
	// The page for what the browser reports is not sent through the proxy.
	browser := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--user-data-dir="+profile, "--proxy-server="+proxy, "--proxy-bypass-list=<-loopback>;"+listener.Addr().String(), address)
	browser.Env = append([]string{"HOME=" + profile}, "PATH="+os.Getenv("PATH"), "XDG_RUNTIME_DIR="+profile)
	browser.WaitDelay = 5 * time.Second
	must(b.t, browser.Start())
	defer func() {
		cancel()
		browser.Wait()
	}()
	b.eventually("the browser fetches", func() bool { return b.lab.Origin().Requests("GET", "/bytes") > 40 })
	happen()
	close(stop)
	select {
	case v := <-reported:
		return v
	case <-time.After(time.Minute):
		b.t.Fatal("the browser reports nothing")
		return visits{}
	}
}

// A real browser, which has one connection for everything, notices neither rotations nor servers
// that die or strangle.
func TestBrowserNoticesNothing(t *testing.T) {
	for name, proxy := range map[string]func(*box) string{
		"SOCKS":        func(b *box) string { return "socks5://" + b.socks },
		"HTTP CONNECT": func(b *box) string { return "http://" + b.http },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "")
			b.serve(lab.VLESS, lab.VLESS, lab.VLESS, lab.VLESS)
			b.ok("connect", "s1")
			v := b.browse(proxy(b), func() {
				for _, fault := range browserFaults[name] {
					b.befalls(fault)
				}
			})
			t.Logf("%+v", v)
			if v.Sent < 100 || v.Pending > 0 || len(v.Failures) > 0 {
				t.Errorf("of %d fetches %d hang and %d failed: %q", v.Sent, v.Pending, len(v.Failures), v.Failures)
			}
		})
	}
}

// befalls has a fault befall the server in use, waits until another one is in use, and mends it.
func (b *box) befalls(fault string) {
	b.t.Helper()
	before := b.await("a standby", quickly, func(p ipc.StatusPayload) bool { return connected(p) && p.Standby != nil })
	time.Sleep(browserPause)
	server := b.server(before.Session.ConfigName)
	began := time.Now()
	if spoil := serverFaults[fault]; spoil == nil {
		b.ok("rotate")
	} else {
		must(b.t, spoil(server))
	}
	b.await("another server", quickly, func(p ipc.StatusPayload) bool {
		return p.Session != nil && p.Session.ConfigID != before.Session.ConfigID
	})
	b.t.Logf("%s: away after %v", fault, time.Since(began))
	time.Sleep(2 * time.Second)
	must(b.t, server.Heal())
}

// serverFaults are what can befall a server. The rotation by hand is none.
var serverFaults = map[string]func(*lab.Server) error{
	"kill": (*lab.Server).Kill, "freeze": (*lab.Server).Freeze, "blackhole": (*lab.Server).Blackhole, "dead exit": (*lab.Server).DeadExit,
	"curtain": func(s *lab.Server) error { return s.Network(lab.Network{Curtain: 16 << 10}) },
}
