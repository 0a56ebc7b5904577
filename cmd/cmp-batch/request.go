package main

import (
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"

	"github.com/spf13/cobra"
)

// requestFlags are what can be asked for.
type requestFlags struct {
	identity
	registrationFlags
	out, session             string
	subject, recipient       string
	also                     []string
	sans, keyUsage, extUsage []string
	key, keyOut, keyType     string
	validity                 string
	profile                  []string
	implicit                 bool
	raVerified               bool
	centralKey               string
	encrKey, encrKeyType     string
	pop                      string
	encryptionCert           string // of the CA, for pop encrypted-key
	csr                      string
	old                      string
	revoke, issuer, serial   string
	reason, invalidity       string
	archive                  string
	pathLen                  int
	infos                    []string
	pvno                     int
	pbmac1                   bool
	macHash, macHMAC         string
	iterations               int
	after                    string
	revPassphrase            revPassphraseFlags
}

var requestKinds = map[string]cmp.BodyType{
	"ir": cmp.TypeIR, "cr": cmp.TypeCR, "kur": cmp.TypeKUR, "p10cr": cmp.TypeP10CR, "rr": cmp.TypeRR, "genm": cmp.TypeGenM,
	"ccr": cmp.TypeCCR, "krr": cmp.TypeKRR,
}

