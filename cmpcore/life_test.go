package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

// TestALife is a matrix: every type of key x every protection x every proof
// of possession. A cell either lives (request, certConf, kur, genm, rr, CRL) or
// is refused with the bit that verdict names; none is passed over.
//
// Three things are dear, and without -long they are met in part of the cells
// only, which lifeInShort names: SLH-DSA keys that sign, RSA keys that the CA
// makes, and SLH-DSA as the protection. With -short and under the race detector
// two types of key are left. -long runs the whole product.
var long = flag.Bool("long", false, "run every cell of TestALife, also those with dear keys")

// lifeKeyTypes is what can be certified at all.
func lifeKeyTypes() []string { return slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes()) }

// What a type of key can do is written here from the standards and not taken
// from package alg: RFC 8410 (Ed and X keys), RFC 9881, RFC 9909, RFC 9935, and
// the composites of ML-DSA, which sign and do nothing else.
func keySigns(kt string) bool    { return !strings.HasPrefix(kt, "x") && !strings.HasPrefix(kt, "ml-kem") }
func keyDecrypts(kt string) bool { return keyAgrees(kt) || keyEnciphers(kt) }
func keyAgrees(kt string) bool {
	return strings.HasPrefix(kt, "x") || strings.HasPrefix(kt, "ecdsa-")
}
func keyEnciphers(kt string) bool {
	return strings.HasPrefix(kt, "rsa-") || strings.HasPrefix(kt, "ml-kem")
}

// A lifePOP is one way to prove possession, and the kind of message it is
// tried in.
type lifePOP struct {
	name string
	body cmp.BodyType
	pop  client.POP
	ra   bool // asked by a registration authority
}

var lifePOPs = []lifePOP{
	{"signature", cmp.TypeIR, client.POPSignature, false},
	{"poposkInput", cmp.TypeCR, client.POPSignatureInput, false},
	{"raVerified by an RA", cmp.TypeIR, client.POPRAVerified, true},
	{"raVerified by no RA", cmp.TypeCR, client.POPRAVerified, false},
	{"encrCert", cmp.TypeIR, client.POPEncrCert, false},
	{"challenge", cmp.TypeCR, client.POPChallenge, false},
	{"PKCS #10", cmp.TypeP10CR, client.POPSignature, false},
	{"central key", cmp.TypeIR, client.POPNone, false},
	{"agreeMAC", cmp.TypeCR, client.POPAgreeMAC, false},
	{"DHBasedMac", cmp.TypeIR, client.POPAgreeSignature, false},
	{"encryptedKey", cmp.TypeCR, client.POPEncryptedKey, false},
}

// A lifeProtection is one way to protect messages. keyType is that of the
// certificate that protects; empty is a shared secret.
type lifeProtection struct {
	name    string
	keyType string
	mac     client.MAC
	sig     string // name of the signature algorithm; empty: the key's default
	kind    cmp.Kind
}

var lifeProtections = []lifeProtection{
	{name: "PBM", mac: client.MAC{Iterations: 200}, kind: cmp.ProtectionMAC},
	{name: "PBMAC1 with HMAC", mac: client.MAC{PBMAC1: true, Hash: "sha384", HMAC: "sha512", Iterations: 200}, kind: cmp.ProtectionMAC},
	{name: "PBMAC1 with KMAC", mac: client.MAC{PBMAC1: true, HMAC: "kmac256", Iterations: 200}, kind: cmp.ProtectionMAC},
	{name: "Diffie-Hellman", keyType: "x25519", kind: cmp.ProtectionDHMAC},
	{name: "KEM", keyType: "ml-kem-768", kind: cmp.ProtectionKEMMAC},
	{name: "RSA PKCS #1", keyType: "rsa-2048", sig: "rsa-sha256", kind: cmp.ProtectionSignature},
	{name: "RSA-PSS", keyType: "rsa-2048", sig: "rsa-pss-sha256", kind: cmp.ProtectionSignature},
	{name: "ECDSA", keyType: "ecdsa-p256", kind: cmp.ProtectionSignature},
	{name: "Ed25519", keyType: "ed25519", kind: cmp.ProtectionSignature},
	{name: "Ed448", keyType: "ed448", kind: cmp.ProtectionSignature},
	{name: "ML-DSA", keyType: "ml-dsa-65", kind: cmp.ProtectionSignature},
	{name: "SLH-DSA", keyType: "slh-dsa-sha2-128f", kind: cmp.ProtectionSignature},
	{name: "composite", keyType: "mldsa65-ecdsa-p256-sha512", kind: cmp.ProtectionSignature},
}

