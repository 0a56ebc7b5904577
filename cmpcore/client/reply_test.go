package client_test

import (
	"crypto/rand"
	"encoding/json"
	"math/big"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	cpkix "cmp-batch/cmpcore/pkix"
)

// reply makes an answer that is right in everything a test does not change.
type reply struct {
	body   func(req *cmp.PKIMessage) cmp.Body
	header func(h *cmp.PKIHeader)
	extra  [][]byte
	secret string  // protects, unless signer is set
	signer *holder // protects
	key    *holder // signs instead of signer, under signer's name
	bare   bool    // no protection
	mac    *alg.MAC
}

func parse(t testing.TB, der []byte) *cmp.PKIMessage {
	t.Helper()
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (r reply) to(t testing.TB, request []byte) []byte {
	t.Helper()
	req := parse(t, request)
	nonce := make([]byte, 16)
	rand.Read(nonce)
	h := &cmp.PKIHeader{
		PVNO: 2, Sender: cpkix.NewDirectoryName(dn(t, "CN=Issuing CA")), Recipient: req.Header.Sender,
		MessageTime: now, TransactionID: req.Header.TransactionID, SenderNonce: nonce, RecipNonce: req.Header.SenderNonce,
	}
	var p cmp.Protector
	extra := r.extra
	switch {
	case r.signer != nil:
		h.Sender, h.SenderKID = cpkix.NewDirectoryName(r.signer.cert.RawSubject), r.signer.cert.SubjectKeyId
		key := r.signer.key
		if r.key != nil {
			key = r.key.key
		}
		a, err := alg.SignatureFor(key.Public(), "")
		if err != nil {
			t.Fatal(err)
		}
		p = cmp.SignatureProtector(rand.Reader, key, a)
		if extra == nil {
			extra = [][]byte{r.signer.der()}
		}
	case !r.bare:
		mac := r.mac
		if mac == nil {
			var err error
			if mac, err = alg.NewPBM(rand.Reader, alg.PBMOptions{Iterations: 500}); err != nil {
				t.Fatal(err)
			}
		}
		s := r.secret
		if s == "" {
			s = secret
		}
		p = cmp.MACProtector(mac, []byte(s))
	}
	if r.header != nil {
		r.header(h)
	}
	der, err := cmp.Seal(h, r.body(req), extra, p)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func response(id int64, status cmp.PKIStatus, cert []byte) cmp.CertResponse {
	r := cmp.CertResponse{CertReqID: big.NewInt(id), Status: cmp.PKIStatusInfo{Status: status}}
	if cert != nil {
		r.CertifiedKeyPair = &cmp.CertifiedKeyPair{Certificate: cert}
	}
	return r
}

func body(b cmp.Body) func(*cmp.PKIMessage) cmp.Body {
	return func(*cmp.PKIMessage) cmp.Body { return b }
}

func rep(kind cmp.BodyType, responses ...cmp.CertResponse) func(*cmp.PKIMessage) cmp.Body {
	return body(&cmp.CertRepMessage{Kind: kind, Responses: responses})
}

func ip(responses ...cmp.CertResponse) func(*cmp.PKIMessage) cmp.Body {
	return rep(cmp.TypeIP, responses...)
}

// asked is an ir for one certificate and the certificate for it.
func asked(t testing.TB, p *pki, c client.Credentials, change func(*client.Options)) (*client.Session, []byte, []byte) {
	t.Helper()
	key := ecKey(t)
	cert := issue(t, p.sub, "device 7", key, nil)
	o := client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), Key: key}}}
	if change != nil {
		change(&o)
	}
	s, req, err := client.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return s, req, cert.der()
}

func snapshot(t testing.TB, s *client.Session) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// accept wants an answer to pass.
func accept(t testing.TB, s *client.Session, answer []byte, c client.Credentials) *client.Result {
	t.Helper()
	r, err := s.Accept(answer, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// certConf reads the next message, which must be one.
func certConf(t testing.TB, next []byte) (*cmp.PKIMessage, []cmp.CertStatus) {
	t.Helper()
	m := parse(t, next)
	b, ok := m.Body.(*cmp.CertConfirm)
	if !ok {
		t.Fatalf("next message is %v, not certConf", m.Body.Type())
	}
	return m, b.Statuses
}
