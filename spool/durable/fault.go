package durable

// Op names a step at which things can fail.
type Op string

// The steps, each before a system call that changes something or makes it durable.
const (
	OpCreate  Op = "create"  // of a file under a temporary name or none
	OpWrite   Op = "write"   // of its contents
	OpSync    Op = "sync"    // of one file
	OpSyncFS  Op = "syncfs"  // of all files
	OpName    Op = "name"    // a new file gets its name
	OpMove    Op = "move"    // a file changes its directory or name
	OpRemove  Op = "remove"  // of a name
	OpDirSync Op = "dirsync" // of the names in a directory
)

// Fault is a test's hook. It is called before each step with the directory's
// path and the name at hand, if any. With an error the step fails with it;
// apply tells whether it takes effect all the same, as when an answer gets
// lost.
type Fault func(op Op, dir, name string) (apply bool, err error)

// Inject sets the hook; nil removes it. It is for tests, before d is used.
func (d *Dir) Inject(f Fault) { d.fault = f }

func (d *Dir) step(op Op, name string, do func() error) error {
	if d.fault == nil {
		return do()
	}
	apply, fault := d.fault(op, d.path, name)
	if fault == nil {
		return do()
	}
	if apply {
		if err := do(); err != nil {
			return err
		}
	}
	return fault
}
