package cmptext

import (
	"fmt"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

// body adds the body under "body".
func body(n *node, b cmp.Body, depth int) {
	switch b := b.(type) {
	case *cmp.CertReqMessages:
		l := n.list("body")
		for i := range b.Requests {
			certReqMsg(l.object(""), &b.Requests[i])
		}
	case *cmp.P10CR:
		pkcs10Request(n.object("body"), &b.Request)
	case *cmp.CertRepMessage:
		c := n.object("body")
		if len(b.CAPubs) > 0 {
			certificates(c.list("caPubs"), b.CAPubs)
		}
		l := c.list("response")
		for i := range b.Responses {
			certResponse(l.object(""), &b.Responses[i])
		}
	case *cmp.CertConfirm:
		l := n.list("body")
		for i := range b.Statuses {
			certStatus(l.object(""), &b.Statuses[i])
		}
	case *cmp.PKIConf:
		n.str("body", "NULL")
	case *cmp.RevReqContent:
		l := n.list("body")
		for i := range b.Details {
			c := l.object("")
			template(c.object("certDetails"), &b.Details[i].CertDetails)
			if len(b.Details[i].CRLEntryDetails) > 0 {
				extensions(c.list("crlEntryDetails"), b.Details[i].CRLEntryDetails)
			}
		}
	case *cmp.RevRepContent:
		revRep(n.object("body"), b)
	case *cmp.GenMsg:
		l := n.list("body")
		for i := range b.Infos {
			info(l.object(""), &b.Infos[i])
		}
	case *cmp.ErrorMsg:
		c := n.object("body")
		status(c, "pKIStatusInfo", &b.Status)
		if b.ErrorCode != nil {
			c.big("errorCode", b.ErrorCode)
		}
		freeText(c, "errorDetails", b.ErrorDetails)
	case *cmp.PollReq:
		l := n.list("body")
		for _, id := range b.CertReqIDs {
			l.object("").big("certReqId", id)
		}
	case *cmp.PollRep:
		l := n.list("body")
		for _, p := range b.Items {
			c := l.object("")
			c.big("certReqId", p.CertReqID)
			c.num("checkAfter", p.CheckAfter)
			freeText(c, "reason", p.Reason)
		}
	case *cmp.Nested:
		l := n.list("body")
		for _, m := range b.Messages {
			c := l.object("")
			switch {
			case m == nil:
			case depth == maxNested:
				c.line = "nested too deep to show"
				c.str("PKIMessage", c.line)
			default:
				message(c, m, depth+1)
				var p *Protection
				if c.t.inner != nil {
					p = c.t.inner(m)
				}
				protectionResult(c, m, p)
			}
		}
	default:
		rareBody(n, b)
	}
}

// rareBody has the bodies that hardly anybody sends.
func rareBody(n *node, b cmp.Body) {
	switch b := b.(type) {
	case *cmp.POPODecKeyChallenge:
		l := n.list("body")
		for i := range b.Challenges {
			ch, c := &b.Challenges[i], l.object("")
			if !ch.OWF.IsZero() {
				algorithm(c, "owf", ch.OWF)
			}
			c.hex("witness", ch.Witness)
			c.hex("challenge", ch.Challenge)
			if ch.EncryptedRand != nil {
				enveloped(c, "encryptedRand", ch.EncryptedRand)
			}
		}
	case *cmp.POPODecKeyResponse:
		l := n.list("body")
		for _, v := range b.Responses {
			l.big("", v)
		}
	case *cmp.KeyRecRepContent:
		c := n.object("body")
		status(c, "status", &b.Status)
		if b.NewSigCert != nil {
			certificate(c.object("newSigCert"), b.NewSigCert)
		}
		if len(b.CACerts) > 0 {
			certificates(c.list("caCerts"), b.CACerts)
		}
		if len(b.KeyPairHist) > 0 {
			l := c.list("keyPairHist")
			for i := range b.KeyPairHist {
				keyPair(l.object(""), &b.KeyPairHist[i])
			}
		}
	case *cmp.CAKeyUpdAnn:
		keyUpdate(n.object("body"), b)
	case *cmp.CertAnn:
		certificate(n.object("body"), b.Certificate)
	case *cmp.RevAnn:
		c := n.object("body")
		c.str("status", b.Status.String())
		certID(c, "certId", &b.CertID)
		c.time("willBeRevokedAt", b.WillBeRevokedAt)
		c.time("badSinceDate", b.BadSince)
		if len(b.CRLDetails) > 0 {
			extensions(c.list("crlDetails"), b.CRLDetails)
		}
	case *cmp.CRLAnn:
		crls(n.list("body"), b.CRLs)
	default:
		n.str("body", "of an unknown kind")
	}
}

// status shows a PKIStatusInfo: words on one line.
func status(n *node, key string, s *cmp.PKIStatusInfo) {
	c := n.object(key)
	c.str("status", s.Status.String())
	line := s.Status.String()
	if words := failWords(s.FailInfo); len(words) > 0 {
		l := c.list("failInfo")
		for _, w := range words {
			l.str("", w)
		}
		line += " (" + strings.Join(words, ", ") + ")"
	}
	freeText(c, "statusString", s.StatusString)
	for i, t := range s.StatusString {
		if i == 10 {
			line += " ..."
			break
		}
		line += " " + quote(n.t.cut(t))
	}
	c.line = line
}

func failWords(f cmp.PKIFailureInfo) (words []string) {
	for bit := range 32 {
		if one := cmp.PKIFailureInfo(1) << bit; f&one != 0 {
			words = append(words, one.String())
		}
	}
	return words
}

func certResponse(n *node, r *cmp.CertResponse) {
	n.big("certReqId", r.CertReqID)
	status(n, "status", &r.Status)
	if r.CertifiedKeyPair != nil {
		keyPair(n.object("certifiedKeyPair"), r.CertifiedKeyPair)
	}
	if r.RspInfo == nil {
		return
	}
	if pairs, err := crmf.ParsePairs(string(r.RspInfo)); err == nil {
		l := n.list("rspInfo")
		for _, p := range pairs {
			l.free("", p.Name+"="+p.Value)
		}
		return
	}
	n.hex("rspInfo", r.RspInfo)
}

func keyPair(n *node, kp *cmp.CertifiedKeyPair) {
	if kp.Certificate != nil {
		certificate(n.object("certificate"), kp.Certificate)
	}
	if kp.EncryptedCert != nil {
		encryptedKey(n, "encryptedCert", kp.EncryptedCert)
	}
	if kp.PrivateKey != nil {
		encryptedKey(n, "privateKey", kp.PrivateKey)
	}
	if kp.PublicationInfo != nil {
		publicationInfo(n.object("publicationInfo"), kp.PublicationInfo)
	}
}

func publicationInfo(n *node, p *crmf.PKIPublicationInfo) {
	n.str("action", pick(p.Action, "dontPublish", "pleasePublish"))
	if len(p.Infos) == 0 {
		return
	}
	l := n.list("pubInfos")
	for _, i := range p.Infos {
		c := l.object("")
		c.str("pubMethod", pick(i.Method, "dontCare", "x500", "web", "ldap"))
		if i.Location != nil {
			c.str("pubLocation", i.Location.String())
		}
	}
}

// pick names the values of an enumeration.
func pick(i int, names ...string) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%d", i)
}

func certStatus(n *node, s *cmp.CertStatus) {
	n.big("certReqId", s.CertReqID)
	n.hex("certHash", s.CertHash)
	if s.StatusInfo != nil {
		status(n, "statusInfo", s.StatusInfo)
	} else {
		n.str("statusInfo", "absent: accepted")
	}
	if !s.HashAlg.IsZero() {
		algorithm(n, "hashAlg", s.HashAlg)
	}
}

func revRep(n *node, b *cmp.RevRepContent) {
	l := n.list("status")
	for i := range b.Status {
		status(l, "", &b.Status[i])
	}
	if len(b.RevCerts) > 0 {
		l := n.list("revCerts")
		for i := range b.RevCerts {
			certID(l, "", &b.RevCerts[i])
		}
	}
	if len(b.CRLs) > 0 {
		crls(n.list("crls"), b.CRLs)
	}
}

func certID(n *node, key string, id *crmf.CertID) {
	c := n.object(key)
	c.str("issuer", generalName(id.Issuer))
	number := "missing"
	if id.SerialNumber != nil {
		number = serial(id.SerialNumber)
	}
	c.str("serialNumber", number)
	c.line = "serial " + number + ", issuer " + n.t.cut(generalName(id.Issuer))
}
