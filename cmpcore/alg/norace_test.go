//go:build !race

package alg

const raceDetector = false
