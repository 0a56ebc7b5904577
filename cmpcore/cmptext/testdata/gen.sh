#!/bin/sh
# Makes the messages of this folder anew, with the client and the mock CA of
# OpenSSL 3.0 talking to each other. Keys are thrown away. Afterwards run
#   go test ./cmpcore/cmptext -update
# and read what has changed in the .txt files.
set -eu
cd "$(dirname "$0")"
out=$(pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
	-subj "/O=Example/CN=Test CA" -days 3650
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ee.key -out ee.csr -subj "/O=Example/CN=device 1"
cat >ext.cnf <<EXT
[cert]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
subjectAltName = DNS:device1.example,IP:192.0.2.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
keyUsage = critical,digitalSignature,keyAgreement
extendedKeyUsage = clientAuth,1.3.6.1.5.5.7.3.28
certificatePolicies = 1.2.3.4
EXT
openssl x509 -req -in ee.csr -CA ca.pem -CAkey ca.key -set_serial 0x1234567890abcdef1234 -days 3000 \
	-extfile ext.cnf -extensions cert -out ee.pem
openssl genrsa -out rsa.key 2048

# cmp REQUESTS ANSWERS ARGUMENTS: one transaction; its messages go to the files.
cmp() {
	reqs=$1 rsps=$2
	shift 2
	openssl cmp -config "" -use_mock_srv -reqout "$reqs" -rspout "$rsps" -verbosity 3 \
		-srv_cert ca.pem -srv_key ca.key -srv_trusted ca.pem -rsp_cert ee.pem -rsp_extracerts ca.pem "$@" || true
}
mac="-srv_secret pass:secret -srv_ref server -secret pass:secret -ref device-1 -recipient /CN=Test"
sig="-cert ee.pem -key ee.key -trusted ca.pem -ignore_keyusage"

cmp ir-pbm.pki,certconf.pki ip-pbm.pki,pkiconf.pki $mac -cmd ir -newkey ee.key -subject "/O=Example/CN=device 1" \
	-certout c.pem -rsp_capubs ca.pem
cmp ir-signed.pki,x1 ip-signed.pki,x2 $sig -cmd ir -newkey rsa.key -subject "/C=DE/O=Example/CN=Gerät 7" \
	-sans "a.example 192.0.2.7" -config ext.cnf -reqexts req -days 30 -implicit_confirm -grant_implicitconf -certout c.pem
cmp cr-raverified.pki,x1 x2,x3 $mac -cmd cr -newkey ee.key -subject /CN=x -popo 0 -accept_raverified -certout c.pem
cmp cr-nopopo.pki,x1 x2,x3 $mac -cmd cr -newkey ee.key -subject /CN=x -popo -1 -certout c.pem
cmp kur.pki,x1 kup.pki,x2 $sig -cmd kur -oldcert ee.pem -newkey ee.key -certout c.pem
cmp p10cr.pki,x1 cp.pki,x2 $mac -cmd p10cr -csr ee.csr -certout c.pem
cmp x1,pollreq.pki,x2,x3 ip-waiting.pki,pollrep.pki,x4,x5 $mac -cmd ir -newkey ee.key -subject "/O=Example/CN=device 1" \
	-poll_count 2 -check_after 1 -certout c.pem
cmp rr.pki rp.pki $sig -cmd rr -oldcert ee.pem -revreason 6
cmp genm.pki genp.pki $mac -cmd genm -infotype caProtEncCert -geninfo 1.2.3.4:int:99
cmp x1 ip-rejected.pki $mac -cmd ir -newkey ee.key -subject /CN=x -pkistatus 2 -failurebits 516 \
	-statusstring "$(printf 'no\033[2J\033]0;owned\007 \342\200\256gnihtyna\nX: y')" -certout c.pem
cmp x1 error.pki $mac -cmd ir -newkey ee.key -subject /CN=x -send_error -certout c.pem
cmp bare-error-request.pki bare-error.pki $mac -cmd ir -newkey ee.key -subject /CN=x -send_error -send_unprotected -certout c.pem
cmp certconf-request.pki,certconf-rejected.pki x2,x3 $mac -cmd ir -newkey rsa.key -subject /CN=x -certout c.pem

# A message with a body that no one can read: its outer tag says ir, its
# first request is an INTEGER.
perl -0777 -pe 's/\xa0\x81(.)\x30\x81(.)\x30\x81/\xa0\x81$1\x30\x81$2\x02\x81/s' ir-pbm.pki >broken-body.pki

rm -f x* bare-error-request.pki certconf-request.pki
mv ./*.pki "$out"
