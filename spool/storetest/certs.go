package storetest

import (
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

func issue(certs ...*cmpcore.Certificate) spool.Entry {
	return silent(cmpcore.Outcome{Certificates: certs})
}

func subjectsOf(list []*cmpcore.Certificate) (names []string) {
	for _, c := range list {
		names = append(names, string(c.DER[len("DER of "):]))
	}
	return names
}

func testCertificatesOfKey(b *bench) {
	for i := range 4 {
		c := certificate(fmt.Sprint(i))
		c.KeyID = keyID("shared")
		other := certificate(fmt.Sprint("other ", i))
		other.KeyID = keyID("shared")
		other.KeyID[19]++ // alike but for its end
		b.commit(issue(c, other))
	}
	ask := func(name string, limit int) []string {
		return subjectsOf(get[[]*cmpcore.Certificate](b)(b.s.View().CertificatesOfKey(ctx, keyID(name), limit)))
	}
	b.equal("all", ask("shared", 10), []string{"3", "2", "1", "0"})
	b.equal("limit", ask("shared", 2), []string{"3", "2"})
	b.equal("none wanted", ask("shared", 0), []string(nil))
	b.equal("unknown key", ask("unknown", 5), []string(nil))
	list := get[[]*cmpcore.Certificate](b)(b.s.View().CertificatesOfKey(ctx, keyID("shared"), 1))
	b.equal("whole certificate", list[0], b.certificate("3"))
}

func testRevoked(b *bench) {
	since := day.AddDate(0, 6, 0)
	for _, c := range []struct {
		serial   uint64
		status   cmpcore.CertStatus
		notAfter time.Time
	}{
		{0x1_00_00, cmpcore.Revoked, since},
		{0x02, cmpcore.Revoked, since.Add(time.Hour)},
		{0xff, cmpcore.RejectedByHolder, since.Add(time.Hour)},
		{0x01_01, cmpcore.Revoked, since.Add(-time.Microsecond)},
		{0x01_02, cmpcore.Valid, since.Add(time.Hour)},
		{0x01_03, cmpcore.Unconfirmed, since.Add(time.Hour)},
		{0x01_04, cmpcore.Revoked, since.Add(time.Hour)},
	} {
		cert := certificate(fmt.Sprint(c.serial))
		cert.Serial, cert.NotAfter = number(c.serial), c.notAfter
		b.commit(issue(cert))
		if c.status == cmpcore.Unconfirmed {
			continue
		}
		change := cmpcore.CertificateChange{Serial: cert.Serial, Version: 1, Status: c.status}
		if c.status != cmpcore.Valid {
			change.RevokedAt, change.Reason, change.InvalidityDate = day.Add(time.Minute), 5, day.Add(time.Second)
		}
		b.commit(silent(cmpcore.Outcome{CertChanges: []cmpcore.CertificateChange{change}}))
	}
	serials := func(since time.Time) (l []string) {
		for _, c := range collect(b, b.s.View().Revoked(ctx, since)) {
			if c.RevokedAt != day.Add(time.Minute) || c.Reason != 5 || c.InvalidityDate != day.Add(time.Second) || c.Version != 2 ||
				c.Status != cmpcore.Revoked && c.Status != cmpcore.RejectedByHolder {
				b.Errorf("certificate %x: %+v", c.Serial, c)
			}
			l = append(l, fmt.Sprintf("%x", c.Serial))
		}
		return l
	}
	b.equal("since", serials(since), []string{"02", "ff", "0104", "010000"})
	b.equal("all", serials(time.Time{}), []string{"02", "ff", "0101", "0104", "010000"})
	b.equal("none", serials(since.AddDate(1, 0, 0)), []string(nil))
	for range b.s.View().Revoked(ctx, since) {
		break
	}
	// One comes off again: certificateHold is over (RFC 5280 section 5.3.1).
	b.commit(silent(cmpcore.Outcome{CertChanges: []cmpcore.CertificateChange{{Serial: number(2), Version: 2, Status: cmpcore.Valid}}}))
	b.equal("one less", serials(since), []string{"ff", "0104", "010000"})
	c := get[*cmpcore.Certificate](b)(b.s.View().Certificate(ctx, number(2)))
	if c.Version != 3 || c.Status != cmpcore.Valid || !c.RevokedAt.IsZero() || c.Reason != 0 || !c.InvalidityDate.IsZero() {
		b.Errorf("certificate %+v", c)
	}
}

func testCertificates(b *bench) {
	for i, p := range []string{"device", "server", "device", "user"} {
		c := certificate(fmt.Sprintf("Gerät %d", i))
		c.Profile, c.NotAfter = p, day.AddDate(0, i+1, 0)
		c.Status = cmpcore.CertStatus(i + 1)
		b.commit(issue(c))
	}
	for _, c := range []struct {
		name string
		f    spool.CertFilter
		want []string
	}{
		{"all", spool.CertFilter{}, []string{"Gerät 0", "Gerät 1", "Gerät 2", "Gerät 3"}},
		{"limit", spool.CertFilter{Limit: 2}, []string{"Gerät 0", "Gerät 1"}},
		{"unconfirmed", spool.CertFilter{Status: cmpcore.Unconfirmed}, []string{"Gerät 0"}},
		{"valid", spool.CertFilter{Status: cmpcore.Valid}, []string{"Gerät 1"}},
		{"revoked", spool.CertFilter{Status: cmpcore.Revoked}, []string{"Gerät 2"}},
		{"rejected", spool.CertFilter{Status: cmpcore.RejectedByHolder}, []string{"Gerät 3"}},
		{"serial", spool.CertFilter{Serial: serial("Gerät 1")}, []string{"Gerät 1"}},
		{"serial and another status", spool.CertFilter{Serial: serial("Gerät 1"), Status: cmpcore.Revoked}, nil},
		{"unknown serial", spool.CertFilter{Serial: serial("none")}, nil},
		{"subject in any case", spool.CertFilter{SubjectPart: "gERÄT 2"}, []string{"Gerät 2"}},
		{"subject with the attribute's name", spool.CertFilter{SubjectPart: "CN=Ger"}, []string{"Gerät 0", "Gerät 1", "Gerät 2", "Gerät 3"}},
		{"no such subject", spool.CertFilter{SubjectPart: "nobody"}, nil},
		{"profile", spool.CertFilter{Profile: "device"}, []string{"Gerät 0", "Gerät 2"}},
		{"profile and limit", spool.CertFilter{Profile: "device", Limit: 1}, []string{"Gerät 0"}},
		{"transaction", spool.CertFilter{TransactionID: []byte("id of Gerät 3")}, []string{"Gerät 3"}},
		{"expires before", spool.CertFilter{ExpiresBefore: day.AddDate(0, 2, 0)}, []string{"Gerät 0"}},
		{"all at once", spool.CertFilter{Profile: "device", ExpiresBefore: day.AddDate(1, 0, 0), SubjectPart: "example", Status: cmpcore.Revoked},
			[]string{"Gerät 2"}},
	} {
		b.equal(c.name, subjectsOf(collect(b, b.s.Certificates(ctx, c.f))), c.want)
	}
	for c, err := range b.s.Certificates(ctx, spool.CertFilter{}) {
		b.ok(err)
		b.equal("whole certificate", c, b.certificate("Gerät 0"))
		break
	}
}

func testCRL(b *bench) {
	crl := func(n int64) spool.Entry {
		return silent(cmpcore.Outcome{CRL: &cmpcore.CRL{Number: n, DER: fmt.Appendf(nil, "crl %d", n), ThisUpdate: day, NextUpdate: day.Add(time.Hour)}})
	}
	newest := func() string {
		c := get[*cmpcore.CRL](b)(b.s.View().CRL(ctx))
		return fmt.Sprint(c.Number, " ", string(c.DER))
	}
	b.commit(crl(0))
	b.commit(crl(1), crl(4))
	b.equal("newest", newest(), "4 crl 4")
	b.conflict("the same number", crl(4))
	b.conflict("a lower number", crl(2))
	b.commit(crl(5))
	b.equal("newest", newest(), "5 crl 5")
}
