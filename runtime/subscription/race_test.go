//go:build race

package subscription

// bombSize is the size of the bodies in TestBombsStayCheap, in bytes. The race detector takes ten
// times as long.
const bombSize = MaxBody / 64
