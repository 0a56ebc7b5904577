package client_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// A request and its answer are two runs of a program, perhaps weeks apart. What
// stays in between is the key, the secret and the session.
func Example() {
	key, err := alg.GenerateKey(rand.Reader, "ecdsa-p256")
	if err != nil {
		fmt.Println(err)
		return
	}
	subject, _ := pkix.ParseDN("CN=device 7,O=Example")
	credentials := client.Credentials{
		Secret: []byte("correct horse battery staple"), Reference: []byte("device-7"),
		Now: time.Now(), Rand: rand.Reader,
	}
	session, request, err := client.Start(client.Options{
		Kind:         cmp.TypeIR,
		Credentials:  credentials,
		Certificates: []client.CertificateRequest{{Subject: subject, Key: key}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	file, _ := json.Marshal(session) // store it before the request goes out
	fmt.Println("request is DER:", request[0] == 0x30)

	// Later: the answer is here. This one is only our own request.
	var again client.Session
	if err := json.Unmarshal(file, &again); err != nil {
		fmt.Println(err)
		return
	}
	result, err := again.Accept(request, credentials)
	if errors.Is(err, client.ErrBody) {
		fmt.Println("not accepted:", err)
		return
	}
	// Store again, then send result.Next, if there is one.
	fmt.Println(result.Done)
	// Output:
	// request is DER: true
	// not accepted: the answer does not fit the request: ir in answer to ir at step "answer"
}
