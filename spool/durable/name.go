package durable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxName is the longest name in octets.
const MaxName = 255

// ErrName is in the error about a name that cannot be the name of a file.
var ErrName = errors.New("not usable as a file name")

// CheckName tells whether name is one component of a path.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%.80q: %w", name, ErrName)
	case len(name) > MaxName:
		return fmt.Errorf("%.80q...: %w: %d octets, the limit is %d", name, ErrName, len(name), MaxName)
	case !localName(name):
		return fmt.Errorf("%.80q: %w: it contains a path separator or NUL", name, ErrName)
	}
	return nil
}

// numbered is how many names of the form NAME, NAME-2.pki, NAME-3.pki, ... are
// tried. A sender that uses one name for ever shall not make every delivery
// look through all earlier ones; after these, the name is made from the hash.
const numbered = 99

// ErrNoName is in the error of a name that is taken in all its variants.
var ErrNoName = fmt.Errorf("no free variant of the name: %w", fs.ErrExist)

// Variant gives the k-th name, from 0, under which data may be stored when it
// is wanted as name: name itself, then NAME-2.ext, NAME-3.ext and so on, at the
// end one with a part of the SHA-256 of data, which content calls up only then. No
// variant is longer than limit octets; the name before the number is cut. ok
// is false when there are no more.
func Variant(name string, k, limit int, content func() ([]byte, error)) (variant string, ok bool, err error) {
	var mark string
	switch {
	case k == 0:
	case k < numbered:
		mark = "-" + strconv.Itoa(k+1)
	case k == numbered:
		data, err := content()
		if err != nil {
			return "", false, err
		}
		sum := sha256.Sum256(data)
		mark = "-" + hex.EncodeToString(sum[:8])
	default:
		return "", false, nil
	}
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 {
		stem, ext = name[:i], name[i:]
	}
	if cut := limit - len(mark) - len(ext); len(stem) > cut {
		// Not inside a character, which some file systems would refuse.
		for back := 0; back < utf8.UTFMax-1 && cut > 0 && !utf8.RuneStart(stem[cut]); back++ {
			cut--
		}
		stem = stem[:cut]
	}
	return stem + mark + ext, true, nil
}
