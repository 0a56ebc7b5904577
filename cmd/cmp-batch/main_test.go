package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"
)

// beMain makes the test binary be cmp-batch, for tests that start and kill it.
const beMain = "CMP_BATCH_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"cmp-batch": main})
}

// TestScripts runs testdata/script/*.txtar: a file a command and a promise. The
// commands of theirs that testscript does not have are:
//
//	exits CODE PROGRAM ARG...      run, and want this exit code exactly
//	field VAR FILE NAME [N]        set $VAR to a member of the Nth JSON line of FILE (from 1)
//	jsonlines FILE [COUNT]         FILE has so many lines, each one JSON object
//	mode FILE 0600                 FILE has these permissions
//	sqlite FILE STATEMENT          change a database behind the program's back
//	age FILE DURATION              make FILE look that old
//	config FILE OLD NEW            replace text, which must be there, in FILE
//	env-file FILE VALUE            write VALUE, such as $VAR, and a line feed
//	nothing DIR                    DIR is empty but for what is named .cmp-batch
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// Who decides is no question of variables.
			e.Setenv("USER", "mallory")
			e.Setenv("SUDO_USER", "mallory")
			e.Setenv("ME", operator())
			e.Setenv("TZ", "Asia/Tokyo") // nothing printed may depend on it
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "field": scriptField, "jsonlines": scriptJSONLines, "mode": scriptMode,
			"sqlite": scriptSQLite, "age": scriptAge, "config": scriptConfig, "env-file": scriptEnvFile, "nothing": scriptNothing,
		},
	})
}

func wantArgs(ts *testscript.TestScript, neg bool, args []string, least, most int) {
	if neg {
		ts.Fatalf("! has no meaning here")
	}
	if len(args) < least || len(args) > most {
		ts.Fatalf("wrong number of arguments")
	}
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2, 1<<20)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonLines reads JSON objects, one a line.
func jsonLines(ts *testscript.TestScript, file string) []map[string]any {
	var list []map[string]any
	for line := range strings.Lines(ts.ReadFile(file)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			ts.Fatalf("%s: %q is no JSON object: %v", file, line, err)
		}
		list = append(list, m)
	}
	return list
}

func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 3, 4)
	n := 1
	if len(args) == 4 {
		var err error
		n, err = strconv.Atoi(args[3])
		ts.Check(err)
	}
	list := jsonLines(ts, args[1])
	if n < 1 || n > len(list) {
		ts.Fatalf("%s has %d lines, not %d", args[1], len(list), n)
	}
	var v any = list[n-1]
	for _, name := range strings.Split(args[2], ".") {
		m, _ := v.(map[string]any)
		var ok bool
		if v, ok = m[name]; !ok {
			ts.Fatalf("line %d of %s has no %s", n, args[1], args[2])
		}
	}
	if f, ok := v.(float64); ok {
		ts.Setenv(args[0], strconv.FormatFloat(f, 'f', -1, 64))
		return
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func scriptJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1, 2)
	list := jsonLines(ts, args[0])
	if len(args) == 2 && strconv.Itoa(len(list)) != args[1] {
		ts.Fatalf("%d lines, want %s", len(list), args[1])
	}
}

func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2, 2)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func scriptSQLite(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2, 2)
	c, err := sqlite3.Open("file:" + ts.MkAbs(args[0]))
	ts.Check(err)
	defer c.Close()
	ts.Check(c.Exec(args[1]))
	if c.Changes() == 0 {
		ts.Fatalf("nothing changed")
	}
}

func scriptAge(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2, 2)
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	then := time.Now().Add(-d)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), then, then))
}

func scriptConfig(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 3, 3)
	old := strings.ReplaceAll(args[1], `\n`, "\n")
	text := ts.ReadFile(args[0])
	if strings.Count(text, old) != 1 {
		ts.Fatalf("%s has %q %d times, not once", args[0], old, strings.Count(text, old))
	}
	text = strings.Replace(text, old, strings.ReplaceAll(args[2], `\n`, "\n"), 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

func scriptNothing(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1, 1)
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range list {
		if e.Name() != ".cmp-batch" {
			ts.Fatalf("%s has %s", args[0], e.Name())
		}
	}
}

func scriptEnvFile(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2, 2)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o600))
}
