package front

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// The benchmarks run each party in a process of its own, as in the product: the front, the load and
// the origin are this test binary started again, with the role in the environment.
const roleVariable = "XRAT_FRONT_BENCH_ROLE"

// TestMain lets the test program play a part of a benchmark when it is started as a process of its
// own.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "front":
		benchFront()
	case "origin":
		benchOrigin()
	case "load":
		benchLoad()
	default:
		os.Exit(m.Run())
	}
}

// process is a started role; lines of JSON go in and come out.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startRole(b testing.TB, role string, config any) *process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	p := &process{cmd, in, bufio.NewReader(out)}
	if config != nil {
		p.tell(b, config)
	}
	return p
}

func (p *process) tell(b testing.TB, v any) {
	b.Helper()
	if err := json.NewEncoder(p.in).Encode(v); err != nil {
		b.Fatal(err)
	}
}

func (p *process) hear(b testing.TB, v any) {
	b.Helper()
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func say(v any) { json.NewEncoder(os.Stdout).Encode(v) }

// benchFront serves until its input ends.
func benchFront() {
	var t Target
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		panic(err)
	}
	f := New(Options{SOCKS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Wait: 10 * time.Second, Log: zerolog.Nop()})
	if err := f.Open(context.Background()); err != nil {
		panic(err)
	}
	f.SetTarget(&t)
	if p := os.Getenv("XRAT_FRONT_PPROF"); p != "" {
		go http.ListenAndServe(p, nil)
	}
	socks, _ := f.Addresses()
	say(socks)
	io.Copy(io.Discard, os.Stdin)
	f.Close()
}

// benchOrigin answers 's' with an endless stream, says nothing to 'u', and sends anything else
// back. It has many addresses, so that the core does not run out of ports for its connections.
func benchOrigin() {
	var addrs []string
	for i := range 8 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			panic(err)
		}
		addrs = append(addrs, l.Addr().String())
		go serveOrigin(l)
	}
	say(addrs)
	io.Copy(io.Discard, os.Stdin)
}

func serveOrigin(l net.Listener) {
	chunk := make([]byte, 256<<10)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var b [64]byte
			for {
				n, err := c.Read(b[:])
				if err != nil {
					return
				}
				if b[0] == 'u' {
					io.Copy(io.Discard, c)
					return
				}
				if b[0] != 's' {
					c.Write(b[:n])
					continue
				}
				for {
					if _, err := c.Write(chunk); err != nil {
						return
					}
				}
			}
		}()
	}
}

// order is one round of load.
type order struct {
	Proxy   string
	Origins []string
	Stream  bool
	Up      bool // an endless stream to the origin
	Workers int
	For     time.Duration
}

// benchLoad carries out orders and answers each with a rate: bytes or connections a second.
func benchLoad() {
	in := json.NewDecoder(os.Stdin)
	for {
		var o order
		if in.Decode(&o) != nil {
			return
		}
		var n, failed atomic.Int64
		var wg sync.WaitGroup
		begin := time.Now()
		end := begin.Add(o.For)
		for range o.Workers {
			wg.Go(func() {
				buf := make([]byte, 256<<10)
				for time.Now().Before(end) {
					if err := o.once(buf, end, &n); err != nil {
						if failed.Add(1) == 1 {
							fmt.Fprintf(os.Stderr, "load through %s: %v\n", o.Proxy, err)
						}
					}
				}
			})
		}
		wg.Wait()
		say([]float64{float64(n.Load()) / time.Since(begin).Seconds(), float64(failed.Load())})
	}
}

func (o *order) once(buf []byte, end time.Time, n *atomic.Int64) error {
	c, err := net.Dial("tcp", o.Proxy)
	if err != nil {
		return err
	}
	defer c.Close()
	// The usual client: a message, its answer, the next message.
	c.Write(socks5.AppendOpening(nil, "", ""))
	if _, err := io.ReadFull(c, buf[:2]); err != nil {
		return err
	}
	dest, err := socks5.ParseAddress(o.Origins[rand.IntN(len(o.Origins))])
	if err != nil {
		return err
	}
	c.Write(socks5.AppendRequest(nil, socks5.CommandConnect, dest))
	if _, err := io.ReadFull(c, buf[:10]); err != nil {
		return err
	}
	if o.Up {
		buf[0] = 'u'
		for time.Now().Before(end) {
			m, err := c.Write(buf)
			n.Add(int64(m))
			if err != nil {
				return err
			}
		}
		return nil
	}
	if !o.Stream {
		if _, err := c.Write([]byte("0123456789")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, buf[:10])
		if err == nil {
			n.Add(1)
		}
		return err
	}
	if _, err := c.Write([]byte("s")); err != nil {
		return err
	}
	for time.Now().Before(end) {
		m, err := c.Read(buf)
		n.Add(int64(m))
		if err != nil {
			return err
		}
	}
	return nil
}

