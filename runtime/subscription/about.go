package subscription

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	minInterval = time.Hour
	maxInterval = 30 * 24 * time.Hour

	maxHeadLines = 64      // that may describe a provider, before what it serves
	maxHeadLine  = 4 << 10 // bytes of one of them
	maxAddress   = 1 << 10 // bytes of an address for people
)

// About is what a provider says of itself and of the account: in the headers of its answer, or in
// comments at the head of what it serves. All texts are cleaned for display. Nothing is opened or
// fetched because of them.
type About struct {
	Title          string        // "": unknown
	UpdateInterval time.Duration // how often the provider wants to be asked, from an hour to 30 days; 0: unknown
	Usage          *Usage        // nil: unknown
	Announce       string        // a message to all users
	SupportURL     string        // where people find help: http, https, tg or mailto
	WebPageURL     string        // of the provider, likewise
}

// Usage is what an account at a provider has used, in bytes.
type Usage struct {
	Upload, Download uint64    // 0: also unknown
	Total            uint64    // the limit of both together; 0: none, or unknown
	Expires          time.Time // zero: never, or unknown
}

// Or returns a, with what it does not say taken from b.
func (a About) Or(b About) About {
	return About{
		Title:          cmp.Or(a.Title, b.Title),
		UpdateInterval: cmp.Or(a.UpdateInterval, b.UpdateInterval),
		Usage:          cmp.Or(a.Usage, b.Usage),
		Announce:       cmp.Or(a.Announce, b.Announce),
		SupportURL:     cmp.Or(a.SupportURL, b.SupportURL),
		WebPageURL:     cmp.Or(a.WebPageURL, b.WebPageURL),
	}
}

// aboutKeys are the names under which providers describe themselves, by a convention of Clash,
// Shadowrocket and their panels.
var aboutKeys = []string{"profile-title", "profile-update-interval", "subscription-userinfo", "announce", "support-url", "profile-web-page-url"}

// say takes in what a provider says under one of the aboutKeys, in lower case.
func (a *About) say(key, value string) {
	switch value = strings.TrimSpace(value); key {
	case "profile-title":
		a.Title = aboutText(value)
	case "profile-update-interval":
		if hours, err := strconv.ParseFloat(value, 64); err == nil && hours > 0 {
			a.UpdateInterval = min(max(time.Duration(min(hours, 1e4)*float64(time.Hour)), minInterval), maxInterval)
		}
	case "subscription-userinfo":
		a.Usage = parseUsage(value)
	case "announce":
		a.Announce = aboutText(value)
	case "support-url":
		a.SupportURL = aboutAddress(value)
	case "profile-web-page-url":
		a.WebPageURL = aboutAddress(value)
	}
}

// readHead takes in what the comments at the head of a body say, and returns how long they are.
func (a *About) readHead(data []byte) (length int) {
	var head About
	for number := 0; length < len(data); number++ {
		line, _, _ := bytes.Cut(data[length:], []byte("\n"))
		text, comment := commentText(line)
		if !comment && len(bytes.TrimSpace(line)) > 0 {
			break
		}
		if number < maxHeadLines && len(text) <= maxHeadLine {
			if key, value, found := strings.Cut(string(text), ":"); found {
				head.say(strings.ToLower(strings.TrimSpace(key)), value)
			}
		}
		length = min(length+len(line)+1, len(data))
	}
	*a = a.Or(head)
	return length
}

// commentText returns what a comment of a list says, and whether a line is one.
func commentText(line []byte) (text []byte, comment bool) {
	line = bytes.TrimSpace(line)
	for _, mark := range []string{"#", "//"} {
		if rest, found := bytes.CutPrefix(line, []byte(mark)); found {
			return bytes.TrimSpace(rest), true
		}
	}
	return nil, false
}

// parseUsage reads "upload=1; download=2; total=3; expire=1700000000". What is not a number is
// unknown.
func parseUsage(text string) *Usage {
	var u Usage
	known := false
	for field := range strings.SplitSeq(text, ";") {
		key, value, _ := strings.Cut(field, "=")
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64) // some write 1.5e+10
		if err != nil || math.IsNaN(n) || n < 0 {
			continue
		}
		count := uint64(min(n, 1<<62))
		if exact, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63); err == nil {
			count = exact
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "upload":
			u.Upload = count
		case "download":
			u.Download = count
		case "total":
			u.Total = count
		case "expire":
			if count > 0 && count < 253402300800 { // the year 10000
				u.Expires = time.Unix(int64(count), 0).UTC()
			}
		default:
			continue
		}
		known = true
	}
	if !known {
		return nil
	}
	return &u
}

// aboutText reads plain text, or text in base64, as panels send anything but ASCII.
func aboutText(text string) string {
	if len(text) > maxHeader {
		return ""
	}
	if encoded, ok := strings.CutPrefix(text, "base64:"); ok {
		encoded = strings.TrimRight(strings.TrimSpace(encoded), "=")
		decoded, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			decoded, err = base64.RawURLEncoding.DecodeString(encoded)
		}
		if err != nil {
			return ""
		}
		text = string(decoded)
	}
	return cleanText(strings.ToValidUTF8(text, ""))
}

// aboutAddress returns an address that people may open, or "" if text is anything else.
func aboutAddress(text string) string {
	if len(text) > maxAddress || !utf8.ValidString(text) {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Opaque == "" || u.User != nil {
		return ""
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "tg", "mailto":
	default:
		return ""
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return u.String() // in which everything else is escaped
		}
	}
	return text
}
