package memory

import (
	"context"

	"cmp-batch/spool"
)

// Call names a kind of write.
type Call string

// The kinds of writes.
const (
	Commit       Call = "Commit"
	Delivered    Call = "Delivered"
	DeliveredOne Call = "DeliveredOne"
	AddReturn    Call = "AddReturn"
	SetMeta      Call = "SetMeta"
	AddSecret    Call = "AddSecret"
	RemoveSecret Call = "RemoveSecret"
	Decide       Call = "Decide"
	Freeze       Call = "Freeze"
	Forget       Call = "Forget"

	RemovePassphrase Call = "RemovePassphrase"
)

// Calls lists all kinds of writes.
var Calls = []Call{Commit, Delivered, DeliveredOne, AddReturn, SetMeta, AddSecret, RemoveSecret, RemovePassphrase, Decide, Freeze, Forget}

// Fault is asked at the start of each write, and may itself use the Store, for
// a competing change. The write happens if apply says so; its caller gets err.
// (false, err) is a failure, (true, err) a failure that has stored everything
// all the same, (true, nil) a normal write. (false, nil) would be a lie and
// panics.
type Fault func(c Call) (apply bool, err error)

// SetFault sets the fault of this Store, not of others from [Store.Again]; nil
// takes it away.
func (s *Store) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// write runs do with the data locked.
func (s *Store) write(ctx context.Context, c Call, do func(*data) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	var failure error
	if fault != nil {
		var apply bool
		if apply, failure = fault(c); !apply {
			if failure == nil {
				panic("memory: fault for " + string(c) + " neither applies nor fails")
			}
			return failure
		}
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if err := do(s.d); err != nil {
		return err
	}
	return failure
}

var _ spool.Store = (*Store)(nil)
