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

// BenchmarkDaemonMemory reports the daemon's resident memory without the core: connected and at
// rest, and with 1,000 open connections that are silent.
func BenchmarkDaemonMemory(b *testing.B) {
	for b.Loop() {
		box := connectedBox(b)
		pid := box.status().Daemon.PID
		time.Sleep(15 * time.Second) // the store has closed by then
		b.ReportMetric(residentMB(b, pid), "MB-idle")
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
		b.ReportMetric(residentMB(b, pid), "MB-1000-connections")
		for _, conn := range connections {
			conn.Close()
		}
	}
}

func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkIdle reports what the connected daemon costs while nothing happens, over a minute with
// the default settings: part of one processor, and how often a thread of it was woken.
func BenchmarkIdle(b *testing.B) {
	const span = time.Minute
	for b.Loop() {
		box := connectedBox(b)
		pid := box.status().Daemon.PID
		time.Sleep(20 * time.Second)
		cpu, switches := usage(b, pid)
		time.Sleep(span)
		cpuAfter, switchesAfter := usage(b, pid)
		b.ReportMetric(100*(cpuAfter-cpu).Seconds()/span.Seconds(), "%cpu")
		b.ReportMetric(float64(switchesAfter-switches)/span.Seconds(), "wakeups/s")
	}
}

// usage reads a process's processor time and the voluntary context switches of all its threads:
// each is a wake-up.
func usage(b *testing.B, pid int) (cpu time.Duration, switches int) {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		b.Fatal("the daemon has no threads", err)
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