func (c *cli) requestCommand() *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "request {ir|cr|kur|p10cr|rr|genm|ccr|krr} --out FILE.pki",
		Short: "Make a request file: certificate, update, revocation, question, cross-certificate, key recovery",
		Long: `Make a request file for a CMP CA, to be carried there by any means:

  ir, cr, p10cr   a certificate for a new key, or for that of --key
  kur             a new certificate in place of that of --cert (or --old)
  rr              revocation of --revoke FILE, or of --issuer and --serial
  genm            a question: --info caCerts,currentCRL,rootCaCert=old-root.crt,...
  ccr             a certificate of another CA for the CA that has --cert
  krr             private keys back that the CA has in its archive: all, or those
                  of --old FILE or --subject

FILE.pki goes to the CA. FILE.key (a new key, where one is made) and
FILE.session.json (the memory of the transaction) stay here; accept
takes them with the answer. With --central-key the CA makes the key, and accept
writes FILE.key. Private keys come encrypted by what protects the request, or with
--encr-key-type to a new key, FILE.encr.key, that is for nothing else.`,
		Example: `  cmp-batch request ir --out d1.pki --subject CN=device-1 --ref device-1 --secret-file d1.secret
  cmp-batch request ir --out rack.pki --subject CN=slot-0 --also CN=slot-1 --also CN=slot-2 --ref device-1 --secret-file d1.secret
  cmp-batch request kur --out d1-new.pki --cert d1.crt --sign-key d1.key
  cmp-batch request rr --out d1-rr.pki --cert d1.crt --sign-key d1.key --revoke d1.crt --reason superseded
  cmp-batch request ccr --out x.pki --cert ca.crt --sign-key ca.key --passphrase-file pass --recipient "CN=Other CA" --validity 1y
  cmp-batch request krr --out k.pki --ref device-1 --secret-file d1.secret --subject CN=device-1
  cmp-batch request genm --out p.pki --info revPassphrase --rev-passphrase d1.phrase --rev-passphrase-ref d1-lost --rev-passphrase-to enc.crt --cert d1.crt --sign-key d1.key
  cmp-batch request rr --out d1-rr.pki --ref d1-lost --secret-file d1.phrase --revoke d1.crt --reason keyCompromise
  cmp-batch request genm --out q.pki --info caCerts,currentCRL --ref device-1 --secret-file d1.secret`,
		Args:      only(1, "the kind is missing: ir, cr, kur, p10cr, rr, genm, ccr or krr"),
		ValidArgs: []string{"ir", "cr", "kur", "p10cr", "rr", "genm", "ccr", "krr"},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, ok := requestKinds[args[0]]
			if !ok {
				return usage("%q is no kind of request: ir, cr, kur, p10cr, rr, genm, ccr or krr", args[0])
			}
			return c.request(kind, &f)
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.out, "out", "o", "", "`FILE` for the request; .pki is usual")
	fl.StringVar(&f.session, "session", "", "`FILE` for the memory of the transaction (default: beside --out)")
	f.identity.flags(cmd)
	f.registrationFlags.flags(cmd)
	fl.StringVar(&f.subject, "subject", "", "wanted subject `NAME`, as CN=a,O=b or /O=b/CN=a")
	fl.StringArrayVar(&f.also, "also", nil, "subject `NAME` of one more certificate in the same message, with a new key of its own: NAME-1.key, and so on (ir and cr; may repeat)")
	fl.StringSliceVar(&f.sans, "san", nil, "wanted alternative names: dns:HOST, ip:ADDRESS, email:ADDRESS, uri:URI")
	fl.StringSliceVar(&f.keyUsage, "key-usage", nil, "wanted key usages, as digitalSignature")
	fl.StringSliceVar(&f.extUsage, "ext-key-usage", nil, "wanted extended key usages, as clientAuth, or object identifiers")
	fl.StringVar(&f.key, "key", "", "private key `FILE` to certify (default: make a new one)")
	fl.StringVar(&f.keyOut, "key-out", "", "`FILE` for a new key (default: beside --out, .key)")
	fl.StringVar(&f.keyType, "key-type", "ecdsa-p256", "`TYPE` of a new key: "+keyTypeHelp+"; to decrypt: "+strings.Join(alg.EncryptionKeyTypes(), ", "))
	fl.StringVar(&f.centralKey, "central-key", "", "let the CA make the key: its `TYPE` as of --key-type, or any; accept writes it")
	fl.StringVar(&f.encrKey, "encr-key", "", "private key `FILE` to whose public half the CA is to encrypt private keys, with --central-key and krr")
	fl.StringVar(&f.encrKeyType, "encr-key-type", "", "make such a key, of a `TYPE` as of --key-type that can encrypt, beside --out (.encr.key)")
	fl.StringVar(&f.validity, "validity", "", "wanted validity, as 90d or 1y (default: as the CA likes)")
	fl.StringSliceVar(&f.profile, "profile", nil, "certificate profile of the CA (certProfile)")
	fl.BoolVar(&f.implicit, "implicit-confirm", false, "ask the CA to do without a confirmation")
	fl.StringVar(&f.pop, "pop", "", "how possession of the key is proven: signature; signature-input, a signature over the key and who sends it (poposkInput), where the subject is left to the CA; encr-cert, where the certificate is to come encrypted; challenge, where the CA is to send one; agree-mac or agree-signature, a MAC under the secret with --ca-agreement-cert; or encrypted-key, the private key itself for --ca-encryption-cert; this-message, the same at pvno 2 for an old CA (default: signature, encr-cert for keys that cannot sign)")
	fl.StringVar(&f.encryptionCert, "ca-encryption-cert", "", "encryption certificate `FILE` of the CA, with --pop encrypted-key and this-message")
	fl.BoolVar(&f.raVerified, "ra-verified", false, "as an RA: say that possession of the key was checked")
	fl.IntVar(&f.pathLen, "path-len", -1, "for ccr: wanted path length, how many CAs may follow; -1: any")
	fl.StringVar(&f.archive, "archive", "", "have the CA keep the private key, encrypted to the CA's encryption certificate in `FILE`")
	fl.StringVar(&f.csr, "csr", "", "PKCS#10 `FILE` of p10cr (default: made from the key)")
	fl.StringVar(&f.old, "old", "", "certificate `FILE` that kur updates (default: that of --cert), or whose key krr wants back")
	fl.StringVar(&f.revoke, "revoke", "", "certificate `FILE` that rr is about")
	fl.StringVar(&f.issuer, "issuer", "", "issuer `NAME` of the certificate that rr is about, with --serial")
	fl.StringVar(&f.serial, "serial", "", "its serial number, `HEX`")
	fl.StringVar(&f.reason, "reason", "", "why: keyCompromise, superseded, cessationOfOperation, certificateHold, removeFromCRL, ...")
	fl.StringVar(&f.invalidity, "invalidity-date", "", "since when the key is not to be trusted, as 2026-01-31T12:00:00Z")
	fl.StringSliceVar(&f.infos, "info", nil, "what genm asks: "+strings.Join(client.InfoTypes(), ", ")+
		"; with a value: rootCaCert=FILE, crlStatusList=FILE (a CRL or a CA certificate), keyPairParamReq=KEY-TYPE, suppLangTags=de:en")
	fl.StringVar(&f.recipient, "recipient", "", "`NAME` of the CA")
	fl.IntVar(&f.pvno, "pvno", 0, "protocol version, 2 or 3 (default 2, or 3 where something asked for needs it)")
	fl.BoolVar(&f.pbmac1, "pbmac1", false, "protect with PBMAC1 instead of the older password-based MAC")
	fl.StringVar(&f.macHash, "mac-hash", "", "hash that derives the MAC's key: sha224, sha256, sha384, sha512, sha3-256, ... (default sha256)")
	fl.StringVar(&f.macHMAC, "mac-hmac", "", "hash of the MAC's HMAC, as of --mac-hash and sha1 (default sha256), or kmac128 or kmac256 for KMAC in its place")
	fl.IntVar(&f.iterations, "mac-iterations", 0, "iterations of the key derivation (default 10000)")
	fl.BoolVar(&f.dhMAC, "dh-mac", false, "protect with a MAC by Diffie-Hellman: --sign-key and --cert are for key agreement")
	fl.StringVar(&f.agreementCert, "ca-agreement-cert", "", "certificate `FILE` of the CA for key agreement, with --dh-mac, --pop agree-mac and agree-signature")
	fl.BoolVar(&f.kemMAC, "kem-mac", false, "protect by a KEM: --sign-key and --cert are of one; genm --info kemCiphertextInfo comes first, then --after")
	fl.StringVar(&f.after, "after", "", "session `FILE` of the genm that fetched a ciphertext, with --kem-mac")
	fl.StringVar(&f.kemCert, "ca-kem-cert", "", "certificate `FILE` of the CA's KEM key, under which it then protects its answers")
	f.revPassphrase.flags(cmd)
	cmd.AddCommand(c.nestCommand())
	return c.withJSON(cmd)
}

