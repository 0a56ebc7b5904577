package configs

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
)

// ErrLayout says that a file cannot be changed by machine, as its ca is not
// written with one key a line.
var ErrLayout = errors.New("ca is not written with one key a line, so it must be changed by hand")

// WithRootUpdate adds a change of the root's key to the text of a configuration,
// whose folder is dir, as the first of ca.root_updates. All else stays as it is
// written. Errors may wrap [ErrLayout] or [Faults].
func WithRootUpdate(text []byte, dir string, u RootUpdate) ([]byte, error) {
	e, err := newEditor(text)
	if err != nil {
		return nil, err
	}
	lines := RootUpdateLines(dir, u)
	at, indent := e.ca, e.indent
	if v, ok := e.keys["root_updates"]; ok {
		list, isList := v.Value.(*ast.SequenceNode)
		if !isList || list.IsFlowStyle {
			return nil, ErrLayout
		}
		at, indent = v.Key.GetToken().Position.Line, list.GetToken().Position.Column-1
	} else {
		lines = slices.Insert(lines, 0, "root_updates:")
		for i := 1; i < len(lines); i++ {
			lines[i] = "  " + lines[i]
		}
	}
	for i := range lines {
		lines[i] = strings.Repeat(" ", indent) + lines[i]
	}
	e.lines = slices.Insert(e.lines, at, lines...)
	return e.verified(text, dir, func(c *Config) {
		c.CA.RootUpdates = append([]RootUpdate{u}, c.CA.RootUpdates...)
	})
}

// RootUpdateLines writes an element of ca.root_updates, one line each.
func RootUpdateLines(dir string, u RootUpdate) []string {
	return []string{
		"- old: " + shortPath(dir, u.Old), "  new: " + shortPath(dir, u.New),
		"  new_with_old: " + shortPath(dir, u.NewWithOld), "  old_with_new: " + shortPath(dir, u.OldWithNew),
	}
}

// WithCA puts another certificate and key into the text of a configuration.
func WithCA(text []byte, dir, certificate, key string) ([]byte, error) {
	e, err := newEditor(text)
	if err != nil {
		return nil, err
	}
	for name, path := range map[string]string{"certificate": certificate, "key": key} {
		v, ok := e.keys[name]
		if !ok {
			return nil, ErrLayout
		}
		k, p := v.Key.GetToken().Position, v.Value.GetToken().Position
		if k.Line != p.Line {
			return nil, ErrLayout
		}
		line := e.lines[k.Line-1]
		colon := strings.Index(line, name+":")
		if colon < 0 {
			return nil, ErrLayout
		}
		rest := line[colon+len(name)+1:]
		value := strings.TrimLeft(rest, " ")
		if i := strings.IndexAny(value, `"'`); i == 0 {
			rest = rest[strings.LastIndex(rest, value[:1])+1:]
		}
		comment := ""
		if i := strings.Index(rest, " #"); i >= 0 {
			comment = strings.Repeat(" ", i-len(strings.TrimRight(rest[:i], " "))) + rest[i:]
		}
		e.lines[k.Line-1] = line[:colon] + name + ": " + shortPath(dir, path) + comment
	}
	return e.verified(text, dir, func(c *Config) { c.CA.Certificate, c.CA.Key = certificate, key })
}

// shortPath is a path as it is written: relative where it lies in the folder.
func shortPath(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		path = filepath.ToSlash(rel)
	}
	if strings.ContainsAny(path, " :#'\"{}[],&*!|>%@`") {
		path = `'` + strings.ReplaceAll(path, `'`, `''`) + `'`
	}
	return path
}

// editor changes lines of a file and leaves the others alone.
type editor struct {
	lines  []string
	ca     int // the line of ca:, from 1
	indent int // of the keys below it
	keys   map[string]*ast.MappingValueNode
}

func newEditor(text []byte) (*editor, error) {
	e := &editor{keys: map[string]*ast.MappingValueNode{}}
	for line := range bytes.Lines(text) {
		e.lines = append(e.lines, strings.TrimRight(string(line), "\r\n"))
	}
	file, err := parseTokens(lexer.Tokenize(string(text)))
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		m, ok := doc.Body.(*ast.MappingNode)
		if !ok {
			continue
		}
		for _, kv := range m.Values {
			ca, ok := kv.Value.(*ast.MappingNode)
			if kv.Key.GetToken().Value != "ca" || !ok || ca.IsFlowStyle {
				continue
			}
			e.ca = kv.Key.GetToken().Position.Line
			for _, v := range ca.Values {
				e.keys[v.Key.GetToken().Value] = v
				e.indent = v.Key.GetToken().Position.Column - 1
			}
		}
	}
	if e.ca == 0 {
		return nil, ErrLayout
	}
	return e, nil
}

// verified reads the changed text back: it must say what the old one said, but
// for the change.
func (e *editor) verified(text []byte, dir string, change func(*Config)) ([]byte, error) {
	out := []byte(strings.Join(e.lines, "\n") + "\n")
	want, err := Parse(text, dir)
	if err != nil {
		return nil, err
	}
	change(want)
	got, err := Parse(out, dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	// Compiled patterns have no equality that means something.
	want.Rules, got.Rules = nil, nil
	want.names, got.names = nil, nil // lines have moved
	if !reflect.DeepEqual(want, got) {
		return nil, ErrLayout
	}
	return out, nil
}
