package link

import (
	"fmt"
	"io"
	"unique"
)

// Secret is a string that does not print: a password, a UUID, a key. Secrets are comparable with
// ==.
//
// It holds a handle instead of the string because fmt cannot call the methods of a value in an
// unexported field and prints its content instead: here only an address.
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

// Reveal returns the string itself, for the core's configuration and for links that the user asks
// for.
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

// GoString returns String.
func (s Secret) GoString() string { return s.String() }

// Format writes String for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText makes encoders write String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
