package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "See the whole job in seconds: a CA, requests, answers",
		Long: `Make a CA in DIR (default: a new temporary folder), make real requests of every
kind, drop them into the spool, answer them, check every answer, and say where
to look.`,
		Example: `  cmp-batch demo
  cmp-batch demo /tmp/try`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			} else {
				var err error
				if dir, err = os.MkdirTemp("", "cmp-batch-demo-"); err != nil {
					return err
				}
			}
			return c.demo(cmd.Context(), dir)
		},
	}
	return c.withJSON(cmd)
}

// demonstration is one run of the demo.
type demonstration struct {
	c      *cli
	ctx    context.Context
	dir    string
	ca     *authority
	root   []byte // DER
	secret []byte

	open  []*demoClient
	total spool.Summary
}

// demoClient is one end entity of the demo.
type demoClient struct {
	name    string
	what    string
	session *client.Session
	cred    client.Credentials
	keys    []crypto.Signer
	certs   [][]byte

	wantRefused bool
	result      string
}

const demoRef = "demo"

func (c *cli) demo(ctx context.Context, dir string) error {
	began := time.Now()
	say := func(format string, a ...any) {
		if !c.json {
			fmt.Fprintf(c.stdout, format, a...)
		}
	}
	made, err := makeCA(ctx, dir, initOptions{subject: "CN=Demo CA,O=cmp-batch", keyType: "ecdsa-p256", validity: "10y"})
	if err != nil {
		return err
	}
	say("1. A CA in %s\n   %s, key %s, encrypted\n\n", made.Dir, made.Subject, made.KeyType)

	c.configFile = made.Config
	if c.logLevel == "" {
		c.logLevel = "warn"
	}
	d := &demonstration{c: c, ctx: ctx, dir: made.Dir}
	if d.ca, err = c.openAuthority(ctx); err != nil {
		return err
	}
	defer d.ca.close()
	root, err := readCertificates(made.Certificate)
	if err != nil {
		return err
	}
	d.root = root[0]
	if err := d.registerSecret(); err != nil {
		return err
	}

	say("2. Devices make keys and requests, as files in spool/in:\n")
	if err := d.firstRound(); err != nil {
		return err
	}
	if err := d.answer(say); err != nil {
		return err
	}
	say("3. The same devices, later: confirmation, key update, revocation:\n")
	if err := d.secondRound(); err != nil {
		return err
	}
	if err := d.answer(say); err != nil {
		return err
	}
	say("4. The last confirmation:\n")
	if err := d.answer(say); err != nil {
		return err
	}
	return d.finish(began, say)
}

func (d *demonstration) registerSecret() error {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return err
	}
	d.secret = []byte(base64.RawURLEncoding.EncodeToString(b))
	sealed, err := d.ca.vault.Seal(rand.Reader, demoRef, d.secret)
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(d.dir, "demo.secret"), append(d.secret, '\n'), 0o600); err != nil {
		return err
	}
	return d.ca.store.AddSecret(d.ctx, &cmpcore.Secret{Ref: demoRef, Sealed: sealed, Created: time.Now()})
}

// byMAC and bySignature are the two ways in which the devices protect messages.
func (d *demonstration) byMAC(m client.MAC) client.Credentials {
	return client.Credentials{Secret: d.secret, Reference: []byte(demoRef), MAC: m, Now: time.Now(), Rand: rand.Reader,
		Trust: client.Trust{Issued: [][]byte{d.root}}}
}

func (d *demonstration) bySignature(of *demoClient) client.Credentials {
	return client.Credentials{Key: of.keys[0], Certificate: of.certs[0], Now: time.Now(), Rand: rand.Reader,
		Trust: client.Trust{Anchors: [][]byte{d.root}}}
}

// wish makes one key and what is asked for it.
func wish(keyType, subject string, sans ...string) (client.CertificateRequest, error) {
	key, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		return client.CertificateRequest{}, err
	}
	r := client.CertificateRequest{Key: key}
	if subject != "" {
		if r.Subject, err = pkix.ParseDN(subject); err != nil {
			return r, err
		}
	}
	r.SANs, err = parseSANs(sans)
	return r, err
}

