package alg_test

import (
	"crypto/rand"
	"fmt"
	"log"

	"cmp-batch/cmpcore/alg"
)

func ExampleSign() {
	key, err := alg.GenerateKey(rand.Reader, "ml-dsa-65")
	if err != nil {
		log.Fatal(err)
	}
	algorithm, err := alg.SignatureFor(key.Public(), "") // what fits the key
	if err != nil {
		log.Fatal(err)
	}
	signature, err := alg.Sign(rand.Reader, key, algorithm, []byte("message"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(alg.SignatureName(algorithm), len(signature))
	fmt.Println(alg.Verify(algorithm, key.Public(), []byte("message"), signature, nil))
	fmt.Println(alg.Verify(algorithm, key.Public(), []byte("another"), signature, nil) != nil)
	// Output:
	// ml-dsa-65 3309
	// <nil>
	// true
}
