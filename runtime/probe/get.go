package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

// The classes of a Result.
const (
	ClassOK       = "ok"
	ClassTimeout  = "timeout"  // no answer within the time
	ClassRefused  = "refused"  // the proxy's port, or the proxy, refuses the connection
	ClassClosed   = "closed"   // the connection ended before the answer was complete
	ClassStatus   = "status"   // an HTTP status that does not prove a way out
	ClassBody     = "body"     // the right shape of answer with the wrong content: a captive portal
	ClassLoop     = "loop"     // it has come back to this machine's own front
	ClassTLS      = "tls"      // the TLS handshake or the certificate is wrong
	ClassClock    = "clock"    // the certificate seems wrong because this computer's clock is
	ClassCanceled = "canceled" // the caller's context ended: says nothing about the proxy
	ClassInternal = "internal" // nothing was measured: an unusable URL, no URL at all
)

// maxBody bounds what is read of an answer, in bytes. Probe URLs answer with nothing or with a few
// bytes; a portal's page need not be read to its end.
const maxBody = 64 << 10

// Result is the outcome of Get.
type Result struct {
	OK      bool
	URL     string        // the one that gave this result
	Latency time.Duration // of the attempt that gave this result, to the end of the answer
	Class   string        // one of the Class constants
	Err     error         // nil when OK; its text holds no secret and may be shown
	// Skew is by how much this computer's clock is ahead of the one that answered, as far as that
	// is known; less than a second is 0.
	Skew time.Duration
}

// Question is what Get asks.
type Question struct {
	URLs []string
	// Statuses are those of HTTP that prove a way out. None: 204, or 200 unless the URL's last path
	// element says that it has to be 204 (generate_204, gen_204).
	Statuses []int
	Timeout  time.Duration // bounds the whole
	// Stagger is how long a URL is waited for until the next is asked as well.
	Stagger time.Duration
}

// Get asks the URLs through p and returns the first answer that proves that there is a way out. The
// next URL is asked after a while, or at once when one fails, so that a blocked one costs no more
// than that. If none proves it, the result is that of the first URL. Redirects are not
// followed: a captive portal or an error page is no way out.
//
// returned reports whether a connection with this mark has come back to the front; nil: nobody
// knows. Then p leads there, and whatever is answered comes from another server.
func Get(ctx context.Context, p Proxy, q Question, returned func(mark.Mark) bool) Result {
	urls := q.URLs
	if len(urls) == 0 {
		return Result{Class: ClassInternal, Err: errors.New("no probe URL: set health.urls in the settings")}
	}
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	type numbered struct {
		index  int
		result Result
	}
	results := make(chan numbered, len(urls)) // an attempt never blocks on it
	started, finished := 0, 0
	start := func() {
		index, target := started, urls[started]
		started++
		go func() { results <- numbered{index, attempt(ctx, p, target, q.Statuses, returned)} }()
	}
	next := time.NewTimer(q.Stagger)
	defer next.Stop()
	start()
	var best Result
	failures := make([]Result, len(urls))
	for finished < started {
		select {
		case r := <-results:
			finished++
			failures[r.index] = r.result
			if r.result.OK && !best.OK {
				best = r.result
				cancel() // ends the attempts still running; they are waited for below
			}
		case <-next.C:
		}
		if !best.OK && ctx.Err() == nil && started < len(urls) {
			start()
			next.Reset(q.Stagger)
		}
	}
	if best.OK {
		return best
	}
	return failures[0]
}

func attempt(ctx context.Context, p Proxy, target string, statuses []int, returned func(mark.Mark) bool) Result {
	begin := time.Now()
	r, sent := ask(ctx, p, target, statuses)
	r.OK, r.URL, r.Latency = r.Err == nil, target, time.Since(begin)
	if sent != 0 && returned != nil && r.Class != ClassCanceled && returned(sent) {
		r.OK, r.Class, r.Err = false, ClassLoop, errLoop
	}
	return r
}

var errLoop = errors.New("it leads back to xrat: what is sent there comes back as a new connection")

// ask makes one request and judges the answer. sent is the mark of what has gone out; 0: nothing.
// Of the result it knows class, error and skew.
func ask(ctx context.Context, p Proxy, target string, statuses []int) (r Result, sent mark.Mark) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil || request.URL.Host == "" {
		return Result{Class: ClassInternal, Err: errors.New("the probe URL is not usable: it has to be like https://host/path")}, 0
	}
	host := request.URL.Host
	// Some servers answer differently to clients they do not know.
	request.Header.Set("User-Agent", "Mozilla/5.0")
	if request.URL.Scheme == "http" {
		request.Header.Set(mark.Field, mark.New().Tag())
	}
	a, err := exchangeHTTP(ctx, p, request, nil)
	defer a.close()
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(a.Body, maxBody))
	}
	if err == nil {
		r.Skew = skewFrom(a.Response)
		r.Class, r.Err = judge(a.Response, request.URL, statuses)
		return r, a.sent()
	}
	r.Class, r.Err = classify(ctx, host, err)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		if r.Skew = skewOf(ctx, p, request); r.Skew.Abs() > wrongClock {
			r.Class, r.Err = ClassClock, fmt.Errorf("this computer's clock is wrong: %s", SkewText(r.Skew))
		}
	}
	return r, a.sent()
}

// judge reports whether an answer proves a way out.
func judge(response *http.Response, asked *url.URL, statuses []int) (class string, err error) {
	switch {
	case slices.Contains(statuses, response.StatusCode):
		return ClassOK, nil
	case len(statuses) > 0:
		return ClassStatus, fmt.Errorf("%s answered with status %d, which is none of health.statuses", asked.Host, response.StatusCode)
	case response.StatusCode == http.StatusNoContent:
		return ClassOK, nil
	case response.StatusCode != http.StatusOK:
		return ClassStatus, fmt.Errorf("%s answered with status %d, which proves no way out", asked.Host, response.StatusCode)
	case wants204(asked):
		return ClassBody, fmt.Errorf("%s answered with status 200 instead of 204: a captive portal or an error page", asked.Host)
	}
	return ClassOK, nil
}

func wants204(u *url.URL) bool {
	last := path.Base(u.Path)
	return last == "generate_204" || last == "gen_204"
}

// classify returns the class of a transport error, and the error with a text that is fit to show:
// without the URL, which may hold a user and a password.
func classify(ctx context.Context, host string, err error) (string, error) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var (
		netErr    net.Error
		recordErr tls.RecordHeaderError
		alertErr  tls.AlertError
		verifyErr *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ClassCanceled, fmt.Errorf("asking %s: %w", host, context.Canceled)
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ClassTimeout, fmt.Errorf("%s gave no answer in time", host)
	case errors.As(err, &recordErr), errors.As(err, &alertErr), errors.As(err, &verifyErr),
		errors.As(err, &authority), errors.As(err, &hostname),
		errors.Is(err, http.ErrSchemeMismatch), strings.Contains(err.Error(), "tls: "):
		return ClassTLS, fmt.Errorf("TLS with %s: %w", host, err)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, socks5.ErrRefused):
		return ClassRefused, fmt.Errorf("asking %s: %w", host, err)
	default:
		// What is left is the end of the connection (EOF, reset, broken pipe) or an answer that is
		// not HTTP.
		return ClassClosed, fmt.Errorf("asking %s: %w", host, err)
	}
}
