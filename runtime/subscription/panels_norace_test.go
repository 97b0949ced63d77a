//go:build !race

package subscription_test

// oneIn is how many of the entries that panels write are looked at alone: one in so many.
const oneIn = 1
