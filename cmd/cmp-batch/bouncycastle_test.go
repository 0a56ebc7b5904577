package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cmp-batch/cmpcore"
)

// The tests of these files let Bouncy Castle talk to the real program, by files:
// what Debian packages, or what CMP_BATCH_BOUNCYCASTLE lists as a Java class
// path. Without it, and without a JDK, they fail.

// bouncyPackages are the jars that hold Bouncy Castle's side of CMP.
var bouncyPackages = []string{"/usr/share/java/bcpkix.jar", "/usr/share/java/bcprov.jar", "/usr/share/java/bcutil.jar"}

func bouncyPath() (string, error) {
	if p := os.Getenv("CMP_BATCH_BOUNCYCASTLE"); p != "" {
		return p, nil
	}
	for _, jar := range bouncyPackages {
		if _, err := os.Stat(jar); err != nil {
			return "", fmt.Errorf("no Bouncy Castle, which scripts/install-peers.sh installs: %w", err)
		}
	}
	return strings.Join(bouncyPackages, string(os.PathListSeparator)), nil
}

// bouncy is a Java process of testdata/bouncycastle: Bouncy Castle as an end
// entity or as a CA.
type bouncy struct {
	dir string // its working folder
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// startBouncy compiles the driver and starts it in a folder.
func startBouncy(t *testing.T, dir string) *bouncy {
	t.Helper()
	jars, err := bouncyPath()
	if err != nil {
		t.Fatal(err)
	}
	classes := t.TempDir()
	sources, err := filepath.Glob(filepath.Join("testdata", "bouncycastle", "*.java"))
	if err != nil {
		t.Fatal(err)
	}
	javac := exec.Command("javac", with([]string{"-nowarn", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-cp", jars, "-d", classes}, sources)...)
	if text, err := javac.CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, text)
	}
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes+string(os.PathListSeparator)+jars, "Driver")
	cmd.Dir = dir
	var log lockedBuffer
	cmd.Stderr = &log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("java: %v\n%s", err, log.String())
		}
	})
	return &bouncy{dir: dir, in: in, out: bufio.NewReader(out)}
}

// ask runs one command of the driver.
func (b *bouncy) ask(verb string, args ...string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := io.WriteString(b.in, strings.Join(append([]string{verb}, args...), "\t")+"\n"); err != nil {
		return "", err
	}
	line, err := b.out.ReadString('\n')
	if err != nil {
		return "", err
	}
	outcome, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
	if outcome != "ok" {
		return "", errors.New(text)
	}
	return text, nil
}

// do runs a command that must succeed.
func (b *bouncy) do(t testing.TB, verb string, args ...string) string {
	t.Helper()
	text, err := b.ask(verb, args...)
	if err != nil {
		t.Fatalf("Bouncy Castle, %s %q: %v", verb, args, err)
	}
	return text
}

// bouncyConfig is broadConfig with a channel for what a caller of Bouncy Castle
// gets who chooses no algorithms.
var bouncyConfig = strings.NewReplacer(
	"  - name: devices\n", "  - name: devices\n    central_keys: [ecdsa-p256]\n",
	"  - name: slow-holders\n", "  - name: relays\n    who: {certificate: {issued_by: self, subject: CN=relay}}\n    may: [nested]\n  - name: slow-holders\n",
	"  - name: holders\n", "  - name: holders\n    central_keys: [ecdsa-p256]\n",
	"ed25519]", "ed25519, ed448]",
	"policies:\n", `  - name: sha1
    policy: sha1
    dir: {in: spool/sha1/in, out: spool/sha1/out, archive: spool/sha1/archive, failed: spool/sha1/failed}
policies:
  sha1: {mac: {allow_sha1: true}}
`).Replace(broadConfig)

// bcStep is one message of Bouncy Castle and what it must find in the answer.
type bcStep struct {
	tx      string // names the transaction; TX.crt is what it brings
	channel string // default: poll
	verb    string // default: request
	args    []string
	reads   []string // more arguments for reading the answer
	answer  string   // as the driver tells it, after all its checks
}

