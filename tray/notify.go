package tray

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"
)

// notifyTime bounds one notification: its server may be slow, or hang.
const notifyTime = 2 * time.Second

// errNoServer says that there is no server for notifications that replace each other and have
// actions; a plain one may work.
var errNoServer = errors.New("no notification server on a bus")

// notifier sends notifications in a goroutine of its own. Of notifications of one subject that come
// faster than they can be sent, only the newest is sent.
type notifier struct {
	// rich sends a notification that replaces the previous one of its subject.
	rich func(context.Context, notification) error
	// plain sends one that replaces nothing.
	plain   func(notification) error
	queue   map[subject]chan notification
	actions chan string // the keys of actions that the user chose
	log     zerolog.Logger
}

func newNotifier(rich func(context.Context, notification) error, actions chan string, log zerolog.Logger) *notifier {
	return &notifier{
		rich: rich, plain: plainNotification, actions: actions, log: log,
		queue: map[subject]chan notification{
			subjectConnection: make(chan notification, 1),
			subjectAnswer:     make(chan notification, 1),
		},
	}
}

// send hands a notification over; only one goroutine may call it. It never blocks.
func (n *notifier) send(note notification) {
	queue := n.queue[note.Subject]
	select {
	case <-queue:
	default:
	}
	queue <- note // has room: nobody else puts anything in
}

func (n *notifier) run(ctx context.Context) {
	for {
		var note notification
		select {
		case <-ctx.Done():
			return
		case note = <-n.queue[subjectConnection]:
		case note = <-n.queue[subjectAnswer]:
		}
		n.deliver(ctx, note)
	}
}

func (n *notifier) deliver(ctx context.Context, note notification) {
	bounding, cancel := context.WithTimeout(ctx, notifyTime)
	defer cancel()
	err := n.rich(bounding, note)
	if errors.Is(err, errNoServer) {
		err = bounded(ctx, notifyTime, func() error { return n.plain(note) })
	}
	if err != nil {
		n.log.Warn().Err(err).Str("title", note.Title).Msg("sending a notification")
	}
}
