// Package failpoint marks the moments between two steps at which a test lets the daemon die. Only
// builds with the tag failpoints can; in all others a mark costs nothing.
package failpoint
