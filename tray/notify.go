package tray

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gen2brain/beeep"
	"github.com/rs/zerolog"
)

// notifyTime bounds one notification: its server may be slow, or hang.
const notifyTime = 2 * time.Second

// errNoServer says that no notification could be sent that can be replaced and
// has actions; a plain one may work.
var errNoServer = errors.New("no notification server on a bus")

// notifier sends notifications in a goroutine of its own. Of those of one
// subject that come faster than they can be sent, the newest is.
type notifier struct {
	// rich sends a notification that takes the place of the one before of its
	// subject.
	rich func(context.Context, notification) error
	// plain sends one that does not.
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
	queue <- note // has room: others only take
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

// plainNotification leaves everything to beeep, which knows every system.
func plainNotification(n notification) error {
	beeep.AppName = "xrat"
	// Whether the server reads markup is not known here.
	body := strings.NewReplacer("<", "‹", ">", "›", "&", "＆").Replace(n.Body)
	return beeep.Notify(n.Title, body, n.Icon.Tray())
}
