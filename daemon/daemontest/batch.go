package daemontest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Batch is a Core with several ways out. A host's name tells how it behaves in a test of many
// configs: "refusing" and "unreachable" as a server, "dead" and "slow" through it, "bad" for the
// core, and "fatal" is the end of the core that goes out through it.
type Batch struct {
	*Core
	Hosts []string
}

// Inbound implements bulktest.Batch.
func (b *Batch) Inbound(i int) xray.Inbound {
	return xray.Inbound{Address: b.In.Address, User: strconv.Itoa(i), Password: "p"}
}

// Refused implements bulktest.Batch.
func (b *Batch) Refused(i int) error {
	if strings.HasPrefix(b.Hosts[i], "bad") {
		return errors.New("the core refuses it: for a reason")
	}
	return nil
}

// Codes lists results by name, each with its code.
func Codes(results map[string]ipc.TestResultPayload) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		all = append(all, name+" "+results[name].Code)
	}
	return strings.Join(all, ", ")
}

// batches are the tools of tests of many configs; their cores count among the world's.
type batches struct {
	w  *World
	mu sync.Mutex
	at map[string]*Batch // by the address of their inbound
}

// Tools are what tests of many configs measure with.
func (w *World) Tools() bulktest.Tools {
	b := &batches{w: w, at: map[string]*Batch{}}
	return bulktest.Tools{
		StartBatch: b.start, Own: func(context.Context, string) bool { return false }, Connect: b.connect, Get: b.get, Fetch: b.fetch, Work: b.work,
		FindNonces: func(func(string) bool) ([]xray.Identity, error) { return nil, nil },
	}
}

func (bs *batches) start(ctx context.Context, spec xray.BatchSpec) (bulktest.Batch, error) {
	b := &Batch{Core: bs.w.spawn("batch")}
	for _, l := range spec.Links {
		b.Hosts = append(b.Hosts, l.Host)
	}
	bs.mu.Lock()
	bs.at[b.In.Address] = b
	bs.mu.Unlock()
	if len(spec.Links) > 200 {
		return nil, errors.New("too many")
	}
	if err := wait(ctx, 100*time.Millisecond); err != nil {
		b.Exit("canceled")
		return nil, err
	}
	return b, nil
}

func (bs *batches) connect(ctx context.Context, address string) error {
	switch {
	case strings.HasPrefix(address, "refusing"):
		return errors.New("connection refused")
	case strings.HasPrefix(address, "unreachable"):
		<-ctx.Done()
		return ctx.Err()
	}
	return wait(ctx, 20*time.Millisecond)
}

func (bs *batches) get(ctx context.Context, p probe.Proxy, q probe.Question) probe.Result {
	b, host := bs.way(p)
	took := 50 * time.Millisecond
	switch {
	case strings.HasPrefix(host, "dead"):
		took = q.Timeout
	case strings.HasPrefix(host, "fatal"):
		took = 10 * time.Millisecond
	}
	if err := wait(ctx, took); err != nil {
		return probe.Result{Class: probe.ClassCanceled, Err: err}
	}
	switch {
	case strings.HasPrefix(host, "dead"):
		return probe.Result{Class: probe.ClassTimeout, Err: errors.New("no answer in time")}
	case strings.HasPrefix(host, "fatal"):
		b.Exit("exit status 2: panic")
		return probe.Result{Class: probe.ClassClosed, Err: errors.New("closed")}
	}
	return probe.Result{OK: true, Class: probe.ClassOK, Latency: took}
}

func (bs *batches) fetch(ctx context.Context, p probe.Proxy, _ string, most int64, _, limit time.Duration) probe.Download {
	_, host := bs.way(p)
	if err := wait(ctx, time.Second); err != nil {
		return probe.Download{Class: probe.ClassCanceled, Err: err}
	}
	if strings.HasPrefix(host, "slow") {
		return probe.Download{Class: probe.ClassTimeout, Err: errors.New("sent nothing in time")}
	}
	return probe.Download{OK: true, Bytes: most / 2, Took: limit}
}

func (bs *batches) work(ctx context.Context, p probe.Proxy, _ string) probe.Work {
	_, host := bs.way(p)
	if err := wait(ctx, time.Second); err != nil {
		return probe.Work{Class: probe.ClassTimeout, Err: err}
	}
	if strings.HasPrefix(host, "strangling") {
		return probe.Work{Class: probe.ClassStalls, Err: errors.New("nothing more came after 16384 bytes")}
	}
	return probe.Work{OK: true, Class: probe.ClassOK}
}

// way finds the batch and the server that a user of an inbound goes out through.
func (bs *batches) way(p probe.Proxy) (*Batch, string) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	i, _ := strconv.Atoi(p.User)
	return bs.at[p.Address], bs.at[p.Address].Hosts[i]
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
