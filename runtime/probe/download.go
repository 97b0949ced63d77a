package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Download is the outcome of Fetch.
type Download struct {
	OK    bool
	Bytes int64
	// Took is the time from the answer's head to the last byte.
	Took  time.Duration
	Class string // one of the Class constants
	Err   error  // nil when OK; its text holds no secret and may be shown
}

// Rate is the speed in bytes a second.
func (d Download) Rate() int64 {
	if d.Took <= 0 {
		return 0
	}
	return int64(float64(d.Bytes) / d.Took.Seconds())
}

// Fetch downloads target through p for at most the given time, and at most that
// many bytes, to see how fast it is. Coming to either limit is a success, as
// long as any byte of a body with status 200 has come; wait bounds the time until
// the answer's head.
func Fetch(ctx context.Context, p Proxy, target string, most int64, wait, limit time.Duration) Download {
	whole, end := context.WithCancelCause(ctx)
	defer end(nil)
	patience := time.AfterFunc(wait, func() { end(errLate) })
	defer patience.Stop()
	client, done := newClient(p)
	defer done()

	request, err := http.NewRequestWithContext(whole, http.MethodGet, target, nil)
	if err != nil || request.URL.Host == "" {
		return Download{Class: ClassInternal, Err: errors.New("the URL to download is not usable: it has to be like https://host/path")}
	}
	host := request.URL.Host
	request.Header.Set("User-Agent", "Mozilla/5.0")
	late := Download{Class: ClassTimeout, Err: fmt.Errorf("%s gave no answer in time", host)}
	response, err := client.Do(request)
	if errors.Is(context.Cause(whole), errLate) {
		return late
	}
	if err != nil {
		class, err := classify(ctx, host, err)
		return Download{Class: class, Err: err}
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Download{Class: ClassStatus, Err: fmt.Errorf("%s answered with status %d", host, response.StatusCode)}
	}
	if !patience.Stop() {
		return late
	}
	timer := time.AfterFunc(limit, func() { end(errLate) })
	defer timer.Stop()
	began := time.Now()
	n, err := io.Copy(io.Discard, io.LimitReader(response.Body, most))
	d := Download{OK: n > 0, Bytes: n, Took: time.Since(began), Class: ClassOK}
	switch {
	case ctx.Err() != nil:
		return Download{Class: ClassCanceled, Err: fmt.Errorf("asking %s: %w", host, context.Canceled)}
	case d.OK:
		return d // at the end of the time or of the connection, too: what came counts
	case err == nil:
		return Download{Class: ClassBody, Err: fmt.Errorf("%s sent nothing", host)}
	}
	return late
}

// errLate ends what takes too long.
var errLate = errors.New("too late")
