package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
)

// The classes of a Work beside those of a Result.
const (
	ClassStalls    = "stalls"     // something has come, and then nothing more
	ClassThrottled = "throttled"  // it comes, but not in the time that it was given
	ClassCutsShort = "cuts_short" // the connection was ended in the midst of the answer
	ClassSmall     = "small"      // the page has fewer bytes than WorkBytes: it measures nothing
)

const (
	// WorkBytes is how much must come. Networks that strangle let 16 to 20 KiB pass.
	WorkBytes = 64 << 10
	// silence is after how long without a byte a download that was given up counts as stalled.
	silence = 500 * time.Millisecond
)

// Work is the outcome of DoWork.
type Work struct {
	OK    bool
	Bytes int64         // on the wire of the connection, TLS included
	Took  time.Duration // until it was done or given up
	Class string        // one of the Class constants
	Err   error         // nil when OK; its text holds no secret and may be shown
}

// Strangled reports whether the server is at fault: it has let an answer begin and has not let it
// end.
func (w Work) Strangled() bool {
	return w.Class == ClassStalls || w.Class == ClassThrottled || w.Class == ClassCutsShort
}

// DoWork downloads WorkBytes of the page target through p. The end of ctx means that it is given
// up, and the outcome tells how far it had come. returned is as for Get.
func DoWork(ctx context.Context, p Proxy, target string, returned func(mark.Mark) bool) Work {
	begin := time.Now()
	var came progress
	class, sent, err := work(ctx, p, target, &came)
	w := Work{OK: err == nil, Bytes: came.bytes.Load(), Took: time.Since(begin), Class: class, Err: err}
	if sent != 0 && returned != nil && returned(sent) {
		w.OK, w.Class, w.Err = false, ClassLoop, errLoop
	}
	return w
}

// progress is how much has come over a connection, and when the last of it.
type progress struct{ bytes, last atomic.Int64 }

func (c *progress) note(n int) {
	if n > 0 {
		c.bytes.Add(int64(n))
		c.last.Store(time.Now().UnixNano())
	}
}

func work(ctx context.Context, p Proxy, target string, came *progress) (class string, sent mark.Mark, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil || request.URL.Host == "" {
		return ClassInternal, 0, errors.New("the URL is not usable: it has to be like https://host/path")
	}
	host := request.URL.Host
	request.Header.Set("User-Agent", "Mozilla/5.0")
	a, err := exchangeHTTP(ctx, p, request, came)
	defer a.close()
	if err != nil {
		class, err := came.classify(ctx, host, err)
		return class, a.sent(), err
	}
	if a.StatusCode != http.StatusOK {
		return ClassStatus, a.sent(), fmt.Errorf("%s answered with status %d", host, a.StatusCode)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(a.Body, WorkBytes))
	switch {
	case err != nil:
		class, err = came.classify(ctx, host, err)
	case n < WorkBytes:
		class, err = ClassSmall, fmt.Errorf("%s sent %d bytes, and %d are needed to tell anything", host, n, WorkBytes)
	default:
		class = ClassOK
	}
	return class, a.sent(), err
}

// classify is the classify of Get for a download that may have begun.
func (c *progress) classify(ctx context.Context, host string, err error) (string, error) {
	n := c.bytes.Load()
	class, err := classify(ctx, host, err)
	switch {
	case n == 0 || class == ClassTLS && ctx.Err() == nil:
	case ctx.Err() == nil:
		return ClassCutsShort, fmt.Errorf("%s: the connection was ended after %d bytes", host, n)
	case time.Since(time.Unix(0, c.last.Load())) > silence:
		return ClassStalls, fmt.Errorf("%s: nothing more came after %d bytes", host, n)
	default:
		return ClassThrottled, fmt.Errorf("%s: %d bytes had come when the time was over", host, n)
	}
	if class == ClassCanceled {
		class, err = ClassTimeout, fmt.Errorf("%s gave no answer in time", host)
	}
	return class, err
}