// besides gives a file's path beside another: d1.pki, ".key" -> d1.key.
func besides(path, suffix string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + suffix
}

func (c *cli) request(kind cmp.BodyType, f *requestFlags) error {
	if f.out == "" {
		return usage("--out says where the request file goes")
	}
	if f.session == "" {
		f.session = besides(f.out, ".session.json")
	}
	o := client.Options{Kind: kind, PVNO: f.pvno, ImplicitConfirm: f.implicit, CertProfile: f.profile}
	f.mac = client.MAC{PBMAC1: f.pbmac1, Hash: f.macHash, HMAC: f.macHMAC, Iterations: f.iterations}
	if f.pathLen < -1 || f.pathLen > 100 || f.pathLen >= 0 && kind != cmp.TypeCCR {
		return usage("--path-len is for ccr, and a small number")
	}
	if err := f.checkArchive(kind, &o); err != nil {
		return usageError{err}
	}
	if err := f.checkCentralKey(kind, &o); err != nil {
		return usageError{err}
	}
	if f.dhMAC && f.agreementCert == "" || f.agreementCert != "" && !f.dhMAC && !f.agrees() {
		return usage("--dh-mac and --ca-agreement-cert go together")
	}
	if f.agrees() && f.agreementCert == "" {
		return usage("--pop %s needs --ca-agreement-cert", f.pop)
	}
	if f.reveals() != (f.encryptionCert != "") {
		return usage("--pop encrypted-key or this-message and --ca-encryption-cert go together")
	}
	// Private keys at pvno 2 come in the form of that time.
	o.OldEncryption = f.pvno == 2 && (f.centralKey != "" || kind == cmp.TypeKRR)
	if f.dhMAC && (f.signCert == "" || f.pbmac1 || f.iterations != 0) {
		return usage("--dh-mac needs --cert and --sign-key, and has neither --pbmac1 nor --mac-iterations")
	}
	if f.kemMAC && (f.signCert == "" || f.dhMAC || f.pbmac1 || f.macHash != "" || f.iterations != 0) {
		return usage("--kem-mac needs --cert and --sign-key, and has none of --dh-mac, --pbmac1, --mac-hash and --mac-iterations")
	}
	var err error
	if f.after != "" {
		if o.After, err = readSession(f.after); err != nil {
			return usageError{fmt.Errorf("--after: %w", err)}
		}
	}
	if o.Credentials, err = f.credentials(); err != nil {
		return usageError{err}
	}
	if f.recipient != "" {
		if o.Recipient, err = pkix.ParseDN(f.recipient); err != nil {
			return usageError{fmt.Errorf("--recipient: %w", err)}
		}
	}
	if o.RevPassphrase, err = f.revPassphrase.read(); err != nil {
		return usageError{err}
	}
	wantsKey := kind != cmp.TypeRR && kind != cmp.TypeGenM && kind != cmp.TypeKRR && f.csr == "" && f.centralKey == ""
	keyPath := ""
	var key crypto.PrivateKey
	if kind == cmp.TypeCCR && f.key == "" {
		key, wantsKey = o.Credentials.Key, false // the key of the CA that asks
	}
	if wantsKey {
		if f.key != "" {
			pass, err := f.passphrase()
			if err != nil {
				return usageError{fmt.Errorf("--passphrase-file: %w", err)}
			}
			if key, err = readAnyKey(f.key, pass); err != nil {
				return usageError{fmt.Errorf("--key: %w", err)}
			}
		} else {
			keyPath = f.keyOut
			if keyPath == "" {
				keyPath = besides(f.out, ".key")
			}
			if key, err = alg.GenerateAnyKey(rand.Reader, f.keyType); err != nil {
				return hint(usageError{fmt.Errorf("--key-type: %w", err)}, "there are %s; to decrypt: %s", keyTypeHelp, strings.Join(alg.EncryptionKeyTypes(), ", "))
			}
		}
	}
	accepted := ""
	if f.centralKey != "" {
		accepted = sessionBase(f.session) + ".key" // where accept will put it
	}
	if err := f.choosePOP(kind, key, &o); err != nil {
		return usageError{err}
	}
	encrKey, encrKeyPath, err := f.encryptionKey(kind)
	if err != nil {
		return usageError{err}
	}
	if encrKey != nil {
		if o.EncrKey, err = alg.MarshalPublicKey(encrKey.Public()); err != nil {
			return usageError{fmt.Errorf("--encr-key: %w", err)}
		}
	}
	more, err := f.moreKeys(kind, key, keyPath)
	if err != nil {
		return usageError{err}
	}
	paths := []string{f.out, f.session, keyPath, accepted, encrKeyPath}
	for _, m := range more {
		paths = append(paths, m.path)
	}
	if err := refuseExisting(paths...); err != nil {
		return err
	}
	if kind == cmp.TypeRR || kind == cmp.TypeGenM || kind == cmp.TypeKRR || kind == cmp.TypeP10CR {
		if err := f.registrationFlags.none(); err != nil {
			return usageError{err}
		}
	}
	switch kind {
	case cmp.TypeRR:
		r, err := f.revocation()
		if err != nil {
			return usageError{err}
		}
		o.Revocations = []client.Revocation{r}
	case cmp.TypeGenM:
		for _, name := range f.infos {
			if t, err := client.InfoType(name); err == nil && t == cmp.OIDRevPassphrase {
				if f.revPassphrase.file == "" {
					return usage("--info %s leaves a passphrase: --rev-passphrase says which", name)
				}
				continue // added with its value
			}
			q, err := infoQuestion(name)
			if err != nil {
				return usageError{fmt.Errorf("--info: %w", err)}
			}
			o.Infos = append(o.Infos, q)
		}
		if len(o.Infos) == 0 && o.RevPassphrase == nil {
			return usage("--info says what to ask")
		}
	case cmp.TypeKRR:
		r, err := f.recovery()
		if err != nil {
			return usageError{err}
		}
		o.Recovery = r
	case cmp.TypeP10CR:
		if o.PKCS10, err = f.pkcs10(key); err != nil {
			return usageError{err}
		}
	default:
		r, err := f.certificate(key)
		if err == nil {
			err = f.registrationFlags.add(&r)
		}
		if err == nil && kind == cmp.TypeCCR {
			err = f.cross(&r, &o.Credentials)
		}
		if err != nil {
			return usageError{err}
		}
		o.Certificates = []client.CertificateRequest{r}
		for _, m := range more {
			g := *f
			g.subject = m.subject
			r, err := g.certificate(m.key)
			if err == nil {
				err = f.registrationFlags.add(&r)
			}
			if err != nil {
				return usageError{err}
			}
			o.Certificates = append(o.Certificates, r)
		}
	}
	s, message, err := client.Start(o)
	if err != nil {
		return usageError{err}
	}
	// The keys first, the request last: a request that is there has all that
	// its answer will need.
	if encrKeyPath != "" {
		if err := f.writeKey(encrKeyPath, encrKey); err != nil {
			return err
		}
	}
	if keyPath != "" {
		if err := f.writeKey(keyPath, key); err != nil {
			return err
		}
	}
	for _, m := range more {
		if err := f.writeKey(m.path, m.key); err != nil {
			return err
		}
	}
	if err := writeSession(f.session, s); err != nil {
		return err
	}
	if err := writeNew(f.out, message, 0o644); err != nil {
		return err
	}
	if c.json {
		report := map[string]any{"request": f.out, "session": f.session, "key": keyPath, "encr_key": encrKeyPath, "kind": kind.String(), "transaction": s.TransactionID}
		if len(more) > 0 {
			report["more_keys"] = paths[len(paths)-len(more):]
		}
		return c.printJSON(report)
	}
	w := c.table("request\t" + f.out)
	note := ""
	if f.passphraseFile == "" {
		note = "  (not encrypted; --passphrase-file would)"
	}
	if keyPath != "" {
		fmt.Fprintf(w, "key\t%s%s\n", keyPath, note)
	}
	for _, m := range more {
		fmt.Fprintf(w, "key\t%s%s\n", m.path, note)
	}
	if encrKeyPath != "" {
		fmt.Fprintf(w, "encr key\t%s%s\n", encrKeyPath, note)
	}
	fmt.Fprintf(w, "session\t%s\n", f.session)
	w.Flush()
	fmt.Fprintf(c.stdout, "\nCarry %s to the CA. With its answer:\n  cmp-batch accept ANSWER.pki --session %s%s\n", f.out, f.session, f.identity.again())
	return nil
}

