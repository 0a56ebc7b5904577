package channeltest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cmp-batch/spool"
)

// SinkFixture is a channel with a place that answers arrive at.
type SinkFixture struct {
	Channel string
	// Open opens the Sink, as a start of the process does. It is called again
	// after Close.
	Open func(t *testing.T) spool.Sink
	// Arrived lists what has arrived, in any order.
	Arrived func(t *testing.T) [][]byte
	// BadName is a Return.Name that no answer can be delivered under, or "" if
	// there is none.
	BadName string
	// Name gives a Return.Name; nil: the text itself.
	Name func(string) string
}

// Sink checks a Sink. make builds a new, empty fixture for each test.
func Sink(t *testing.T, make func(t *testing.T) SinkFixture) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, f *sink)
	}{
		{"nothing to deliver", emptySink},
		{"an answer arrives as it is", arrives},
		{"the same answer again changes nothing", again},
		{"another answer under the same name arrives too", sameName},
		{"the same name twice in a batch", twiceInBatch},
		{"a large batch", largeBatch},
		{"one bad name does not keep back the others", badName},
		{"a cancelled delivery can be repeated", deliverCancelled},
		{"the octets are not kept", octetsNotKept},
		{"concurrent deliveries", concurrent},
		{"close can be called twice", closeSink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &sink{SinkFixture: make(t)}
			f.sink = f.Open(t)
			t.Cleanup(func() { f.sink.Close() })
			tt.test(t, f)
		})
	}
}

type sink struct {
	SinkFixture
	sink spool.Sink
}

func (f *sink) restart(t *testing.T) {
	t.Helper()
	if err := f.sink.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	f.sink = f.Open(t)
}

func (f *sink) delivery(s string, n int) spool.Delivery {
	if f.Name != nil {
		s = f.Name(s)
	}
	return spool.Delivery{Name: s, DER: Message(n)}
}

func (f *sink) deliver(t *testing.T, d ...spool.Delivery) {
	t.Helper()
	errs := f.sink.Deliver(t.Context(), d)
	if len(errs) != len(d) {
		t.Fatalf("%d errors for %d deliveries", len(errs), len(d))
	}
	for i, err := range errs {
		if err != nil {
			t.Fatalf("Deliver %q: %v", d[i].Name, err)
		}
	}
}

// arrived checks that exactly the messages of these numbers have arrived.
func (f *sink) arrived(t *testing.T, want ...int) {
	t.Helper()
	text := func(b []byte) string { return fmt.Sprintf("%x", b) }
	var got, wanted []string
	for _, b := range f.Arrived(t) {
		got = append(got, text(b))
	}
	for _, n := range want {
		wanted = append(wanted, text(Message(n)))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Fatalf("arrived:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func emptySink(t *testing.T, f *sink) {
	f.deliver(t)
	f.arrived(t)
	if got := f.sink.Channel(); got != f.Channel {
		t.Errorf("Channel = %q, want %q", got, f.Channel)
	}
}

func arrives(t *testing.T, f *sink) {
	f.deliver(t, f.delivery("a.pki", 1), f.delivery("b.pki", 2))
	f.arrived(t, 1, 2)
}

func again(t *testing.T, f *sink) {
	for range 2 {
		f.deliver(t, f.delivery("a.pki", 1))
		f.deliver(t, f.delivery("a.pki", 1), f.delivery("b.pki", 2))
		f.arrived(t, 1, 2)
		f.restart(t)
	}
}

func sameName(t *testing.T, f *sink) {
	for range 2 {
		for n := range 4 {
			f.deliver(t, f.delivery("a.pki", n))
		}
		f.arrived(t, 0, 1, 2, 3)
		f.restart(t)
	}
}

func twiceInBatch(t *testing.T, f *sink) {
	f.deliver(t, f.delivery("a.pki", 1), f.delivery("a.pki", 2), f.delivery("a.pki", 1))
	f.arrived(t, 1, 2)
}

func largeBatch(t *testing.T, f *sink) {
	var d []spool.Delivery
	var want []int
	for n := range 600 {
		d = append(d, f.delivery(name(n), n))
		want = append(want, n)
	}
	f.deliver(t, d...)
	f.arrived(t, want...)
	f.deliver(t, d[100:500]...)
	f.arrived(t, want...)
}

func badName(t *testing.T, f *sink) {
	if f.BadName == "" {
		return
	}
	for _, around := range []int{1, 20} {
		var d []spool.Delivery
		for n := range around {
			d = append(d, f.delivery(name(n), n))
		}
		d = append(d, spool.Delivery{Name: f.BadName, DER: Message(999)})
		for n := range around {
			d = append(d, f.delivery(name(around+n), around+n))
		}
		for i, err := range f.sink.Deliver(t.Context(), d) {
			if (i == around) != (err != nil) {
				t.Fatalf("delivery %d: %v", i, err)
			}
			if i == around && !spool.IsPermanent(err) {
				t.Errorf("error %q is not permanent", err)
			}
		}
	}
	want := make([]int, 40)
	for n := range want {
		want[n] = n
	}
	f.arrived(t, want...)
}

func deliverCancelled(t *testing.T, f *sink) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range f.sink.Deliver(ctx, []spool.Delivery{f.delivery("a.pki", 1)}) {
		if err != nil && spool.IsPermanent(err) {
			t.Errorf("error %q is permanent", err)
		}
	}
	f.deliver(t, f.delivery("a.pki", 1))
	f.arrived(t, 1)
}

func octetsNotKept(t *testing.T, f *sink) {
	d := f.delivery("a.pki", 1)
	d.DER = bytes.Clone(d.DER)
	f.deliver(t, d)
	clear(d.DER)
	f.arrived(t, 1)
}

func concurrent(t *testing.T, f *sink) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 5 {
				for _, err := range f.sink.Deliver(t.Context(), []spool.Delivery{f.delivery("a.pki", n)}) {
					if err != nil {
						t.Errorf("Deliver: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	f.arrived(t, 0, 1, 2, 3, 4)
}

func closeSink(t *testing.T, f *sink) {
	for range 2 {
		if err := f.sink.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for _, err := range f.sink.Deliver(t.Context(), []spool.Delivery{f.delivery("a.pki", 1)}) {
		if err == nil {
			t.Error("a closed sink delivers")
		}
	}
}
