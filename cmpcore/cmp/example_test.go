package cmp_test

import (
	"errors"
	"fmt"
	"log"
	"math/big"
	"os"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

func ExampleParse() {
	der, err := os.ReadFile("testdata/ir.pki") // made by openssl cmp
	if err != nil {
		log.Fatal(err)
	}
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("from", m.Header.Sender)
	switch body := m.Body.(type) {
	case *cmp.CertReqMessages:
		for _, r := range body.Requests {
			fmt.Println(body.Kind, r.CertReq.CertReqID, r.CertReq.Template.Subject)
		}
	}
	// Output:
	// from dirName:CN=device 8,O=Golden,C=DE
	// ir 0 CN=device 8,O=Golden,C=DE
}

// A malformed message that has a header can be answered with an error.
func ExampleParse_malformed() {
	der, err := os.ReadFile("testdata/pkiconf.pki")
	if err != nil {
		log.Fatal(err)
	}
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	// pkiconf, [19] NULL, becomes ir, [0] NULL.
	m.RawBody[0] = 0xa0 // which is a part of der
	m, err = cmp.Parse(der, cmp.Limits{})
	fmt.Println(errors.Is(err, cmp.ErrBody), len(m.Header.TransactionID), err)
	m, err = cmp.Parse([]byte("hello"), cmp.Limits{})
	fmt.Println(m == nil, errors.Is(err, cmp.ErrNotPKIMessage))
	// Output:
	// true 16 malformed PKIMessage: body: ir: not the type it should be, or not DER
	// true true
}

func ExampleBuild() {
	ca, err := pkix.ParseDN("CN=Example CA")
	if err != nil {
		log.Fatal(err)
	}
	header := &cmp.PKIHeader{
		PVNO:          2,
		Sender:        pkix.NewDirectoryName(ca),
		Recipient:     pkix.NewDirectoryName(pkix.EmptyName),
		TransactionID: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	}
	body := &cmp.CertRepMessage{Kind: cmp.TypeIP, Responses: []cmp.CertResponse{{
		CertReqID: big.NewInt(0),
		Status:    cmp.PKIStatusInfo{Status: cmp.Rejection, StatusString: []string{"who are you?"}, FailInfo: cmp.NotAuthorized},
	}}}
	der, err := cmp.Build(header, body, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	status := m.Body.(*cmp.CertRepMessage).Responses[0].Status
	fmt.Println(m.BodyType(), status.Status, status.FailInfo, status.StatusString)
	// Output: ip rejection notAuthorized [who are you?]
}
