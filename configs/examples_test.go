package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/issuance"
)

func TestDefaultIsTheFreshCA(t *testing.T) {
	c, err := Parse(Default(DefaultOptions{Subject: "CN=Example CA,O=Exämple", KeyType: "ecdsa-p256"}), "/srv/ca")
	if err != nil {
		t.Fatal(err)
	}
	want := KeyPair{
		Certificate: "/srv/ca/ca/ca.crt", Key: "/srv/ca/ca/ca.key", Passphrase: Passphrase{File: "/srv/ca/secrets/ca.pass"},
	}
	if c.CA.KeyPair != want || c.CA.Protection != nil {
		t.Errorf("ca: %+v", c.CA)
	}
	if c.Vault != want.Passphrase {
		t.Errorf("vault: %+v, want the CA's passphrase", c.Vault)
	}
	if c.Store.SQLite != "/srv/ca/state.db" {
		t.Errorf("store: %+v", c.Store)
	}
	wantDir := Dir{In: "/srv/ca/spool/in", Out: "/srv/ca/spool/out", Archive: "/srv/ca/spool/archive",
		Failed: "/srv/ca/spool/failed", StaleAfter: time.Hour, Suffixes: []string{".pki"}}
	if len(c.Channels) != 1 || !reflect.DeepEqual(*c.Channels[0].Dir, wantDir) {
		t.Errorf("channels: %+v", c.Channels)
	}
	if want := issuance.DefaultProfile(); !reflect.DeepEqual(c.Profiles["default"], want) {
		t.Errorf("profile default is\n%+v\nwant that of package issuance\n%+v", c.Profiles["default"], want)
	}
	if len(c.Rules) != 2 || c.Rules[0].Name != "registered-secrets" || !c.Rules[0].MatchesSecret("any") || !c.Rules[1].Own {
		t.Errorf("rules: %+v", c.Rules)
	}
}

// What the file of a fresh CA spells out are the defaults: to remove a line
// changes nothing.
func TestDefaultSpellsOutDefaults(t *testing.T) {
	c, err := Parse(Default(DefaultOptions{}), "/srv/ca")
	if err != nil {
		t.Fatal(err)
	}
	short, err := Parse([]byte(valid), "/srv/ca")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Policies, short.Policies) {
		t.Errorf("policies:\n%+v\nwant\n%+v", c.Policies, short.Policies)
	}
	if c.CRL != short.CRL || c.Limits != short.Limits || c.Batch != short.Batch || c.Log != short.Log {
		t.Errorf("crl %+v, limits %+v, batch %+v, log %+v", c.CRL, c.Limits, c.Batch, c.Log)
	}
}

func TestDefaultTakesAnyText(t *testing.T) {
	for _, s := range []string{
		"/etc/ca pass", "it's", `C:\ca "pass"`, "- x", "#x", "a: b", "x\ny: z", "ä", "true", "12", "*x", "&x", "!x", "\u2028",
	} {
		c, err := Parse(Default(DefaultOptions{Subject: s, KeyType: s, PassphraseFile: s}), "/srv/ca")
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		want := s
		if !filepath.IsAbs(s) {
			want = filepath.Join("/srv/ca", s)
		}
		if c.CA.Passphrase.File != want {
			t.Errorf("%q became %q", s, c.CA.Passphrase.File)
		}
	}
}

func TestExamples(t *testing.T) {
	names := ExampleNames()
	if len(names) < 2 {
		t.Fatalf("examples are missing: %v", names)
	}
	for _, name := range names {
		data, err := Example(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(data, "/srv/ca"); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
	if _, err := Example("x"); err == nil || !strings.Contains(err.Error(), "air-gapped-root, factory-lot") {
		t.Errorf("unknown example: %v", err)
	}
}

func TestExampleSettings(t *testing.T) {
	data, _ := Example("factory-lot")
	c, err := Parse(data, "/srv/ca")
	if err != nil {
		t.Fatal(err)
	}
	line := c.Rules[0]
	if h := line.Certificate; h == nil || h.IssuedHere || !reflect.DeepEqual(h.Files, []string{"/srv/ca/ca/line-ra.pem"}) {
		t.Errorf("line: %+v", line.Certificate)
	}
	if !line.RAVerified || !line.RevokeAny || line.Approval || !reflect.DeepEqual(line.Profiles, []string{"device", "sample"}) {
		t.Errorf("line: %+v", line)
	}
	if p := c.CA.Protection; p == nil || p.Passphrase.File != "/run/secrets/factory-cmp.pass" {
		t.Errorf("protection: %+v", p)
	}
	if p := c.Policy(c.Channels[0]); p.Name != "lots" || p.MessageTimeWindow != 48*time.Hour || p.MaxRequests != 5000 {
		t.Errorf("policy: %+v", p)
	}
	if c.Limits.Bytes != 16<<20 || !c.Log.JSON || c.Channels[0].Dir.Archive != "" {
		t.Errorf("limits %+v log %+v dir %+v", c.Limits, c.Log, c.Channels[0].Dir)
	}
	data, _ = Example("air-gapped-root")
	if c, err = Parse(data, "/srv/ca"); err != nil {
		t.Fatal(err)
	}
	p := c.Policies[c.Process.Policy]
	if !p.Hold || !p.Lightweight || !p.KeepUnconfirmed || len(p.Tolerate) != 0 || p.MAC.MinIterations != 10000 ||
		p.ConfirmWait != 180*24*time.Hour || p.TransactionLife != 365*24*time.Hour {
		t.Errorf("suitcase: %+v", p)
	}
	if !c.Rules[0].Approval || c.CRL.Every != 0 {
		t.Errorf("rules %+v crl %+v", c.Rules, c.CRL)
	}
}

func TestLoadReadsTheFileAndResolvesPaths(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(path, Default(DefaultOptions{}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.File != path || c.Dir != dir || c.CA.Key != filepath.Join(dir, "ca/ca.key") {
		t.Errorf("file %s dir %s key %s", c.File, c.Dir, c.CA.Key)
	}
	t.Chdir(dir)
	if c, err = Load("x.yaml"); err != nil || c.Dir != dir || c.File != "x.yaml" {
		t.Errorf("relative: %+v, %v", c, err)
	}
	if err := os.WriteFile(path, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load("x.yaml"); err == nil || !strings.Contains(err.Error(), "x.yaml:1:10: version: this program reads version 1, not 2") {
		t.Errorf("faults: %v", err)
	}
	if _, err = Load("none.yaml"); err == nil || !strings.Contains(err.Error(), "cmp-batch init") {
		t.Errorf("no file: %v", err)
	}
	big := append([]byte("#"), make([]byte, maxFile)...)
	if err := os.WriteFile(path, big, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(path); err == nil || !strings.Contains(err.Error(), "the file has 1048577 octets; a configuration has at most 1048576") {
		t.Errorf("large file: %v", err)
	}
}
