package subscription

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	maxHeaders     = 16
	maxHeaderName  = 64      // bytes
	maxHeaderValue = 4 << 10 // bytes
)

// Header is a header that the user wants to be sent. Its value is a secret: no form of printing
// shows it.
type Header struct{ Name, Value string }

// String returns the name alone.
func (h Header) String() string { return h.Name + ": …" }

// Format writes String for every verb and flag.
func (h Header) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.String()) }

// ours are the headers that are not the user's: of the connection, and those by which the answer
// comes as it can be read.
var ours = map[string]string{
	"Host": "it follows from the address", "Content-Length": "there is no content", "Transfer-Encoding": "there is no content",
	"Connection": "it is about the connection", "Keep-Alive": "it is about the connection", "Proxy-Connection": "it is about the connection",
	"Proxy-Authorization": "it is about the connection", "Proxy-Authenticate": "it is about the connection", "Te": "it is about the connection",
	"Trailer": "it is about the connection", "Upgrade": "it is about the connection", "Http2-Settings": "it is about the connection", "Expect": "it is about the connection",
	"Accept-Encoding": "what can be unpacked is known", "Range": "all of the answer is needed", "If-Range": "all of the answer is needed",
	"If-None-Match": "what is known already is kept here", "If-Modified-Since": "what is known already is kept here",
	"If-Match": "what is known already is kept here", "If-Unmodified-Since": "what is known already is kept here",
	"User-Agent": "use --user-agent",
}

// ParseHeaders reads headers that are written "Name: value" or "Name=value". The error, an *Error
// with CodeBadRequest, repeats no value.
func ParseHeaders(texts []string) ([]Header, error) {
	if len(texts) > maxHeaders {
		return nil, fail(CodeBadRequest, fmt.Sprintf("%d headers are too many: at most %d", len(texts), maxHeaders))
	}
	var list []Header
	for _, text := range texts {
		at := strings.IndexAny(text, ":=")
		if at < 0 {
			return nil, fail(CodeBadRequest, "a header is not written NAME=VALUE")
		}
		name, value := textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(text[:at])), strings.TrimSpace(text[at+1:])
		switch why, taken := ours[name]; {
		case len(name) > maxHeaderName || !httpguts.ValidHeaderFieldName(name):
			return nil, fail(CodeBadRequest, "the name of a header is empty or longer than 64 characters, or has others than letters, digits and dashes")
		case taken:
			return nil, fail(CodeBadRequest, fmt.Sprintf("the header %s cannot be set: %s", name, why))
		case len(value) > maxHeaderValue:
			return nil, fail(CodeBadRequest, fmt.Sprintf("the value of the header %s is longer than 4 KiB", name))
		case value == "" || !httpguts.ValidHeaderFieldValue(value):
			return nil, fail(CodeBadRequest, fmt.Sprintf("the value of the header %s is empty or has control characters", name))
		case slices.ContainsFunc(list, func(h Header) bool { return h.Name == name }):
			return nil, fail(CodeBadRequest, fmt.Sprintf("the header %s is given twice", name))
		}
		list = append(list, Header{name, value})
	}
	return list, nil
}

// setPersonal adds to a request what is for the provider alone.
func (r Request) setPersonal(h http.Header) {
	if r.Device != nil {
		for name, value := range r.Device.headers() {
			h.Set(name, value)
		}
	}
	for _, own := range r.Headers {
		h.Set(own.Name, own.Value)
	}
}

// dropPersonal takes from a request what is for the provider alone.
func (r Request) dropPersonal(h http.Header) {
	for name := range (Device{}).headers() {
		h.Del(name)
	}
	for _, own := range r.Headers {
		h.Del(own.Name)
	}
}
