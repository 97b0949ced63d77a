//go:build linux

package xray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// exitServer starts an HTTP proxy that answers for every site itself, with its name.
func exitServer(t *testing.T, name string) link.Link {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("%s was asked to %s", name, r.Method)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
		if _, err := http.ReadRequest(buffered.Reader); err == nil {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(name), name)
		}
	}))
	t.Cleanup(server.Close)
	return mustParse("http://" + server.Listener.Addr().String() + "#" + name)
}

// refusedLink returns a link that the core refuses.
func refusedLink() link.Link {
	l := mustLink()
	account := l.Account.(link.VLESS)
	account.Flow = "nonsense"
	l.Account = account
	return l
}

func batchSpec(t testing.TB, links ...link.Link) BatchSpec {
	spec := testSpec(t, realCore(t), "batch of "+t.Name())
	return BatchSpec{
		Executable: spec.Executable, Links: links, Nonce: spec.Nonce, Dir: spec.Dir, LogFile: spec.LogFile, ReadyTimeout: long,
	}
}

func startBatch(t testing.TB, spec BatchSpec) *Batch {
	t.Helper()
	b, err := StartBatch(t.Context(), zerolog.New(zerolog.NewTestWriter(t)), spec)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, b.Stop)
	return b
}

// askThrough returns the answer of a site through one server of a batch.
func askThrough(t *testing.T, in Inbound) string {
	t.Helper()
	d := probe.Get(t.Context(), probe.Proxy{Address: in.Address, User: in.User, Password: in.Password}, probe.Question{URLs: []string{"http://site.invalid/"}, Timeout: long, Stagger: long}, nil)
	if !d.OK {
		t.Fatal(d.Err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: in.Address, User: url.UserPassword(in.User, in.Password)})}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://site.invalid/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// Every link leads to its own server, and a link that the core refuses spoils no other.
func TestBatch(t *testing.T) {
	var links []link.Link
	want := map[int]string{}
	bad := map[int]bool{3: true, 4: true, 17: true, 29: true}
	for i := range 30 {
		if bad[i] {
			links = append(links, refusedLink())
			continue
		}
		want[i] = fmt.Sprintf("exit %d", i)
		links = append(links, exitServer(t, want[i]))
	}
	b := startBatch(t, batchSpec(t, links...))
	users := map[string]bool{}
	for i := range links {
		in, refused := b.Inbound(i), b.Refused(i)
		if bad[i] {
			if refused == nil || !strings.Contains(refused.Error(), "nonsense") || strings.Contains(refused.Error(), canary) {
				t.Errorf("%d: refused: %v", i, refused)
			}
			if in.Address != "" {
				t.Errorf("%d: refused, and has an inbound", i)
			}
			continue
		}
		if refused != nil {
			t.Errorf("%d: refused: %v", i, refused)
			continue
		}
		if got := askThrough(t, in); got != want[i] {
			t.Errorf("%d: went out through %q", i, got)
		}
		users[in.User] = true
	}
	if len(users) != len(want) {
		t.Errorf("%d users for %d links", len(users), len(want))
	}
	// An unknown user gets nowhere.
	in := b.Inbound(0)
	in.User = b.Inbound(1).Password
	if err := handshake(t.Context(), in); err == nil {
		t.Error("a stranger was let in")
	}
}

func TestBatchOfRefused(t *testing.T) {
	b := startBatch(t, batchSpec(t, refusedLink(), refusedLink()))
	if b.Refused(0) == nil || b.Refused(1) == nil || b.PID() != 0 || b.Done() != nil {
		t.Errorf("refused: %v, %v; pid %d", b.Refused(0), b.Refused(1), b.PID())
	}
	if one := startBatch(t, batchSpec(t, refusedLink())); one.Refused(0) == nil {
		t.Error("a batch of one: not refused")
	}
}

func TestBatchAlone(t *testing.T) {
	wireguard := mustParse("wireguard://SE3jVxsTgmmyJLEb8c3Db2UcmfGAdHYd4jTzXl6vHGM%3D@127.0.0.1:9?publickey=" +
		"1HdGZOiSPsr7ULkV7ZWuFQH%2BLs7H2cgMqt2IcyBZvgY%3D&address=10.0.0.2%2F32")
	if !Alone(wireguard) || Alone(mustLink()) {
		t.Fatalf("alone: %v, %v", Alone(wireguard), Alone(mustLink()))
	}
	b := startBatch(t, batchSpec(t, mustLink(), wireguard))
	if b.Refused(0) != nil || b.Refused(1) == nil {
		t.Errorf("with others: %v, %v", b.Refused(0), b.Refused(1))
	}
	if b := startBatch(t, batchSpec(t, wireguard)); b.Refused(0) != nil {
		t.Errorf("alone: %v", b.Refused(0))
	}
}

// All threads of a batch have a lower priority than the core that serves the user.
func TestBatchPriority(t *testing.T) {
	b := startBatch(t, batchSpec(t, mustLink()))
	tasks, err := filepath.Glob(procPath(b.PID(), "task/*/stat"))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // it has ended
		}
		const nice = 16 // the 19th field, the third being the first after the name
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[nice] != "10" {
			t.Errorf("%s: niceness %s", task, fields[nice])
		}
	}
}

func TestBatchFails(t *testing.T) {
	spec := batchSpec(t, mustLink(), mustLink())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartBatch(ctx, zerolog.Nop(), spec); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	spec.Executable = self(t)
	spec.Nonce = stubPrefix + "exit 23"
	if b, err := StartBatch(t.Context(), zerolog.Nop(), spec); err != nil || b.Refused(0) == nil || strings.Contains(b.Refused(0).Error(), canary) {
		t.Errorf("a core that refuses everything: %v", err)
	}
	spec.Nonce = stubPrefix + "silent exit"
	if _, err := StartBatch(t.Context(), zerolog.Nop(), spec); err == nil {
		t.Error("no error although the core exits")
	}
	spec.Executable = filepath.Join(spec.Dir, "none")
	if _, err := StartBatch(t.Context(), zerolog.Nop(), spec); err == nil {
		t.Error("no error although there is no core")
	}
}

// BenchmarkBatch measures the start of a core with 200 outbounds, and its memory.
func BenchmarkBatch(b *testing.B) {
	links := make([]link.Link, 200)
	for i := range links {
		links[i] = mustParse(fmt.Sprintf("vless://%s@127.0.0.1:%d?type=ws&security=tls&fp=chrome&sni=example.org", canary, 1000+i))
	}
	for b.Loop() {
		batch, err := StartBatch(b.Context(), zerolog.Nop(), batchSpec(b, links...))
		if err != nil {
			b.Fatal(err)
		}
		status, _ := os.ReadFile(procPath(batch.PID(), "status"))
		var kb float64
		for line := range strings.Lines(string(status)) {
			fmt.Sscanf(line, "VmRSS: %f", &kb)
		}
		b.ReportMetric(kb/1024, "MB")
		if err := batch.Stop(context.Background(), 0); err != nil {
			b.Fatal(err)
		}
	}
}
