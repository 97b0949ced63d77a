//go:build !race

package subscription

// bombSize is the size of the bodies in TestBombs, in bytes.
const bombSize = MaxBody
