// Package probe makes one measurement through a proxy: whether the proxy answers, whether it has a
// way out, and how fast that is. Every measurement has a deadline and leaves nothing behind,
// neither connection nor goroutine.
//
// It has no schedule, keeps no history and decides nothing. When to measure and what follows from a
// failure is the daemon's business.
package probe
