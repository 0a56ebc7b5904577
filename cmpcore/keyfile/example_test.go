package keyfile_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log"

	"cmp-batch/cmpcore/keyfile"
)

// A key at rest, as openssl pkey reads it.
func ExampleEncryptPKCS8() {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	file, err := keyfile.EncryptPKCS8(rand.Reader, key, []byte("correct horse"))
	if err != nil {
		log.Fatal(err)
	}
	back, err := keyfile.ParsePKCS8(file, []byte("correct horse"))
	fmt.Println(key.Equal(back), err)
	_, err = keyfile.ParsePKCS8(file, []byte("wrong"))
	fmt.Println(err)
	// Output:
	// true <nil>
	// decrypt private key: wrong passphrase
}
