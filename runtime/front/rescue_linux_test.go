package front

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Real cores with real servers, some connections at a time and always new ones, and something
// breaks in the middle: no request fails. How long the slowest takes is logged; only a wait far
// beyond the limits counts as a failure.
func TestNoRequestFailsWithItsCoreOrServer(t *testing.T) {
	for name, fail := range map[string]func(core *realCore, server *exec.Cmd){
		"core killed":   func(core *realCore, _ *exec.Cmd) { core.cmd.Process.Kill() },
		"server killed": func(_ *realCore, server *exec.Cmd) { server.Process.Kill() },
		"server frozen": func(_ *realCore, server *exec.Cmd) { server.Process.Signal(syscall.SIGSTOP) },
		"core frozen":   func(core *realCore, _ *exec.Cmd) { core.cmd.Process.Signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			site := origin(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") })
			one, server := startTunnellingCore(t)
			two, _ := startTunnellingCore(t)
			f := openFront(t, nil)
			f.SetTarget(one.target(1))
			f.SetStandby(two.target(2))
			host := strings.TrimPrefix(site.URL, "http://")
			const n = 200
			slots := make(chan struct{}, 10) // how many at a time: as fast as this machine is, and no faster
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			for i := range n {
				slots <- struct{}{}
				if i == n/2 {
					fail(one, server)
				}
				wg.Go(func() {
					defer func() { <-slots }()
					begin := time.Now()
					c, err := dialSOCKS(f, host)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.invalid\r\n\r\n")
					// Not to the end of the stream: a frozen server may have kept that.
					r, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Errorf("request %d: %v", i, err)
						return
					}
					if b, err := io.ReadAll(r.Body); string(b) != "hello" || err != nil {
						t.Errorf("request %d: %q, %v", i, b, err)
					}
					mu.Lock()
					took = append(took, time.Since(begin))
					mu.Unlock()
				})
			}
			wg.Wait()
			slices.Sort(took)
			if t.Failed() {
				return
			}
			t.Logf("median %v, p99 %v, slowest %v; %+v", took[n/2], took[n*99/100], took[n-1], f.Counters(2))
			if took[n-1] > 10*time.Second {
				t.Errorf("the slowest took %v", took[n-1])
			}
		})
	}
}
