//go:build !race

package subscription

// bombSize is the size of the bodies in TestBombsStayCheap, in bytes.
const bombSize = MaxBody
