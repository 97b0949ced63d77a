package settings

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/rules"
)

const (
	// maxCredential is the limit of RFC 1929, section 2: lengths are one octet.
	maxCredential = 255
	maxURLs       = 16
	maxURLLength  = 2048
	maxThreshold  = 100
)

// finding is one thing wrong with a value, or with several together.
type finding struct {
	message string
	keys    []string // first the one to blame
}

// check applies every rule. Messages never quote the password.
func (s Settings) check() []finding {
	var found []finding
	add := func(message string, keys ...string) {
		found = append(found, finding{message, keys})
	}

	if path := s.Core.Path; path != "" && !filepath.IsAbs(path) {
		add(fmt.Sprintf("core.path %s is not an absolute path; write it from the root on, without ~", quote(path)), "core.path")
	} else if strings.ContainsRune(path, 0) {
		add("core.path contains a NUL character; no file has such a name", "core.path")
	}

	s.Front.check(add)

	const day = 24 * time.Hour
	durations := []struct {
		key         string
		value       Duration
		zero        bool // whether 0 has a meaning of its own
		least, most time.Duration
	}{
		{"front.wait", s.Front.Wait, false, 100 * time.Millisecond, 10 * time.Minute},
		{"front.drain", s.Front.Drain, false, time.Minute, 7 * day},
		{"health.interval", s.Health.Interval, false, time.Second, day},
		{"health.timeout", s.Health.Timeout, false, 100 * time.Millisecond, 5 * time.Minute},
		{"rotation.interval", s.Rotation.Interval, true, time.Second, 365 * day},
		{"rotation.cooldown", s.Rotation.Cooldown, true, 0, 365 * day},
		{"rotation.drain", s.Rotation.Drain, true, 0, day},
		{"rescue.floor", s.Rescue.Floor, false, 10 * time.Millisecond, time.Minute},
		{"subscription.interval", s.Subscription.Interval, true, time.Hour, 365 * day},
		{"rescue.ceiling", s.Rescue.Ceiling, false, 10 * time.Millisecond, 5 * time.Minute},
	}
	for _, d := range durations {
		value := d.value.Std()
		if value >= d.least && value <= d.most || d.zero && value == 0 {
			continue
		}
		bounds := fmt.Sprintf("from %s to %s", shortDuration(Duration(d.least)), shortDuration(Duration(d.most)))
		if d.zero && d.least > 0 {
			bounds = "0s for off, or " + bounds
		}
		add(fmt.Sprintf("%s must be %s, not %s", d.key, bounds, shortDuration(d.value)), d.key)
	}

	if t := s.Health.Threshold; t < 0 || t > maxThreshold {
		add(fmt.Sprintf("health.threshold must be from 0 to %d, not %d", maxThreshold, t), "health.threshold")
	}
	checkURLs("health.urls", s.Health.URLs, add)
	checkURLs("health.work_urls", s.Health.WorkURLs, add)

	checkRules("rotation.only", s.Rotation.Only, add)
	checkRules("rotation.never", s.Rotation.Never, add)

	for _, status := range s.Health.Statuses {
		if status < 200 || status > 599 {
			add(fmt.Sprintf("health.statuses has %d; a status of HTTP is from 200 to 599", status), "health.statuses")
		}
	}
	if s.Rescue.Floor > s.Rescue.Ceiling {
		add(fmt.Sprintf("rescue.floor %s is longer than rescue.ceiling %s; exchange them", shortDuration(s.Rescue.Floor), shortDuration(s.Rescue.Ceiling)),
			"rescue.floor", "rescue.ceiling")
	}

	if names := levelNames(); !slices.Contains(names, s.Log.Level) {
		add(fmt.Sprintf("log.level must be one of %s, not %s", strings.Join(names, ", "), quote(s.Log.Level)), "log.level")
	}
	return found
}

func checkURLs(key string, urls []string, add func(message string, keys ...string)) {
	if n := len(urls); n > maxURLs {
		add(fmt.Sprintf("%s has %d addresses; at most %d are allowed, and two or three are enough", key, n, maxURLs), key)
		return
	}
	for _, u := range urls {
		if reason := badURL(u); reason != "" {
			add(key+": "+reason, key)
		}
	}
}

func checkRules(key string, texts []string, add func(message string, keys ...string)) {
	if _, err := rules.ParseAll(texts); err != nil {
		add(key+": "+err.Error(), key)
	}
}

