package cmp

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"testing"
	"time"

	"cmp-batch/cmpcore/der"
)

// FuzzParse: whatever is accepted is written again octet for octet from its
// fields alone, and whatever is refused falls into one class of errors.
func FuzzParse(f *testing.F) {
	for _, file := range goldenFiles(f) {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(message(header(), exp(20, seq(b, b))))
	}
	f.Add(message(header(), exp(5, seq(seq(sha256Alg, octets(1), octets(2)), seq(octets(3), octets(), exp(0, enveloped))))))
	f.Add(message(header(), exp(9, requestsDER)))
	f.Add(message(header(), exp(10, seq(rejectedDE, exp(0, cert1), exp(1, seq(cert2)), exp(2, seq(seq(exp(0, cert3))))))))
	f.Add(message(header(), exp(15, exp(0, seq(cert3, exp(0, cert2), exp(1, cert1))))))
	f.Add(message(header(), exp(17, seq(number(4), certIDDER, generalized("20301231235959"), generalized("20301231235959"), reasonDER))))
	f.Add(message(header(), exp(18, seq(cert1, cert2))))
	f.Add(message(header(exp(7, seq(utf8("hi")))), exp(24, seq(seq(octets(3), number(-1), rejectedDE, exp(0, sha256Alg))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b, Limits{})
		if err != nil {
			classes := 0
			for _, class := range []error{ErrNotPKIMessage, ErrHeader, ErrBody} {
				if errors.Is(err, class) {
					classes++
				}
			}
			if classes != 1 || (m == nil) != errors.Is(err, ErrNotPKIMessage) || m != nil && m.Body != nil {
				t.Fatalf("%v with the message %+v", err, m)
			}
			return
		}
		if err := der.Scan(m.ProtectedPart(), der.Limits{Bytes: len(b) + 6}); err != nil {
			t.Fatalf("ProtectedPart: %v", err)
		}
		readAllInfos(m)
		clearRaw(reflect.ValueOf(m))
		again, err := m.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v\nread    %x\nwritten %x", err, b, again)
		}
	})
}

// readAllInfos runs every typed codec; none may panic.
func readAllInfos(m *PKIMessage) {
	list := m.Header.GeneralInfo
	if g, ok := m.Body.(*GenMsg); ok {
		list = append(list[:len(list):len(list)], g.Infos...)
	}
	for _, i := range list {
		i.CAProtEncCert()
		i.SignKeyPairTypes()
		i.EncKeyPairTypes()
		i.PreferredSymmAlg()
		i.CAKeyUpdateInfo()
		i.CurrentCRL()
		i.UnsupportedOIDs()
		i.KeyPairParamReq()
		i.KeyPairParamRep()
		i.RevPassphrase()
		i.ImplicitConfirm()
		i.ConfirmWaitTime()
		i.OrigPKIMessage(Limits{})
		i.SuppLangTags()
		i.CACerts()
		i.RootCAKeyUpdate()
		i.CertReqTemplate()
		i.RootCACert()
		i.CertProfile()
		i.CRLStatusList()
		i.CRLs()
		i.KEMCiphertextInfo()
	}
}

func BenchmarkParseIR(b *testing.B) {
	der := golden(b, "ir.pki")
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(der, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildIP(b *testing.B) {
	m := parseGolden(b, "ip.pki")
	h := m.Header
	h.MessageTime = h.MessageTime.Add(time.Second)
	certs := [][]byte{golden(b, "ca.cer"), golden(b, "new.cer")}
	mac := make([]byte, 32)
	protect := func([]byte) ([]byte, error) { return mac, nil }
	b.ReportAllocs()
	for b.Loop() {
		der, err := Build(&h, m.Body, certs, protect)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(der)))
	}
}
