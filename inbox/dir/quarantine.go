package dir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cmp-batch/spool"
	"cmp-batch/spool/durable"
)

const reasonSuffix = ".reason.json"

// failedName leaves room for the suffix.
const failedName = durable.MaxName - len(reasonSuffix)

// maxReason bounds the text of a reason in octets.
const maxReason = 4096

// Reason is what stands in NAME.pki.reason.json beside a bad file.
type Reason struct {
	File    string    `json:"file"`                 // its name when it came
	FileRaw []byte    `json:"file_bytes,omitempty"` // where the name is no UTF-8
	Reason  string    `json:"reason"`
	Time    time.Time `json:"time"`
	Size    int64     `json:"size"`             // in octets
	SHA256  string    `json:"sha256,omitempty"` // hex; none for what is too large to be read
	Channel string    `json:"channel"`
}

// Name is the name that the file had when it came.
func (r *Reason) Name() string {
	if len(r.FileRaw) > 0 {
		return string(r.FileRaw)
	}
	return r.File
}

// badFile is a file on its way into the failed folder.
type badFile struct {
	job
	reason  Reason
	json    []byte
	copy    bool // small enough
	variant int
	name    string // in the failed folder
	told    bool   // the reason for name is there
	there   bool   // and the file, too
}

// quarantine moves bad files aside. The reasons are durable before their files
// move: no file is in the failed folder without one.
func (b *settling) quarantine() {
	var files []*badFile
	var moved []job
	for _, j := range b.bad {
		f, err := b.describe(j)
		switch {
		case err != nil:
			b.fail(j, err)
		case f == nil:
			moved = append(moved, j)
		default:
			files = append(files, f)
		}
	}
	// Each round tries further names, and they end.
	for len(files) > 0 {
		files = b.round(files, &moved)
	}
	b.finish(moved, b.Source.failed)
}

// describe writes the reason for a bad file, or nil if it needs none any more.
func (b *settling) describe(j job) (*badFile, error) {
	if ok, err := b.unchanged(j.claim); err != nil || !ok {
		return nil, err
	}
	name := j.claim.name
	f := &badFile{job: j, reason: Reason{
		File: name, Reason: cut(j.reason, maxReason), Time: b.o.Now().UTC(),
		Size: j.claim.seen.Size, Channel: b.o.Channel,
	}}
	if !utf8.ValidString(name) {
		f.reason.FileRaw = []byte(name)
	}
	if j.claim.seen.Regular() && j.claim.seen.Size <= b.o.MaxBytes {
		f.copy = true
		// One that cannot be read can still be moved.
		if data, _, err := b.in.Read(name, b.o.MaxBytes); err == nil {
			sum := sha256.Sum256(data)
			f.reason.SHA256 = hex.EncodeToString(sum[:])
		}
	}
	var err error
	f.json, err = json.MarshalIndent(&f.reason, "", "  ")
	f.json = append(f.json, '\n')
	return f, err
}

// round tries one name for each file, and returns those that need another.
func (b *settling) round(files []*badFile, moved *[]job) (again []*badFile) {
	files = b.tell(files, &again)
	var far []*badFile
	for _, f := range files {
		if f.there {
			if err := b.drop(f.claim); err != nil {
				b.fail(f.job, err)
			} else {
				*moved = append(*moved, f.job)
			}
			continue
		}
		err := durable.RenameNoReplace(b.in, f.claim.name, b.Source.failed, f.name)
		here := err == nil
		if here {
			here, err = b.verify(f.claim, b.Source.failed, f.name)
		}
		switch {
		case here:
			*moved = append(*moved, f.job)
			if f.name != f.claim.name { // else the pump's line says it all
				b.log.Warn("bad file put aside under another name", "name", f.claim.name, "as", f.name)
			}
		case err == nil, isGone(err):
			b.untell(f)
			*moved = append(*moved, f.job)
		case errors.Is(err, fs.ErrExist):
			b.untell(f)
			f.variant++
			again = append(again, f)
		case errors.Is(err, durable.ErrCrossDevice) && f.copy:
			far = append(far, f)
		case errors.Is(err, durable.ErrCrossDevice):
			b.untell(f)
			b.fail(f.job, spool.Permanent(fmt.Errorf("what is no file within the limit is not copied; move it by hand: %w", err)))
		default:
			b.fail(f.job, err) // the reason will be found again
		}
	}
	*moved = append(*moved, b.copyBad(far)...)
	return again
}

