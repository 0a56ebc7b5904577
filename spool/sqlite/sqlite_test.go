package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
	"cmp-batch/spool/storetest"
)

func TestConformance(t *testing.T) {
	conformance(t)
}

// In a large database a row is in one of many eras, and every commit may end one.
func TestConformanceWithManyEras(t *testing.T) {
	sqlite.SetEraKeys(t, 5)
	conformance(t)
}

func conformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (spool.Store, func() spool.Store) {
		path := filepath.Join(t.TempDir(), "state.db")
		s, err := sqlite.Create(context.Background(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s, func() spool.Store {
			s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}
