// Package cms reads and writes what CMP needs of the Cryptographic Message
// Syntax (RFC 5652): the envelopes of encrypted values (RFC 9810 section 5.2.2),
// and the signed key packages of central key generation (RFC 9483 section
// 4.1.6), with the algorithms of RFC 9481 sections 3 to 5.
//
// To encrypt, make a [Recipient] with [ForCertificate], [ForKey] or
// [ForPassword] and call [Encrypt]; [EncryptAuthenticated] makes an
// AuthEnvelopedData (RFC 5083, RFC 5084). To decrypt, [ParseEnvelopedData] and
// [Envelope.Decrypt] with a [Key]. [Sign] and [ParseSignedData] are for
// SignedData; [WrapPrivateKey] and [UnwrapPrivateKey] do all of a key package at
// once.
//
// Envelopes are EnvelopedData elements, as the field Enveloped of
// crmf.EncryptedKey has them, not ContentInfo; [ParseContentInfo] takes that off.
//
// Recipients are RSA keys (RSAES-OAEP, and PKCS #1 v1.5 to read where a policy
// allows it), EC, X25519 and X448 keys (RFC 5753, RFC 8418), ML-KEM and RSA-KEM
// keys (RFC 9629, RFC 9936, RFC 9690) and passwords (RFC 3211, RFC 9481
// section 4.4). What was
// received is strict DER, and what it may cost is bounded before any of it is
// spent. All failures to decrypt are the one error [ErrDecrypt].
//
// CBC mode has no integrity: the protection of the message around an
// EnvelopedData is to be verified before it is decrypted. Whether a signer is
// to be trusted is the caller's decision too: its certificate is given back, not
// validated.
//
// Neither github.com/smallstep/pkcs7 nor its siblings (go.mozilla.org/pkcs7,
// github.com/digitorus/pkcs7) have KEMRecipientInfo, PasswordRecipientInfo or
// agreement with X25519, and all of them take BER; so the code is our own.
//
// The package knows no PKIMessage, no clock and no file. All of it may be used
// concurrently.
package cms
