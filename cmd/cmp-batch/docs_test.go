package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	dirin "cmp-batch/inbox/dir"
	"cmp-batch/spool"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// docsRoot is the top of the project.
const docsRoot = "../.."

// documents are all pages for people, by path from the top.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, top := range []string{"README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs"} {
		err := filepath.WalkDir(filepath.Join(docsRoot, top), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".md" {
				return err
			}
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(docsRoot, path)
			pages[filepath.ToSlash(rel)] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// fence is one fenced block of a page.
type fence struct {
	line int
	lang string
	text string
	// mark is the HTML comment right before it: "test" runs a block of shell,
	// "setup" does so too and is all comment, see fences; "file: NAME" puts the
	// block into a file.
	mark string
}

// fences reads the fenced blocks of a page. A comment that begins with a line
// "<!-- setup" and ends with one "-->" is a block of shell that readers do not
// see.
func fences(page string) []fence {
	var out []fence
	mark := ""
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		end := "```"
		switch {
		case strings.HasPrefix(line, "<!-- ") && strings.HasSuffix(line, " -->"):
			mark = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- "), " -->")
			continue
		case line == "<!-- setup":
			end, mark = "-->", "setup"
		case strings.HasPrefix(line, "```"):
		default:
			if strings.TrimSpace(line) != "" {
				mark = ""
			}
			continue
		}
		f := fence{line: i + 1, lang: strings.TrimPrefix(line, "```"), mark: mark}
		var body []string
		for i++; i < len(lines) && lines[i] != end; i++ {
			body = append(body, lines[i])
		}
		f.text = strings.Join(body, "\n") + "\n"
		out = append(out, f)
		mark = ""
	}
	return out
}

// TestDocsRun runs every block of shell after the comment "test" as a person
// would who follows the page from its top, in a folder of the page's own, and
// compares what it prints with the block "output" after it.
func TestDocsRun(t *testing.T) {
	ran := 0
	for name, page := range documents(t) {
		blocks := fences(page)
		if !slices.ContainsFunc(blocks, func(f fence) bool { return f.mark == "test" }) {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runPage(t, name, blocks)
		})
	}
	if ran < 4 {
		t.Errorf("only %d pages have commands that are tested", ran)
	}
}

func runPage(t *testing.T, name string, blocks []fence) {
	home := t.TempDir()
	runPageIn(t, home, reader(t, home), name, blocks)
}