// moreKey is the key of one more certificate of the same message.
type moreKey struct {
	subject, path string
	key           crypto.PrivateKey
}

// moreKeys makes the keys of --also. They are numbered as accept numbers their
// certificates.
func (f *requestFlags) moreKeys(kind cmp.BodyType, first crypto.PrivateKey, keyPath string) ([]moreKey, error) {
	if len(f.also) == 0 {
		return nil, nil
	}
	_, signs := first.(crypto.Signer)
	switch {
	case kind != cmp.TypeIR && kind != cmp.TypeCR:
		return nil, fmt.Errorf("--also is for ir and cr")
	case keyPath == "" || !signs || f.pop != "" && f.pop != popSignature:
		return nil, fmt.Errorf("--also makes new keys that sign: --key, --central-key, other proofs by --pop and keys that only decrypt do not go with it")
	case len(f.sans) > 0 || f.archive != "":
		return nil, fmt.Errorf("--also does not go with --san and --archive, which are about one certificate")
	}
	var list []moreKey
	for i, subject := range f.also {
		key, err := alg.GenerateAnyKey(rand.Reader, f.keyType)
		if err != nil {
			return nil, fmt.Errorf("--key-type: %w", err)
		}
		list = append(list, moreKey{subject, besides(keyPath, fmt.Sprintf("-%d%s", i+1, extension(keyPath))), key})
	}
	return list, nil
}

