package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFullFileSystem writes until a real, small file system is full: the process must live, say so,
// and go on when there is space again.
func TestFullFileSystem(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=fill", childEnv+"_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Logf("no private file system here (%v): TestFullDisk has to do", err)
		return
	}
	if err != nil {
		t.Errorf("%v: %s", err, out.Bytes())
	}
	t.Logf("%s", out.Bytes())
}

func childFill(dir string) {
	ctx := context.Background()
	check(syscall.Mount("none", dir, "tmpfs", 0, "size=6m"))
	o := quiet()
	o.IdleClose = 5 * time.Millisecond
	s, err := Open(ctx, dir, o)
	check(err)
	n := 0
	fill := func() error {
		for ; n < 100_000; n++ {
			if _, _, err := addConfigs(ctx, s, testConfigs(n*10, n*10+10)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := fill(); !errors.Is(err, errNoSpace) {
		check(fmt.Errorf("no end: %w", err))
	}
	first := n
	// Somebody else takes all the rest, but not in the very moment in which a table is being
	// written: that would be the end of any process whose files are mapped. Whoever uses the
	// database keeps it open.
	_, err = s.acquire(ctx)
	check(err)
	junk := filepath.Join(dir, "junk")
	f, err := os.Create(junk)
	check(err)
	for err = nil; err == nil; {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	s.release()
	for range 20 {
		if err := s.SetDesired(ctx, Desired{}); !errors.Is(err, errNoSpace) {
			check(fmt.Errorf("on a full disk: %w", err))
		}
		configs, err := s.Configs(ctx)
		check(err)
		if len(configs) != n*10 {
			check(fmt.Errorf("%d of %d configs", len(configs), n*10))
		}
		time.Sleep(o.IdleClose)
	}
	// The process ends and another starts, still without space.
	if err := s.Close(); err == nil {
		fmt.Println("closing a changed store on a full disk succeeded")
	}
	s, err = Open(ctx, dir, o)
	check(err)
	if _, err := s.Configs(ctx); err != nil && !errors.Is(err, errNoSpace) {
		check(err)
	}
	check(os.Remove(junk))
	start := time.Now()
	if s.SetDesired(ctx, Desired{ConfigID: 1}) != nil {
		// Full of our own data: removing some must work or be refused, not crash.
		fmt.Println("still refused after the other's data has gone")
	}
	configs, err := s.Configs(ctx)
	check(err)
	if len(configs) != n*10 {
		check(fmt.Errorf("%d of %d configs after the recovery", len(configs), n*10))
	}
	fmt.Printf("%d configs until full, back in %v, repair: %v\n", first*10, time.Since(start), s.Recovery())
}
