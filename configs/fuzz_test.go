package configs

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: no panic, and either settings or faults that can be shown on a
// line each.
func FuzzParse(f *testing.F) {
	seeds := [][]byte{[]byte(valid), Default(DefaultOptions{}), []byte("\ufeffa: [1, {b: c}]\r\n# x"), []byte("- |\n  x\n- >-\n y\n")}
	for _, name := range ExampleNames() {
		data, err := Example(name)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	if len(seeds) < 6 {
		f.Fatal("there are no examples to start from")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "/d")
		if err == nil {
			if c == nil || len(c.Rules) == 0 || c.CA.Key == "" {
				t.Fatalf("settings are incomplete: %+v", c)
			}
			return
		}
		var faults Faults
		if !errors.As(err, &faults) || len(faults) == 0 || c != nil {
			t.Fatalf("%T, %v", err, c)
		}
		for _, f := range faults {
			if s := f.String(); strings.ContainsAny(s, "\n\r\x00\x1b") || !utf8.ValidString(s) || len(s) > 4000 {
				t.Fatalf("a fault cannot be shown: %q", s)
			}
		}
	})
}

// FuzzSubject: no panic, and a pattern that is taken has something to match.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{"CN=sensor-*,O=Example,*", "/O=Example/CN=a", `CN=a\,b+O= x `, "2.5.4.3=ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := newSubject(text)
		if err == nil && len(s.parts) == 0 && !s.more {
			t.Fatalf("%q has no attributes", text)
		}
	})
}

// A file at the limits is read, or refused, without an effort that grows out of
// hand: these took minutes, or all memory, in the YAML parser.
func TestHostileFiles(t *testing.T) {
	for name, s := range map[string]string{
		"brackets":    strings.Repeat("[", maxFile),
		"dashes":      strings.Repeat("- ", maxFile/2),
		"braces":      strings.Repeat("{a: ", maxFile/4),
		"questions":   strings.Repeat("? ", maxFile/2),
		"lines":       strings.Repeat("[[[[[[[[\n", maxFile/9),
		"dash lines":  strings.Repeat("- - a\n", maxFile/6),
		"keys":        strings.Repeat("a: b\n", maxFile/5),
		"commas":      "a: [" + strings.Repeat("1,", 2000) + "]\n",
		"empty lines": strings.Repeat("\n", maxFile),
		"comments":    strings.Repeat("#\n", maxFile/2),
		"text":        "a:\n" + strings.Repeat("  x\n", maxFile/4),
		"literal":     "a: |\n" + strings.Repeat("  x\n", maxFile/4-2),
		"nested":      nested(60),
		"anchors":     strings.Repeat("a: &a [*a, *a]\n", maxFile/15),
	} {
		if _, err := Parse([]byte(s), "/d"); err == nil {
			t.Errorf("%s: no fault", name)
		}
	}
}

func nested(n int) string {
	var b strings.Builder
	for range 400 {
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
	}
	return b.String()
}
