package cmpcore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Clock and random source come from Config alone.
func TestTheClockAndTheRandomSourceAreGiven(t *testing.T) {
	forbidden := regexp.MustCompile(`\btime\.(Now|Since|Until|After|Tick|Sleep)\b|\brand\.(Reader|Read|Text|Int|Prime)\b|"math/rand|"os"|"net"|"net/http|"database|"io/fs"|"log`)
	files := 0
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if code, _, _ := strings.Cut(line, "//"); forbidden.MatchString(code) {
				t.Errorf("%s:%d: %s", path, i+1, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files read, %v", files, err)
	}
}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "cmp-batch/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		imports[f[0]] = f[1:]
	}
	if len(imports) < 10 || imports["cmp-batch/cmpcore"] == nil {
		t.Fatalf("only %d packages", len(imports))
	}
	under := func(pkg, room string) bool {
		return pkg == room || strings.HasPrefix(pkg, strings.TrimSuffix(room, "/")+"/")
	}
	for pkg, list := range imports {
		for _, dep := range list {
			if !strings.HasPrefix(dep, "cmp-batch/") {
				continue
			}
			if under(pkg, "cmp-batch/cmpcore") && !under(dep, "cmp-batch/cmpcore") {
				t.Errorf("%s imports %s: the core knows nothing around it", pkg, dep)
			}
			if pkg != "cmp-batch/cmpcore" && under(pkg, "cmp-batch/cmpcore") && dep == "cmp-batch/cmpcore" {
				t.Errorf("%s imports the Engine", pkg)
			}
			if under(dep, "cmp-batch/cmd") && !under(pkg, "cmp-batch/cmd") {
				t.Errorf("%s imports a command: %s", pkg, dep)
			}
			if under(pkg, "cmp-batch/spool") && (under(dep, "cmp-batch/inbox") || under(dep, "cmp-batch/outbox") || under(dep, "cmp-batch/configs")) {
				t.Errorf("%s imports a channel or the configuration: %s", pkg, dep)
			}
		}
	}
	// Nothing of the network, of databases or of processes gets in by way of others.
	out, err = exec.Command("go", "list", "-deps", "cmp-batch/cmpcore/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		if dep == "database/sql" || dep == "net/http" || dep == "os/exec" || strings.HasPrefix(dep, "github.com/zmap/") || strings.HasPrefix(dep, "cmp-batch/") && !under(dep, "cmp-batch/cmpcore") {
			t.Errorf("the core depends on %s", dep)
		}
	}
}
