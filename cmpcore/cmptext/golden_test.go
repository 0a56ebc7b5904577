package cmptext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
)

var update = flag.Bool("update", false, "write the dumps of testdata anew")

// golden reads a case: header lines, an empty line, the dump.
type golden struct {
	name   string
	der    []byte
	head   string
	expect string   // "whole" or "part": how much cmp.Parse reads
	has    []string // what the generator put in, so what must be in the dump
	dump   string
}

func goldens(t testing.TB) []golden {
	t.Helper()
	files, err := filepath.Glob("testdata/*.pki")
	if err != nil || len(files) == 0 {
		t.Fatalf("no messages in testdata: %v", err)
	}
	var all []golden
	for _, f := range files {
		g := golden{name: strings.TrimSuffix(filepath.Base(f), ".pki")}
		if g.der, err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
		txt, err := os.ReadFile(strings.TrimSuffix(f, "pki") + "txt")
		if err != nil {
			t.Fatal(err)
		}
		head, dump, ok := strings.Cut(string(txt), "\n\n")
		if !ok {
			t.Fatalf("%s has no empty line", g.name)
		}
		g.head, g.dump = head+"\n\n", dump
		for _, line := range strings.Split(head, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "expect":
				g.expect = value
			case "has":
				g.has = append(g.has, value)
			case "rfc", "why":
			default:
				t.Fatalf("%s: unknown header line %q", g.name, line)
			}
		}
		all = append(all, g)
	}
	return all
}

func text(t testing.TB, m *cmp.PKIMessage, o cmptext.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := cmptext.Text(&b, m, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			m, err := cmp.Parse(g.der, cmp.Limits{})
			switch {
			case g.expect == "whole" && err != nil:
				t.Fatal(err)
			case g.expect == "part" && (m == nil || !errors.Is(err, cmp.ErrBody) && !errors.Is(err, cmp.ErrHeader)):
				t.Fatalf("a message: %v, error %v", m != nil, err)
			}
			got := text(t, m, cmptext.Options{ParseErr: err})
			safe(t, got)
			for _, h := range g.has {
				if !strings.Contains(got, h) {
					t.Errorf("%q is missing", h)
				}
			}
			if *update {
				if err := os.WriteFile("testdata/"+g.name+".txt", []byte(g.head+got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != g.dump {
				t.Errorf("the dump has changed; run with -update and look at the difference. It is now:\n%s", got)
			}
			j, err := cmptext.JSON(m, cmptext.Options{ParseErr: err})
			if err != nil {
				t.Fatal(err)
			}
			safe(t, string(j))
			uniqueKeys(t, json.NewDecoder(bytes.NewReader(j)))
		})
	}
}

// safe wants no control characters but line feeds, and nothing that does not
// print.
func safe(t testing.TB, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatal("the output is not UTF-8")
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("the output has %U in it", r)
		}
	}
}

// uniqueKeys reads one JSON value and wants no key twice in an object.
func uniqueKeys(t testing.TB, d *json.Decoder) {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatalf("JSON: %v", err)
	}
	switch tok {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatalf("JSON: %v", err)
			}
			if k := key.(string); seen[k] {
				t.Fatalf("JSON: key %q twice", k)
			} else {
				seen[k] = true
			}
			uniqueKeys(t, d)
		}
		d.Token()
	case json.Delim('['):
		for d.More() {
			uniqueKeys(t, d)
		}
		d.Token()
	}
}