// The values of --pop.
const (
	popSignature      = "signature"
	popSignatureInput = "signature-input"
	popEncrCert       = "encr-cert"
	popChallenge      = "challenge"

	popAgreeMAC       = "agree-mac"
	popAgreeSignature = "agree-signature"
	popEncryptedKey   = "encrypted-key"
	popThisMessage    = "this-message"
)

// reveals tells whether the private key itself proves possession.
func (f *requestFlags) reveals() bool { return f.pop == popEncryptedKey || f.pop == popThisMessage }

// agrees tells whether possession is proven with the CA's key for key agreement.
func (f *requestFlags) agrees() bool { return f.pop == popAgreeMAC || f.pop == popAgreeSignature }

// choosePOP settles how possession of a key is proven.
func (f *requestFlags) choosePOP(kind cmp.BodyType, key crypto.PrivateKey, o *client.Options) error {
	if key == nil {
		if f.pop != "" {
			return errors.New("--pop is for requests with a key of their own")
		}
		return nil
	}
	_, signs := key.(crypto.Signer)
	if f.pop == "" && !signs && !f.raVerified {
		f.pop = popEncrCert
	}
	switch f.pop {
	case "", popSignature:
		if !signs && !f.raVerified {
			return errors.New("--pop signature: the key cannot sign")
		}
		if f.pop != "" && f.raVerified {
			return errors.New("--pop and --ra-verified exclude each other")
		}
		return nil
	case popSignatureInput:
		switch {
		case !signs:
			return errors.New("--pop signature-input: the key cannot sign")
		case f.raVerified:
			return errors.New("--pop and --ra-verified exclude each other")
		case kind == cmp.TypeP10CR || kind == cmp.TypeCCR || f.subject != "":
			return errors.New("--pop signature-input is for ir, cr and kur without --subject")
		}
		return nil
	case popEncrCert, popChallenge, popAgreeMAC, popAgreeSignature, popEncryptedKey, popThisMessage:
	default:
		return fmt.Errorf("--pop: %q is none of signature, signature-input, encr-cert, challenge, agree-mac, agree-signature, encrypted-key and this-message", f.pop)
	}
	switch {
	case f.raVerified:
		return errors.New("--pop and --ra-verified exclude each other")
	case kind == cmp.TypeP10CR && f.pop == popAgreeMAC:
		return nil
	case kind == cmp.TypeP10CR:
		return errors.New("p10cr proves possession by a signature or agree-mac; ask by ir, cr or kur for a key that cannot sign")
	case kind == cmp.TypeCCR:
		return errors.New("ccr proves possession by a signature")
	case f.pop == popAgreeSignature || f.pop == popThisMessage:
		return nil
	case f.implicit && f.pop == popEncrCert:
		return errors.New("--implicit-confirm does not go with --pop encr-cert: the confirmation is the proof")
	}
	if o.PVNO == 0 {
		o.PVNO = 3
	}
	return nil
}

// checkArchive refuses what does not go with the CA's archive of keys.
func (f *requestFlags) checkArchive(kind cmp.BodyType, o *client.Options) error {
	switch {
	case f.archive != "" && kind != cmp.TypeIR && kind != cmp.TypeCR && kind != cmp.TypeKUR:
		return errors.New("--archive is for ir, cr and kur")
	case f.archive == "" && kind != cmp.TypeKRR:
		return nil
	case o.PVNO == 0:
		o.PVNO = 3
	}
	return nil
}

