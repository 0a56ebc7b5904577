package configs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const referenceFile = "../docs/configuration.md"

const referenceHead = `<!-- Made from the comments in configs/written.go and cmpcore/issuance/config.go by go test ./configs -update. -->
# The configuration file

One YAML file configures one CA: ` + "`cmp-batch.yaml`" + `. ` + "`cmp-batch init`" + ` writes a commented one; more are in
configs/examples. Reading is strict: unknown keys, keys written twice, and values that mean nothing are errors, and all of
them are reported at once, with line, column and key:

    cmp-batch.yaml:14:10: rules[1].may[0]: "irr" is not a body type; did you mean ir? One of ir, cr, p10cr, kur, rr, genm, nested, ccr, krr

Anchors, aliases, tags and a second document are not for this file. Nothing else is read: there is no second file, and
no setting comes from the environment. ` + "`cmp-batch check`" + ` also looks whether files, keys and folders are there.

`

// TestReferenceIsInStep makes the reference from the structs and compares.
func TestReferenceIsInStep(t *testing.T) {
	ref := reference{t: t, docs: map[string]string{}}
	ref.readDocs("written.go", false)
	ref.readDocs("../cmpcore/issuance/config.go", true)
	ref.b.WriteString(referenceHead)
	var w written
	v := reflect.ValueOf(&w).Elem()
	applyDefaults(v)
	ref.section("", v)
	want := ref.b.String()
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the structs say; run go test ./configs -update", referenceFile)
	}
	for _, name := range Tolerances {
		if !strings.Contains(want, name) {
			t.Errorf("the reference does not name the tolerance %s", name)
		}
	}
	for _, b := range bodies {
		if !strings.Contains(want, b.name) {
			t.Errorf("the reference does not name the message %s", b.name)
		}
	}
}

// supplied is what comments of package issuance leave to its code.
var supplied = map[string]string{
	"ProfileConfig":                 "A certificate profile. What is left out is the strictest choice unless it says otherwise.",
	"ValidityConfig":                "How long certificates live. Lengths of time are written as 90m, 36h, 397d, 2y (calendar years) or 1y12h; \"9999-12-31\" is no end that is known.",
	"ProfileConfig.OCSPURLs":        "As `ca_issuers_urls`, for OCSP.",
	"BasicConstraintsConfig.CA":     "The certificates are for CAs.",
	"FixedExtensionConfig.OID":      "Object identifier of the extension.",
	"FixedExtensionConfig.Critical": "Mark it critical.",
	"PolicyConfig.OID":              "Object identifier of the policy.",
}

type reference struct {
	t    *testing.T
	b    strings.Builder
	docs map[string]string // by "Type" and "Type.Field"
}

// readDocs collects the comments of a file. Those of another package may speak
// of its functions; such sentences are not for this reference.
func (ref *reference) readDocs(file string, foreign bool) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		ref.t.Fatal(err)
	}
	clean := func(s string) string {
		s = strings.Join(strings.Fields(s), " ")
		if !foreign {
			return s
		}
		var keep []string
		for _, sentence := range strings.SplitAfter(s, ". ") {
			if !strings.Contains(sentence, "[") {
				keep = append(keep, sentence)
			}
		}
		return strings.TrimSpace(strings.Join(keep, ""))
	}
	defer maps.Copy(ref.docs, supplied)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			ts := s.(*ast.TypeSpec)
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			doc := ts.Doc.Text()
			if doc == "" {
				doc = g.Doc.Text()
			}
			// "writtenStore is where ..." becomes "Where ...".
			doc = strings.TrimPrefix(strings.TrimPrefix(clean(doc), ts.Name.Name+" "), "is ")
			keys := map[string]string{}
			for _, field := range st.Fields.List {
				for _, n := range field.Names {
					keys[n.Name] = reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("yaml")
				}
			}
			ref.docs[ts.Name.Name] = capital(withKeys(doc, keys, foreign))
			for _, field := range st.Fields.List {
				text := field.Doc.Text()
				if text == "" {
					text = field.Comment.Text()
				}
				for _, n := range field.Names {
					// "Max is the longest ..." becomes "The longest ...", and
					// "Allowed lists ..." becomes "Lists ...".
					text := clean(text)
					if rest, ok := strings.CutPrefix(text, n.Name+" is "); ok {
						text = rest
					} else if rest, ok := strings.CutPrefix(text, n.Name+" "); ok && foreign {
						if verb, _, _ := strings.Cut(rest, " "); strings.HasSuffix(verb, "s") {
							text = rest
						}
					}
					text = capital(withKeys(text, keys, foreign))
					if text != "" && !strings.HasSuffix(text, ".") {
						text += "."
					}
					ref.docs[ts.Name.Name+"."+n.Name] = text
				}
			}
		}
	}
}