// send starts a transaction and drops its request into the spool.
func (d *demonstration) send(name, what string, o client.Options) (*demoClient, error) {
	s, message, err := client.Start(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	e := &demoClient{name: name, what: what, session: s, cred: o.Credentials}
	for _, r := range o.Certificates {
		e.keys = append(e.keys, r.Key)
	}
	d.open = append(d.open, e)
	return e, d.drop(e, message)
}

func (d *demonstration) drop(e *demoClient, message []byte) error {
	return writeNew(filepath.Join(d.dir, "spool", "in", e.name+".pki"), message, 0o644)
}

func (d *demonstration) firstRound() error {
	one := func(r client.CertificateRequest, err error) ([]client.CertificateRequest, error) {
		return []client.CertificateRequest{r}, err
	}
	for _, x := range []struct {
		name, what, keyType, subject string
		kind                         cmp.BodyType
		implicit                     bool
		mac                          client.MAC
		sans                         []string
	}{
		{"sensor-1", "ir, P-256 key, password-based MAC", "ecdsa-p256", "CN=sensor-1,O=Demo", cmp.TypeIR, true, client.MAC{}, []string{"dns:sensor-1.demo.example"}},
		{"sensor-2", "ir, Ed25519 key, to be confirmed", "ed25519", "CN=sensor-2,O=Demo", cmp.TypeIR, false, client.MAC{}, nil},
		{"gateway", "cr, RSA key, PBMAC1", "rsa-2048", "CN=gateway,O=Demo", cmp.TypeCR, true, client.MAC{PBMAC1: true}, []string{"ip:192.0.2.1"}},
	} {
		certs, err := one(wish(x.keyType, x.subject, x.sans...))
		if err != nil {
			return err
		}
		if _, err := d.send(x.name, x.what, client.Options{Kind: x.kind, Credentials: d.byMAC(x.mac), ImplicitConfirm: x.implicit, Certificates: certs}); err != nil {
			return err
		}
	}
	var three []client.CertificateRequest
	for i := 1; i <= 3; i++ {
		r, err := wish("ecdsa-p384", fmt.Sprintf("CN=rack-1 slot %d,O=Demo", i))
		if err != nil {
			return err
		}
		three = append(three, r)
	}
	if _, err := d.send("rack-1", "ir, three certificates in one message", client.Options{Kind: cmp.TypeIR, Credentials: d.byMAC(client.MAC{}), ImplicitConfirm: true, Certificates: three}); err != nil {
		return err
	}
	key, err := alg.GenerateKey(rand.Reader, "ecdsa-p256")
	if err != nil {
		return err
	}
	csr, err := (&requestFlags{subject: "CN=printer,O=Demo"}).pkcs10(key)
	if err != nil {
		return err
	}
	if _, err := d.send("printer", "p10cr, a PKCS#10 request", client.Options{Kind: cmp.TypeP10CR, Credentials: d.byMAC(client.MAC{}), ImplicitConfirm: true, PKCS10: csr}); err != nil {
		return err
	}
	if _, err := d.send("question", "genm: CA certificates, CRL, key types", client.Options{Kind: cmp.TypeGenM, Credentials: d.byMAC(client.MAC{}), Infos: []cmp.InfoTypeAndValue{
		{Type: cmp.OIDCACerts}, {Type: cmp.OIDCurrentCRL}, {Type: cmp.OIDSignKeyPairTypes},
	}}); err != nil {
		return err
	}
	certs, err := one(wish("ecdsa-p256", "CN=stranger"))
	if err != nil {
		return err
	}
	wrong := d.byMAC(client.MAC{})
	wrong.Secret = []byte("a wrong secret")
	wrong.Trust.Anchors = [][]byte{d.root}
	e, err := d.send("stranger", "ir with a wrong secret", client.Options{Kind: cmp.TypeIR, Credentials: wrong, Certificates: certs})
	if err != nil {
		return err
	}
	e.wantRefused = true
	return nil
}

func (d *demonstration) find(name string) *demoClient {
	for _, e := range d.open {
		if e.name == name {
			return e
		}
	}
	return nil
}

func (d *demonstration) secondRound() error {
	r, err := wish("ecdsa-p256", "")
	if err != nil {
		return err
	}
	if _, err := d.send("sensor-1-update", "kur, signed with the certificate of sensor-1", client.Options{
		Kind: cmp.TypeKUR, Credentials: d.bySignature(d.find("sensor-1")), Certificates: []client.CertificateRequest{r},
	}); err != nil {
		return err
	}
	gw := d.find("gateway")
	_, err = d.send("gateway-revoke", "rr, superseded, signed by gateway", client.Options{
		Kind: cmp.TypeRR, Credentials: d.bySignature(gw), Revocations: []client.Revocation{{Certificate: gw.certs[0], Reason: pkix.ReasonSuperseded}},
	})
	return err
}

// answer runs the CA once over what is in the spool and checks every answer.
// What the answers make necessary is dropped for the next time.
func (d *demonstration) answer(say func(string, ...any)) error {
	pending := 0
	for _, e := range d.open {
		if e.result == "" {
			pending++
			say("   in/%-32s %s\n", e.name+".pki", e.what)
		}
	}
	if pending == 0 {
		return errors.New("demo: nothing to answer")
	}
	s, err := d.ca.drainOnce(d.ctx, d.ca.channels())
	if err != nil {
		return err
	}
	d.total = d.total.Plus(s)
	say("   run --once: %d received = %d answered (%d refused) + %d waiting + %d failed; %d issued, %d revoked\n",
		s.Received, s.Answered, s.Refused, s.Waiting, s.Failed, s.Issued, s.Revoked)
	for _, e := range d.open {
		if e.result != "" {
			continue
		}
		name := e.name
		if err := d.accept(e); err != nil {
			return fmt.Errorf("the answer to %s is not what it should be: %w", name, err)
		}
		say("   out/%-31s %s\n", name+".pki", e.result)
		if e.name != name {
			e.result = ""
		}
	}
	say("\n")
	return nil
}

// accept checks one answer as a careful client does.
func (d *demonstration) accept(e *demoClient) error {
	answer, err := os.ReadFile(filepath.Join(d.dir, "spool", "out", e.name+".pki"))
	if err != nil {
		return err
	}
	r, err := e.session.Accept(answer, e.cred)
	var peer *client.PeerError
	if errors.As(err, &peer) && e.wantRefused {
		e.result = fmt.Sprintf("refused, as it must be: %v", peer.FailInfo)
		return nil
	}
	if err != nil {
		return err
	}
	if e.wantRefused {
		return errors.New("it was granted and must be refused")
	}
	switch {
	case r.Kind == cmp.TypePKIConf:
		e.result = "pkiConf: the certificate is confirmed"
	case len(r.Certificates) > 0:
		for _, c := range r.Certificates {
			if c.Err != nil {
				return c.Err
			}
			if c.Certificate == nil {
				return fmt.Errorf("no certificate: %v %q", c.Status.FailInfo, c.Status.StatusString)
			}
			if err := d.save(e, c.Certificate); err != nil {
				return err
			}
			e.certs = append(e.certs, c.Certificate)
		}
		e.result = fmt.Sprintf("%d certificate(s), checked", len(r.Certificates))
	case len(r.Revocations) > 0:
		if !r.Revocations[0].Revoked() {
			return fmt.Errorf("not revoked: %v", r.Revocations[0].Status)
		}
		e.result = "revoked"
	case len(r.Infos) > 0:
		e.result = fmt.Sprintf("%d answers", len(r.Infos))
	default:
		e.result = r.Kind.String()
	}
	if r.Next == nil {
		return nil
	}
	e.result += "; the CA wants a " + r.NextKind.String()
	e.name += "-" + r.NextKind.String()
	e.what = r.NextKind.String()
	return d.drop(e, r.Next)
}

// save verifies a certificate once more, with the standard library alone, and
// keeps it where a person can look.
func (d *demonstration) save(e *demoClient, der []byte) error {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	root, err := x509.ParseCertificate(d.root)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return err
	}
	dir := filepath.Join(d.dir, "certificates")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, fmt.Sprintf("%s-%d.crt", e.name, len(e.certs)+1)), keyfile.MarshalCertificates(der), 0o644)
}