// brings tells whether the answer has a certificate.
func (s *bcStep) brings() bool {
	return !strings.HasPrefix(s.answer, "rp ") && strings.Contains(strings.ReplaceAll(s.answer, "accepted CN=", "accepted ]"), " accepted ]")
}

// confirm is the step after one that brings certificates.
func (s *bcStep) confirm() bcStep {
	how, _, _ := strings.Cut(s.answer, " [")
	_, how, _ = strings.Cut(strings.TrimSuffix(how, " caPubs"), " ")
	return bcStep{tx: s.tx, channel: s.channel, verb: "confirm", answer: "pkiconf " + how}
}

// carry makes the messages, lets the CA run once, and reads the answers.
func (f offline) carry(t *testing.T, b *bouncy, round int, steps []bcStep) {
	t.Helper()
	for i := range steps {
		s := &steps[i]
		if s.channel == "" {
			s.channel = "poll"
		}
		if s.verb == "" {
			s.verb = "request"
		}
		file := filepath.Join(f.dir, "spool", s.channel, "in", fmt.Sprintf("%s-%d.pki", s.tx, round))
		b.do(t, s.verb, with([]string{"tx=" + s.tx, "out=" + file}, s.args)...)
	}
	sum := runOnce(t, f.config)
	if sum.Received != int64(len(steps)) || sum.Failed != 0 || sum.Silent != 0 {
		t.Errorf("round %d of %d messages: %+v", round, len(steps), sum)
	}
	for _, s := range steps {
		file := filepath.Join(f.dir, "spool", s.channel, "out", fmt.Sprintf("%s-%d.pki", s.tx, round))
		got, err := b.ask("read", "tx="+s.tx, "file="+file, "certs="+f.work, strings.Join(s.reads, "\t"))
		if err != nil || got != s.answer {
			t.Errorf("%s, round %d: %v\n got %s\nwant %s", s.tx, round, err, got, s.answer)
		}
	}
}