func runPageIn(t *testing.T, home string, env []string, name string, blocks []fence) {
	last := ""
	for i, f := range blocks {
		switch {
		case f.lang == "output" && strings.HasPrefix(f.mark, "output of: "):
			last = shell(t, env, home, name, fence{line: f.line, text: strings.TrimPrefix(f.mark, "output of: ")})
		case f.lang == "output":
			if i == 0 || blocks[i-1].mark != "test" {
				t.Errorf("%s:%d: an output block without a tested command before it", name, f.line)
				continue
			}
		case f.mark == "test" || f.mark == "setup":
			last = shell(t, env, home, name, f)
			continue
		case strings.HasPrefix(f.mark, "file: "):
			if err := os.WriteFile(filepath.Join(home, strings.TrimPrefix(f.mark, "file: ")), []byte(f.text), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		default:
			continue
		}
		if err := matchOutput(f.text, last); err != nil {
			t.Errorf("%s:%d: %v; all of it:\n%s", name, f.line, err, last)
		}
	}
}

// reader makes the world of somebody who reads the documentation: the program
// in the PATH, and the folder of the project, of which only what pages name.
func reader(t *testing.T, home string) []string {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "cmp-batch")); err != nil {
		t.Fatal(err)
	}
	// The program was built already.
	goRun := "#!/bin/sh\n[ \"$1 $2\" = \"run ./cmd/cmp-batch\" ] || exit 99\nshift 2\nexec cmp-batch \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(goRun), 0o755); err != nil {
		t.Fatal(err)
	}
	configs, err := filepath.Abs(filepath.Join(docsRoot, "configs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(configs, filepath.Join(home, "configs")); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), beMain+"=1", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"LC_ALL=C", "TMPDIR="+t.TempDir(), "USER=mallory", "SUDO_USER=mallory")
}

// shell runs one block and gives what it printed on standard output.
func shell(t *testing.T, env []string, dir, page string, f fence) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-u", "-o", "pipefail", "-c", f.text)
	cmd.Dir, cmd.Env = dir, env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s:%d: %v\n%s\nprinted\n%s\nand\n%s", page, f.line, err, f.text, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// matchOutput compares what a page shows with what came. "…" stands for any
// part of a line, alone on a line for any number of lines; how many spaces lie
// between columns does not count.
func matchOutput(want, got string) error {
	lines := func(s string) []string {
		var out []string
		for line := range strings.Lines(s) {
			if f := strings.Fields(line); len(f) > 0 {
				out = append(out, strings.Join(f, " "))
			}
		}
		return out
	}
	w, g := lines(want), lines(got)
	for len(w) > 0 {
		if w[0] == "…" {
			w = w[1:]
			if len(w) == 0 {
				return nil
			}
			for len(g) > 0 && !lineMatches(w[0], g[0]) {
				g = g[1:]
			}
			if len(g) == 0 {
				return fmt.Errorf("nothing printed matches the line %q", w[0])
			}
		}
		switch {
		case len(g) == 0:
			return fmt.Errorf("the output ends before the line %q", w[0])
		case !lineMatches(w[0], g[0]):
			return fmt.Errorf("the page has the line %q, what was printed is %q", w[0], g[0])
		}
		w, g = w[1:], g[1:]
	}
	if len(g) > 0 {
		return fmt.Errorf("the page does not have the line %q", g[0])
	}
	return nil
}

func lineMatches(pattern, line string) bool {
	parts := strings.Split(pattern, "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(line)
}

func TestMatchOutput(t *testing.T) {
	for _, tt := range []struct {
		want, got string
		ok        bool
	}{
		{"a\n", "a\n", true},
		{"a  b\n", "a b\n", true},
		{"a\n", "b\n", false},
		{"a\n", "a\nb\n", false},
		{"a\nb\n", "a\n", false},
		{"serial …\n", "serial 3fa9\n", true},
		{"serial …\n", "subject 3fa9\n", false},
		{"a\n…\nz\n", "a\nb\nc\nz\n", true},
		{"a\n…\nz\n", "a\nb\nc\n", false},
		{"a\n…\n", "a\nb\n", true},
		{"…\n", "", true},
		{"a+b\n", "aab\n", false},
	} {
		if err := matchOutput(tt.want, tt.got); (err == nil) != tt.ok {
			t.Errorf("%q against %q: %v", tt.want, tt.got, err)
		}
	}
}

// TestDocsCommands: every command and flag of the program that stands in a
// block of shell exists, also where the block is not run.
func TestDocsCommands(t *testing.T) {
	seen := 0
	for name, page := range documents(t) {
		for _, f := range fences(page) {
			if f.lang != "sh" {
				continue
			}
			text := strings.ReplaceAll(f.text, "\\\n", " ")
			for line := range strings.Lines(text) {
				for _, call := range calls(line) {
					seen++
					if err := knownCall(call); err != nil {
						t.Errorf("%s:%d: %q: %v", name, f.line, strings.Join(call, " "), err)
					}
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d commands were found", seen)
	}
}

// calls finds the words after each "cmp-batch" that is a command in a line.
func calls(line string) (out [][]string) {
	if i := strings.Index(line, " #"); i >= 0 {
		line = line[:i]
	}
	for _, part := range regexp.MustCompile(`\|\||&&|[;|(<>]`).Split(strings.ReplaceAll(line, ")", " "), -1) {
		words := strings.Fields(part)
		for len(words) > 0 && slices.Contains([]string{"then", "do", "if", "!", "sudo", "$"}, words[0]) {
			words = words[1:]
		}
		if len(words) > 1 && words[0] == "cmp-batch" {
			out = append(out, words[1:])
		}
	}
	return out
}

func knownCall(words []string) error {
	root := (&cli{}).root()
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if cmd == root && !strings.HasPrefix(words[0], "-") {
		return fmt.Errorf("no such command")
	}
	if cmd.HasSubCommands() && cmd != root && len(cmd.ValidArgs) == 0 {
		return fmt.Errorf("%s needs a command after it", cmd.CommandPath())
	}
	for _, w := range rest {
		if !strings.HasPrefix(w, "-") || w == "-" {
			continue
		}
		w, _, _ = strings.Cut(w, "=")
		if !hasFlag(cmd, w) {
			return fmt.Errorf("%s has no flag %s", cmd.CommandPath(), w)
		}
	}
	return nil
}

func hasFlag(cmd *cobra.Command, w string) bool {
	if w == "--help" || w == "-h" || w == "--version" {
		return true
	}
	for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()} {
		if name, long := strings.CutPrefix(w, "--"); long && set.Lookup(name) != nil {
			return true
		} else if !long && len(w) == 2 && set.ShorthandLookup(w[1:]) != nil {
			return true
		}
	}
	return false
}

// TestDocsReadme: what the outside contract says of the README.
func TestDocsReadme(t *testing.T) {
	page := documents(t)["README.md"]
	var commands []string
	for _, f := range fences(page) {
		if f.lang == "sh" {
			commands = append(commands, strings.Split(strings.TrimSpace(f.text), "\n")...)
		}
	}
	if want := []string{"go run ./cmd/cmp-batch demo", "make test"}; len(commands) < 2 || !slices.Equal(commands[:2], want) {
		t.Errorf("the first two commands are not %q", want)
	}
	if n := strings.Count(page, "\n"); n >= 200 {
		t.Errorf("it has %d lines", n)
	}
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestDocsLinks: every link inside the project leads to a page, and to a
// heading of it.
func TestDocsLinks(t *testing.T) {
	pages := documents(t)
	for name, page := range pages {
		for _, m := range linkPattern.FindAllStringSubmatch(page, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			target := name
			if u.Path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), u.Path))
			}
			if _, err := os.Stat(filepath.Join(docsRoot, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[1])
				continue
			}
			if u.Fragment != "" && !slices.Contains(anchors(pages[target]), u.Fragment) {
				t.Errorf("%s: the link %s leads to no heading", name, m[1])
			}
		}
	}
}

func anchors(page string) (out []string) {
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, m := range headingPattern.FindAllStringSubmatch(page, -1) {
		out = append(out, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// TestDocsFormats: every member of what programs read is explained.
func TestDocsFormats(t *testing.T) {
	page := documents(t)["docs/file-formats.md"]
	for heading, v := range map[string]any{
		"The summary":             spool.Summary{},
		"cert ls":                 certJSON{},
		"queue ls: waiting":       waitingJSON{},
		"queue ls: failed":        failedJSON{},
		"queue ls: undelivered":   undeliveredJSON{},
		"secret":                  secretJSON{},
		"audit ls":                auditJSON{},
		"accept":                  acceptReport{},
		"init":                    madeCA{},
		"check":                   finding{},
		"The reason of a failure": dirin.Reason{},
	} {
		section := sectionOf(page, heading)
		if section == "" {
			t.Errorf("docs/file-formats.md has no section %q", heading)
			continue
		}
		for _, m := range members(reflect.TypeOf(v)) {
			if !strings.Contains(section, "`"+m+"`") {
				t.Errorf("docs/file-formats.md, %s: nothing about the member `%s`", heading, m)
			}
		}
	}
}

// sectionOf gives the text from a heading to the next.
func sectionOf(page, heading string) string {
	for _, m := range headingPattern.FindAllStringSubmatchIndex(page, -1) {
		if strings.Trim(page[m[2]:m[3]], "`") != heading {
			continue
		}
		section := page[m[1]:]
		if next := headingPattern.FindStringIndex(section); next != nil {
			section = section[:next[0]]
		}
		return section
	}
	return ""
}

func members(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("json")
		switch name, _, _ := strings.Cut(tag, ","); {
		case f.Anonymous:
			out = append(out, members(f.Type)...)
		case ok && name != "" && name != "-":
			out = append(out, name)
		}
	}
	return out
}

// TestDocsMetrics: the operator's guide lists the metrics that there are.
func TestDocsMetrics(t *testing.T) {
	page := documents(t)["docs/operators-guide.md"]
	m := newMetrics()
	ch := make(chan *prometheus.Desc, 100)
	m.Describe(ch)
	m.stage.Describe(ch)
	close(ch)
	have := map[string]bool{}
	for d := range ch {
		name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]
		have[name] = true
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("nothing about the metric %s", name)
		}
	}
	for _, name := range regexp.MustCompile("`(cmpbatch_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if !have[name[1]] {
			t.Errorf("there is no metric %s", name[1])
		}
	}
}

// TestDocsTolerances: the page on compatibility lists what there is to tolerate.
func TestDocsTolerances(t *testing.T) {
	page := documents(t)["docs/compatibility.md"]
	for name := range cmpcore.Tolerances {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("nothing about the tolerance %s", name)
		}
	}
}
