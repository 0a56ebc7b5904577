package cmpcore_test

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// outcomes of a first ir with one header field changed; 0 means a certificate.
func TestTheHeaderIsCheckedBeforeAnythingElse(t *testing.T) {
	dns, err := pkix.NewDNSName("device.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit edit
		want cmp.PKIFailureInfo
	}{
		"version 1 is not known":                           {func(m *message) { m.PVNO = 1 }, cmp.UnsupportedVersion},
		"version 4 is not known":                           {func(m *message) { m.PVNO = 4 }, cmp.UnsupportedVersion},
		"version 3 is answered in version 3":               {func(m *message) { m.PVNO = 3 }, 0},
		"a transactionID must be there":                    {func(m *message) { m.TransactionID = nil }, cmp.BadDataFormat},
		"a transactionID must not be empty":                {func(m *message) { m.TransactionID = []byte{} }, cmp.BadDataFormat},
		"a transactionID of 65 octets is too long":         {func(m *message) { m.TransactionID = random(65) }, cmp.BadDataFormat},
		"a transactionID of 64 octets is not":              {func(m *message) { m.TransactionID = random(64) }, 0},
		"a short transactionID is RFC 9810's business":     {func(m *message) { m.TransactionID = random(4) }, 0},
		"a senderNonce must be there":                      {func(m *message) { m.SenderNonce = nil }, cmp.BadSenderNonce},
		"a senderNonce of 15 octets is too short":          {func(m *message) { m.SenderNonce = random(15) }, cmp.BadSenderNonce},
		"a senderNonce of 256 octets is long":              {func(m *message) { m.SenderNonce = random(256) }, 0},
		"a senderNonce of 257 octets is too long":          {func(m *message) { m.SenderNonce = random(257) }, cmp.BadSenderNonce},
		"sender must be a directoryName":                   {func(m *message) { m.Sender = dns }, cmp.BadDataFormat},
		"any recipient will do under RFC 9810":             {func(m *message) { m.Recipient = dns }, 0},
		"a recipNonce in a first message is passed over":   {func(m *message) { m.RecipNonce = random(16) }, 0},
		"messageTime may be missing":                       {func(m *message) { m.MessageTime = time.Time{} }, 0},
		"messageTime may be of any day without a window":   {func(m *message) { m.MessageTime = epoch.Add(-3000 * day) }, 0},
		"generalInfo that nobody knows is passed over":     {info("1.2.3.4", pkix.Null), 0},
		"implicitConfirm must be NULL or absent":           {info("1.3.6.1.5.5.7.4.13", []byte{2, 1, 1}), cmp.BadDataFormat},
		"implicitConfirm without a value is good":          {info("1.3.6.1.5.5.7.4.13", nil), 0},
		"a malformed confirmWaitTime is not passed over":   {info("1.3.6.1.5.5.7.4.14", pkix.Null), cmp.BadDataFormat},
		"certProfile must be a list of names":              {info("1.3.6.1.5.5.7.4.21", pkix.Null), cmp.BadDataFormat},
		"certProfile must have a name":                     {info("1.3.6.1.5.5.7.4.21", []byte{0x30, 0}), cmp.BadDataFormat},
		"origPKIMessage has one message":                   {original(t, 1), 0},
		"origPKIMessage must not have two":                 {original(t, 2), cmp.BadDataFormat},
		"origPKIMessage must have a message":               {info("1.3.6.1.5.5.7.4.15", element(0x30, element(0x30))), cmp.BadDataFormat},
		"freeText is passed over":                          {func(m *message) { m.FreeText = []string{"grüße"} }, 0},
		"the reference of a secret in sender may be empty": {func(m *message) { m.Sender = pkix.NewDirectoryName(dn(t, "CN=dev-1,O=x")) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			k := b.talk(b.device("dev-1"))
			r := k.say(k.one(cmp.TypeIR, "CN=device 1", "p256 a"), c.edit)
			if c.want == 0 {
				r.cert(0)
				return
			}
			r.refused(c.want)
		})
	}
}

