//go:build race

package cmpcore_test

// Under the race detector each cell of TestALife takes ten times as long, and
// finds no more.
const raceDetector = true
