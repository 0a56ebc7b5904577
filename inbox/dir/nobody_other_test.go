//go:build !linux

package dir

import (
	"os"
	"testing"
)

// asNobody makes permissions count for the rest of the test.
func asNobody(t *testing.T, _ *env) {
	t.Helper()
	if os.Getuid() == 0 {
		t.Skip("permissions do not count for root")
	}
}