// recovery is the request of krr; nil for all keys.
func (f *requestFlags) recovery() (*client.Recovery, error) {
	subject, err := f.subjectName()
	switch {
	case err != nil:
		return nil, err
	case f.key != "" || f.centralKey != "":
		return nil, errors.New("krr asks for no certificate: --key and --central-key have no place in it")
	case f.old != "" && subject != nil:
		return nil, errors.New("--old names a key already: --subject does not go with it")
	case f.old != "":
		cert, err := certificateOfFlag("--old", f.old)
		if err != nil {
			return nil, err
		}
		return &client.Recovery{Certificate: cert}, nil
	case subject != nil:
		return &client.Recovery{Subject: subject}, nil
	}
	return nil, nil
}

// checkCentralKey refuses what does not go with a key that the CA makes.
func (f *requestFlags) checkCentralKey(kind cmp.BodyType, o *client.Options) error {
	if f.centralKey == "" {
		return nil
	}
	if kind != cmp.TypeIR && kind != cmp.TypeCR && kind != cmp.TypeKUR {
		return errors.New("--central-key is for ir, cr and kur")
	}
	if f.key != "" || f.keyOut != "" || f.raVerified {
		return errors.New("--central-key has the CA make the key: --key, --key-out and --ra-verified do not go with it")
	}
	if _, ok := alg.KeyTypeAlgorithm(f.centralKey); !ok && f.centralKey != "any" {
		return fmt.Errorf("--central-key: %q is no type of key; there are any, %s", f.centralKey,
			strings.Join(slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes()), ", "))
	}
	if o.PVNO == 0 {
		o.PVNO = 3
	}
	return nil
}

// encryptionKey is the key to which private keys are to be encrypted, with the
// file that it goes to where it is new; nil where there is none.
func (f *requestFlags) encryptionKey(kind cmp.BodyType) (key keyPair, path string, err error) {
	switch {
	case f.encrKey == "" && f.encrKeyType == "":
		return nil, "", nil
	case f.encrKey != "" && f.encrKeyType != "":
		return nil, "", errors.New("--encr-key and --encr-key-type exclude each other: read a key, or make one")
	case f.centralKey == "" && kind != cmp.TypeKRR:
		return nil, "", errors.New("--encr-key and --encr-key-type are for private keys that come from the CA: with --central-key and krr")
	}
	var k crypto.PrivateKey
	if f.encrKey != "" {
		pass, err := f.passphrase()
		if err != nil {
			return nil, "", fmt.Errorf("--passphrase-file: %w", err)
		}
		if k, err = readAnyKey(f.encrKey, pass); err != nil {
			return nil, "", fmt.Errorf("--encr-key: %w", err)
		}
	} else {
		path = sessionBase(f.session) + ".encr.key" // where accept looks for it
		if alg.KeyTypeUses(f.encrKeyType)&^alg.UseSign == 0 {
			return nil, "", fmt.Errorf("--encr-key-type: nothing can be encrypted to a key of type %q; take RSA, EC, X25519, X448 or ML-KEM", f.encrKeyType)
		}
		if k, err = alg.GenerateAnyKey(rand.Reader, f.encrKeyType); err != nil {
			return nil, "", fmt.Errorf("--encr-key-type: %w", err)
		}
	}
	key, ok := k.(keyPair)
	if !ok {
		return nil, "", fmt.Errorf("--encr-key: a private key of type %T has no public key", k)
	}
	return key, path, nil
}

// keyPair is a private key that knows its public half.
type keyPair interface{ Public() crypto.PublicKey }

func (f *requestFlags) writeKey(path string, key crypto.PrivateKey) error {
	pass, err := f.passphrase()
	if err != nil {
		return usageError{fmt.Errorf("--passphrase-file: %w", err)}
	}
	data, err := keyPEM(key, pass)
	if err != nil {
		return err
	}
	return writeNew(path, data, 0o600)
}

// keyPEM writes a private key, encrypted where there is a passphrase.
func keyPEM(key crypto.PrivateKey, pass []byte) ([]byte, error) {
	if pass != nil {
		return keyfile.EncryptPKCS8(rand.Reader, key, pass)
	}
	return keyfile.MarshalPKCS8(key)
}

