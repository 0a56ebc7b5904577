package pkix_test

import (
	"fmt"
	"log"

	"cmp-batch/cmpcore/pkix"
)

func ExampleParseDN() {
	for _, text := range []string{"CN=device 7,O=Example\\, Inc.,C=DE", "/C=DE/O=Example, Inc./CN=device 7"} {
		name, err := pkix.ParseDN(text)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n%x\n", name, []byte(name))
	}
	// Output:
	// CN=device 7,O=Example\, Inc.,C=DE
	// 3038310b300906035504061302444531163014060355040a0c0d4578616d706c652c20496e632e3111300f06035504030c086465766963652037
	// CN=device 7,O=Example\, Inc.,C=DE
	// 3038310b300906035504061302444531163014060355040a0c0d4578616d706c652c20496e632e3111300f06035504030c086465766963652037
}

func ExampleName_Matches() {
	a, _ := pkix.ParseDN("CN=Device  7,O=Example")
	b, _ := pkix.ParseDN("CN=device 7,O=EXAMPLE")
	fmt.Println(a.Equal(b), a.Matches(b))
	// Output: false true
}

func ExampleFindExtension() {
	list := []pkix.Extension{
		pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: 0}),
		pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDCMCCA}),
	}
	e, ok := pkix.FindExtension(list, pkix.OIDExtKeyUsage)
	purposes, _ := pkix.ParseExtKeyUsage(e.Value)
	fmt.Println(ok, e.Critical, pkix.ExtKeyUsageName(purposes[0]))
	// Output: true false cmcCA
}