var goName = regexp.MustCompile(`\b[A-Z][A-Za-z]{3,}\b|\bMax\b`)

// withKeys writes the names of fields as the keys that they are here.
func withKeys(text string, keys map[string]string, foreign bool) string {
	if !foreign {
		return text
	}
	return goName.ReplaceAllStringFunc(text, func(w string) string {
		if key := keys[w]; key != "" {
			return "`" + key + "`"
		}
		return w
	})
}

func capital(s string) string {
	for i, c := range s {
		return string(unicode.ToUpper(c)) + s[i+len(string(c)):]
	}
	return s
}

// section writes the table of a struct and then those of the structs in it.
func (ref *reference) section(path string, v reflect.Value) {
	t := v.Type()
	if path != "" {
		fmt.Fprintf(&ref.b, "## `%s`\n\n", path)
	}
	foreign := t.PkgPath() != reflect.TypeFor[written]().PkgPath()
	if doc := ref.docs[t.Name()]; doc != "" {
		fmt.Fprintf(&ref.b, "%s\n\n", doc)
	}
	ref.b.WriteString("| key | default | meaning |\n| --- | --- | --- |\n")
	type inner struct {
		path string
		v    reflect.Value
	}
	var below []inner
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if path == "profiles.NAME" && key == "name" {
			continue // it is the key of the profile
		}
		doc := ref.docs[t.Name()+"."+f.Name]
		at := child(path, key)
		if elem, place := element(at, f.Type); elem != nil {
			e := reflect.New(elem).Elem()
			applyDefaults(e)
			below = append(below, inner{place, e})
			if doc == "" {
				doc = ref.docs[elem.Name()]
			}
			doc += fmt.Sprintf(" See `%s`.", place)
		}
		if doc == "" {
			ref.t.Errorf("%s.%s has no comment", t.Name(), f.Name)
		}
		shown := shownDefault(v.Field(i), foreign)
		if strings.Contains(doc, "Required.") {
			shown = ""
		}
		fmt.Fprintf(&ref.b, "| `%s` | %s | %s |\n", key, shown, strings.ReplaceAll(doc, "|", `\|`))
	}
	ref.b.WriteString("\n")
	for _, i := range below {
		ref.section(i.path, i.v)
	}
}

// element gives the struct that the values of a key consist of, and their path.
func element(path string, t reflect.Type) (reflect.Type, string) {
	switch t.Kind() {
	case reflect.Struct:
		return t, path
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Struct {
			return t.Elem(), path
		}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Struct {
			return t.Elem(), path + ".NAME"
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return t.Elem(), path + "[]"
		}
	}
	return nil, ""
}

func shownDefault(v reflect.Value, foreign bool) string {
	switch v.Kind() {
	case reflect.String:
		if v.String() != "" {
			return "`" + v.String() + "`"
		}
	case reflect.Bool:
		return fmt.Sprintf("`%v`", v.Bool())
	case reflect.Int, reflect.Int64:
		// Elsewhere 0 stands for a default that the comment names.
		if v.Int() != 0 || !foreign && v.Int() == 0 {
			return fmt.Sprintf("`%d`", v.Int())
		}
	case reflect.Slice:
		if v.Len() > 0 && v.Type().Elem().Kind() == reflect.String {
			return "`[" + strings.Join(v.Convert(reflect.TypeFor[[]string]()).Interface().([]string), ", ") + "]`"
		}
	}
	return ""
}