// TestBouncyCastleEnrols: Bouncy Castle as the end entity and as an RA. Its code
// makes every request and checks every answer: protection, the path of the
// certificate, its key, nonces, and that the answer is DER.
func TestBouncyCastleEnrols(t *testing.T) {
	t.Parallel()
	const raSecret, slowSecret = "what the RA knows", "what slow 1 knows"
	f := newOffline(t, nil, bouncyConfig, map[string]string{"device-1": deviceSecret, "ra-1": raSecret, "slow-1": slowSecret})
	b := startBouncy(t, f.work)
	t.Logf("Bouncy Castle %s", b.do(t, "version"))
	b.do(t, "trust", "file="+f.ca())
	for name, kind := range map[string]string{"p256": "P-256", "p384": "P-384", "rsa": "rsa", "ed": "Ed25519", "ed448": "Ed448", "new": "P-256", "other": "P-256"} {
		b.do(t, "key", "name="+name, "type="+kind)
	}
	secret := func(ref, secret string, more ...string) []string {
		return with([]string{"kid=" + ref, "secret=" + secret}, more)
	}
	pbm := func(hash, iterations, mac string) []string {
		return secret("device-1", deviceSecret, "hash="+hash, "iterations="+iterations, "mac="+mac)
	}
	usual := pbm("sha256", "1000", "hmac-sha256")
	ra := secret("ra-1", raSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256")
	slow := secret("slow-1", slowSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256")
	ir := func(key, name string, more ...string) []string {
		item := "item=key=" + key
		if name != "" {
			item += "|subject=CN=" + name
		}
		return []string{"kind=ir", strings.Join(append([]string{item}, more...), "|")}
	}
	const pbm256 = "v2 pbm sha256 1000 hmac-sha256"
	granted := func(how, name string) string { return "ip " + how + " caPubs [0 accepted CN=" + name + "]" }
	encrypted := func(name, how string) string {
		return "ip v3" + pbm256[2:] + " caPubs [0 accepted CN=" + name + " " + how + "]"
	}
	refused := func(how, why string) string { return "ip " + how + " [0 rejection " + why + "]" }
	signedError := func(why string) string { return "error v2 signed SHA256WITHECDSA [rejection " + why + "]" }
	const badMAC = `badMessageCheck "the message authentication code does not verify, or its reference is unknown"`
	const badSignature = `badMessageCheck "the signature does not verify"`
	const badMACAlg = `badAlg "the MAC algorithm or its parameters are not accepted"`

	first := []bcStep{
		// Protection.
		{tx: "p256", args: with(usual, ir("p256", "p256")), answer: granted(pbm256, "p256")},
		{tx: "p384", args: with(pbm("sha384", "100", "hmac-sha384"), ir("p384", "p384", "alg=SHA384withECDSA", "usage=136")), answer: granted("v2 pbm sha384 100 hmac-sha384", "p384")},
		{tx: "rsa", args: with(pbm("sha512", "50000", "hmac-sha512"), []string{"pvno=3"}, ir("rsa", "rsa", "dns=rsa.example", "usage=160", "days=30", "issuer=self")),
			answer: granted("v3 pbm sha512 50000 hmac-sha512", "rsa")},
		{tx: "hmac-sha1", args: with(pbm("sha224", "500", "hmac-sha1"), ir("p256", "hmac-sha1")), answer: granted("v2 pbm sha224 500 hmac-sha1", "hmac-sha1")},
		{tx: "pkcs5-hmac-sha1", args: with(pbm("sha256", "500", "hmacWithSHA1"), ir("p256", "pkcs5-hmac-sha1")), answer: granted("v2 pbm sha256 500 hmacWithSHA1", "pkcs5-hmac-sha1")},
		{tx: "salt-8", args: with(usual, []string{"salt=8"}, ir("p256", "salt-8")), answer: granted(pbm256, "salt-8")},
		{tx: "pbmac1", args: with(secret("device-1", deviceSecret, "mac=pbmac1"), ir("p256", "pbmac1")), answer: granted("v2 pbmac1 hmac-sha256", "pbmac1")},
		{tx: "pbmac1-512", args: with(secret("device-1", deviceSecret, "mac=pbmac1", "hmac=HMACSHA512", "keylength=512", "prf=sha512"), ir("p256", "pbmac1-512")),
			answer: granted("v2 pbmac1 hmac-sha512", "pbmac1-512")},
		{tx: "pbmac1-pbes2", args: with(secret("device-1", deviceSecret, "mac=pbmac1", "pbes2=yes"), ir("p256", "x")), answer: signedError(badMACAlg)},
		{tx: "strict", channel: "strict", args: with(usual, []string{"sender=CN=device-1"}, ir("p384", "strict", "alg=SHA384withECDSA")), answer: granted(pbm256, "strict")},
		{tx: "no-algorithm-chosen", channel: "sha1", args: with(secret("device-1", deviceSecret), ir("p256", "no-algorithm-chosen")),
			answer: granted("v2 pbm sha1 1000 hmac-sha1", "no-algorithm-chosen")},
		{tx: "sha1-refused", args: with(secret("device-1", deviceSecret), ir("p256", "sha1-refused")), answer: signedError(badMACAlg)},
		{tx: "count-99", args: with(pbm("sha256", "99", "hmac-sha256"), ir("p256", "count-99")), answer: signedError(badMACAlg)},
		{tx: "count-100001", args: with(usual, []string{"claim=100001"}, ir("p256", "count-100001")), answer: signedError(badMACAlg)},
		{tx: "count-endless", args: with(usual, []string{"claim=2147483647"}, ir("p256", "count-endless")), answer: signedError(badMACAlg)},
		{tx: "count-huge", args: with(usual, []string{"claim=18446744073709551616"}, ir("p256", "count-huge")), answer: signedError(badMACAlg)},
		{tx: "count-false", args: with(usual, []string{"claim=1001"}, ir("p256", "count-false")), answer: signedError(badMAC)},
		{tx: "pbmac1-endless", args: with(secret("device-1", deviceSecret, "mac=pbmac1", "iterations=1000001"), ir("p256", "x")), answer: signedError(badMACAlg)},
		{tx: "wrong-secret", args: with(secret("device-1", "another", "hash=sha256", "iterations=1000", "mac=hmac-sha256"), ir("p256", "x")), answer: signedError(badMAC)},
		{tx: "unknown-reference", args: with(secret("nobody", deviceSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256"), ir("p256", "x")), answer: signedError(badMAC)},
		{tx: "unprotected", args: with(usual, []string{"unprotected=yes"}, ir("p256", "x")), answer: signedError(`badMessageCheck "the message is not protected"`)},

		// Proof of possession.
		{tx: "pss", args: with(usual, ir("rsa", "pss", "alg=SHA256withRSAandMGF1")), answer: granted(pbm256, "pss")},
		{tx: "ed", args: with(usual, ir("ed", "ed")), answer: granted(pbm256, "ed")},
		{tx: "ed448", args: with(usual, ir("ed448", "ed448")), answer: granted(pbm256, "ed448")},
		{tx: "pop-mac", args: with(usual, ir("p256", "", "dns=pop-mac.example", "pop=mac")), answer: "ip " + pbm256 + " caPubs [0 accepted ]"},
		{tx: "pop-mac-wrong", args: with(usual, ir("p256", "", "dns=x.example", "pop=mac", "secret=another")), answer: refused(pbm256, `badPOP "publicKeyMAC does not verify"`)},
		{tx: "pop-sender", args: with(usual, []string{"sender=CN=pop-sender"}, ir("p256", "", "dns=pop-sender.example", "pop=sender")), answer: "ip " + pbm256 + " caPubs [0 accepted ]"},
		{tx: "pop-none", args: with(usual, ir("p256", "x", "pop=none")), answer: refused(pbm256, `badPOP "proof of possession is missing"`)},
		{tx: "pop-wrong", args: with(usual, ir("p256", "x", "pop=wrongkey", "other=other")), answer: refused(pbm256, `badPOP "the proof of possession does not verify"`)},
		{tx: "pop-sha1", args: with(usual, ir("rsa", "x", "alg=SHA1withRSA")), answer: refused(pbm256, `badAlg "the algorithm of the proof of possession is not accepted"`)},
		{tx: "pop-encrcert", args: with(usual, ir("rsa", "x", "pop=encrCert")), answer: refused(pbm256, `badRequest "an encrypted certificate needs pvno 3"`)},
		{tx: "encrypted-rsa", args: with(usual, []string{"pvno=3"}, ir("rsa", "encrypted-rsa", "pop=encrCert", "usage=32")), answer: encrypted("encrypted-rsa", "ktri")},
		{tx: "encrypted-ec", args: with(usual, []string{"pvno=3"}, ir("p384", "encrypted-ec", "pop=encrCert", "usage=8")), answer: encrypted("encrypted-ec", "kari")},
		{tx: "pop-challenge", args: with(usual, ir("rsa", "x", "pop=challengeResp")), answer: refused(pbm256, `badPOP "this proof of possession is not for the key usage of the certificate"`)},
		{tx: "ra-verified-by-device", args: with(usual, ir("p256", "x", "pop=raVerified")), answer: refused(pbm256, `badPOP "raVerified is not accepted from this requester"`)},
		{tx: "ra-verified", args: with(ra, ir("p256", "ra-verified", "pop=raVerified")), answer: granted(pbm256, "ra-verified")},
		{tx: "ra-verified-explicit", args: with(ra, ir("p256", "x", "pop=raVerified", "explicit=yes")), answer: "error " + pbm256 + ` [rejection badDataFormat "the message could not be read"]`},

		// Bodies.
		{tx: "cr", args: with(usual, []string{"kind=cr", "item=key=p256|subject=CN=cr|token=a token|authenticator=an authenticator"}),
			answer: "cp " + pbm256 + " [0 accepted CN=cr]"},
		{tx: "p10cr", args: with(usual, []string{"kind=p10cr", "key=p384", "subject=CN=p10cr", "dns=p10cr.example"}), answer: "cp " + pbm256 + " [-1 accepted CN=p10cr]"},
		{tx: "three", args: with(ra, []string{"kind=ir", "item=key=p256|subject=CN=three", "item=key=p384|subject=CN=three-1|pop=raVerified", "item=key=other|subject=CN=x|pop=wrongkey|other=p256"}),
			answer: "ip " + pbm256 + ` caPubs [0 accepted CN=three] [1 accepted CN=three-1] [2 rejection badPOP "the proof of possession does not verify"]`},
		{tx: "implicit", args: with(usual, []string{"implicit=yes"}, ir("p256", "implicit")), answer: granted(pbm256+" implicit", "implicit")},
		{tx: "central", args: with(usual, []string{"pvno=3"}, ir("central", "central")), answer: "ip v3" + pbm256[2:] + " caPubs [0 accepted CN=central pwri]"},
		{tx: "relay", args: with(usual, ir("p256", "relay")), answer: granted(pbm256, "relay")},
		{tx: "rejected", args: with(usual, ir("p256", "rejected")), answer: granted(pbm256, "rejected")},
		{tx: "wrong-hash", args: with(usual, ir("p256", "wrong-hash")), answer: granted(pbm256, "wrong-hash")},
		{tx: "waits", channel: "rfc", args: with(slow, ir("p256", "waits")), answer: "ip " + pbm256 + ` [0 waiting "waits for a decision of the CA's operator"]`},
		{tx: "p10cr-waits", args: with(slow, []string{"kind=p10cr", "key=p384", "subject=CN=p10cr-waits"}),
			answer: "cp " + pbm256 + ` [-1 waiting "waits for a decision of the CA's operator"]`},
		{tx: "genm", args: with(usual, []string{"kind=genm", "infos=1.3.6.1.5.5.7.4.17,1.3.6.1.5.5.7.4.2,1.2.3.4"}),
			answer: "genp " + pbm256 + " [caCerts 1] [signKeyPairTypes] [unsupportedOIDs [1.2.3.4]]"},
		{tx: "error", args: with(usual, []string{"kind=error"}), answer: "pkiconf " + pbm256},
	}
	f.carry(t, b, 1, first)
	// show reads what Bouncy Castle writes.
	var shown []string
	for _, s := range first {
		if s.channel == "poll" && s.brings() && !slices.Contains(s.args, "kid=ra-1") {
			shown = append(shown, filepath.Join(f.dir, "spool", "poll", "archive", s.tx+"-1.pki"))
		}
	}
	text := f.cli(t, with([]string{"show", "--secret-file", "device-1.secret"}, shown)...)
	if n := strings.Count(text, " octets, good, by the given shared secret\n"); n != len(shown) || n < 15 {
		t.Errorf("show finds %d of %d messages good:\n%s", n, len(shown), text)
	}

	var second []bcStep
	for _, s := range first {
		if !s.brings() || strings.Contains(s.answer, " implicit ") {
			continue
		}
		f.status(t, s.tx+".crt", cmpcore.Unconfirmed)
		c := s.confirm()
		switch s.tx {
		case "rejected":
			c.args = []string{"reject=yes"}
		case "wrong-hash":
			c.args = []string{"wrong=yes"}
			c.answer = "error " + pbm256 + ` [rejection badCertId "certHash is not that of the certificate that was sent"]`
		}
		second = append(second, c)
	}
	second = append(second, bcStep{tx: "waits", channel: "rfc", verb: "poll", answer: "pollRep " + pbm256 + " [0 after 1]"},
		bcStep{tx: "p10cr-waits", verb: "poll", args: []string{"id=-1"}, answer: "pollRep " + pbm256 + " [-1 after 1]"})
	f.carry(t, b, 2, second)
	for _, s := range second {
		switch s.tx {
		case "waits", "p10cr-waits":
		case "rejected":
			f.status(t, "rejected.crt", cmpcore.RejectedByHolder)
		case "wrong-hash":
			f.status(t, "wrong-hash.crt", cmpcore.Unconfirmed)
		default:
			f.status(t, s.tx+".crt", cmpcore.Valid)
		}
	}
	f.status(t, "three-1.crt", cmpcore.Valid)
	f.status(t, "implicit.crt", cmpcore.Valid)
	f.approve(t, "CN=waits")
	f.approve(t, "CN=p10cr-waits")

	signed := func(cert string, more ...string) []string { return with([]string{"sign=" + cert}, more) }
	update := func(cert string, more ...string) []string {
		return []string{"kind=kur", strings.Join(append([]string{"item=key=new", "subject=CN=" + cert}, more...), "|")}
	}
	const bySignature = "v2 signed SHA256WITHECDSA"
	kup := func(name string) string { return "kup " + bySignature + " [0 accepted CN=" + name + "]" }
	third := []bcStep{
		// The answer that was waited for has the nonce of the first request, RFC
		// 9483 section 4.4, or where the policy says so that of the last poll.
		{tx: "waits", channel: "rfc", verb: "poll", reads: []string{"nonce=first"}, answer: granted(pbm256, "waits")},
		{tx: "p10cr-waits", verb: "poll", args: []string{"id=-1"}, answer: "cp " + pbm256 + " [-1 accepted CN=p10cr-waits]"},
		{tx: "kur-p256", args: with(signed("p256"), update("p256")), answer: kup("p256")},
		{tx: "kur-p384", args: with(signed("p384", "alg=SHA384withECDSA", "pvno=3"), update("p384", "old=p384")), answer: "kup v3 signed SHA256WITHECDSA [0 accepted CN=p384]"},
		{tx: "kur-rsa", args: with(signed("rsa"), update("rsa")), answer: kup("rsa")},
		{tx: "kur-pss", args: with(signed("pss", "alg=SHA512withRSAandMGF1"), update("pss")), answer: kup("pss")},
		{tx: "kur-ed", args: with(signed("ed"), update("ed")), answer: kup("ed")},
		{tx: "kur-ed448", args: with(signed("ed448"), update("ed448")), answer: kup("ed448")},
		{tx: "kur-sender", args: with(signed("salt-8"), []string{"kind=kur", "item=key=new|pop=sender"}), answer: kup("salt-8")},
		{tx: "cr-signed", args: with(signed("cr"), []string{"kind=cr", "item=key=new|subject=CN=cr-signed"}), answer: "cp " + bySignature + " [0 accepted CN=cr-signed]"},
		{tx: "central-ktri", args: with(signed("rsa", "pvno=3"), []string{"kind=cr", "item=key=central|subject=CN=central-ktri"}),
			answer: "cp v3" + bySignature[2:] + " [0 accepted CN=central-ktri ktri]"},
		{tx: "central-kari", args: with(signed("p384", "pvno=3"), []string{"kind=cr", "item=key=central|subject=CN=central-kari"}),
			answer: "cp v3" + bySignature[2:] + " [0 accepted CN=central-kari kari]"},
		{tx: "kur-sha1", args: with(signed("rsa", "alg=SHA1withRSA"), update("rsa")), answer: signedError(`badAlg "the signature algorithm is not accepted"`)},
		{tx: "kur-false", args: with(signed("p256", "signkey=other"), update("p256")), answer: signedError(badSignature)},
		{tx: "kur-other", args: with(signed("rsa"), update("p256", "old=p256")), answer: "kup " + bySignature + ` [0 rejection badCertId "oldCertID is not the certificate that signs"]`},
		{tx: "rr", args: with(signed("hmac-sha1"), []string{"kind=rr", "revoke=hmac-sha1", "reason=1"}), answer: "rp " + bySignature + " [accepted hmac-sha1]"},
		{tx: "rr-other", args: with(signed("rsa"), []string{"kind=rr", "revoke=ed", "reason=1"}),
			answer: "rp " + bySignature + ` [rejection notAuthorized "this requester may not revoke this certificate" ed]`},
		{tx: "rr-many", args: with(ra, []string{"kind=rr", "revoke=three,three-1", "reason=4"}), answer: "rp " + pbm256 + " [accepted three] [accepted three-1]"},
	}
	// A registration authority adds its protection to one message, and brings a
	// batch: of a device under a secret, a holder, and one that is refused.
	batch := []bcStep{
		{tx: "batch-ir", args: with(usual, ir("p256", "batch-ir")), answer: granted(pbm256, "batch-ir")},
		{tx: "batch-kur", args: with(signed("pbmac1"), update("pbmac1")), answer: kup("pbmac1")},
		{tx: "batch-wrong", args: with(secret("device-1", "another", "hash=sha256", "iterations=1000", "mac=hmac-sha256"), ir("p256", "x")), answer: signedError(badMAC)},
	}
	var files []string
	for _, s := range batch {
		files = append(files, filepath.Join(f.work, s.tx+".pki"))
		b.do(t, "request", with([]string{"tx=" + s.tx, "out=" + files[len(files)-1]}, s.args)...)
	}
	inner := filepath.Join(f.work, "batch-answer-")
	third = append(third,
		bcStep{tx: "nested", args: with(usual, []string{"nested=relay"}, ir("p256", "nested")), answer: granted(pbm256, "nested")},
		bcStep{tx: "batch", verb: "wrap", args: signed("relay", "files="+strings.Join(files, ",")), reads: []string{"inner=" + inner},
			answer: "nested " + bySignature + " [3 messages]"},
		bcStep{tx: "batch-by-holder", verb: "wrap", args: signed("ed", "files="+files[0]), answer: signedError(`notAuthorized "this requester may not send a nested message"`)},
	)
	f.carry(t, b, 3, third)
	for i, s := range batch {
		if got, err := b.ask("read", "tx="+s.tx, fmt.Sprintf("file=%s%d", inner, i), "certs="+f.work); err != nil || got != s.answer {
			t.Errorf("%s, in a batch: %v\n got %s\nwant %s", s.tx, err, got, s.answer)
		}
	}

	var fourth []bcStep
	for _, s := range append(third, batch...) {
		if s.brings() {
			fourth = append(fourth, s.confirm())
		}
	}
	fourth = append(fourth, bcStep{tx: "crl", args: with(signed("ed"), []string{"kind=genm", "infos=1.3.6.1.5.5.7.4.6"}),
		answer: "genp " + bySignature + " [currentCRL hmac-sha1 rejected three three-1]"})
	f.carry(t, b, 4, fourth)
	for _, s := range fourth {
		if s.tx != "crl" {
			f.status(t, s.tx+".crt", cmpcore.Valid)
		}
	}
	for file, reason := range map[string]int{"hmac-sha1.crt": 1, "three.crt": 4, "three-1.crt": 4} {
		if c := f.status(t, file, cmpcore.Revoked); c.Reason != reason {
			t.Errorf("%s is revoked for reason %d", file, c.Reason)
		}
	}
	if _, _, err := f.store.VerifyAudit(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestBouncyCastleAtEdwardsCAs: where a CA signs by EdDSA the signature of a
// certificate names no hash for certConf, which Bouncy Castle finds by itself.
func TestBouncyCastleAtEdwardsCAs(t *testing.T) {
	t.Parallel()
	b := startBouncy(t, t.TempDir())
	for _, kind := range []string{"ed25519", "ed448"} {
		t.Run(kind, func(t *testing.T) {
			f := newOffline(t, nil, bouncyConfig, map[string]string{"device-1": deviceSecret}, "--key-type", kind)
			b.do(t, "trust", "file="+f.ca())
			b.do(t, "key", "name=p256", "type=P-256")
			ir := []string{"kid=device-1", "secret=" + deviceSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256", "kind=ir", "item=key=p256|subject=CN=device"}
			step := bcStep{tx: "device", args: ir, answer: "ip v2 pbm sha256 1000 hmac-sha256 caPubs [0 accepted CN=device]"}
			f.carry(t, b, 1, []bcStep{step})
			f.carry(t, b, 2, []bcStep{step.confirm()})
			f.status(t, "device.crt", cmpcore.Valid)
			how := "v2 signed " + strings.ToUpper(kind)
			f.carry(t, b, 3, []bcStep{
				{tx: "kur", args: []string{"sign=device", "kind=kur", "item=key=p256|subject=CN=device"},
					answer: "kup " + how + ` [0 rejection badCertTemplate "the new certificate must have a new key"]`},
				{tx: "rr", args: []string{"sign=device", "kind=rr", "revoke=device", "reason=1"}, answer: "rp " + how + " [accepted device]"},
			})
			f.status(t, "device.crt", cmpcore.Revoked)
		})
	}
}