// verdict is what the standards make of a cell; 0: it lives.
func verdict(kt string, p lifeProtection, pop lifePOP) cmp.PKIFailureInfo {
	switch {
	case pop.name == "raVerified by no RA":
		return cmp.BadPOP // RFC 9810 section 5.2.8.2: an RA's word, nobody else's
	case pop.pop == client.POPSignature || pop.pop == client.POPSignatureInput:
		if !keySigns(kt) {
			return cmp.BadPOP // RFC 4211 section 4.1: the key itself signs
		}
	case pop.pop == client.POPEncrCert || pop.pop == client.POPChallenge || pop.pop == client.POPEncryptedKey:
		if !keyDecrypts(kt) {
			return cmp.BadPOP // RFC 4211 sections 4.2 and 4.3: the key itself decrypts
		}
	case pop.pop == client.POPAgreeMAC || pop.pop == client.POPAgreeSignature:
		if kt != "x25519" {
			return cmp.BadPOP // RFC 4211 section 4.3: it agrees with the CA's key, which is X25519
		}
	case pop.pop == client.POPNone && p.keyType != "" && !keyDecrypts(p.keyType):
		return cmp.NotAuthorized // RFC 9483 section 4.1.6: there is nothing to encrypt the key to
	}
	return 0
}

// lifeInShort tells whether a cell is met without -long.
func lifeInShort(kt string, p lifeProtection, pop lifePOP) bool {
	slh, slow := strings.HasPrefix(kt, "slh-dsa-"), strings.HasSuffix(kt, "s")
	signs := pop.pop == client.POPSignature || pop.pop == client.POPSignatureInput
	made := pop.pop == client.POPNone && verdict(kt, p, pop) == 0
	twoWays := p.name == "PBM" || p.name == "ECDSA"
	switch {
	case p.name == "SLH-DSA":
		return slices.Contains([]string{"ecdsa-p256", "x25519", "ml-kem-768", "ml-dsa-44"}, kt)
	case slh && slow && (signs || made):
		return kt == "slh-dsa-sha2-128s" && p.name == "PBM" && pop.name != "poposkInput"
	case slh && signs && kt != "slh-dsa-sha2-128f":
		return twoWays && pop.name == "signature"
	case strings.Contains(kt, "rsa4096") || kt == "rsa-4096":
		return !made && (twoWays || !signs)
	case strings.Contains(kt, "rsa") && made:
		return kt == "rsa-2048" && twoWays
	}
	return true
}

// lifeKey gives the nth key of a type, made once for all cells.
var lifeKeysMade sync.Map

func lifeKey(t testing.TB, kt string, n int) crypto.PrivateKey {
	t.Helper()
	if n == 1 && strings.Contains(kt, "rsa") && !strings.Contains(kt, "2048") {
		n = 0 // dear to make: an update keeps it
	}
	name := fmt.Sprint(kt, " ", n)
	if k, ok := lifeKeysMade.Load(name); ok {
		return k
	}
	k, _ := lifeKeysMade.LoadOrStore(name, anyKey(t, kt))
	return k
}

func publicOf(t testing.TB, k crypto.PrivateKey) pkix.SubjectPublicKeyInfo {
	t.Helper()
	return must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(k.(interface{ Public() crypto.PublicKey }).Public()))
}

