#!/bin/sh
# Makes the golden messages of this folder with the CMP client and the mock
# server of OpenSSL (3.0 or later). Run it here; keys and certificates are new
# each time, the fields that the tests look at are not.
set -eu
out=$(pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
key ca.key; key ee.key; key new.key
openssl req -x509 -new -key ca.key -subj '/C=DE/O=Golden/CN=Golden CA' -days 36500 -out ca.crt \
	-addext 'keyUsage=digitalSignature,keyCertSign,cRLSign'
openssl req -new -key ee.key -subj '/C=DE/O=Golden/CN=device 7' -out ee.csr
printf 'keyUsage=digitalSignature\nsubjectAltName=DNS:seven.example\n' >ee.ext
openssl x509 -req -in ee.csr -CA ca.crt -CAkey ca.key -set_serial 0x1234567890abcdef -days 36500 -extfile ee.ext -out ee.crt 2>/dev/null
openssl req -new -key new.key -subj '/C=DE/O=Golden/CN=device 8' -addext 'subjectAltName=DNS:eight.example' -out new.csr
# A certificate for new.key, which the mock server hands out.
openssl x509 -req -in new.csr -CA ca.crt -CAkey ca.key -set_serial 0x77 -days 36500 -out new.crt 2>/dev/null

# The two sides: $mac by a shared secret, $sig by certificates.
mac='-secret pass:golden-secret -ref golden-ref -srv_secret pass:golden-secret -srv_ref golden-ref'
sig='-cert ee.crt -key ee.key -trusted ca.crt -srv_cert ca.crt -srv_key ca.key -srv_trusted ca.crt'
cmp() { openssl cmp -config '' -use_mock_srv -batch -recipient '/C=DE/O=Golden/CN=Golden CA' "$@" >log 2>&1 || true; }

cmp -cmd ir $mac -subject '/C=DE/O=Golden/CN=device 8' -newkey new.key -sans 'eight.example 192.0.2.8' -days 30 \
	-policy_oids 1.2.3.4 -geninfo 1.2.3.4:int:56789 -rsp_cert new.crt -rsp_capubs ca.crt \
	-reqout ir.pki,certconf.pki -rspout ip.pki,pkiconf.pki -certout got.crt
cmp -cmd cr $sig -newkey new.key -subject '/C=DE/O=Golden/CN=device 8' -implicit_confirm -grant_implicitconf -rsp_cert new.crt \
	-reqout cr.pki -rspout cp.pki -certout got.crt
cmp -cmd kur $sig -newkey ee.key -rsp_cert ee.crt -rsp_extracerts ca.crt \
	-reqout kur.pki,kur-certconf.pki -rspout kup.pki,kur-pkiconf.pki -certout got.crt
# new.crt is not the certificate to be updated: the server answers with an error.
cmp -cmd kur $sig -newkey new.key -rsp_cert new.crt -reqout kur-wrong.pki -rspout kur-error.pki -certout got.crt
cmp -cmd rr $sig -oldcert ee.crt -revreason 4 -rsp_cert ee.crt -reqout rr.pki -rspout rp.pki
cmp -cmd p10cr $mac -csr new.csr -newkey new.key -rsp_cert new.crt \
	-reqout p10cr.pki,p10cr-certconf.pki -rspout p10cr-cp.pki,p10cr-pkiconf.pki -certout got.crt
cmp -cmd genm $mac -infotype signKeyPairTypes -reqout genm.pki -rspout genp.pki
cmp -cmd ir $mac -subject /CN=wait -newkey new.key -rsp_cert new.crt -poll_count 2 -check_after 1 \
	-reqout poll-ir.pki,pollreq.pki,pollreq2.pki,poll-certconf.pki -rspout waiting.pki,pollrep.pki,poll-ip.pki,poll-pkiconf.pki -certout got.crt
cmp -cmd ir $mac -subject /CN=refused -newkey new.key -rsp_cert new.crt -send_error -pkistatus 2 -failure 9 -statusstring 'no proof' \
	-reqout refused.pki -rspout error.pki -certout got.crt
cmp -cmd ir $mac -subject /CN=raverified -newkey new.key -rsp_cert new.crt -popo 0 \
	-reqout raverified.pki -rspout raverified-ip.pki -certout got.crt
cmp -cmd ir $mac -subject /CN=encrypt -newkey new.key -rsp_cert new.crt -popo 2 -reqout keyenc.pki -rspout keyenc-ip.pki -certout got.crt
cmp -cmd ir -unprotected_requests -accept_unprotected -send_unprotected -srv_cert ca.crt -srv_key ca.key -srvcert ca.crt \
	-subject /CN=bare -newkey new.key -rsp_cert new.crt -popo -1 -reqout bare.pki -rspout bare-ip.pki -certout got.crt

mv -- *.pki "$out"
cp ca.crt ee.crt new.crt new.csr "$out"
cd "$out"
for f in ca.crt ee.crt new.crt; do openssl x509 -in $f -outform DER -out ${f%.crt}.cer; rm $f; done
openssl req -in new.csr -outform DER -out new.p10 && rm new.csr
