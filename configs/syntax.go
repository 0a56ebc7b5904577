package configs

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The limits of a file. They are far above any sensible configuration, and
// stand before the YAML parser, whose time grows with the square of the
// nesting and whose stack grows with it.
const (
	maxFile   = 1 << 20 // octets
	maxLine   = 4096    // octets
	maxIndent = 64      // columns
	maxFlow   = 8       // [ and { within one another
	maxDashes = 2       // of list entries that begin on one line
	maxTokens = 50_000  // words and signs of YAML: some thousand rules
)

var bom = []byte("\ufeff")

// parse gives the mapping that the file consists of, nil where the file is
// empty or has faults of syntax.
func (r *reader) parse(data []byte) *ast.MappingNode {
	data = bytes.TrimPrefix(data, bom)
	if !r.checkText(data) {
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if !r.checkTokens(tokens) {
		return nil
	}
	file, err := parseTokens(tokens)
	if err != nil {
		r.syntaxError(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.faultAt(placeOf(doc.Body), "", "a second document begins here; the file must be one")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		return nil
	}
	m, ok := body.(*ast.MappingNode)
	if !ok {
		r.faultAt(placeOf(body), "", "the file must consist of keys with values, such as version: 1; this is %s", kindOf(body))
		return nil
	}
	return m
}

// parseTokens keeps a panic of the parser from being the last word about a
// file: the operator learns that it is the file that cannot be read.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("this cannot be read as YAML")
		}
	}()
	// Keys written twice are found later, all of them.
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// checkText finds what makes YAML parsers stumble or lie: octets that are not
// text, tabs in the indentation, lines without end.
func (r *reader) checkText(data []byte) bool {
	before := len(r.faults)
	if len(data) > maxFile {
		r.faultAt(place{}, "", "the file has %d octets; a configuration has at most %d", len(data), maxFile)
		return false
	}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		text = bytes.TrimRight(text, "\r\n")
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		switch {
		case len(text) > maxLine:
			r.faultAt(place{line, 1}, "", "the line has %d octets; the most is %d", len(text), maxLine)
		case len(indent) > maxIndent && len(text) > len(indent):
			r.faultAt(place{line, 1}, "", "the line is indented by %d columns; the most is %d", len(indent), maxIndent)
		case bytes.IndexByte(indent, '\t') >= 0 && len(text) > len(indent):
			r.faultAt(place{line, bytes.IndexByte(indent, '\t') + 1}, "", "a tab stands in the indentation; YAML wants spaces there")
		}
		if at := badRune(text); at > 0 {
			r.faultAt(place{line, at}, "", "this is not text; the file must be UTF-8 without control characters")
		}
		if len(r.faults)-before > maxShown {
			return false
		}
	}
	return len(r.faults) == before
}

// badRune gives the column of the first character that is no text, or 0.
func badRune(line []byte) int {
	column := 0
	for i := 0; i < len(line); {
		c, n := utf8.DecodeRune(line[i:])
		column++
		if c == utf8.RuneError && n < 2 || c < ' ' && c != '\t' || c >= 0x7f && c < 0xa0 ||
			c == '\u2028' || c == '\u2029' || c == '\ufeff' {
			return column
		}
		i += n
	}
	return 0
}

// forbidden is what YAML can do and a configuration does not need.
var forbidden = map[token.Type]string{
	token.AnchorType:     "anchors (&) are not for this file; write the value out",
	token.AliasType:      "aliases (*) are not for this file; write the value out, or put quotes around a text that begins with *",
	token.MergeKeyType:   "merge keys (<<) are not for this file; write the values out",
	token.TagType:        "tags (!) are not for this file; put quotes around a text that begins with !",
	token.DirectiveType:  "directives (%) are not for this file; put quotes around a text that begins with %",
	token.MappingKeyType: "keys that begin with ? are not for this file; put quotes around a text that begins with ?",
}

func (r *reader) checkTokens(tokens token.Tokens) bool {
	before := len(r.faults)
	if len(tokens) > maxTokens {
		r.faultAt(place{}, "", "the file has %d words and signs of YAML; a configuration has at most %d", len(tokens), maxTokens)
		return false
	}
	flow, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		at := place{t.Position.Line, t.Position.Column}
		if at.line != line {
			line, dashes = at.line, 0
		}
		if text, ok := forbidden[t.Type]; ok {
			r.faultAt(at, "", "%s", text)
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow == maxFlow+1 {
				r.faultAt(at, "", "brackets are nested more than %d deep", maxFlow)
			}
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			if dashes++; dashes == maxDashes+1 {
				r.faultAt(at, "", "more than %d lists begin on this line", maxDashes)
			}
		}
		if len(r.faults)-before > maxShown {
			return false
		}
	}
	return len(r.faults) == before
}

func (r *reader) syntaxError(err error) {
	var at place
	text := "this cannot be read as YAML"
	if e := yaml.Error(nil); errors.As(err, &e) {
		text = e.GetMessage()
		if t := e.GetToken(); t != nil && t.Position != nil {
			at = place{t.Position.Line, t.Position.Column}
		}
	}
	// The parser's words for the mistakes that people make most.
	switch {
	case strings.HasPrefix(text, "mapping value is not allowed"):
		text = "there is one colon too many here, or the line is indented differently from its neighbours; put quotes around a text with a colon"
	case strings.HasPrefix(text, "could not find end character"):
		text = "the quotes that open here are not closed, or hold a \\ that means nothing to YAML"
	case strings.HasPrefix(text, "found character '\\t'"), strings.HasPrefix(text, "found character '\t'"):
		text = "a tab stands where YAML wants spaces"
	default:
		text = "not YAML: " + text
	}
	r.faultAt(at, "", "%s", text)
}

func placeOf(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		// Its own token is the first colon.
		return placeOf(m.Values[0].Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return place{t.Position.Line, t.Position.Column}
	}
	return place{}
}

// kindOf names what a node is, for people.
func kindOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return "nothing"
	}
	return "a single value"
}