// lifeBed serves all protections and makes keys of all types.
func lifeBed(t testing.TB, options ...option) *bed {
	t.Helper()
	return newBed(t, append([]option{withSeed, withPolicy(askKEM), func(b *bed) {
		k := lifeKey(t, "x25519", 100)
		b.agreement = foreignKey(t, b.ca, "CA agreement", publicOf(t, k), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
		b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: k}
		b.cfg.Profiles["default"] = profile(t, "default", func(c *issuance.ProfileConfig) {
			c.Keys = lifeKeyTypes()
			c.KeyUsage.Default = append(c.KeyUsage.Default, "keyAgreement")
		})
		authorities := b.cfg.Rules[len(b.cfg.Rules)-1] // as partners, but they vouch
		authorities.Name, authorities.RAVerified = "partner RAs", true
		authorities.Certificate = &cmpcore.CertificateWho{Anchors: []*x509.Certificate{b.partner.cert},
			Subject: func(n pkix.Name) bool { return strings.Contains(n.String(), "CN=RA ") }}
		b.cfg.Rules = slices.Insert(b.cfg.Rules, len(b.cfg.Rules)-1, authorities)
		enc := certify(b, b.ca, "Encryption", key(b, "rsa2048 encryption"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
		b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key}
		for i := range b.cfg.Rules {
			b.cfg.Rules[i].Proofs = cmpcore.ProofAgreement | cmpcore.ProofEncryptedKey
			b.cfg.Rules[i].CentralKeys, b.cfg.Rules[i].SameKey = lifeKeyTypes(), true
		}
	}}, options...)...)
}

// A guise is a requester under one protection.
type guise struct {
	client.Credentials
	*bed
	p lifeProtection
}

func (b *bed) guise(p lifeProtection, ra bool) *guise {
	b.Helper()
	who := "device"
	if ra {
		who = "RA"
	}
	g := &guise{bed: b, p: p}
	if p.keyType == "" {
		dev := b.device(map[string]string{"device": "dev-life", "RA": "ra-life"}[who])
		g.Credentials = b.credentials(dev)
		g.MAC = p.mac
		return g
	}
	private := lifeKey(b, p.keyType, 101)
	h := foreignKey(b, b.partner, who+" "+p.name, publicOf(b, private), func(c *x509.Certificate) {
		c.KeyUsage = 0
		for usage, can := range map[x509.KeyUsage]bool{x509.KeyUsageDigitalSignature: keySigns(p.keyType),
			x509.KeyUsageKeyAgreement: keyAgrees(p.keyType), x509.KeyUsageKeyEncipherment: keyEnciphers(p.keyType)} {
			if can {
				c.KeyUsage |= usage
			}
		}
	})
	g.Credentials = b.credentials(&party{holder: h})
	switch p.kind {
	case cmp.ProtectionDHMAC:
		g.Agreement = &client.Agreement{Key: private, Peer: b.agreement.cert.Raw}
	case cmp.ProtectionKEMMAC:
		g.KEMKey = private
	default:
		g.Key, g.Signature = private.(crypto.Signer), p.sig
	}
	return g
}

// start makes a request; under a KEM key it fetches a ciphertext first.
func (g *guise) start(o client.Options) (*client.Session, []byte) {
	g.Helper()
	o.Credentials, o.PVNO = g.Credentials, 3
	if g.p.kind == cmp.ProtectionKEMMAC {
		s, der, err := client.Start(client.Options{Kind: cmp.TypeGenM, Credentials: g.Credentials, Infos: []cmp.InfoTypeAndValue{question(cmp.OIDKEMCiphertextInfo)}})
		if err != nil {
			g.Fatal(err)
		}
		if _, err := s.Accept(g.process(der).Reply, g.Credentials); err != nil {
			g.Fatal(err)
		}
		o.After = s
	}
	s, der, err := client.Start(o)
	if err != nil {
		g.Fatal(err)
	}
	return s, der
}

// goOn ends a conversation. It gives what certificates came with, and what the
// answer refuses.
func (g *guise) goOn(s *client.Session, der []byte, keys ...crypto.PrivateKey) (r *client.Result, certs []client.Certificate, refused cmp.PKIFailureInfo) {
	g.Helper()
	cred := g.Credentials
	cred.RequestedKeys = keys
	for n := 0; ; n++ {
		out := g.process(der)
		g.commit(der, out)
		g.kindOf(out.Reply)
		var err error
		var pe *client.PeerError
		if r, err = s.Accept(out.Reply, cred); errors.As(err, &pe) && pe.Authenticated {
			return nil, nil, pe.FailInfo
		} else if err != nil {
			g.Fatalf("answer %d: %v (%s)", n, err, out.Reason)
		}
		for _, c := range r.Certificates {
			if c.State == client.ItemRefused {
				return r, nil, c.Status.FailInfo
			}
			if c.Err != nil {
				g.Fatalf("certificate: %v", c.Err)
			}
		}
		if len(r.Certificates) > 0 && certs == nil {
			certs = r.Certificates
		}
		if der = r.Next; der == nil {
			if !r.Done {
				g.Fatalf("the session ends at %s without being done", s.Step)
			}
			return r, certs, 0
		}
		if n > 5 {
			g.Fatal("it does not end")
		}
	}
}

// kindOf wants answers to be protected as requests are; for KEM keys they are
// signed.
func (g *guise) kindOf(reply []byte) {
	g.Helper()
	m, err := cmp.Parse(reply, cmp.Limits{})
	if err != nil {
		g.Fatal(err)
	}
	want := g.p.kind
	if want == cmp.ProtectionKEMMAC {
		want = cmp.ProtectionSignature
	}
	if got := cmp.ProtectionKind(m.Header.ProtectionAlg); got != want {
		g.Errorf("%s is protected by %v, want %v", m.Body.Type(), got, want)
	}
}

// protector protects what the client would not write.
func (g *guise) protector(s *client.Session) cmp.Protector {
	g.Helper()
	c := g.Credentials
	switch g.p.kind {
	case cmp.ProtectionDHMAC:
		peer := must[crypto.PublicKey](g)(alg.ParsePublicKey(g.agreement.cert.RawSubjectPublicKeyInfo))
		secret := must[[]byte](g)(alg.SharedSecret(c.Agreement.Key, peer))
		return cmp.DHMACProtector(must[*alg.DHBM](g)(alg.NewDHBM(alg.DHBMOptions{})), secret)
	case cmp.ProtectionKEMMAC:
		i := cmp.InfoTypeAndValue{Type: cmp.OIDKEMCiphertextInfo, Value: s.Ciphertext}
		ct := must[cmp.KEMCiphertextInfo](g)(i.KEMCiphertextInfo())
		secret := must[[]byte](g)(alg.Decapsulate(rand.Reader, c.KEMKey, ct.KEM, ct.Ciphertext))
		return cmp.KEMMACProtector(must[*alg.KEMBM](g)(alg.NewKEMBM(alg.KEMBMOptions{})), secret, s.TransactionID)
	case cmp.ProtectionSignature:
		return cmp.SignatureProtector(rand.Reader, c.Key, must[pkix.AlgorithmIdentifier](g)(alg.SignatureFor(c.Key.Public(), c.Signature)))
	}
	return cmp.MACProtector(pbm(g, 200), c.Secret)
}

// basedMAC is id-DHBasedMac, with a one-way function and a MAC.
var basedMAC = dhAlgorithm(oidSHA256, oidHMACSHA256)

// forge gives a request the proof that the client refuses to make: one that is
// not for the key.
func (g *guise) forge(s *client.Session, der []byte, pop lifePOP) []byte {
	g.Helper()
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		g.Fatal(err)
	}
	r := &m.Body.(*cmp.CertReqMessages).Requests[0]
	liar := key(g, "p256 liar")
	a := must[pkix.AlgorithmIdentifier](g)(alg.SignatureFor(liar.Public(), ""))
	switch pop.pop {
	case client.POPSignature:
		r.POPO = must[*crmf.POPOSigningKey](g)(crmf.SignPOP(rand.Reader, liar, a, r.CertReq.Raw))
	case client.POPSignatureInput:
		r.CertReq.Template.Subject = nil
		in := &crmf.POPOSigningKeyInput{Sender: m.Header.Sender, PublicKey: r.CertReq.Template.PublicKey}
		r.POPO = must[*crmf.POPOSigningKey](g)(crmf.SignPOPInput(rand.Reader, liar, a, in))
	case client.POPEncrCert:
		subsequent(crmf.KeyEncipherment, crmf.EncrCert)(r)
	case client.POPChallenge:
		subsequent(crmf.KeyAgreement, crmf.ChallengeResp)(r)
	case client.POPAgreeMAC:
		r.POPO = &crmf.POPOPrivKey{Use: crmf.KeyAgreement, Form: crmf.AgreeMAC, MAC: &crmf.PKMACValue{Algorithm: basedMAC, Value: random(32)}}
	case client.POPAgreeSignature:
		r.POPO = &crmf.POPOSigningKey{Algorithm: basedMAC, Signature: random(32)}
	case client.POPEncryptedKey:
		to := must[*cms.Recipient](g)(cms.ForCertificate(g.cfg.Encryption.Certificate, nil))
		der := must[[]byte](g)(cms.Encrypt(rand.Reader, []*cms.Recipient{to}, cms.OIDKeyWithID, random(100), nil))
		r.POPO = &crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.EncryptedKeyPOP, Enveloped: der}
	}
	r.CertReq.Raw = nil
	return must[[]byte](g)(cmp.Seal(&m.Header, m.Body, m.ExtraCerts, g.protector(s)))
}

