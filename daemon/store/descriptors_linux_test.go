package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/descriptors"
)

// TestNoDescriptors takes all descriptors of a process again and again while it uses the store:
// that must neither end it nor be taken for damage, and what was acknowledged is there.
func TestNoDescriptors(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=descriptors", childEnv+"_DIR="+t.TempDir())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%v: %s", err, out.Bytes())
	}
	t.Logf("%s", out.Bytes())
}

func childDescriptors(dir string) {
	ctx := context.Background()
	const few = 128
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: few, Max: few}))
	o := quiet()
	o.IdleClose = 20 * time.Millisecond
	s, err := Open(ctx, dir, o)
	check(err)
	closed := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.db == nil
	}
	count, refused := 0, 0
	add := func(n int) {
		_, _, err := addConfigs(ctx, s, testConfigs(count, count+n))
		switch {
		case err == nil:
			count += n
		case descriptors.Exhausted(err):
			refused++
		default:
			check(fmt.Errorf("adding to %d configs: %w", count, err))
		}
	}
	for round := range 12 {
		taken := takeAll(s)
		if round%2 == 0 { // begin with a closed database
			for end := time.Now().Add(10 * time.Second); !closed() && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		}
		for range 5 {
			add(10)
			configs, err := s.Configs(ctx)
			if err == nil && len(configs) != count {
				check(fmt.Errorf("round %d: %d of %d configs", round, len(configs), count))
			}
			if err != nil && !descriptors.Exhausted(err) {
				check(fmt.Errorf("round %d: reading: %w", round, err))
			}
		}
		free(taken)
	}
	// More than Badger keeps in one file in memory: it needs others in the middle of the work.
	taken := takeAll(s)
	for range 30 {
		add(1000)
	}
	free(taken)
	check(s.Close())
	o.IdleClose = 0
	s, err = Open(ctx, dir, o)
	check(err)
	configs, err := s.Configs(ctx)
	check(err)
	if len(configs) != count || s.Recovery() != nil {
		check(fmt.Errorf("%d of %d configs, recovery %v", len(configs), count, s.Recovery()))
	}
	check(s.Close())
	fmt.Printf("%d configs, %d changes refused for want of descriptors\n", count, refused)
	os.Exit(0)
}

// takeAll takes all descriptors but those that the store keeps back. While it opens or closes the
// database these are lent, and could be taken, too: whoever uses the database keeps it open.
func takeAll(s *Store) (taken []*os.File) {
	_, err := s.acquire(context.Background())
	check(err)
	defer s.release()
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return taken
		}
		taken = append(taken, f)
	}
}

func free(taken []*os.File) {
	for _, f := range taken {
		f.Close()
	}
}
