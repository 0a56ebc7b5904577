package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration file.
type Fault struct {
	File   string // as it was given to [Load]
	Line   int    // from 1, also of what is missing at the top; 0 where the file is empty
	Column int    // from 1, in characters
	Path   string // of the key, such as rules[1].may[0]; empty where there is none
	Text   string // what is wrong and what to write instead
}

// String gives file:line:column: path: text, on one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults is all that is wrong with a configuration file, in the order of the
// file. It is the error of [Load] and [Parse] for a file that could be read.
type Faults []Fault

// maxShown bounds the report about a file that is something else altogether.
const maxShown = 50

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, 0, len(fs))
	for i, f := range fs {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("%s: and %d faults more", f.File, len(fs)-i))
			break
		}
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// place is where something stands in the file.
type place struct{ line, column int }

// places has both places of a path: of its key and of its value. They are the
// same for an element of a list.
type places struct{ key, value place }

// reader collects the faults of one file and knows where each path stands.
type reader struct {
	file   string
	faults Faults
	at     map[string]places
	broken map[string]bool     // paths whose value could not even be read
	names  map[string][]string // where the configuration names files, folders and environment variables

	cmcRAIsGiven bool // no profile lets requesters choose the purpose cmcRA
}

func (r *reader) faultAt(p place, path, format string, args ...any) {
	r.faults = append(r.faults, Fault{r.file, p.line, p.column, path, plain(fmt.Sprintf(format, args...))})
}

// fault reports about the value at path. Where the file does not have the
// path, the fault stands at the key of the nearest path above. What could not
// be read has its fault already.
func (r *reader) fault(path, format string, args ...any) {
	for above := path; above != ""; above = parent(above) {
		if r.broken[above] {
			return
		}
	}
	p, ok := r.at[path]
	at := p.value
	for above := path; !ok && above != ""; {
		above = parent(above)
		p, ok = r.at[above]
		at = p.key
	}
	if !ok {
		at = place{1, 1} // it is missing at the top
	}
	r.faultAt(at, path, format, args...)
}

// named remembers that the value at path names something outside the file.
func (r *reader) named(what, path string) {
	p, ok := r.at[path]
	if !ok {
		return // a default
	}
	if r.names == nil {
		r.names = map[string][]string{}
	}
	r.names[what] = append(r.names[what], fmt.Sprintf("%s:%d:%d: %s", r.file, p.value.line, p.value.column, path))
}

// Locate says where the file or environment variable that err is about stands
// in the configuration: err with file, line, column and key in front. An error
// about nothing that the configuration names stays as it is.
func (c *Config) Locate(err error) error {
	if err == nil {
		return nil
	}
	if at := c.Place(err.Error()); at != "" {
		return fmt.Errorf("%s: %w", at, err)
	}
	return err
}

// Place gives file:line:column: key of the longest path or the environment
// variable in text that the configuration names, each where several keys name
// it; "" where none does.
func (c *Config) Place(text string) string {
	best := ""
	for name := range c.names {
		if len(name) > len(best) && strings.Contains(text, name) {
			best = name
		}
	}
	return strings.Join(c.names[best], ", ")
}

// has tells whether the file has the path, whatever its value.
func (r *reader) has(path string) bool {
	_, ok := r.at[path]
	return ok
}

// parent cuts the last key or index off a path. Keys that people choose (of
// profiles and policies) hold no dots or brackets: see nameOf.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func child(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// clip bounds what is quoted from the file.
func clip(s string) string {
	const most = 60
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "..."
		}
	}
	return s
}

// plain keeps a text on one line that a terminal shows, whatever was quoted in it.
func plain(text string) string {
	text = strings.Map(func(c rune) rune {
		if badRune([]byte(string(c))) > 0 || c == '\t' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	const most = 2000
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