// These have a core with the way out that it is for: an encrypted connection to a server, here one
// on this machine.
func BenchmarkThroughput(b *testing.B) {
	compare(b, tunnellingCore(b), order{Stream: true, Workers: 4, For: time.Second}, 1e6, "MB/s")
}

func BenchmarkUpload(b *testing.B) {
	compare(b, tunnellingCore(b), order{Up: true, Workers: 4, For: time.Second}, 1e6, "MB/s")
}

func BenchmarkConnections(b *testing.B) {
	compare(b, tunnellingCore(b), order{Workers: 16, For: time.Second}, 1, "conn/s")
}

// These two are the harshest comparison: a core that connects directly, the least that a core can
// do.
func BenchmarkThroughputDirect(b *testing.B) {
	compare(b, startRealCore(b), order{Stream: true, Workers: 4, For: time.Second}, 1e6, "MB/s")
}

func BenchmarkConnectionsDirect(b *testing.B) {
	compare(b, startRealCore(b), order{Workers: 16, For: time.Second}, 1, "conn/s")
}

func tunnellingCore(b *testing.B) *realCore {
	core, _ := startTunnellingCore(b)
	return core
}

// compare measures the front and the core's own port in turns, and reports the medians and their
// ratio. The core's port asks for no credentials, as a user without a front would have it.
func compare(b *testing.B, core *realCore, o order, unit float64, name string) {
	var frontAddr string
	front := startRole(b, "front", core.target(1))
	front.hear(b, &frontAddr)
	startRole(b, "origin", nil).hear(b, &o.Origins)
	load := startRole(b, "load", nil)
	round := func(proxy string) float64 {
		o.Proxy = proxy
		load.tell(b, o)
		var result [2]float64
		load.hear(b, &result)
		if result[1] > 0 {
			b.Errorf("%v of the connections through %s failed", result[1], proxy)
		}
		return result[0] / unit
	}
	const rounds = 5
	var through, direct []float64
	round(frontAddr)
	round(core.open)
	var amount, cpu float64
	for b.Loop() {
		for range rounds {
			direct = append(direct, round(core.open))
			before := cpuSeconds(front.cmd.Process.Pid)
			through = append(through, round(frontAddr))
			cpu += cpuSeconds(front.cmd.Process.Pid) - before
			amount += through[len(through)-1] * o.For.Seconds()
		}
	}
	slices.Sort(through)
	slices.Sort(direct)
	f, d := through[len(through)/2], direct[len(direct)/2]
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(f, name)
	b.ReportMetric(d, "core-"+name)
	b.ReportMetric(f/d, "ratio")
	b.ReportMetric(cpu/amount*1e6, "front-cpu-us/"+name[:len(name)-2]) // says more than the ratio when others use the machine
}

// BenchmarkIdleConnections reports what a thousand open connections, each of which has carried
// something, cost in memory.
func BenchmarkIdleConnections(b *testing.B) {
	k := startFakeCore(b, echoServe)
	var addr string
	front := startRole(b, "front", k.target(1))
	front.hear(b, &addr)
	before := residentMB(front.cmd.Process.Pid)
	const n = 1000
	for b.Loop() {
		conns := make([]net.Conn, 0, n)
		for range n {
			c := dialFront(b, addr)
			speak(b, c, "\x05\x01\x00", "\x05\x00")
			speak(b, c, "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
			speak(b, c, "hello", "hello")
			conns = append(conns, c)
		}
		after := residentMB(front.cmd.Process.Pid)
		b.ReportMetric(after, "resident-MB")
		b.ReportMetric((after-before)*1024/n, "KB/conn")
		for _, c := range conns {
			c.Close()
		}
	}
	b.ReportMetric(0, "ns/op")
}

// residentMB returns the resident memory of a process, as far as the system tells.
func residentMB(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}

// cpuSeconds returns the processor time that a process has used, as far as the system tells.
func cpuSeconds(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// proc_pid_stat(5): after the name in parentheses utime and stime are the 12th and 13th, in
	// ticks of 10 ms.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}
