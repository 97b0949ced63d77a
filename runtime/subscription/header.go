package subscription

import (
	"encoding/base64"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	minInterval = time.Hour
	maxInterval = 30 * 24 * time.Hour
)

// Usage is what an account at a provider has used, in bytes.
type Usage struct {
	Upload, Download uint64    // 0: also unknown
	Total            uint64    // the limit of both together; 0: none, or unknown
	Expires          time.Time // zero: never, or unknown
}

// readHeader reads the headers in which providers describe themselves, by a convention of Clash,
// Shadowrocket and their panels. None of them causes anything to be fetched or opened.
func (r *Response) readHeader(h http.Header) {
	r.Usage = parseUsage(h.Get("Subscription-Userinfo"))
	if hours, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Profile-Update-Interval")), 64); err == nil && hours > 0 {
		r.UpdateInterval = min(max(time.Duration(min(hours, 1e4)*float64(time.Hour)), minInterval), maxInterval)
	}
	if r.Title = parseTitle(h.Get("Profile-Title")); r.Title == "" {
		r.Title = fileTitle(h.Get("Content-Disposition"))
	}
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

// parseTitle reads a title in plain text, or in base64, as panels send anything but ASCII.
func parseTitle(text string) string {
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
	return cleanName(strings.ToValidUTF8(text, ""))
}

// fileTitle makes a title of the file name under which a browser would save the answer.
func fileTitle(disposition string) string {
	_, parameters, err := mime.ParseMediaType(disposition)
	if err != nil {
		return ""
	}
	name := path.Base(strings.ReplaceAll(parameters["filename"], `\`, "/"))
	switch extension := path.Ext(name); strings.ToLower(extension) {
	case ".txt", ".yaml", ".yml", ".json", ".conf":
		name = strings.TrimSuffix(name, extension)
	}
	if name == "." || name == "/" {
		return ""
	}
	return cleanName(strings.ToValidUTF8(name, ""))
}