func (d *demonstration) finish(began time.Time, say func(string, ...any)) error {
	c := d.c
	if !c.json {
		say("5. What the CA knows now (cmp-batch cert ls):\n")
		w := c.table("   SERIAL\tSUBJECT\tSTATUS\tNOT AFTER")
		for cert, err := range d.ca.store.Certificates(d.ctx, spool.CertFilter{}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "   %.12x…\t%s\t%s\t%s\n", cert.Serial, cert.Subject, cert.Status, cert.NotAfter.Format(time.DateOnly))
		}
		w.Flush()
		say("\n")
	}
	t := d.total
	t.Seconds = time.Since(began).Seconds()
	if t.Seconds > 0 {
		t.Rate = float64(t.Received) / t.Seconds
	}
	if !t.Reconciles() {
		return fmt.Errorf("the counts do not add up: %+v", t)
	}
	if c.json {
		return c.printJSON(struct {
			Dir string `json:"dir"`
			spool.Summary
		}{d.dir, t})
	}
	say("All %d messages are accounted for: %d answered (%d of them refused) + %d waiting + %d failed,\n%d certificates issued, %d revoked, in %.1f seconds.\n\n",
		t.Received, t.Answered, t.Refused, t.Waiting, t.Failed, t.Issued, t.Revoked, t.Seconds)
	say("Look around:\n  cmp-batch cert ls -c %[1]s\n  cmp-batch show %[2]s\n  cmp-batch audit ls -c %[1]s\nTry it:\n  cmp-batch request ir --out mine.pki --subject CN=mine --ref %[4]s --secret-file %[5]s\n  cp mine.pki %[3]s\n  cmp-batch run -c %[1]s --once\n",
		filepath.Join(d.dir, "cmp-batch.yaml"), filepath.Join(d.dir, "spool", "out", "sensor-1.pki"),
		filepath.Join(d.dir, "spool", "in"), demoRef, filepath.Join(d.dir, "demo.secret"))
	return nil
}
