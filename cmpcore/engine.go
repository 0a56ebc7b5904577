package cmpcore

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/pkix"
)

// Engine is a CMP authority. It holds no state that a message changes; all its
// methods may be called concurrently.
type Engine struct {
	cfg Config

	caCert     *x509.Certificate
	caName     pkix.Name
	sender     pkix.GeneralName // subject of the protection certificate
	senderKID  []byte
	sigAlg     pkix.AlgorithmIdentifier
	caChain    [][]byte // CA certificate and its issuers
	caChainCut [][]byte // the same without self-signed ones
	protChain  [][]byte // protection certificate first, then its issuers, then the CA's
	protCut    [][]byte
	roots      [][]byte // self-signed ones of the chain: caPubs

	kga       *cms.Signer // signs the private keys that are made here; nil where none are
	standIns  sync.Map    // public keys by key type: see standIn
	agreement *staticKey  // nil: no MACs by Diffie-Hellman
	kem       *staticKey  // nil: ciphertexts are passed over

	passphrases bool // some rule takes revocation passphrases

	anchors     []*x509.Certificate   // of all rules
	ruleAnchors [][]*x509.Certificate // of each rule
}

// New builds an Engine and refuses a Config that contradicts itself.
func New(cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("engine configuration: %w", err)
	}
	e := &Engine{cfg: cfg}
	var err error
	if e.caCert, err = x509.ParseCertificate(cfg.Authority.Certificate); err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	e.caName = pkix.Name(e.caCert.RawSubject)
	prot := e.caCert
	if cfg.Authority.ProtectionCertificate != nil {
		if prot, err = x509.ParseCertificate(cfg.Authority.ProtectionCertificate); err != nil {
			return nil, fmt.Errorf("CMP protection certificate: %w", err)
		}
	}
	if prot.KeyUsage != 0 && prot.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, fmt.Errorf("CMP protection certificate %q: key usage lacks digitalSignature, clients will refuse what it signs", prot.Subject)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(prot.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("CMP protection certificate: %w", err)
	}
	if k, ok := pub.(interface{ Equal(x crypto.PublicKey) bool }); !ok || !k.Equal(cfg.Authority.Signer.Public()) {
		return nil, errors.New("CMP protection key does not belong to its certificate")
	}
	e.sender = pkix.NewDirectoryName(pkix.Name(prot.RawSubject))
	e.senderKID = prot.SubjectKeyId
	if e.sigAlg, err = alg.SignatureFor(cfg.Authority.Signer.Public(), cfg.Authority.SignatureAlgorithm); err != nil {
		return nil, fmt.Errorf("CMP protection key: %w", err)
	}

	e.caChain = append([][]byte{cfg.Authority.Certificate}, cfg.Authority.Chain...)
	e.protChain = e.caChain
	if cfg.Authority.ProtectionCertificate != nil {
		e.protChain = e.chainOf(cfg.Authority.ProtectionCertificate, cfg.Authority.ProtectionChain)
	}
	if e.caChainCut, err = withoutRoots(e.caChain); err != nil {
		return nil, err
	}
	if e.protCut, err = withoutRoots(e.protChain); err != nil {
		return nil, err
	}
	for _, c := range e.caChain {
		if !contains(e.caChainCut, c) {
			e.roots = append(e.roots, c)
		}
	}
	if err := e.useKeyGenerator(); err != nil {
		return nil, err
	}
	if k := cfg.Authority.Agreement; k != nil {
		if e.agreement, err = e.newStaticKey(k, useAgreement); err != nil {
			return nil, fmt.Errorf("key agreement: %w", err)
		}
	}
	if k := cfg.Authority.KEM; k != nil {
		if e.kem, err = e.newStaticKey(k, useKEM); err != nil {
			return nil, fmt.Errorf("KEM: %w", err)
		}
	}
	links := e.links()
	chains := []*[][]byte{&e.caChain, &e.protChain, &e.caChainCut, &e.protCut}
	for _, k := range []*staticKey{e.agreement, e.kem} {
		if k != nil {
			chains = append(chains, &k.chain, &k.cut)
		}
	}
	for _, chain := range chains {
		*chain = slices.Concat(*chain, links)
	}
	e.poolAnchors()
	e.passphrases = slices.ContainsFunc(cfg.Rules, func(r Rule) bool { return r.Passphrases })
	return e, nil
}

