//go:build !race

package rotation

const raceDetector = false
