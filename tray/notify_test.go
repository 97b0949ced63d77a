package tray

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// Without a server that can do more, a notification goes out plainly; one that
// hangs holds nothing up.
func TestNotifierFallsBack(t *testing.T) {
	plain := make(chan notification, 10)
	n := newNotifier(func(ctx context.Context, n notification) error {
		switch n.Title {
		case "no server":
			return fmt.Errorf("%w: no such name", errNoServer)
		case "refused":
			return errors.New("refused")
		}
		<-ctx.Done()
		return ctx.Err()
	}, nil, zerolog.Nop())
	n.plain = func(n notification) error {
		plain <- n
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.run(ctx)
	}()
	for _, title := range []string{"refused", "hangs", "no server"} {
		n.send(notification{Title: title})
		for len(n.queue[subjectConnection]) > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	select {
	case got := <-plain:
		if got.Title != "no server" || len(plain) > 0 {
			t.Errorf("sent plainly: %+v", got)
		}
	case <-time.After(10 * notifyTime):
		t.Error("nothing was sent plainly")
	}
	cancel()
	<-done
}

// send never waits, and keeps the newest.
func TestNotifierKeepsTheNewest(t *testing.T) {
	n := newNotifier(nil, nil, zerolog.Nop())
	for i := range 100 {
		n.send(notification{Title: fmt.Sprint(i)})
	}
	if got := <-n.queue[subjectConnection]; got.Title != "99" {
		t.Errorf("kept %q", got.Title)
	}
}
