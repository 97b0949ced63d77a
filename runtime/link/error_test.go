package link

import (
	"errors"
	"strings"
	"testing"
)

// TestMessagesRepeatNoUnknownWord breaks links in many places. What a message does not know may be
// a secret.
func TestMessagesRepeatNoUnknownWord(t *testing.T) {
	const marked = "Marked5ecret"
	for _, good := range goodLinks {
		body := good
		for i := 8; i < len(body); i += 7 {
			for _, broken := range []string{body[:i], body[:i] + marked, body[:i] + marked + body[i:], body[:i] + "\x00" + marked + body[i:]} {
				if _, err := Parse(broken); err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(marked)) {
					t.Errorf("the message %q repeats the link", err)
				}
			}
		}
	}
	_, err := Parse("vless://x")
	if !errors.As(err, new(*Error)) {
		t.Errorf("%T is not an *Error", err)
	}
}
