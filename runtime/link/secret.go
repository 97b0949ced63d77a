package link

import (
	"fmt"
	"io"
	"unique"
)

// Secret is a string that does not print: passwords, UUIDs, keys. Secrets are comparable with ==.
//
// It holds a handle and not the string because fmt ignores the methods of a value that sits in an unexported field
// of another one, and prints what it finds there: an address, in this case.
type Secret struct {
	handle unique.Handle[string] // the zero handle is the empty string
}

const redacted = "[redacted]"

// NewSecret returns s as a secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{unique.Make(s)}
}

// Reveal returns the string itself, for the configuration of the core and for printing a link on request.
func (s Secret) Reveal() string {
	if s == (Secret{}) {
		return ""
	}
	return s.handle.Value()
}

// String returns "[redacted]", or "" for the empty secret.
func (s Secret) String() string {
	if s == (Secret{}) {
		return ""
	}
	return redacted
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format writes String for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText makes encoders write String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
