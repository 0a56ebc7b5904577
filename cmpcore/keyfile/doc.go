// Package keyfile turns private keys, certificates and small secrets into what
// rests on a disk, and back. It handles bytes, never files.
//
// Keys: [EncryptPKCS8] and [ParsePKCS8], encrypted PKCS#8 (RFC 5958, RFC 8018
// PBES2) as `openssl pkey` reads and `openssl genpkey` writes it. Certificates:
// [ParseCertificates] and [MarshalCertificates]. Secrets: a [Vault] opens with
// a passphrase and then seals many small secrets at little cost.
//
// What an encrypted file asks for, iterations and memory, is bounded before it
// is spent. The package knows no configuration and no protocol.
package keyfile
