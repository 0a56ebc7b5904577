package memory_test

import (
	"context"
	"errors"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
	"cmp-batch/spool/memory"
	"cmp-batch/spool/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (spool.Store, func() spool.Store) {
		s := memory.New()
		return s, func() spool.Store { return s.Again() }
	})
}

// writes makes one call of each kind.
func writes(s *memory.Store) map[memory.Call]func() error {
	ctx := context.Background()
	return map[memory.Call]func() error{
		memory.Commit: func() error {
			_, _, err := s.Commit(ctx, []spool.Entry{{Hash: cmpcore.Hash{1}, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Silent}}})
			return err
		},
		memory.Delivered:        func() error { return s.Delivered(ctx, 0, nil) },
		memory.DeliveredOne:     func() error { return s.DeliveredOne(ctx, 1) },
		memory.AddReturn:        func() error { return s.AddReturn(ctx, 1, spool.Return{}) },
		memory.SetMeta:          func() error { return s.SetMeta(ctx, "k", []byte("v")) },
		memory.AddSecret:        func() error { return s.AddSecret(ctx, &cmpcore.Secret{Ref: "r"}) },
		memory.RemoveSecret:     func() error { return s.RemoveSecret(ctx, "r") },
		memory.RemovePassphrase: func() error { return s.RemovePassphrase(ctx, "r") },
		memory.Decide:           func() error { return s.Decide(ctx, cmpcore.TransactionKey{}, 1, cmpcore.Vote{By: "a", Decision: 1}) },
		memory.Freeze:           func() error { return s.Freeze(ctx, cmpcore.TransactionKey{}, 1, true) },
		memory.Forget:           func() error { return s.Forget(ctx, 1) },
	}
}

func TestFaultIsAskedForEveryKindOfWrite(t *testing.T) {
	told := errors.New("told to fail")
	s := memory.New()
	for _, c := range memory.Calls {
		var asked []memory.Call
		s.SetFault(func(c memory.Call) (bool, error) { asked = append(asked, c); return false, told })
		call := writes(s)[c]
		if call == nil {
			t.Fatalf("%s is not tested", c)
		}
		if err := call(); !errors.Is(err, told) || len(asked) != 1 || asked[0] != c {
			t.Errorf("%s: error %v, asked for %v", c, err, asked)
		}
	}
}

func TestFaultFailsWithAndWithoutStoring(t *testing.T) {
	told := errors.New("told to fail")
	ctx := context.Background()
	for _, apply := range []bool{false, true} {
		s := memory.New()
		s.SetFault(func(memory.Call) (bool, error) { return apply, told })
		for _, c := range []memory.Call{memory.Commit, memory.SetMeta, memory.AddSecret} {
			if err := writes(s)[c](); !errors.Is(err, told) {
				t.Errorf("%s, apply %v: error %v", c, apply, err)
			}
		}
		found, _ := s.Lookup(ctx, []cmpcore.Hash{{1}})
		value, _ := s.Meta(ctx, "k")
		secret, _ := s.View().Secret(ctx, "r")
		if len(found) == 1 != apply || value != nil != apply || secret != nil != apply {
			t.Errorf("apply %v: found %d messages, %q, %v", apply, len(found), value, secret)
		}
		// Another process is not struck.
		if err := s.Again().SetMeta(ctx, "k", nil); err != nil {
			t.Error(err)
		}
	}
}