// certificate is the request of ir, cr and kur.
func (f *requestFlags) certificate(key crypto.PrivateKey) (r client.CertificateRequest, err error) {
	if s, ok := key.(crypto.Signer); ok {
		r.Key = s
	} else if p, ok := key.(interface{ Public() crypto.PublicKey }); ok {
		if r.PublicKey, err = alg.MarshalPublicKey(p.Public()); err != nil {
			return r, err
		}
	}
	switch f.pop {
	case popSignatureInput:
		r.POP = client.POPSignatureInput
	case popEncrCert:
		r.POP = client.POPEncrCert
	case popChallenge:
		r.POP = client.POPChallenge
	case popAgreeMAC:
		err = f.proveTo(&r, client.POPAgreeMAC, key, "--ca-agreement-cert", f.agreementCert)
	case popAgreeSignature:
		err = f.proveTo(&r, client.POPAgreeSignature, key, "--ca-agreement-cert", f.agreementCert)
	case popEncryptedKey:
		err = f.proveTo(&r, client.POPEncryptedKey, key, "--ca-encryption-cert", f.encryptionCert)
	case popThisMessage:
		err = f.proveTo(&r, client.POPThisMessage, key, "--ca-encryption-cert", f.encryptionCert)
	}
	if err != nil {
		return r, err
	}
	if f.centralKey != "" {
		a, _ := alg.KeyTypeAlgorithm(f.centralKey) // zero for any
		r.CentralKey = &a
		if bits, ok := strings.CutPrefix(f.centralKey, "rsa-"); ok {
			n, err := strconv.Atoi(bits)
			if err != nil {
				return r, fmt.Errorf("--central-key: %w", err)
			}
			c, err := crmf.NewRSAKeyLen(n)
			if err != nil {
				return r, fmt.Errorf("--central-key: %w", err)
			}
			r.Controls = append(r.Controls, c)
		}
	}
	if f.raVerified {
		r.POP = client.POPRAVerified
	}
	if r.Subject, err = f.subjectName(); err != nil {
		return r, err
	}
	if r.SANs, err = parseSANs(f.sans); err != nil {
		return r, err
	}
	for _, name := range f.keyUsage {
		u, ok := pkix.KeyUsageByName(name)
		if !ok {
			return r, fmt.Errorf("--key-usage: %q is none", name)
		}
		r.KeyUsage |= u
	}
	for _, name := range f.extUsage {
		oid, ok := pkix.ExtKeyUsageByName(name)
		if !ok {
			if oid, err = pkix.ParseOID(name); err != nil {
				return r, fmt.Errorf("--ext-key-usage: %q is neither a name nor an object identifier", name)
			}
		}
		r.ExtKeyUsage = append(r.ExtKeyUsage, oid)
	}
	if f.validity != "" {
		p, err := issuance.ParsePeriod(f.validity)
		if err != nil {
			return r, fmt.Errorf("--validity: %w", err)
		}
		r.NotAfter = p.From(time.Now())
	}
	if f.archive != "" {
		cert, err := certificateOfFlag("--archive", f.archive)
		if err != nil {
			return r, err
		}
		r.ArchiveTo, r.ArchiveKey = cert, key
	}
	if f.old != "" {
		cert, err := certificateOfFlag("--old", f.old)
		if err != nil {
			return r, err
		}
		r.OldCertificate = cert
	}
	return r, nil
}

// proveTo sets a proof that only the CA with a certificate can check.
func (f *requestFlags) proveTo(r *client.CertificateRequest, pop client.POP, key crypto.PrivateKey, flag, path string) error {
	cert, err := certificateOfFlag(flag, path)
	if err != nil {
		return err
	}
	r.POP, r.ProofTo, r.ProofKey = pop, cert, key
	return nil
}

// cross is what ccr has beyond other requests.
func (f *requestFlags) cross(r *client.CertificateRequest, cred *client.Credentials) error {
	if f.validity == "" {
		return errors.New("ccr needs --validity")
	}
	if cred.Certificate == nil {
		return errors.New("ccr is signed: --cert and --sign-key are the CA's")
	}
	r.NotBefore = cred.Now.Truncate(time.Second)
	if r.Subject == nil {
		c, err := parseCertificate(cred.Certificate)
		if err != nil {
			return fmt.Errorf("--cert: %w", err)
		}
		r.Subject = c.RawSubject
	}
	r.Extensions = append(r.Extensions, pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: f.pathLen}))
	return nil
}

func (f *requestFlags) subjectName() (pkix.Name, error) {
	if f.subject == "" {
		return nil, nil
	}
	n, err := pkix.ParseDN(f.subject)
	if err != nil {
		return nil, fmt.Errorf("--subject: %w", err)
	}
	return n, nil
}

