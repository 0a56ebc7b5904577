package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"cmp-batch/cmpcore/alg"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return must[[]byte](t)(hex.DecodeString(s))
}

// RFC 3394 section 4.
func TestKeyWrapGivesTheVectorsOfRFC3394(t *testing.T) {
	for _, v := range []struct{ name, kek, key, want string }{
		{"4.1", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{"4.2", "000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{"4.3", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF", "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
		{"4.4", "000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF0001020304050607", "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
		{"4.5", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF0001020304050607", "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
		{"4.6", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F", "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
	} {
		kek, key, want := unhex(t, v.kek), unhex(t, v.key), unhex(t, v.want)
		got, err := wrapKey(kek, key)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v", v.name, got, err)
		}
		back, err := unwrapKey(kek, want, len(key))
		if err != nil || !bytes.Equal(back, key) {
			t.Errorf("%s back: %x, %v", v.name, back, err)
		}
		for i := range want {
			if _, err := unwrapKey(kek, flip(want, i), len(key)); err != ErrDecrypt {
				t.Errorf("%s with octet %d changed: %v", v.name, i, err)
			}
		}
		if _, err := unwrapKey(kek, want, len(key)+8); err != ErrDecrypt {
			t.Errorf("%s as a longer key: %v", v.name, err)
		}
	}
}

// NIST CAVP, ANSI X9.63 KDF (ansx963_2001.rsp).
func TestX963KDFGivesTheVectorsOfNIST(t *testing.T) {
	for _, v := range []struct {
		h                  crypto.Hash
		secret, info, want string
	}{
		{crypto.SHA256, "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08", "", "443024c3dae66b95e6f5670601558f71"},
		{crypto.SHA256, "22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d", "75eef81aa3041e33b80971203d2c0c52",
			"c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21"},
	} {
		want := unhex(t, v.want)
		if got := x963KDF(v.h, unhex(t, v.secret), unhex(t, v.info), len(want)); !bytes.Equal(got, want) {
			t.Errorf("%s: %x", v.h, got)
		}
	}
}

func TestTheExampleOfRFC9936IsReadWithAllItsValues(t *testing.T) {
	e := must[*Envelope](t)(ParseAuthEnvelopedData(contentOf(t, readPEM(t, "rfc9936-ml-kem-512.cms.pem"), OIDAuthEnvelopedData)))
	key := must[crypto.PrivateKey](t)(alg.ParsePrivateKey(readPEM(t, "rfc9936-ml-kem-512.priv.pem")))
	cert := readPEM(t, "rfc9936-ml-kem-512.cert.pem")
	content, err := e.Decrypt(rand.Reader, &Key{Private: key, Certificate: cert}, nil)
	if err != nil || string(content) != "Hello, world!" {
		t.Fatalf("%q, %v", content, err)
	}
	r := e.Recipients()
	if len(r) != 1 || r[0].Technique != KeyEncapsulation || hex.EncodeToString(r[0].ID.KeyID) != "599788c37aed400ee405d1b2a3366ab17d824a51" {
		t.Errorf("recipients %v", r)
	}
	info := kemOtherInfo(keyWraps[2].algorithm(), nil, 16)
	if hex.EncodeToString(info) != "3010300b0609608648016503040105020110" {
		t.Errorf("CMSORIforKEMOtherInfo %x", info)
	}
	kek, err := kemKDF(alg.HKDFAlgorithm(), unhex(t, "7DF12D412AE299A24FDE6D7C3BB8E3194C80AD3C733DCF2775E09FE8BEDB86D8"), info, 16)
	if err != nil || hex.EncodeToString(kek) != "cf453a3e2bae0a78701b8206c185a008" {
		t.Errorf("kek %x, %v", kek, err)
	}
	cek, err := unwrapKey(kek, unhex(t, "C050E4392F9C14DD0AC2220203F317D701F94F9DD92778F5"), 16)
	if err != nil || hex.EncodeToString(cek) != "c5153005588269a0a59f3c01943fdd56" {
		t.Errorf("cek %x, %v", cek, err)
	}
}

func TestTheExampleOfRFC9690IsRead(t *testing.T) {
	e := must[*Envelope](t)(ParseEnvelopedData(contentOf(t, readPEM(t, "rfc9690-rsa-kem.cms.pem"), OIDEnvelopedData)))
	// The RFC says PRIVATE KEY of what is an RSAPrivateKey.
	key := must[*rsa.PrivateKey](t)(x509.ParsePKCS1PrivateKey(readPEM(t, "rfc9690-rsa-kem.priv.pem")))
	content, err := e.Decrypt(rand.Reader, &Key{Private: key}, nil)
	if err != nil || string(content) != "Hello, world!" {
		t.Fatalf("%q, %v", content, err)
	}
	if id := e.Recipients()[0].ID.KeyID; hex.EncodeToString(id) != "9eeb67c9b95a74d44d2f16396680e801b5cba49c" {
		t.Errorf("rid %x", id)
	}
}
