package sqlite

import "testing"

// SetVFS makes new connections use another way to reach files.
func SetVFS(t testing.TB, name string) {
	old := vfsName
	vfsName = name
	t.Cleanup(func() { vfsName = old })
}

// SetWALPages makes the log be copied earlier.
func SetWALPages(t testing.TB, pages int) {
	old := walPages
	walPages = pages
	t.Cleanup(func() { walPages = old })
}

// SetEraKeys makes eras end early.
func SetEraKeys(t testing.TB, n int64) {
	old := eraKeys
	eraKeys = n
	t.Cleanup(func() { eraKeys = old })
}
