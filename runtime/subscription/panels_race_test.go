//go:build race

package subscription_test

// oneIn is how many of the entries that panels write are looked at alone: one in so many. The race
// detector takes ten times as long, and what it looks for is in the first as in the last.
const oneIn = 20
