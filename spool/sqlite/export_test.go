package sqlite

import "testing"

// SetEraKeys makes eras end early.
func SetEraKeys(t testing.TB, n int64) {
	old := eraKeys
	eraKeys = n
	t.Cleanup(func() { eraKeys = old })
}
