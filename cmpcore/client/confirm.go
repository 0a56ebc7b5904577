package client

import (
	"crypto"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// Rejection turns down one certificate that came.
type Rejection struct {
	CertReqID int64
	FailInfo  cmp.PKIFailureInfo // 0 is incorrectData
	Text      string             // statusString for the CA's operator; may be empty
}

// Reject gives, instead of the last Result.Next, a certConf that turns down the
// named certificates. It is possible while a certConf is due. A certificate
// that counts as confirmed can only be revoked.
func (s *Session) Reject(no []Rejection, c Credentials) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.Step != StepConfirm {
		return nil, fmt.Errorf("reject a certificate: %w: no certConf is due; have the certificate revoked", ErrStep)
	}
	if err := s.use(&c); err != nil {
		return nil, err
	}
	t := s.clone()
	index := t.index()
	for _, n := range no {
		it := index[n.CertReqID]
		if it == nil || it.State != ItemIssued && it.State != ItemUnfit {
			return nil, fmt.Errorf("reject a certificate: %w: there is no certReqId %d to confirm", ErrStep, n.CertReqID)
		}
		if n.FailInfo == 0 {
			n.FailInfo = cmp.IncorrectData
		}
		it.State, it.FailInfo, it.Reason = ItemUnfit, uint32(n.FailInfo), n.Text
	}
	r := &Result{}
	if err := t.sendConfirm(&c, r); err != nil {
		return nil, err
	}
	*s = *t
	return r.Next, nil
}

// sendConfirm makes the certConf for all that was issued (RFC 9810 section
// 5.3.18).
func (s *Session) sendConfirm(c *Credentials, r *Result) error {
	b := &cmp.CertConfirm{}
	pvno := s.PVNO
	for i := range s.Items {
		it := &s.Items[i]
		if it.State != ItemIssued && it.State != ItemUnfit {
			continue
		}
		st := cmp.CertStatus{CertReqID: big.NewInt(it.CertReqID)}
		st.CertHash, st.HashAlg = certHash(it.Certificate)
		if !st.HashAlg.IsZero() {
			pvno = 3
		}
		if it.State == ItemUnfit {
			st.StatusInfo = &cmp.PKIStatusInfo{Status: cmp.Rejection, FailInfo: cmp.PKIFailureInfo(it.FailInfo)}
			if it.Reason != "" {
				st.StatusInfo.StatusString = []string{clip(it.Reason)}
			}
		}
		b.Statuses = append(b.Statuses, st)
	}
	s.Step = StepConfirm
	return s.next(c, b, pvno, r)
}

// certHash names the hash where the certificate's signature names none. What
// cannot even be read is hashed all the same, so that it can be turned down.
func certHash(der []byte) ([]byte, pkix.AlgorithmIdentifier) {
	a, _ := pkix.SignatureAlgorithm(der)
	if sum, hashAlg, err := alg.NewCertHash(a, der); err == nil {
		return sum, hashAlg
	}
	w := sha512.Sum512(der)
	return w[:], alg.HashAlgorithm(crypto.SHA512)
}

// confirmed reads a pkiConf, the end or the start of polling for the rest.
func (s *Session) confirmed(c *Credentials, r *Result) error {
	for i := range s.Items {
		it := &s.Items[i]
		switch it.State {
		case ItemIssued:
			it.State = ItemConfirmed
		case ItemUnfit:
			it.State = ItemRejected
		default:
			continue
		}
		cert := Certificate{CertReqID: it.CertReqID, State: it.State}
		if it.State == ItemConfirmed {
			cert.Certificate = it.Certificate
		} else {
			cert.Rejected, cert.Err = it.Certificate, errors.New(it.Reason)
		}
		r.Certificates = append(r.Certificates, cert)
	}
	return s.afterCertificates(c, r)
}

// clip bounds text that came with a certificate, at a rune's border.
func clip(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	n := limit
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
