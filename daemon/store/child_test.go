package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Tests in which a process dies run this binary again, as a child that does what this variable
// says.
const childEnv = "XRAT_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch dir := os.Getenv(childEnv + "_DIR"); os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "write":
		childWrite(dir)
	case "dump":
		childDump(dir)
	case "fill":
		childFill(dir)
	case "descriptors":
		childDescriptors(dir)
	}
}

// event is one line of a writing child: a change that it is about to make or, with Ack, that the
// store has acknowledged.
type event struct {
	Ack   bool
	Op    string // add, remove, create, update, desired, recovered
	ID    int64  // of the session or config
	Value int64
}

// childWrite changes the store at random until it is killed.
func childWrite(dir string) {
	ctx := context.Background()
	base, _ := strconv.ParseInt(os.Getenv(childEnv+"_BASE"), 10, 64)
	out := bufio.NewWriter(os.Stdout)
	say := func(e event) {
		json.NewEncoder(out).Encode(e)
		out.Flush()
	}
	o := quiet()
	o.IdleClose = time.Duration(rand.IntN(10)+1) * time.Millisecond
	s, err := Open(ctx, dir, o)
	check(err)
	if r := s.Recovery(); r != nil {
		fmt.Fprintf(os.Stderr, "recovered: %+v\n", *r)
		say(event{Ack: true, Op: "recovered"})
	}
	var configs, sessions []int64
	for n := base; ; n++ {
		switch op := rand.IntN(10); {
		case op < 4:
			e := event{Op: "add", Value: n}
			say(e)
			added, _, err := addConfigs(ctx, s, []Config{testConfig(int(n))})
			check(err)
			e.Ack, e.ID = true, added[0].ID
			say(e)
			configs = append(configs, e.ID)
		case op == 4 && len(configs) > 0:
			e := event{Op: "remove", ID: configs[0]}
			say(e)
			_, err := s.RemoveConfigs(ctx, configs[:1])
			check(err)
			e.Ack = true
			say(e)
			configs = configs[1:]
		case op == 5:
			e := event{Op: "create", Value: n}
			say(e)
			session, err := s.CreateSession(ctx, Session{Status: StatusRunning, UpBytes: uint64(n)})
			check(err)
			e.Ack, e.ID = true, session.ID
			say(e)
			sessions = append(sessions, session.ID)
		case op < 8 && len(sessions) > 0:
			e := event{Op: "update", ID: sessions[rand.IntN(len(sessions))], Value: n}
			say(e)
			_, err := s.UpdateSession(ctx, e.ID, func(s *Session) { s.UpBytes = uint64(n) })
			check(err)
			e.Ack = true
			say(e)
		case op == 8:
			e := event{Op: "desired", Value: n}
			say(e)
			check(s.SetDesired(ctx, Desired{ConfigID: n}))
			e.Ack = true
			say(e)
		default:
			// Long enough for the idle close to happen now and then.
			time.Sleep(time.Duration(rand.IntN(12)) * time.Millisecond)
		}
	}
}

// dump is what a child found in a store.
type dump struct {
	Configs  []string // identities
	Links    int      // how many links are right
	Sessions []Session
	Desired  Desired
	Recovery *Recovery
}

func childDump(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, dir, quiet())
	check(err)
	var d dump
	configs, err := s.Configs(ctx)
	check(err)
	for _, c := range configs {
		d.Configs = append(d.Configs, c.Identity)
		var n int
		fmt.Sscanf(c.Identity, "identity-%d", &n)
		if c.Link == testConfig(n).Link {
			d.Links++
		}
	}
	d.Sessions, err = s.Sessions(ctx, 0)
	check(err)
	d.Desired, err = s.Desired(ctx)
	check(err)
	// It must be writable, too.
	_, _, err = addConfigs(ctx, s, []Config{testConfig(99_999_999)})
	check(err)
	d.Recovery = s.Recovery()
	check(s.Close())
	check(json.NewEncoder(os.Stdout).Encode(d))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}
