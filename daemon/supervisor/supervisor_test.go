package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// Random intents, faults and clients: whatever happens, there is one serving core at most, a
// disconnect leaves none, and every request is answered.
func TestRandomIntents(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var clients sync.WaitGroup
				for range 300 {
					switch n := rng.IntN(12); n {
					case 0, 1, 2:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1 + int64(n)))}) })
					case 3:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeConnect}) })
					case 4, 5:
						clients.Go(func() { h.Rotate(nil) })
					case 6:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
					case 7:
						if cores := h.Running(); len(cores) > 0 {
							cores[rng.IntN(len(cores))].Exit("signal: killed")
						}
					case 8, 9:
						host := string(rune('a' + rng.IntN(4)))
						h.Set(host, func(s *daemontest.Server) { s.Dead = !s.Dead })
					case 10:
						clients.Go(func() {
							h.Do(ipc.Request{Type: []ipc.Kind{ipc.KindProxyStart, ipc.KindProxyStop}[seed%2]})
						})
					case 11:
						host := string(rune('a' + rng.IntN(4)))
						h.Set(host, func(s *daemontest.Server) { s.NoStart = !s.NoStart })
					}
					time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
				clients.Wait() // every one was answered
				h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
				h.Want(ipc.StateDisconnected, "")
				if len(h.Running()) > 0 || h.World.FrontOpen {
					t.Errorf("after a disconnect %d cores run, front open: %v", len(h.Running()), h.World.FrontOpen)
				}
				for _, host := range strings.Fields("a b c d") {
					h.Set(host, func(s *daemontest.Server) { s.Dead, s.NoStart = false, false })
				}
				h.Connect(4)
				time.Sleep(time.Minute)
				h.Want(ipc.StateConnected, "d")
				if len(h.Running()) != 1 {
					t.Errorf("%d cores run", len(h.Running()))
				}
			})
		})
	}
}