// wanted is the request for a certificate of a cell; n counts its keys.
func (g *guise) wanted(kt string, n int, pop lifePOP, old []byte) (client.CertificateRequest, crypto.PrivateKey) {
	g.Helper()
	name := must[pkix.GeneralName](g)(pkix.NewDNSName("life.example"))
	r := client.CertificateRequest{Subject: dn(g, "CN=life"), SANs: []pkix.GeneralName{name}, POP: pop.pop, OldCertificate: old}
	if pop.pop == client.POPSignatureInput {
		r.Subject = nil
	}
	if old != nil {
		r.Subject, r.SANs = nil, nil // they stay
	}
	if pop.pop == client.POPNone {
		a, ok := alg.KeyTypeAlgorithm(kt)
		if !ok {
			g.Fatal(kt)
		}
		r.CentralKey = &a
		if bits, isRSA := strings.CutPrefix(kt, "rsa-"); isRSA {
			n := must[int](g)(strconv.Atoi(bits))
			r.Controls = append(r.Controls, must[crmf.Attribute](g)(crmf.NewRSAKeyLen(n)))
		}
		return r, nil
	}
	private := lifeKey(g, kt, n)
	signs := pop.pop == client.POPSignature || pop.pop == client.POPSignatureInput
	if s, ok := private.(crypto.Signer); ok && signs {
		r.Key = s
	} else {
		r.PublicKey = publicOf(g, private)
	}
	switch pop.pop {
	case client.POPAgreeMAC, client.POPAgreeSignature:
		r.ProofTo, r.ProofKey = g.agreement.cert.Raw, private
	case client.POPEncryptedKey:
		r.ProofTo, r.ProofKey = g.cfg.Encryption.Certificate, private
	}
	return r, private
}

