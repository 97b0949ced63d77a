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
	Took  time.Duration // from the answer's head to the last byte
	Class string        // one of the Class constants
	Err   error         // nil when OK; its text holds no secret and may be shown
}

// Rate returns the speed in bytes a second; 0 if nothing was measured.
func (d Download) Rate() int64 {
	if d.Took <= 0 {
		return 0
	}
	return int64(float64(d.Bytes) / d.Took.Seconds())
}

// Fetch downloads the URL target through p to see how fast that is: at most that many bytes, for at
// most limit after the answer's head, which it waits for at most wait. Reaching either limit is a
// success, as long as any byte of a body with status 200 has come.
func Fetch(ctx context.Context, p Proxy, target string, most int64, wait, limit time.Duration) Download {
	whole, end := context.WithCancelCause(ctx)
	defer end(nil)
	patience := time.AfterFunc(wait, func() { end(errLate) })
	defer patience.Stop()
	request, err := http.NewRequestWithContext(whole, http.MethodGet, target, nil)
	if err != nil || request.URL.Host == "" {
		return Download{Class: ClassInternal, Err: errors.New("the URL to download is not usable: it has to be like https://host/path")}
	}
	host := request.URL.Host
	request.Header.Set("User-Agent", "Mozilla/5.0")
	late := Download{Class: ClassTimeout, Err: fmt.Errorf("%s gave no answer in time", host)}
	a, err := exchangeHTTP(whole, p, request, nil)
	defer a.close()
	if errors.Is(context.Cause(whole), errLate) {
		return late
	}
	if err != nil {
		class, err := classify(ctx, host, err)
		return Download{Class: class, Err: err}
	}
	if a.StatusCode != http.StatusOK {
		return Download{Class: ClassStatus, Err: fmt.Errorf("%s answered with status %d", host, a.StatusCode)}
	}
	if !patience.Stop() {
		return late
	}
	timer := time.AfterFunc(limit, func() { end(errLate) })
	defer timer.Stop()
	began := time.Now()
	n, err := io.Copy(io.Discard, io.LimitReader(a.Body, most))
	d := Download{OK: n > 0, Bytes: n, Took: time.Since(began), Class: ClassOK}
	switch {
	case ctx.Err() != nil:
		return Download{Class: ClassCanceled, Err: fmt.Errorf("asking %s: %w", host, context.Canceled)}
	case d.OK:
		return d // even if the time is over or the connection has ended: what came counts
	case err == nil:
		return Download{Class: ClassBody, Err: fmt.Errorf("%s sent nothing", host)}
	}
	return late
}

// errLate is the cause of ending what takes too long.
var errLate = errors.New("too late")
