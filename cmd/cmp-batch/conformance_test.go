package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// citation is what the last column of docs/conformance.md has between
// backticks: PACKAGE.TestName/case, PACKAGE being the last part of its path and
// left out for cmpcore.
var citation = regexp.MustCompile("`(?:([a-z0-9]+)\\.)?((?:Test|Fuzz|check)[A-Z]\\w*|check)(?:/([^`]+))?`")

// TestConformancePage keeps docs/conformance.md from rotting: what it cites
// exists, each rule has a verdict, and each no its reason.
func TestConformancePage(t *testing.T) {
	pages := documents(t)
	page := pages["docs/conformance.md"]
	cited := testFiles{}
	rows, noes := 0, 0
	for n, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| rule |") || strings.HasPrefix(line, "| --- |") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 3 {
			t.Errorf("line %d has %d cells: %s", n+1, len(cells), line)
			continue
		}
		rule, kept, tests := cells[0], cells[1], cells[2]
		if len(rule) < 10 {
			t.Errorf("line %d: no rule: %q", n+1, rule)
		}
		found := citation.FindAllStringSubmatch(tests, -1)
		if strings.Count(tests, "`") != 2*len(found) || len(found) == 0 && tests != "-" {
			t.Errorf("line %d: not all of %q are tests", n+1, tests)
		}
		for _, c := range found {
			if err := cited.check(c[1], c[2], c[3]); err != "" {
				t.Errorf("line %d: %s: %s", n+1, c[0], err)
			}
		}
		verdict, more, _ := strings.Cut(kept, " ")
		switch verdict {
		case "yes":
			if more != "" || len(found) == 0 {
				t.Errorf("line %d: yes stands alone, and a test shows it: %q", n+1, kept)
			}
		case "switch":
			name := strings.TrimSuffix(strings.TrimPrefix(more, "`"), "`")
			if !strings.Contains(pages["docs/configuration.md"], "\n| `"+name+"` |") && !strings.Contains(pages["docs/compatibility.md"], "\n| `"+name+"` |") {
				t.Errorf("line %d: %q is neither a key nor a tolerance", n+1, more)
			}
			if len(found) == 0 {
				t.Errorf("line %d: no test", n+1)
			}
		case "no,":
			noes++
			if len(more) < 20 {
				t.Errorf("line %d: no without a reason: %q", n+1, kept)
			}
		default:
			t.Errorf("line %d: verdict %q, want yes, switch or no", n+1, kept)
		}
	}
	if rows < 200 || noes == 0 {
		t.Errorf("%d rows, %d of them no: has the form of the page changed?", rows, noes)
	}
}

// testFiles are the parsed tests of packages, by folder.
type testFiles map[string][]*ast.File

func (f testFiles) check(pkg, name, which string) string {
	dir := ""
	for _, d := range []string{"cmd/" + strings.Replace(pkg, "cmd", "cmp-batch", 1), "cmpcore/" + pkg, pkg, "spool/" + pkg} {
		if _, err := os.Stat(filepath.Join(docsRoot, d)); (pkg != "" || d == "cmpcore/") && err == nil {
			dir = filepath.Join(docsRoot, d)
			break
		}
	}
	if dir == "" {
		return "no such package"
	}
	if f[dir] == nil {
		paths, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
		for _, p := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
			if err != nil {
				return err.Error()
			}
			f[dir] = append(f[dir], file)
		}
	}
	for _, file := range f[dir] {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != name {
				continue
			}
			if which == "" || hasLiteral(file, which) {
				return ""
			}
			if _, err := os.Stat(filepath.Join(dir, "testdata", "script", which+".txtar")); err == nil && name == "TestScripts" {
				return ""
			}
			return "no such case"
		}
	}
	return "no such test"
}

func hasLiteral(file *ast.File, want string) (found bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			s, err := strconv.Unquote(l.Value)
			found = found || err == nil && s == want
		}
		return !found
	})
	return found
}
