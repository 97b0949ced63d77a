package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// What does not fit into a request must not be sent as one.
func TestEncodedSizeIsNeverTooSmall(t *testing.T) {
	for _, text := range []string{"", "plain", "\r\n\t\"\\", "\x00\x1b\x7f", "日本 🇯🇵", "\u2028\u2029", "&<>"} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(text); err != nil {
			t.Fatal(err)
		}
		if got, need := encodedSize(text), b.Len()-len("\"\"\n"); got < need {
			t.Errorf("%q: %d, and it takes %d", text, got, need)
		}
	}
}
