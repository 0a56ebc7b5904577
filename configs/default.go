package configs

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

//go:embed examples
var examples embed.FS

// DefaultOptions is what differs between the configurations of fresh CAs. Zero
// fields mean the default.
type DefaultOptions struct {
	Subject        string // of the CA, for a comment; default: none is mentioned
	KeyType        string // of the CA, for a comment; default: none is mentioned
	PassphraseFile string // of the CA's key; default secrets/ca.pass
}

var defaultTemplate = template.Must(template.New("default.yaml.tmpl").
	Funcs(template.FuncMap{"quote": quoteYAML, "comment": oneLine}).
	ParseFS(examples, "examples/default.yaml.tmpl"))

// Default gives the commented configuration of a fresh CA. Its files are those
// that `init` makes, beside the configuration: ca/ca.crt, ca/ca.key, state.db
// and the folders in, out, archive and failed of spool.
func Default(o DefaultOptions) []byte {
	if o.PassphraseFile == "" {
		o.PassphraseFile = "secrets/ca.pass"
	}
	var b bytes.Buffer
	if err := defaultTemplate.Execute(&b, o); err != nil {
		// The template is part of the program and a buffer takes everything.
		panic(err)
	}
	return b.Bytes()
}

// ExampleNames lists the commented examples that come with the program.
func ExampleNames() []string {
	files, err := fs.Glob(examples, "examples/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "examples/"), ".yaml")
	}
	return files
}

// Example gives one of [ExampleNames].
func Example(name string) ([]byte, error) {
	data, err := examples.ReadFile("examples/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("example %q: there are %s", clip(name), strings.Join(ExampleNames(), ", "))
	}
	return data, nil
}

// quoteYAML writes a path as it is where YAML reads it so, else in quotes.
func quoteYAML(s string) string {
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/._-", c)
	}
	switch {
	case badRune([]byte(s)) > 0 || strings.Contains(s, "\t"):
		return strconv.QuoteToASCII(s)
	case strings.ContainsFunc(s, odd) || !strings.Contains(s, "/") || strings.HasPrefix(s, "-"):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return s
}

// oneLine keeps a text from ending the comment that it stands in.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || badRune([]byte(string(c))) > 0 {
			return ' '
		}
		return c
	}, s)
}