// request asks for a certificate, truly or not.
func (g *guise) request(kt string, pop lifePOP) ([]client.Certificate, crypto.PrivateKey, cmp.PKIFailureInfo) {
	g.Helper()
	want, private := g.wanted(kt, 0, pop, nil)
	o := client.Options{Kind: pop.body, Certificates: []client.CertificateRequest{want}}
	fits := verdict(kt, g.p, pop) == 0 || pop.pop == client.POPNone || pop.pop == client.POPRAVerified
	if pop.body == cmp.TypeP10CR {
		o.Certificates, o.PKCS10 = nil, g.pkcs10(private)
		fits = true // it is no less wrong, but the client does not look
	}
	if !fits {
		o.Certificates[0].POP, o.Certificates[0].ProofTo, o.Certificates[0].ProofKey = client.POPNone, nil, nil
	}
	s, der := g.start(o)
	if !fits {
		der = g.forge(s, der, pop)
	}
	_, certs, refused := g.goOn(s, der, private)
	return certs, private, refused
}

// pkcs10 is a request that the key signs or, where it cannot, another.
func (g *guise) pkcs10(private crypto.PrivateKey) []byte {
	g.Helper()
	signer, ok := private.(crypto.Signer)
	if !ok {
		signer = key(g, "p256 liar")
	}
	a := must[pkix.AlgorithmIdentifier](g)(alg.SignatureFor(signer.Public(), ""))
	return must[[]byte](g)(pkcs10.Build(dn(g, "CN=life"), publicOf(g, private), nil, a, func(info []byte) ([]byte, error) {
		return alg.Sign(rand.Reader, signer, a, info)
	}))
}

