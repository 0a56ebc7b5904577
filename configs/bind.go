package configs

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// The decoder of the YAML library stops at the first fault and forgets where
// things stood, so the tree is bound to the written structs here.

// A defaulter sets what holds where the file is silent. It is called on each
// struct before the file's values are put in.
type defaulter interface{ defaults() }

// oneOrMore is a list that may be written as its only element.
type oneOrMore []string

var oneOrMoreType = reflect.TypeFor[oneOrMore]()

// names of profiles and policies: they appear in paths, logs and certProfile.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

const nameHint = "a name has letters, digits, - and _, at most 64"

// bind puts n into v, which is settable, and reports what does not fit.
func (r *reader) bind(path string, n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		applyDefaults(p.Elem())
		r.bind(path, n, p.Elem())
		v.Set(p)
	case reflect.Struct:
		r.bindStruct(path, n, v)
	case reflect.Map:
		r.bindMap(path, n, v)
	case reflect.Slice:
		r.bindList(path, n, v)
	default:
		r.bindScalar(path, n, v)
	}
}

func applyDefaults(v reflect.Value) {
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.defaults()
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.Struct {
				applyDefaults(v.Field(i))
			}
		}
	}
}

func (r *reader) bindStruct(path string, n ast.Node, v reflect.Value) {
	t := v.Type()
	known := make([]string, t.NumField())
	for i := range known {
		known[i] = t.Field(i).Tag.Get("yaml")
	}
	r.eachKey(path, n, func(key, path string, at place, value ast.Node) {
		for i, k := range known {
			if k == key {
				r.at[path] = places{at, placeOf(value)}
				r.bind(path, value, v.Field(i))
				return
			}
		}
		r.faultAt(at, path, "there is no such key; %s", oneOf(key, known))
	})
}

func (r *reader) bindMap(path string, n ast.Node, v reflect.Value) {
	t := v.Type()
	v.Set(reflect.MakeMap(t))
	r.eachKey(path, n, func(key, path string, at place, value ast.Node) {
		e := reflect.New(t.Elem()).Elem()
		applyDefaults(e)
		// Patterns are by attribute, which may be a dotted identifier; other
		// maps are by names of the operator's choice.
		if e.Kind() == reflect.Struct && !nameRule.MatchString(key) {
			r.faultAt(at, path, "%q is not a name: %s", clip(key), nameHint)
			return
		}
		r.at[path] = places{at, placeOf(value)}
		r.bind(path, value, e)
		v.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), e)
	})
}

// eachKey visits the keys of a mapping that are written once. Nothing at all is
// an empty mapping: its lines are commented out.
func (r *reader) eachKey(path string, n ast.Node, visit func(key, path string, at place, value ast.Node)) {
	var m *ast.MappingNode
	switch n := n.(type) {
	case *ast.MappingNode:
		m = n
	case *ast.NullNode:
		return
	default:
		r.faultAt(placeOf(n), path, "keys with values belong here, not %s", kindOf(n))
		return
	}
	first := map[string]place{}
	for _, kv := range m.Values {
		key, at := kv.Key.GetToken().Value, placeOf(kv.Key)
		path := child(path, shown(key))
		if p, twice := first[key]; twice {
			r.faultAt(at, path, "the key is written twice; the first is in line %d", p.line)
			continue
		}
		first[key] = at
		visit(key, path, at, kv.Value)
	}
}

// shown is a key as it stands in paths: quoted where it is no word.
func shown(key string) string {
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	if key == "" || len(key) > 60 || strings.ContainsFunc(key, odd) {
		return strconv.QuoteToASCII(clip(key))
	}
	return key
}

func (r *reader) bindList(path string, n ast.Node, v reflect.Value) {
	t := v.Type()
	switch n := n.(type) {
	case *ast.NullNode:
		return
	case *ast.SequenceNode:
		list := reflect.MakeSlice(t, len(n.Values), len(n.Values))
		for i, e := range n.Values {
			path := index(path, i)
			p := placeOf(e)
			r.at[path] = places{p, p}
			applyDefaults(list.Index(i))
			r.bind(path, e, list.Index(i))
		}
		v.Set(list)
	case *ast.MappingNode:
		r.faultAt(placeOf(n), path, "a list belongs here, not %s; begin each element with -", kindOf(n))
	default:
		if t != oneOrMoreType {
			r.faultAt(placeOf(n), path, "a list belongs here, not %s; write [%s]", kindOf(n), clip(n.GetToken().Value))
			return
		}
		list := make(oneOrMore, 1)
		r.bindScalar(path, n, reflect.ValueOf(&list[0]).Elem())
		v.Set(reflect.ValueOf(list))
	}
}

func (r *reader) bindScalar(path string, n ast.Node, v reflect.Value) {
	at := placeOf(n)
	text, ok := "", true
	switch n := n.(type) {
	case *ast.MappingNode, *ast.SequenceNode:
		r.faultAt(at, path, "a single value belongs here, not %s", kindOf(n))
		return
	case *ast.NullNode:
		r.faultAt(r.at[path].key, path, "there is no value; write one, or remove the key")
		return
	case *ast.LiteralNode:
		text = strings.TrimSuffix(n.Value.Value, "\n")
	case *ast.StringNode:
		text = n.Value
	case *ast.BoolNode:
		text, ok = n.GetToken().Value, v.Kind() == reflect.Bool
	default:
		text = n.GetToken().Value
	}
	if !ok && v.Kind() == reflect.String {
		r.faultAt(at, path, "a text belongs here, not the truth value %s; put quotes around it if it is meant as text", text)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.faultAt(at, path, "true or false belongs here, not %q", clip(text))
			return
		}
		v.SetBool(b.Value)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 64)
		if _, isInt := n.(*ast.IntegerNode); !isInt || err != nil || text != strconv.FormatInt(i, 10) ||
			i > math.MaxInt32 || i < math.MinInt32 {
			r.faultAt(at, path, "a whole number belongs here, not %q", clip(text))
			return
		}
		v.SetInt(i)
	}
}