func (f Front) check(add func(message string, keys ...string)) {
	socks, socksReason := parseAddress(f.SOCKS)
	if socksReason != "" {
		add("front.socks "+socksReason, "front.socks")
	}
	http, httpReason := parseAddress(f.HTTP)
	if httpReason != "" {
		add("front.http "+httpReason, "front.http")
	}
	if socksReason == "" && httpReason == "" && socks.collides(http) {
		add(fmt.Sprintf("front.socks %s and front.http %s need the same port; give one of them another", f.SOCKS, f.HTTP),
			"front.http", "front.socks")
	}

	open := func(a address, reason, key, value string) {
		if reason == "" && !a.loopback && f.Username == "" && f.Password == "" {
			add(fmt.Sprintf("%s %s can be reached from other machines, and anybody there could use the proxy; set front.username and front.password, or listen on 127.0.0.1",
				key, quote(value)), key, "front.username", "front.password")
		}
	}
	open(socks, socksReason, "front.socks", f.SOCKS)
	open(http, httpReason, "front.http", f.HTTP)

	switch {
	case f.Username != "" && f.Password == "":
		add("front.username is set but front.password is empty; set both, or neither", "front.password", "front.username")
	case f.Username == "" && f.Password != "":
		add("front.password is set but front.username is empty; set both, or neither", "front.username", "front.password")
	}
	credential := func(key, value string) {
		if len(value) > maxCredential {
			add(fmt.Sprintf("%s is %d bytes long; SOCKS5 allows %d", key, len(value), maxCredential), key)
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			add(key+" contains a control character, which HTTP does not allow", key)
		}
	}
	credential("front.username", f.Username)
	credential("front.password", f.Password)
	// RFC 7617, section 2: the first colon ends the user-id.
	if strings.Contains(f.Username, ":") {
		add("front.username contains a colon, which HTTP does not allow", "front.username")
	}
}

// address is what a listener listens on.
type address struct {
	ip       netip.Addr // invalid: every address of the machine
	port     uint16
	loopback bool
}

// parseAddress reads host:port. The host is an IP address, "localhost", or empty for every address;
// other names could mean another address tomorrow. So could port 0, with which the system chooses
// one at each opening.
func parseAddress(s string) (a address, reason string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return address{}, quote(s) + ` is not host:port; write for example "127.0.0.1:10808" or "[::1]:10808"`
	}
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return address{}, fmt.Sprintf("%s has no valid port; it must be from 1 to 65535", quote(s))
	case number == 0:
		return address{}, fmt.Sprintf("%s would take another port at each start, where applications do not look; choose a port from 1 to 65535", quote(s))
	}
	a.port = uint16(number)
	switch {
	case host == "":
	case strings.EqualFold(host, "localhost"):
		a.ip, a.loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	default:
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return address{}, fmt.Sprintf("%s: the host must be an IP address or localhost", quote(s))
		}
		ip = ip.Unmap()
		a.loopback = ip.IsLoopback()
		if !ip.IsUnspecified() {
			a.ip = ip
		}
	}
	return a, ""
}

// collides reports whether a and b cannot both be listened on.
func (a address) collides(b address) bool {
	return a.port == b.port && (a.ip == b.ip || !a.ip.IsValid() || !b.ip.IsValid())
}

// badURL returns why u cannot be a probe's address, "" if it can.
func badURL(u string) string {
	if len(u) > maxURLLength {
		return fmt.Sprintf("an address is %d bytes long; at most %d are allowed", len(u), maxURLLength)
	}
	parsed, err := url.Parse(u)
	switch {
	case err != nil:
		// The text may be anything, even a password.
		return "an address is not a URL; write for example \"https://www.gstatic.com/generate_204\""
	case parsed.User != nil:
		return fmt.Sprintf("%s contains a user name; a probe sends no credentials, remove it", quote(parsed.Host))
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return quote(u) + " is not an http or https address"
	case parsed.Hostname() == "":
		return quote(u) + " names no host"
	}
	return ""
}

// levelNames are the names that zerolog gives its levels.
func levelNames() []string {
	var names []string
	for level := zerolog.TraceLevel; level <= zerolog.PanicLevel; level++ {
		names = append(names, level.String())
	}
	return append(names, zerolog.Disabled.String())
}
