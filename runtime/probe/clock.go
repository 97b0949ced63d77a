package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

// wrongClock is how wrong a clock must be to be the reason that a certificate does not count.
const wrongClock = 5 * time.Minute

// skewOf asks again without a look at the certificate, which counts as expired or not yet valid,
// for the time that the other side has. Nothing secret is sent, and nothing is believed but the
// time.
func skewOf(ctx context.Context, p Proxy, request *http.Request) time.Duration {
	again, err := http.NewRequestWithContext(ctx, http.MethodHead, request.URL.String(), nil)
	if err != nil {
		return 0
	}
	a, err := exchange(ctx, p, again, nil, &tls.Config{ServerName: request.URL.Hostname(), InsecureSkipVerify: true})
	defer a.close()
	if err != nil {
		return 0
	}
	return skewFrom(a.Response)
}

// skewFrom returns by how much this computer's clock is ahead of the one that dated an answer (RFC
// 9110, section 6.6.1); 0: it is not, or not known.
func skewFrom(response *http.Response) time.Duration {
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Since(date).Truncate(time.Second)
}

// SkewText says how wrong the clock is, and what to do: "it is 3h0m fast; set it".
func SkewText(skew time.Duration) string {
	how, d := "fast", skew
	if skew < 0 {
		how, d = "slow", -skew
	}
	text := d.Round(time.Second).String()
	if days := d / (24 * time.Hour); days >= 2 {
		text = fmt.Sprintf("%d days", days)
	}
	return fmt.Sprintf("it is %s %s; certificates and some protocols need the right time, so set it", text, how)
}