// copyBad is the move between file systems.
func (b *settling) copyBad(files []*badFile) (moved []job) {
	jobs, names := make([]job, len(files)), make([]string, len(files))
	for i, f := range files {
		jobs[i], names[i] = f.job, f.name
	}
	copied, vanished := b.copyAll(jobs, b.Source.failed, durable.WriteOptions{}, names)
	for _, j := range vanished {
		b.untell(files[slices.IndexFunc(files, func(f *badFile) bool { return f.at == j.at })])
	}
	return append(copied, vanished...)
}

// tell chooses names and writes the reasons. It returns the files whose reason
// is durable.
func (b *settling) tell(files []*badFile, again *[]*badFile) (told []*badFile) {
	var reasons []durable.NewFile
	var of []*badFile
	for _, f := range files {
		if err := b.choose(f); err != nil {
			b.fail(f.job, err)
			continue
		}
		if f.told {
			told = append(told, f)
			continue
		}
		reasons = append(reasons, durable.NewFile{Name: f.name + reasonSuffix, Data: f.json})
		of = append(of, f)
	}
	for i, p := range b.Source.failed.WriteAll(b.ctx, reasons, durable.WriteOptions{}) {
		f := of[i]
		switch {
		case p.Err == nil:
			f.told = true
			told = append(told, f)
		case errors.Is(p.Err, fs.ErrExist):
			f.variant++
			*again = append(*again, f)
		default:
			b.fail(f.job, p.Err)
		}
	}
	return told
}

// choose goes on from f.variant to a name that is free, or that has the reason
// of this file beside it because a crash came before the move.
func (b *settling) choose(f *badFile) error {
	for ; ; f.variant++ {
		name, ok, _ := durable.Variant(f.claim.name, f.variant, failedName, func() ([]byte, error) {
			return []byte(f.reason.SHA256 + f.claim.name), nil
		})
		if !ok {
			return durable.ErrNoName
		}
		_, err := b.Source.failed.Stat(name)
		if err != nil && !isGone(err) {
			return err
		}
		taken := err == nil
		there, err := readReason(b.Source.failed, name)
		ours := err == nil && there.same(&f.reason)
		f.name, f.told, f.there = name, ours, false
		switch {
		case !taken && (ours || isGone(err)):
			return nil
		case taken && ours && f.reason.SHA256 != "":
			// A copy that was not followed by the deletion.
			if f.there, err = b.isCopy(f); err != nil && !isGone(err) || f.there {
				return err
			}
		}
	}
}

// isCopy tells whether f.name in the failed folder has the contents of f.
func (b *settling) isCopy(f *badFile) (bool, error) {
	data, _, err := b.in.Read(f.claim.name, b.o.MaxBytes)
	if err != nil {
		return false, err
	}
	return b.Source.failed.Holds(f.name, data)
}

// untell takes a reason away whose file did not come.
func (b *settling) untell(f *badFile) {
	f.told = false
	if err := ignoreGone(b.Source.failed.Remove(f.name + reasonSuffix)); err != nil {
		b.log.Warn("a reason without a file remains", "name", f.name, "err", err)
	}
}

func readReason(failed *durable.Dir, name string) (*Reason, error) {
	// Escaping can make six octets of one.
	data, _, err := failed.Read(name+reasonSuffix, 8*maxReason+8*durable.MaxName)
	if err != nil {
		return nil, err
	}
	r := new(Reason)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reason of %s: %w", quote(name), err)
	}
	return r, nil
}

func (r *Reason) same(o *Reason) bool {
	return r.Name() == o.Name() && r.Reason == o.Reason && r.Size == o.Size && r.SHA256 == o.SHA256 && r.Channel == o.Channel
}

// cut makes s valid UTF-8 of at most limit octets.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
