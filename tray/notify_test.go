package tray

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// Without a server that can do more, a notification goes out plainly; one that hangs holds nothing
// up.
func TestNotifierFallsBackToPlainNotifications(t *testing.T) {
	tried, plain := make(chan string), make(chan notification, 10)
	n := newNotifier(func(ctx context.Context, n notification) error {
		tried <- n.Title
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
	var running sync.WaitGroup
	running.Go(func() { n.run(ctx) })
	for _, title := range []string{"refused", "hangs", "no server"} {
		n.send(notification{Title: title})
		if got := <-tried; got != title {
			t.Errorf("tried %q, want %q", got, title)
		}
	}
	if got := <-plain; got.Title != "no server" {
		t.Errorf("sent plainly: %+v", got)
	}
	cancel()
	running.Wait()
	if len(plain) > 0 {
		t.Errorf("also sent plainly: %+v", <-plain)
	}
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
