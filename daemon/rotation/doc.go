// Package rotation decides which config to try next, which to check in the background, how long a
// failed one is left alone, how often there may be a rotation, and how long to wait when nothing
// works.
//
// It is pure: time and history come in as values, decisions go out, and nothing here does I/O,
// holds state or reads a clock. The daemon acts on what it says.
package rotation
