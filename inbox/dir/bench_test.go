package dir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cmp-batch/spool"
)

// BenchmarkCollectSettle is the cost of a request of 1.5 kB: collected and
// archived, or deleted, in batches, on the file system of the working directory.
func BenchmarkCollectSettle(b *testing.B) {
	root, err := os.MkdirTemp(".", "bench-")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(root) })
	for _, kind := range []string{"archive", "delete"} {
		for _, n := range []int{1, 16, 512} {
			b.Run(fmt.Sprintf("%s-%d", kind, n), func(b *testing.B) {
				base, err := os.MkdirTemp(root, "")
				must(b, err)
				o := Options{In: filepath.Join(base, "in"), Archive: filepath.Join(base, "archive"), Failed: filepath.Join(base, "failed")}
				for _, d := range []string{o.In, o.Archive, o.Failed} {
					must(b, os.Mkdir(d, 0o700))
				}
				if kind == "delete" {
					deletes(&o)
				}
				s, err := New(o)
				must(b, err)
				defer s.Close()
				data := sequence(b, 1500)
				round := 0
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					for i := range n {
						must(b, os.WriteFile(filepath.Join(o.In, fmt.Sprintf("%06d-%03d.pki", round, i)), data, 0o600))
					}
					round++
					b.StartTimer()
					items, err := s.Collect(context.Background(), n)
					must(b, err)
					if len(items) != n {
						b.Fatalf("%d items, want %d", len(items), n)
					}
					batch := make([]spool.Settlement, n)
					for i, it := range items {
						batch[i] = spool.Settlement{ID: it.ID, Action: spool.Done}
					}
					for _, err := range s.Settle(context.Background(), batch) {
						must(b, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/file")
			})
		}
	}
}