// chainOf is a certificate of ours, what is above it, and the CA's own chain.
func (e *Engine) chainOf(cert []byte, above [][]byte) [][]byte {
	chain := append([][]byte{cert}, above...)
	for _, c := range e.caChain {
		if !contains(chain, c) {
			chain = append(chain, c)
		}
	}
	return chain
}

func (e *Engine) poolAnchors() {
	e.ruleAnchors = make([][]*x509.Certificate, len(e.cfg.Rules))
	for i := range e.cfg.Rules {
		w := e.cfg.Rules[i].Certificate
		if w == nil {
			continue
		}
		e.ruleAnchors[i] = w.Anchors
		for _, a := range w.Anchors {
			if !slices.ContainsFunc(e.anchors, a.Equal) {
				e.anchors = append(e.anchors, a)
			}
		}
	}
}

func contains(list [][]byte, der []byte) bool {
	for _, c := range list {
		if string(c) == string(der) {
			return true
		}
	}
	return false
}

func withoutRoots(chain [][]byte) ([][]byte, error) {
	var out [][]byte
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the chain: %w", i, err)
		}
		if string(c.RawSubject) != string(c.RawIssuer) {
			out = append(out, der)
		}
	}
	return out, nil
}

// Parse reads a message once. It does not fail: what is wrong with the message
// is in the Request and comes out of Process. channel selects the [Policy].
func (e *Engine) Parse(der []byte, channel string) *Request {
	r := &Request{Hash: sha256.Sum256(der), DER: der, Channel: channel}
	r.msg, r.parseErr = cmp.Parse(der, e.cfg.Limits)
	return r
}

// policyOf finds the policy of a channel. One called a:b has that of a, where it
// has none of its own.
func (e *Engine) policyOf(channel string) (Policy, bool) {
	p, ok := e.cfg.Policies[channel]
	if kind, _, of := strings.Cut(channel, ":"); !ok && of {
		p, ok = e.cfg.Policies[kind]
	}
	return p, ok
}

// Process turns a message into its outcome and changes nothing. An error means
// that the outcome could not be computed now, because the View failed or ctx
// ended; the message is to be kept and tried again.
func (e *Engine) Process(ctx context.Context, r *Request, v View) (*Outcome, error) {
	if r.msg == nil {
		return &Outcome{Disposition: Failed, Reason: r.parseErr.Error()}, nil
	}
	policy, ok := e.policyOf(r.Channel)
	if !ok {
		return nil, fmt.Errorf("channel %q has no policy", r.Channel)
	}
	x := &exchange{Engine: e, ctx: ctx, view: v, req: r, msg: r.msg, policy: &policy, now: e.cfg.Clock(), out: &Outcome{}, file: &file{}}
	out, err := x.process()
	if err == nil {
		err = e.announceChanges(ctx, v, out)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// process is Process for an exchange that is set up.
func (x *exchange) process() (*Outcome, error) {
	err := x.run()
	if err == nil {
		return x.out, nil
	}
	f, ok := asFailure(err)
	if !ok {
		return nil, err
	}
	if x.tx == nil {
		// A held request whose secret or certificate is no longer good when its
		// decision comes: its transaction ends with it.
		if x.tx, err = x.claimedTransaction(); err != nil {
			return nil, err
		}
		if x.released() {
			err = x.finalFailure(x.msg, f)
			return x.out, err
		}
		x.tx = nil
	}
	return x.errorOutcome(f)
}
