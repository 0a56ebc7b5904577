package configs

import (
	"errors"
	"strings"
	"testing"
)

func TestFilesAreChangedWithoutLosingALine(t *testing.T) {
	text := string(Default(DefaultOptions{Subject: "CN=x", KeyType: "ecdsa-p256", PassphraseFile: "secrets/ca.pass"}))
	u := RootUpdate{"/d/ca/ca.crt", "/d/ca/ca-2.crt", "/d/ca/ca-2-new-with-old.crt", "/other/old with new.crt"}
	one, err := WithRootUpdate([]byte(text), "/d", u)
	if err != nil {
		t.Fatal(err)
	}
	const block = `ca:
  root_updates:
    - old: ca/ca.crt
      new: ca/ca-2.crt
      new_with_old: ca/ca-2-new-with-old.crt
      old_with_new: '/other/old with new.crt'
`
	if strings.Replace(string(one), block, "ca:\n", 1) != text || !strings.Contains(string(one), block) {
		t.Errorf("%s", one)
	}
	u2 := RootUpdate{"/d/ca/ca-2.crt", "/d/ca/ca-3.crt", "/d/n", "/d/o"}
	two, err := WithRootUpdate(one, "/d", u2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(two, "/d")
	if err != nil || len(c.CA.RootUpdates) != 2 || c.CA.RootUpdates[0] != u2 || c.CA.RootUpdates[1] != u {
		t.Errorf("%+v %v", c, err)
	}
	three, err := WithCA(two, "/d", "/d/ca/ca-2.crt", "/safe/ca#2.key")
	if err != nil {
		t.Fatal(err)
	}
	back := strings.NewReplacer("certificate: ca/ca-2.crt", "certificate: ca/ca.crt", "key: '/safe/ca#2.key'", "key: ca/ca.key").Replace(string(three))
	if back != string(two) {
		t.Errorf("%s", three)
	}
	// A comment behind a value stays.
	commented := strings.Replace(text, "certificate: ca/ca.crt", "certificate: ca/ca.crt  # of 2026", 1)
	if out, err := WithCA([]byte(commented), "/d", "/d/x.crt", "/d/x.key"); err != nil || !strings.Contains(string(out), "certificate: x.crt  # of 2026\n") {
		t.Errorf("%v %s", err, out)
	}
}

func TestFilesThatOnlyAPersonCanChange(t *testing.T) {
	u := RootUpdate{"/d/a", "/d/b", "/d/c", "/d/e"}
	flow := edit("store: {sqlite: state.db}", "store: {sqlite: state.db}")
	if _, err := WithRootUpdate([]byte(flow), "/d", u); !errors.Is(err, ErrLayout) {
		t.Errorf("flow: %v", err)
	}
	if _, err := WithCA([]byte(flow), "/d", "/d/a", "/d/b"); !errors.Is(err, ErrLayout) {
		t.Errorf("flow: %v", err)
	}
	block := edit(caLine, "ca:\n  certificate: ca/ca.crt\n  key: ca/ca.key\n  passphrase_file: p\n  root_updates: []")
	if _, err := WithRootUpdate([]byte(block), "/d", u); !errors.Is(err, ErrLayout) {
		t.Errorf("flow list: %v", err)
	}
	folded := edit(caLine, "ca:\n  certificate:\n    ca/ca.crt\n  key: ca/ca.key\n  passphrase_file: p")
	if _, err := WithCA([]byte(folded), "/d", "/d/a", "/d/b"); !errors.Is(err, ErrLayout) {
		t.Errorf("two lines: %v", err)
	}
	var faults Faults
	if _, err := WithCA([]byte("ca:\n  certificate: x\n  key: y\n"), "/d", "/d/a", "/d/b"); !errors.As(err, &faults) {
		t.Errorf("a file with faults: %v", err)
	}
	if _, err := WithCA([]byte("["), "/d", "/d/a", "/d/b"); err == nil {
		t.Error("no YAML")
	}
}
