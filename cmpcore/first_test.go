package cmpcore_test

import (
	"bytes"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

// What begins a transaction is held against the same rules in the same order,
// whatever its body is.
func TestEveryFirstMessageIsCheckedAlike(t *testing.T) {
	mayAsk := func(name string, bodies ...cmp.BodyType) option {
		return withRule(name, func(r *cmpcore.Rule) { r.May = append(r.May, bodies...) })
	}
	const orig = "1.3.6.1.5.5.7.4.15"
	inUse := func(m *message) {}
	nonce := func(m *message) { m.RecipNonce = random(16) }
	spoiled := info("1.3.6.1.5.5.7.4.14", []byte{5, 0}) // confirmWaitTime as NULL
	two := original(t, 2)
	none := info(orig, element(0x30))
	for name, first := range map[string]func(*bed) (*talk, cmp.Body){
		"ir": func(b *bed) (*talk, cmp.Body) {
			k := b.talk(b.device("dev-1"))
			return k, k.one(cmp.TypeIR, "CN=a", "p256 a")
		},
		"cr": func(b *bed) (*talk, cmp.Body) {
			k := b.talk(b.device("dev-1"))
			return k, k.one(cmp.TypeCR, "CN=a", "p256 a")
		},
		"p10cr": func(b *bed) (*talk, cmp.Body) { k := b.talk(b.device("dev-1")); return k, k.p10cr("CN=a", "p256 a") },
		"kur": func(b *bed) (*talk, cmp.Body) {
			k := b.talk(b.enrolled("CN=a", "p256 a"))
			return k, k.one(cmp.TypeKUR, "CN=a", "p256 b")
		},
		"ccr": func(b *bed) (*talk, cmp.Body) {
			k := b.talk(b.signer(b.partner))
			return k, k.request(cmp.TypeCCR, b.crossWant(nil))
		},
		"krr": func(b *bed) (*talk, cmp.Body) { return b.talk(b.device("dev-1")), krr(nil) },
		"rr": func(b *bed) (*talk, cmp.Body) {
			return b.talk(b.device("dev-1")), rr(revocation(b.enrolled("CN=a", "p256 a").holder.cert, 1))
		},
		"genm": func(b *bed) (*talk, cmp.Body) { return b.talk(b.device("dev-1")), genm(question(cmp.OIDCACerts)) },
		"nested batch": func(b *bed) (*talk, cmp.Body) {
			other := func(ref string) []byte {
				k := b.talk(b.device(ref))
				return k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))
			}
			return b.talk(b.registrar()), nest(b, other("dev-2"), other("dev-3"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				name  string
				edits []edit
				want  cmp.PKIFailureInfo
				text  string
			}{
				{"a transactionID again", []edit{inUse}, cmp.TransactionIDInUse, "transactionID"},
				{"that, before recipNonce", []edit{inUse, nonce}, cmp.TransactionIDInUse, "transactionID"},
				{"recipNonce", []edit{nonce}, cmp.BadRecipientNonce, "recipNonce"},
				{"generalInfo", []edit{spoiled}, cmp.BadDataFormat, "generalInfo"},
				{"recipNonce, before generalInfo", []edit{nonce, spoiled}, cmp.BadRecipientNonce, "recipNonce"},
				{"generalInfo, before origPKIMessage", []edit{spoiled, two}, cmp.BadDataFormat, "generalInfo"},
				{"two originals", []edit{two}, cmp.BadDataFormat, "origPKIMessage"},
				{"no original", []edit{none}, cmp.BadDataFormat, "origPKIMessage"},
			} {
				nested := strings.HasPrefix(name, "nested")
				if nested && (c.text == "origPKIMessage" || len(c.edits) > 1) {
					continue // it may have several originals, and is read with what is inside
				}
				t.Run(c.name, func(t *testing.T) {
					b := newBed(t, lightweight, withCross, withArchive, withRegistrars, mayAsk("partners", cmp.TypeRR))
					k, body := first(b)
					if c.want == cmp.TransactionIDInUse {
						before := *k
						before.say(begin(&before, name))
					}
					edits := append([]edit{func(m *message) {
						m.PVNO, m.RecipNonce = 3, nil
					}}, c.edits...)
					r := k.say(body, edits...)
					r.refused(c.want)
					text := r.msg.Body.(*cmp.ErrorMsg).Status.StatusString
					if len(text) != 1 || !strings.Contains(text[0], c.text) {
						t.Errorf("%q does not speak of %s", text, c.text)
					}
					if r.out.Transaction != nil || len(r.out.CertChanges)+len(r.out.Certificates) > 0 {
						t.Error("a message that was refused has changed something")
					}
					if bytes.Equal(r.msg.Header.TransactionID, k.id) == false {
						t.Error("the answer is of another transaction")
					}
				})
			}
		})
	}
}

// begin uses up the transactionID: with what the party may ask.
func begin(k *talk, name string) cmp.Body {
	k.Helper()
	switch name {
	case "kur":
		return k.one(cmp.TypeCR, "CN=a", "p256 c")
	case "ccr":
		return k.one(cmp.TypeIR, "CN=a", "p256 c")
	case "nested batch":
		one := k.bed.talk(k.device("dev-4"))
		two := k.bed.talk(k.device("dev-5"))
		return nest(k, one.message(genm(question(cmp.OIDCACerts))), two.message(genm(question(cmp.OIDCACerts))))
	}
	return k.one(cmp.TypeIR, "CN=b", "p256 c")
}