func info(oid string, value []byte) edit {
	return func(m *message) {
		m.GeneralInfo = append(m.GeneralInfo, cmp.InfoTypeAndValue{Type: pkix.MustOID(oid), Value: value})
	}
}

// original adds origPKIMessage with n messages of another device.
func original(t *testing.T, n int) edit {
	t.Helper()
	b := newBed(t)
	k := b.talk(b.device("dev-2"))
	der := k.message(k.one(cmp.TypeIR, "CN=device 1", "p256 a"))
	return info("1.3.6.1.5.5.7.4.15", element(0x30, bytes.Repeat(der, n)))
}

func TestMessageTimeIsHeldAgainstTheWindow(t *testing.T) {
	for name, c := range map[string]struct {
		at       time.Time
		required bool
		want     cmp.PKIFailureInfo
	}{
		"an hour early is inside a window of an hour": {epoch.Add(time.Hour), false, 0},
		"an hour late is inside a window of an hour":  {epoch.Add(-time.Hour + time.Second), false, 0},
		"an hour and a second late is outside":        {epoch.Add(-time.Hour - time.Second), false, cmp.BadTime},
		"an hour and two seconds early is outside":    {epoch.Add(time.Hour + 2*time.Second), false, cmp.BadTime},
		"no time is good where none is required":      {time.Time{}, false, 0},
		"no time is bad where one is required":        {time.Time{}, true, cmp.MissingTimeStamp},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.MessageTimeWindow, p.RequireMessageTime = time.Hour, c.required }))
			k := b.talk(b.device("dev-1"))
			r := k.say(k.one(cmp.TypeIR, "CN=device 1", "p256 a"), func(m *message) { m.MessageTime = c.at })
			if c.want == 0 {
				r.cert(0)
				return
			}
			r.refused(c.want)
			if r.signed {
				t.Error("the requester proved its secret, and yet the answer has no MAC")
			}
		})
	}
}

// element writes one DER element.
func element(tag asn1.Tag, contents ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(contents, nil)) })
	return b.BytesOrPanic()
}

func tagged(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// A header that is partly malformed is answered as far as it can be read.
func TestAMalformedHeaderStillGetsAnAnswer(t *testing.T) {
	null := element(tagged(4), pkix.EmptyName)
	badName := element(asn1.Tag(2).ContextSpecific(), []byte{0xff, 0xfe}) // dNSName that is not ASCII
	tid := element(tagged(4), element(asn1.OCTET_STRING, random(16)))
	nonce := element(tagged(5), element(asn1.OCTET_STRING, random(16)))
	ir := element(tagged(0), element(asn1.SEQUENCE))
	two := []byte{2, 1, 2}
	for name, c := range map[string]struct {
		header [][]byte
		want   cmp.PKIFailureInfo
	}{
		"the sender cannot be read":          {[][]byte{two, badName, null, tid, nonce}, cmp.BadDataFormat},
		"the recipient cannot be read":       {[][]byte{two, null, badName, tid, nonce}, cmp.BadMessageCheck},
		"the version is no small number":     {[][]byte{{2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0}, null, null, tid, nonce}, cmp.UnsupportedVersion},
		"the transactionID is an INTEGER":    {[][]byte{two, null, null, element(tagged(4), two), nonce}, cmp.BadDataFormat},
		"the senderNonce is empty":           {[][]byte{two, null, null, tid, element(tagged(5))}, cmp.BadSenderNonce},
		"messageTime is no time":             {[][]byte{two, null, null, element(tagged(0), two), tid, nonce}, cmp.BadMessageCheck},
		"an element follows that is unknown": {[][]byte{two, null, null, tid, nonce, element(tagged(9), two)}, cmp.BadMessageCheck},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			k := b.talk(b.device("dev-1"))
			k.send(element(asn1.SEQUENCE, element(asn1.SEQUENCE, c.header...), ir)).stranger(c.want)
		})
	}
}