// certificate looks at what was issued with the standard library and, for keys
// that it does not know, with package alg alone.
func (g *guise) certificate(c client.Certificate, kt string, private crypto.PrivateKey) *x509.Certificate {
	g.Helper()
	cert := must[*x509.Certificate](g)(x509.ParseCertificate(c.Certificate))
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(g.root.cert)
	inter.AddCert(g.ca.cert)
	if cert.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		g.signedByCA(cert.RawTBSCertificate, cert.Signature, cert.Raw)
	} else if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: g.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		g.Errorf("certificate: %v", err)
	}
	if c.Key != nil {
		private = c.Key
	}
	switch pub := cert.PublicKey.(type) {
	case nil:
		g.sameAsIn(cert, kt, private)
	case interface{ Equal(crypto.PublicKey) bool }:
		std := private
		if der, err := x509.MarshalPKCS8PrivateKey(private); err == nil {
			std = must[any](g)(x509.ParsePKCS8PrivateKey(der))
		}
		own := std.(interface{ Public() crypto.PublicKey }).Public()
		if !pub.Equal(own) {
			g.Errorf("the certificate is for another key: %T, not %T", pub, own)
		}
	default:
		g.Errorf("a key of type %T", pub)
	}
	if !keySigns(kt) && cert.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) != 0 {
		g.Errorf("a key that cannot sign has key usage %b", cert.KeyUsage)
	}
	if !keyDecrypts(kt) && cert.KeyUsage&(x509.KeyUsageKeyEncipherment|x509.KeyUsageKeyAgreement|x509.KeyUsageDataEncipherment) != 0 {
		g.Errorf("a key that cannot decrypt has key usage %b", cert.KeyUsage)
	}
	g.wantStatus(cert, cmpcore.Valid)
	return cert
}

// signedByCA checks a signature that crypto/x509 does not know.
func (b *bed) signedByCA(tbs, sig, der []byte) {
	b.Helper()
	a, ok := pkix.SignatureAlgorithm(der)
	pub := must[crypto.PublicKey](b)(alg.ParsePublicKey(b.ca.cert.RawSubjectPublicKeyInfo))
	if err := alg.Verify(a, pub, tbs, sig, nil); !ok || err != nil {
		b.Errorf("signature of the CA: %v", err)
	}
}

// sameAsIn uses the private key and the certificate's public one together; the
// dear keys are compared.
func (g *guise) sameAsIn(cert *x509.Certificate, kt string, private crypto.PrivateKey) {
	g.Helper()
	pub := must[crypto.PublicKey](g)(alg.ParsePublicKey(cert.RawSubjectPublicKeyInfo))
	if got := alg.KeyType(pub); got != kt {
		g.Errorf("the certificate is for a key of type %s, not %s", got, kt)
	}
	signer, signs := private.(crypto.Signer)
	switch {
	case strings.HasPrefix(kt, "slh-dsa-") || !signs:
		if !bytes.Equal(publicOf(g, private), cert.RawSubjectPublicKeyInfo) {
			g.Error("the certificate is for another key")
		}
	default:
		a := must[pkix.AlgorithmIdentifier](g)(alg.SignatureFor(signer.Public(), ""))
		sig := must[[]byte](g)(alg.Sign(rand.Reader, signer, a, []byte("proof")))
		if err := alg.Verify(a, pub, []byte("proof"), sig, nil); err != nil {
			g.Error(err)
		}
	}
}

