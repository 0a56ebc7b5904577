//go:build race

package alg

// The race detector makes the standard library allocate where it does not
// otherwise.
const raceDetector = true