func TestAMalformedBodyIsToldOnlyToThoseWhoProveThemselves(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	empty := &rawBody{cmp.TypeIR, element(asn1.SEQUENCE)}
	k.send(k.raw(empty)).refused(cmp.BadDataFormat)
	k = b.talk(b.device("dev-1"))
	k.send(k.raw(empty, func(m *message) { m.by = cmp.MACProtector(pbm(t, 500), []byte("wrong")) })).stranger(cmp.BadMessageCheck)
}

// rawBody is a body of octets that no type of package cmp would write.
type rawBody struct {
	kind     cmp.BodyType
	contents []byte
}

// raw builds a message whose body is any octets: it swaps the body of another
// message before protecting.
func (k *talk) raw(body *rawBody, edits ...edit) []byte {
	k.Helper()
	var p cmp.Protector
	der := k.message(&cmp.PKIConf{}, append(edits, func(m *message) {
		p = m.by
		m.by = swapped{p, body}
	})...)
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		k.Fatal(err)
	}
	parts := [][]byte{m.Header.Raw, element(tagged(uint8(body.kind)), body.contents), element(tagged(0), element(asn1.BIT_STRING, []byte{0}, m.Protection))}
	if len(m.ExtraCerts) > 0 {
		parts = append(parts, element(tagged(1), element(asn1.SEQUENCE, m.ExtraCerts...)))
	}
	return element(asn1.SEQUENCE, parts...)
}

// swapped protects another body than it is given.
type swapped struct {
	cmp.Protector
	body *rawBody
}

func (s swapped) Protect(part []byte) ([]byte, error) {
	in := cryptobyte.String(part)
	var seq, header cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Element(&header, asn1.SEQUENCE) {
		panic("not a ProtectedPart")
	}
	return s.Protector.Protect(element(asn1.SEQUENCE, header, element(tagged(uint8(s.body.kind)), s.body.contents)))
}

func TestWhatIsNoPKIMessageIsNotAnswered(t *testing.T) {
	b := newBed(t)
	for name, der := range map[string][]byte{
		"nothing":            {},
		"text":               []byte("Dear CA, please"),
		"a certificate":      b.ca.cert.Raw,
		"two messages":       append(b.talk(b.device("dev-1")).message(&cmp.PKIConf{}), 5, 0),
		"half a message":     b.talk(b.device("dev-1")).message(&cmp.PKIConf{})[:100],
		"indefinite lengths": {0x30, 0x80, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out := b.process(der)
			checkOutcome(t, b.now, out)
			if out.Disposition != cmpcore.Failed {
				t.Errorf("disposition %s", out.Disposition)
			}
		})
	}
}

func TestAnnouncementsAndPKIConfAreNotAnswered(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	conf := &cmp.PKIConf{}
	k.say(conf).silent(cmpcore.Silent)
	k.say(conf, func(m *message) { m.PVNO = 1 }).silent(cmpcore.Silent)
	k.say(conf, func(m *message) { m.by = nil }).silent(cmpcore.Silent)
	k.say(&cmp.CertAnn{Certificate: b.ca.cert.Raw}).silent(cmpcore.Failed) // under a MAC
	k.say(&cmp.CRLAnn{}).silent(cmpcore.Failed)
	k.send(k.raw(&rawBody{cmp.TypePKIConf, element(asn1.SEQUENCE)})).silent(cmpcore.Silent)
	k.send(k.raw(&rawBody{cmp.TypeCRLAnn, element(asn1.INTEGER)})).silent(cmpcore.Failed)
}

func TestBodiesThatAreNotServedAreBadRequests(t *testing.T) {
	b := newBed(t)
	for _, body := range []cmp.Body{
		&cmp.POPODecKeyResponse{}, &cmp.GenMsg{Kind: cmp.TypeGenP},
		&cmp.CertRepMessage{Kind: cmp.TypeIP}, &cmp.PollRep{}, &cmp.KeyRecRepContent{},
	} {
		k := b.talk(b.device("dev-1"))
		k.say(body).refused(cmp.BadRequest)
	}
}