func TestALife(t *testing.T) {
	var lived, refused, left int
	for _, p := range lifeProtections {
		for _, kt := range lifeKeyTypes() {
			var b *bed
			for _, pop := range lifePOPs {
				if !*long && (!lifeInShort(kt, p, pop) || (testing.Short() || raceDetector) && kt != "ecdsa-p256" && kt != "x25519") {
					left++
					continue
				}
				if b == nil {
					b = lifeBed(t)
				}
				want := verdict(kt, p, pop)
				t.Run(strings.Join([]string{p.name, kt, pop.name}, "/"), func(t *testing.T) {
					b.TB = t
					b.live(t, p, kt, pop, want)
				})
				b.TB = t
				if want == 0 {
					lived++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d cells live, %d are refused, %d are left to -long", lived, refused, left)
	if all := len(lifeKeyTypes()) * len(lifeProtections) * len(lifePOPs); lived+refused+left != all {
		t.Errorf("%d cells of %d", lived+refused+left, all)
	}
}

func (b *bed) live(t *testing.T, p lifeProtection, kt string, pop lifePOP, want cmp.PKIFailureInfo) {
	g := b.guise(p, pop.ra)
	before := len(b.store.certs)
	certs, private, refused := g.request(kt, pop)
	if refused != want {
		t.Fatalf("failInfo %s, want %s", refused, want)
	}
	if want != 0 {
		if len(b.store.certs) != before {
			t.Error("refused, and yet a certificate")
		}
		return
	}
	one := g.certificate(certs[0], kt, private)

	// kur, by who has enrolled; after a PKCS #10 by the new certificate itself, as
	// RFC 9483 section 4.1.3 has it.
	by, again := g, pop
	if pop.body == cmp.TypeP10CR {
		own := g.Credentials
		own.Secret, own.Reference, own.Agreement, own.KEMKey, own.Signature = nil, nil, nil, nil, ""
		own.Key, own.Certificate, own.Chain = private.(crypto.Signer), one.Raw, append([][]byte{b.ca.cert.Raw}, b.ca.chain...)
		by = &guise{bed: b, Credentials: own, p: lifeProtection{name: "own certificate", keyType: kt, kind: cmp.ProtectionSignature}}
	}
	update, next := by.wanted(kt, 1, again, one.Raw)
	s, der := by.start(client.Options{Kind: cmp.TypeKUR, Certificates: []client.CertificateRequest{update}})
	_, certs, refused = by.goOn(s, der, next)
	if refused != 0 {
		t.Fatalf("kur: %s", refused)
	}
	two := by.certificate(certs[0], kt, next)
	if !bytes.Equal(two.RawSubject, one.RawSubject) || !slices.Equal(two.DNSNames, one.DNSNames) {
		t.Errorf("the update is for %s %q", two.Subject, two.DNSNames)
	}

	s, der = g.start(client.Options{Kind: cmp.TypeGenM, Infos: []cmp.InfoTypeAndValue{question(cmp.OIDCACerts)}})
	r, _, refused := g.goOn(s, der)
	if refused != 0 || len(r.Infos) != 1 {
		t.Fatalf("genm: %s", refused)
	}
	if list, err := r.Infos[0].CACerts(); err != nil || len(list) == 0 || !bytes.Equal(list[0], b.ca.cert.Raw) {
		t.Errorf("caCerts: %v", err)
	}

	s, der = by.start(client.Options{Kind: cmp.TypeRR, Revocations: []client.Revocation{
		{Certificate: one.Raw, Reason: pkix.ReasonSuperseded}, {Certificate: two.Raw, Reason: pkix.ReasonKeyCompromise}}})
	r, _, refused = by.goOn(s, der)
	if refused != 0 || len(r.Revocations) != 2 || !r.Revocations[0].Revoked() || !r.Revocations[1].Revoked() {
		t.Fatalf("rr: %s %+v", refused, r)
	}
	b.wantStatus(one, cmpcore.Revoked)
	b.wantStatus(two, cmpcore.Revoked)
	crl := b.makeCRL()
	for cert, reason := range map[*x509.Certificate]int{one: 4, two: 1} {
		if !slices.ContainsFunc(crl.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(cert.SerialNumber) == 0 && e.ReasonCode == reason
		}) {
			t.Errorf("the CRL lacks %x", cert.SerialNumber)
		}
	}
	if p.name == "PBM" && b.root != b.ca && (pop.name == "signature" || pop.name == "encrCert") {
		g.opensslSays(kt, one, crl.Raw)
	}
}

// The key of the CA is another axis: certHash and hashAlg follow it (RFC 9810
// section 5.3.18).
func TestALifeUnderEveryKeyOfTheCA(t *testing.T) {
	for _, ca := range []struct{ keyType, sig string }{
		{"rsa-2048", "rsa-sha512"}, {"rsa-2048", "rsa-pss-sha384"}, {"ecdsa-p384", ""}, {"ecdsa-p521", ""}, {"ecdsa-p256", "ecdsa-sha3-256"},
		{"ed25519", ""}, {"ed448", ""}, {"ml-dsa-44", ""}, {"ml-dsa-65", ""}, {"ml-dsa-87", ""}, {"slh-dsa-sha2-128f", ""},
		{"mldsa44-rsa2048-pss-sha256", ""}, {"mldsa65-ecdsa-p256-sha512", ""}, {"mldsa87-ed448-shake256", ""},
	} {
		k := lifeKey(t, ca.keyType, 102).(crypto.Signer)
		b := lifeBed(t, func(b *bed) {
			period := must[issuance.Period](t)(issuance.ParsePeriod("20y"))
			der := must[[]byte](t)(issuance.SelfSigned(rand.Reader, k, ca.sig, dn(t, "CN=CA of another kind"), period, epoch.Add(-day)))
			b.ca = &holder{key: k, cert: must[*x509.Certificate](t)(x509.ParseCertificate(der))}
			b.root = b.ca
			issuer := must[*issuance.Issuer](t)(issuance.NewIssuer(der, k, ca.sig))
			b.cfg.Authority = cmpcore.Authority{Issuer: issuer, Certificate: der, Signer: k, SignatureAlgorithm: ca.sig, Agreement: b.cfg.Authority.Agreement}
		})
		for _, p := range lifeProtections {
			if p.name != "PBM" && p.name != "Ed25519" {
				continue
			}
			for kt, pop := range map[string]lifePOP{"ecdsa-p256": lifePOPs[0], "x25519": lifePOPs[4], "ml-kem-768": lifePOPs[5], "ed25519": lifePOPs[7]} {
				t.Run(strings.Join([]string{ca.keyType, ca.sig, p.name, pop.name}, "/"), func(t *testing.T) {
					b.TB = t
					b.live(t, p, kt, pop, verdict(kt, p, pop))
				})
				b.TB = t
			}
		}
	}
}

// opensslSays: the chain is good without the CRL and revoked with it. OpenSSL
// 3.0 reads no keys of later standards.
func (g *guise) opensslSays(kt string, cert *x509.Certificate, crl []byte) {
	g.Helper()
	if strings.HasPrefix(kt, "ml-") || strings.HasPrefix(kt, "slh-") || strings.HasPrefix(kt, "mldsa") {
		return
	}
	dir := g.TempDir()
	for name, block := range map[string]*pem.Block{
		"root.pem": {Type: "CERTIFICATE", Bytes: g.root.cert.Raw}, "ca.pem": {Type: "CERTIFICATE", Bytes: g.ca.cert.Raw},
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Raw}, "crl.pem": {Type: "X509 CRL", Bytes: crl},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			g.Fatal(err)
		}
	}
	at := strconv.FormatInt(g.now.Unix(), 10)
	openssl(g, dir, "verify", "-x509_strict", "-attime", at, "-CAfile", "root.pem", "-untrusted", "ca.pem", "cert.pem")
	if out := opensslFails(g, dir, "verify", "-crl_check", "-attime", at, "-CAfile", "root.pem", "-untrusted", "ca.pem", "-CRLfile", "crl.pem", "cert.pem"); !strings.Contains(out, "certificate revoked") {
		g.Errorf("openssl verify with the CRL: %s", out)
	}
}

// opensslFails runs openssl where it must fail, and gives what it says.
func opensslFails(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("openssl %s succeeds", strings.Join(args, " "))
	}
	return string(out)
}
