//go:build !linux

package plane

import "github.com/rs/zerolog"

// Confine does nothing: Landlock is Linux's.
func Confine(zerolog.Logger) {}
