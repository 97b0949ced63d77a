//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// connectedBox is a machine with default settings that is connected and at rest.
func connectedBox(b *testing.B) *box {
	b.Helper()
	box := newBox(b, "")
	box.serve(lab.VLESS, lab.VLESS, lab.VLESS)
	box.ok("connect", "s1")
	box.exit()
	return box
}

// quantile returns the q-th part of a sorted list.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func reportQuantiles(b *testing.B, took []time.Duration, unit time.Duration, name string) {
	slices.Sort(took)
	b.ReportMetric(float64(quantile(took, 0.5))/float64(unit), "p50-"+name)
	b.ReportMetric(float64(quantile(took, 0.99))/float64(unit), "p99-"+name)
}

// BenchmarkIPC measures one request and reply over the daemon's socket, the connection included.
func BenchmarkIPC(b *testing.B) {
	box := connectedBox(b)
	client := box.client()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := client.Ping(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	reportQuantiles(b, took, time.Microsecond, "µs")
}

// BenchmarkStatusCommand measures "xrat status" from start to exit.
func BenchmarkStatusCommand(b *testing.B) {
	box := connectedBox(b)
	var took []time.Duration
	for b.Loop() {
		r := box.run("status")
		if r.code != 0 {
			b.Fatal(r.err)
		}
		took = append(took, r.took)
	}
	reportQuantiles(b, took, time.Millisecond, "ms")
}

// both are the processes of daemon and data plane.
func (b *box) both() []int { return append(b.planes(), b.status().Daemon.PID) }

// BenchmarkMemory reports the memory of daemon and data plane together, without the core: connected
// and at rest, and with 1,000 open connections that are silent.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		box := connectedBox(b)
		pids := box.both()
		time.Sleep(15 * time.Second) // the store has closed by then
		b.ReportMetric(memoryMB(b, pids), "MB-idle")
		var connections []net.Conn
		for range 1000 {
			conn, err := box.dial(box.lab.Origin().TCPAddress())
			if err != nil {
				b.Fatal(err)
			}
			connections = append(connections, conn)
			// The answer shows that the way is complete.
			fmt.Fprintln(conn, "hello")
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := conn.Read(make([]byte, 64)); err != nil {
				b.Fatalf("connection %d: %v", len(connections), err)
			}
		}
		time.Sleep(time.Second)
		b.ReportMetric(memoryMB(b, pids), "MB-1000-connections")
		for _, conn := range connections {
			conn.Close()
		}
	}
}

// memoryMB is what processes have in memory. Of pages that several have, such as those of the
// program, each counts its share (PSS).
func memoryMB(b *testing.B, pids []int) (sum float64) {
	b.Helper()
	for _, pid := range pids {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(maps)) {
			if rest, found := strings.CutPrefix(line, "Pss:"); found {
				kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				sum += kb / 1024
			}
		}
	}
	if sum == 0 {
		b.Fatal("no Pss")
	}
	return sum
}

// BenchmarkIdle reports what daemon and data plane together cost while connected and idle, over a
// minute with the default settings: part of one processor, and how often a thread was woken.
func BenchmarkIdle(b *testing.B) {
	const (
		settle = 90 * time.Second // what was learnt at the start has been stored after a minute
		span   = 5 * time.Minute
	)
	for b.Loop() {
		box := connectedBox(b)
		pids := box.both()
		time.Sleep(settle)
		cpu, switches := usage(b, pids)
		time.Sleep(span)
		cpuAfter, switchesAfter := usage(b, pids)
		b.ReportMetric(100*(cpuAfter-cpu).Seconds()/span.Seconds(), "%cpu")
		b.ReportMetric(float64(switchesAfter-switches)/span.Seconds(), "wakeups/s")
	}
}

// usage reads the processor time of processes and the voluntary context switches of all their
// threads: each is a wake-up.
func usage(b *testing.B, pids []int) (cpu time.Duration, switches int) {
	b.Helper()
	var tasks []string
	for _, pid := range pids {
		of, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil || len(of) == 0 {
			b.Fatal("a process has no threads", err)
		}
		tasks = append(tasks, of...)
	}
	for _, task := range tasks {
		// The first field is the time on the processor in nanoseconds.
		if text, err := os.ReadFile(task + "/schedstat"); err == nil {
			var ns int64
			fmt.Sscan(string(text), &ns)
			cpu += time.Duration(ns)
		}
		file, err := os.Open(task + "/status")
		if err != nil {
			continue // the thread has ended
		}
		text, _ := io.ReadAll(file)
		file.Close()
		for line := range strings.Lines(string(text)) {
			if rest, found := strings.CutPrefix(line, "voluntary_ctxt_switches:"); found {
				n, _ := strconv.Atoi(strings.TrimSpace(rest))
				switches += n
			}
		}
	}
	return cpu, switches
}
