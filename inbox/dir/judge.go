package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cmp-batch/cmpcore/der"
	"cmp-batch/spool/durable"
)

type fileState uint8

const (
	gone    fileState = iota // there is nothing, or nothing yet that can be told
	waiting                  // not whole
	ready
	bad
)

// verdict is what a look at one file gave.
type verdict struct {
	state   fileState
	info    durable.Info
	der     []byte // when ready
	reason  string // when bad or waiting, for the operator
	young   bool   // waiting because of MinAge
	trouble bool   // waiting because of an error
}

// headSize is enough octets for der.Size.
const headSize = 6

// judge looks at a file and reads it when it is ready. One that is as it was
// when it was not ready is not read again.
func (o *Options) judge(d *durable.Dir, name string, hint fs.FileMode, before durable.Info) verdict {
	return o.decide(d, name, hint, before, true)
}

// judgeHead is judge without the contents.
func (o *Options) judgeHead(d *durable.Dir, name string, hint fs.FileMode) verdict {
	return o.decide(d, name, hint, durable.Info{}, false)
}

func (o *Options) decide(d *durable.Dir, name string, hint fs.FileMode, before durable.Info, whole bool) verdict {
	if hint != 0 && hint != fs.ModeIrregular {
		// To open a device can already do something.
		info, err := d.Stat(name)
		if err != nil {
			return unreadable(d, name, err)
		}
		if !info.Regular() {
			return notRegular(info)
		}
	}
	f, info, err := d.Open(name)
	if errors.Is(err, durable.ErrNotRegular) {
		return notRegular(info)
	}
	if err != nil {
		return unreadable(d, name, err)
	}
	defer f.Close()
	if o.MinAge > 0 && o.tooYoung(info) {
		return verdict{state: waiting, info: info, young: true}
	}
	if info.Size > o.MaxBytes {
		return verdict{state: bad, info: info, reason: fmt.Sprintf("%d octets, the limit is %d", info.Size, o.MaxBytes)}
	}
	if before == info {
		return verdict{state: waiting, info: info}
	}
	buf := make([]byte, info.Size)
	if !whole {
		buf = buf[:min(len(buf), headSize)]
	}
	n, err := f.Read(buf)
	if err != nil {
		return unreadable(d, name, err)
	}
	v := o.byHead(buf[:n], info)
	if v.state != ready || !whole {
		return v
	}
	if o.afterRead != nil {
		o.afterRead(name)
	}
	after, err := f.Stat()
	if err != nil {
		return unreadable(d, name, err)
	}
	if n != len(buf) || after != info {
		// Not even told to stale: it has just changed.
		return verdict{state: gone}
	}
	v.der = buf
	return v
}

// byHead compares what the first octets say with the size.
func (o *Options) byHead(head []byte, info durable.Info) verdict {
	v := verdict{info: info}
	if len(head) > 0 && head[0] != 0x30 {
		v.state, v.reason = bad, fmt.Sprintf("the first octet is 0x%02x, a DER message begins with 0x30", head[0])
		return v
	}
	size, err := der.Size(head)
	switch {
	case errors.Is(err, der.ErrTruncated):
		v.state, v.reason = waiting, fmt.Sprintf("incomplete: %d octets, its length is not there yet", info.Size)
	case err != nil:
		v.state, v.reason = bad, fmt.Sprintf("the first octets are no DER: %v", err)
	case size > o.MaxBytes:
		v.state, v.reason = bad, fmt.Sprintf("declares %d octets, the limit is %d", size, o.MaxBytes)
	case size < info.Size:
		v.state, v.reason = bad, fmt.Sprintf("%d octets follow the %d of the message", info.Size-size, size)
	case size > info.Size:
		v.state, v.reason = waiting, fmt.Sprintf("incomplete: %d of %d octets", info.Size, size)
	default:
		v.state = ready
	}
	return v
}

func notRegular(info durable.Info) verdict {
	return verdict{state: bad, info: info, reason: "it is " + kind(info.Type) + ", not a regular file"}
}

// unreadable waits: permissions are often set last.
func unreadable(d *durable.Dir, name string, err error) verdict {
	info, gerr := d.Stat(name)
	if isGone(err) || isGone(gerr) {
		return verdict{state: gone}
	}
	return verdict{state: waiting, info: info, reason: err.Error(), trouble: true}
}

func (o *Options) tooYoung(info durable.Info) bool {
	at := info.Changed
	if at == 0 {
		at = info.Modified
	}
	return o.Now().Sub(time.Unix(0, at)) < o.MinAge
}
