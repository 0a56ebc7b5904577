package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// exampleWorld is a folder in which the examples of all help texts work: that
// of a CA, with a device that has asked, one that waits, and one that failed.
type exampleWorld struct {
	dir   string
	names *strings.Replacer // what stands in examples, and what is there
}

// sh runs a line in a folder and gives its standard output.
func sh(t *testing.T, dir, line string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // of demo
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, out.String(), errs.String())
	}
	return out.String()
}

func newExampleWorld(t *testing.T) *exampleWorld {
	dir := filepath.Join(t.TempDir(), "my-ca")
	sh(t, filepath.Dir(dir), "cmp-batch init my-ca && ln -s . my-ca/my-ca")
	config := filepath.Join(dir, "cmp-batch.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	const rule = "  - {name: makers, who: {certificate: {issued_by: self, subject: \"CN=maker *,*\"}}, may: [ir], profile: default, reg_token: true}\n" +
		"  - {name: by-person, who: {secret: \"person-*\"}, may: [ir], profile: default, approval: required}\n"
	changed := strings.Replace(string(text), "\nrules:\n", "\nrules:\n"+rule, 1)
	if changed == string(text) {
		t.Fatal("the configuration of init has no rules:")
	}
	if err := os.WriteFile(config, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	sh(t, dir, `
		set -e
		mkdir -p media/key media/stick/requests srv/www out
		echo a passphrase for a root > media/key/root.pass
		echo a secret of some length > device-1.secret
		cp device-1.secret d1.secret
		cp device-1.secret line-7.secret
		cp ca/ca.crt ca.crt
		cmp-batch secret add device-1 --secret-file d1.secret
		cmp-batch secret add person-1 --secret-file d1.secret
		cmp-batch request ir --out d1.pki --subject CN=device-1 --ref device-1 --secret-file d1.secret --implicit-confirm
		cmp-batch request ir --out other.pki --subject CN=other --ref device-1 --secret-file d1.secret --implicit-confirm
		cmp-batch request ir --out waits.pki --subject CN=waits --ref person-1 --secret-file d1.secret
		cmp-batch request ir --out media/stick/requests/s.pki --session s.json --subject CN=s --ref device-1 --secret-file d1.secret
		cp d1.pki request.pki
		cp d1.pki spool/in/device-1.pki
		cmp-batch run --once
		cp other.pki waits.pki spool/in
		cmp-batch run --once
		cp spool/out/device-1.pki out/d1.pki
		echo junk > spool/in/device-1.pki
		cmp-batch run --once
	`)
	serials := regexp.MustCompile(`"serial":"([0-9a-f]+)"`).FindAllStringSubmatch(sh(t, dir, "cmp-batch cert ls --json"), -1)
	queue := sh(t, dir, "cmp-batch queue ls --json")
	waiting := regexp.MustCompile(`"id":"([0-9a-f]{32})"`).FindStringSubmatch(queue)
	failed := regexp.MustCompile(`"kind":"failed","id":"([0-9]+)"`).FindStringSubmatch(queue)
	if len(serials) != 2 || waiting == nil || failed == nil {
		t.Fatalf("%d certificates, queue %s", len(serials), queue)
	}
	return &exampleWorld{dir, strings.NewReplacer(
		"3F:A9:01", strings.ToUpper(regexp.MustCompile("..").ReplaceAllString(serials[0][1], ":$0"))[1:],
		"3fa901", serials[0][1], "3fa902", serials[1][1],
		"3f2a91", waiting[1][:8], "show 12", "show "+failed[1], "requeue 12", "requeue "+failed[1], "forget 12", "forget "+failed[1],
		"/media/", "media/", "/srv/", "srv/", "/tmp/try", "try",
	)}
}

// exampleSteps come before an example, where it needs more than the world.
var exampleSteps = map[string]string{
	"cmp-batch cert revoke 3fa901 --reason removeFromCRL": "cmp-batch cert revoke 3fa901 --reason certificateHold",
	"cmp-batch ca activate -c my-ca/cmp-batch.yaml":       "cmp-batch ca rollover -c my-ca/cmp-batch.yaml",
	"cmp-batch ca activate --key /media/key/ca-2.key":     "cmp-batch ca rollover && mkdir -p media/key && mv ca/ca-2.key media/key",
	"cmp-batch request nest --out lot.pki --cert line.crt --sign-key line.key lot/*.pki": `mkdir lot && cp d1.pki other.pki lot &&
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout line.key -out line.crt -subj /CN=line -days 9`,
	"cmp-batch cert lint 3F:A9:01 --profile default -c my-ca/cmp-batch.yaml":                                                           "sed -i 's/    # lint: /    lint: /' cmp-batch.yaml",
	"cmp-batch secret add device-1 --generate":                                                                                         "cmp-batch secret rm device-1",
	"cmp-batch secret add device-1 --generate -c my-ca/cmp-batch.yaml":                                                                 "cmp-batch secret rm device-1",
	"cmp-batch request ir --out d1.pki --subject CN=device-1 --ref device-1 --secret-file d1.secret":                                   "rm d1.pki d1.key d1.session.json",
	"cmp-batch request kur --out d1-new.pki --cert d1.crt --sign-key d1.key":                                                           takeD1,
	`cmp-batch request ccr --out x.pki --cert ca.crt --sign-key ca.key --passphrase-file pass --recipient "CN=Other CA" --validity 1y`: "cp ca/ca.key ca.key && cp $(sed -n 's/^ *passphrase_file: *//p' cmp-batch.yaml | head -1) pass",
	"cmp-batch request rr --out d1-rr.pki --cert d1.crt --sign-key d1.key --revoke d1.crt --reason superseded":                         takeD1,
	"cmp-batch request rr --out d1-rr.pki --ref d1-lost --secret-file d1.phrase --revoke d1.crt --reason keyCompromise": takeD1 +
		" && openssl rand -hex 20 > d1.phrase && rm -f d1-rr.pki d1-rr.session.json",
	"cmp-batch request genm --out p.pki --info revPassphrase --rev-passphrase d1.phrase --rev-passphrase-ref d1-lost --rev-passphrase-to enc.crt --cert d1.crt --sign-key d1.key": takeD1 + ` &&
		openssl rand -hex 20 > d1.phrase && openssl req -x509 -newkey rsa:2048 -nodes -keyout enc.key -out enc.crt -subj /CN=enc -days 9`,
	"cmp-batch secret rm passphrase:secret:device-1": `sed -i 's/may: .ir, cr, p10cr, genm.$/may: [ir, cr, p10cr, rr, genm]\n    revocation_passphrases: true/' cmp-batch.yaml &&
		openssl rand -hex 20 > d1.phrase && cmp-batch request genm --out p.pki --rev-passphrase d1.phrase --ref device-1 --secret-file d1.secret &&
		cp p.pki spool/in && cmp-batch run --once`,
	"cmp-batch accept out/d1-new.pki --session d1-new.session.json --cert d1.crt --sign-key d1.key --trust ca.crt": takeD1 + ` &&
		cmp-batch request kur --out d1-new.pki --cert d1.crt --sign-key d1.key && cp d1-new.pki spool/in &&
		cmp-batch run --once && cp spool/out/d1-new.pki out`,
}

const takeD1 = "cmp-batch accept out/d1.pki --session d1.session.json --secret-file d1.secret"

// notRun are examples that a test cannot run as they are.
var notRun = map[string]string{
	"cmp-batch accept out/lot.pki --session lot.session.json --cert line.crt --sign-key line.key --trust ca.crt": "the CA needs a rule for the RA; the script nest has one",
	"cmp-batch run -c my-ca/cmp-batch.yaml": "runs until it is stopped; the tests of the daemon do that",
}

// TestExamples runs every example of every help text.
func TestExamples(t *testing.T) {
	w := newExampleWorld(t)
	root := (&cli{stdout: io.Discard, stderr: io.Discard}).root()
	seen := map[string]bool{}
	n := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			n++
			seen[line] = true
			if _, skip := notRun[line]; skip {
				continue
			}
			t.Run(fmt.Sprintf("%s_%d", strings.ReplaceAll(cmd.CommandPath(), " ", "_"), n), func(t *testing.T) {
				t.Parallel()
				w.run(t, line)
			})
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(root)
	for line := range exampleSteps {
		if !seen[line] {
			t.Errorf("there is no example %q any more", line)
		}
	}
}

// run runs an example in a copy of the world, or in an empty folder where it
// makes a world of its own.
func (w *exampleWorld) run(t *testing.T, line string) {
	if !strings.HasPrefix(line, "cmp-batch ") {
		t.Fatalf("%q does not begin with cmp-batch", line)
	}
	dir := filepath.Join(t.TempDir(), "my-ca")
	sh(t, w.dir, "cp -a . "+dir)
	for _, fresh := range []string{"cmp-batch init my-ca", "cmp-batch demo"} {
		if strings.HasPrefix(line, fresh) {
			dir = t.TempDir()
		}
	}

	if steps := exampleSteps[line]; steps != "" {
		sh(t, dir, w.names.Replace(steps))
	}
	sh(t, dir, w.names.Replace(line))
}