func parseSANs(list []string) ([]pkix.GeneralName, error) {
	var out []pkix.GeneralName
	for _, s := range list {
		kind, value, ok := strings.Cut(s, ":")
		var n pkix.GeneralName
		var err error
		switch {
		case !ok:
			err = fmt.Errorf("write dns:HOST, ip:ADDRESS, email:ADDRESS or uri:URI")
		case kind == "dns":
			n, err = pkix.NewDNSName(value)
		case kind == "email":
			n, err = pkix.NewRFC822Name(value)
		case kind == "uri":
			n, err = pkix.NewURI(value)
		case kind == "ip":
			var a netip.Addr
			if a, err = netip.ParseAddr(value); err == nil {
				n, err = pkix.NewIPAddress(a)
			}
		default:
			err = fmt.Errorf("%q is no kind of name: dns, ip, email or uri", kind)
		}
		if err != nil {
			return nil, fmt.Errorf("--san %q: %w", s, err)
		}
		out = append(out, n)
	}
	return out, nil
}

// pkcs10 reads --csr or makes a CertificationRequest with the key.
func (f *requestFlags) pkcs10(key crypto.PrivateKey) ([]byte, error) {
	if f.csr != "" {
		data, err := readBounded(f.csr, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("--csr: %w", err)
		}
		if b, _ := pem.Decode(data); b != nil {
			data = b.Bytes
		}
		if _, err := pkcs10.Parse(data, der.Limits{}); err != nil {
			return nil, fmt.Errorf("--csr %s: %w", f.csr, err)
		}
		return data, nil
	}
	subject, err := f.subjectName()
	if err != nil {
		return nil, err
	}
	if subject == nil {
		subject = pkix.EmptyName
	}
	spki, err := alg.MarshalPublicKey(key.(interface{ Public() crypto.PublicKey }).Public())
	if err != nil {
		return nil, err
	}
	tmpl, err := f.certificate(key)
	if err != nil {
		return nil, err
	}
	sigAlg, sign, err := pkcs10Signer(key, &tmpl)
	if err != nil {
		return nil, err
	}
	var exts []pkix.Extension
	if len(tmpl.SANs) > 0 {
		e, err := pkix.SubjectAltNameExtension(tmpl.SANs, subject.IsEmpty())
		if err != nil {
			return nil, err
		}
		exts = append(exts, e)
	}
	if tmpl.KeyUsage != 0 {
		exts = append(exts, pkix.KeyUsageExtension(tmpl.KeyUsage))
	}
	if len(tmpl.ExtKeyUsage) > 0 {
		exts = append(exts, pkix.ExtKeyUsageExtension(tmpl.ExtKeyUsage))
	}
	var attrs []pkcs10.Attribute
	if len(exts) > 0 {
		a, err := pkcs10.ExtensionRequest(exts)
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, a)
	}
	return pkcs10.Build(subject, spki, attrs, sigAlg, sign)
}

// pkcs10Signer is how the key signs a PKCS #10 request, or what it does in place
// of that (RFC 6955).
func pkcs10Signer(key crypto.PrivateKey, r *client.CertificateRequest) (a pkix.AlgorithmIdentifier, sign func([]byte) ([]byte, error), err error) {
	if r.POP == client.POPAgreeMAC {
		if a, err = alg.StaticPOPFor(key.(interface{ Public() crypto.PublicKey }).Public()); err != nil {
			return a, nil, err
		}
		dh, err := client.StaticDH(key, r.ProofTo)
		if err != nil {
			return a, nil, err
		}
		return a, func(info []byte) ([]byte, error) { return dh.Sign(a, info) }, nil
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return a, nil, errors.New("the key cannot sign")
	}
	if a, err = alg.SignatureFor(signer.Public(), ""); err != nil {
		return a, nil, err
	}
	return a, func(info []byte) ([]byte, error) { return alg.Sign(rand.Reader, signer, a, info) }, nil
}

// revocation is the request of rr.
func (f *requestFlags) revocation() (r client.Revocation, err error) {
	switch {
	case f.revoke != "":
		cert, err := certificateOfFlag("--revoke", f.revoke)
		if err != nil {
			return r, err
		}
		r.Certificate = cert
	case f.serial != "" && f.issuer != "":
		if r.Issuer, err = pkix.ParseDN(f.issuer); err != nil {
			return r, fmt.Errorf("--issuer: %w", err)
		}
		n, ok := new(big.Int).SetString(strings.ReplaceAll(f.serial, ":", ""), 16)
		if !ok {
			return r, fmt.Errorf("--serial: %q is not hex", f.serial)
		}
		r.Serial = n
	default:
		return r, fmt.Errorf("say which certificate: --revoke FILE, or --issuer and --serial")
	}
	if f.reason == "" {
		r.NoReason = true
	} else {
		var ok bool
		if r.Reason, ok = pkix.CRLReasonByName(f.reason); !ok {
			return r, fmt.Errorf("--reason: %q is none of RFC 5280", f.reason)
		}
	}
	if f.invalidity != "" {
		if r.InvalidityDate, err = time.Parse(time.RFC3339, f.invalidity); err != nil {
			return r, fmt.Errorf("--invalidity-date: %w", err)
		}
	}
	return r, nil
}
