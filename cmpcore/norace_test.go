//go:build !race

package cmpcore_test

const raceDetector = false
