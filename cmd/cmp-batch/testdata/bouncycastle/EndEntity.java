import java.io.File;
import java.math.BigInteger;
import java.nio.file.Files;
import java.security.KeyPair;
import java.util.ArrayList;
import java.util.List;

import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cmp.*;
import org.bouncycastle.asn1.crmf.*;
import org.bouncycastle.asn1.pkcs.CertificationRequest;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.cmp.*;
import org.bouncycastle.cert.crmf.*;
import org.bouncycastle.cert.crmf.Control;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.util.encoders.Hex;

/** The end entity's side, and that of a registration authority: makes messages. */
class EndEntity extends Answers {
    /** Messages of others in one of a registration authority. */
    String wrap(Args a) throws Exception {
        Transaction tx = new Transaction();
        tx.args = a;
        tx.id = random(16);
        transactions.put(a.must("tx"), tx);
        List<PKIMessage> inner = new ArrayList<>();
        for (String file : a.must("files").split(",")) {
            inner.add(PKIMessage.getInstance(Files.readAllBytes(new File(file).toPath())));
        }
        write(a.must("out"), nest(a, tx, inner.toArray(new PKIMessage[0])).getEncoded());
        return "";
    }

    String request(Args a) throws Exception {
        Transaction tx = new Transaction();
        tx.args = a;
        tx.id = a.get("tid") != null ? Hex.decode(a.get("tid")) : random(16);
        transactions.put(a.must("tx"), tx);
        PKIBody body;
        switch (a.must("kind")) {
            case "ir":
                body = certificates(PKIBody.TYPE_INIT_REQ, a, tx);
                break;
            case "cr":
                body = certificates(PKIBody.TYPE_CERT_REQ, a, tx);
                break;
            case "kur":
                body = certificates(PKIBody.TYPE_KEY_UPDATE_REQ, a, tx);
                break;
            case "p10cr":
                body = new PKIBody(PKIBody.TYPE_P10_CERT_REQ, pkcs10(a, tx));
                break;
            case "rr":
                body = new PKIBody(PKIBody.TYPE_REVOCATION_REQ, revocations(a));
                break;
            case "genm": {
                ASN1EncodableVector v = new ASN1EncodableVector();
                for (String oid : a.must("infos").split(",")) {
                    v.add(new InfoTypeAndValue(new ASN1ObjectIdentifier(oid)));
                }
                body = new PKIBody(PKIBody.TYPE_GEN_MSG, GenMsgContent.getInstance(new DERSequence(v)));
                break;
            }
            case "error":
                body = new PKIBody(PKIBody.TYPE_ERROR, new ErrorMsgContent(new PKIStatusInfo(PKIStatus.rejection,
                    new PKIFreeText("the device gives up"), new PKIFailureInfo(PKIFailureInfo.systemFailure))));
                break;
            default:
                throw new IllegalArgumentException(a.get("kind"));
        }
        tx.type = body.getType();
        send(a, tx, body);
        return "";
    }

    PKIBody certificates(int type, Args a, Transaction tx) throws Exception {
        ASN1EncodableVector list = new ASN1EncodableVector();
        tx.keyNames = new String[a.items.size()];
        for (int i = 0; i < tx.keyNames.length; i++) {
            tx.keyNames[i] = a.items.get(i).must("key");
            list.add(certificate(i, a.items.get(i), a));
        }
        return new PKIBody(type, CertReqMessages.getInstance(new DERSequence(list)));
    }

    ASN1Encodable certificate(int id, Args it, Args a) throws Exception {
        CertificateRequestMessageBuilder b = new CertificateRequestMessageBuilder(BigInteger.valueOf(id));
        KeyPair pair = null; // "central": the CA is to make one
        if (!it.must("key").equals("central")) {
            pair = key(it.get("key"));
            b.setPublicKey(spki(pair));
        }
        if (it.get("subject") != null) {
            b.setSubject(new X500Name(it.get("subject")));
        }
        if (it.get("issuer") != null) {
            b.setIssuer(anchor.getSubject());
        }
        if (it.get("days") != null) {
            b.setValidity(null, inDays(Integer.parseInt(it.get("days"))));
        }
        if (it.get("dns") != null) {
            b.addExtension(Extension.subjectAlternativeName, it.get("subject") == null, new GeneralNames(new GeneralName(GeneralName.dNSName, it.get("dns"))));
        }
        if (it.get("usage") != null) {
            b.addExtension(Extension.keyUsage, true, new KeyUsage(Integer.parseInt(it.get("usage"))));
        }
        if (it.get("token") != null) {
            b.addControl(new RegTokenControl(it.get("token")));
        }
        if (it.get("authenticator") != null) {
            b.addControl(new AuthenticatorControl(it.get("authenticator")));
        }
        if (it.get("old") != null) {
            X509CertificateHolder old = cert(it.get("old"));
            b.addControl(new Control() {
                public ASN1ObjectIdentifier getType() {
                    return CRMFObjectIdentifiers.id_regCtrl.branch("5"); // oldCertID
                }

                public ASN1Encodable getValue() {
                    return new CertId(new GeneralName(old.getIssuer()), old.getSerialNumber());
                }
            });
        }
        if (it.get("archive") != null) {
            EncryptedValue v = oldKey(it, pair);
            b.addControl(new Control() {
                public ASN1ObjectIdentifier getType() {
                    return CRMFObjectIdentifiers.id_regCtrl_pkiArchiveOptions;
                }

                public ASN1Encodable getValue() {
                    return new PKIArchiveOptions(new EncryptedKey(v));
                }
            });
        }
        String alg = it.or("alg", pair == null ? "" : signatureOf(pair));
        switch (it.or("pop", pair == null ? "none" : "signature")) {
            case "signature":
                b.setProofOfPossessionSigningKeySigner(signer(pair, alg));
                break;
            case "sender":
                b.setAuthInfoSender(a.get("sender") != null ? new X500Name(a.get("sender")) : cert(a.must("sign")).getSubject());
                b.setProofOfPossessionSigningKeySigner(signer(pair, alg));
                break;
            case "mac":
                b.setAuthInfoPKMAC(pkmac(a), it.or("secret", a.or("secret", "")).toCharArray());
                b.setProofOfPossessionSigningKeySigner(signer(pair, alg));
                break;
            case "wrongkey":
                b.setProofOfPossessionSigningKeySigner(signer(key(it.must("other")), alg));
                break;
            case "raVerified":
                b.setProofOfPossessionRaVerified();
                break;
            case "encrCert":
                b.setProofOfPossessionSubsequentMessage(keyUse(pair), SubsequentMessage.encrCert);
                break;
            case "challengeResp":
                b.setProofOfPossessionSubsequentMessage(keyUse(pair), SubsequentMessage.challengeResp);
                break;
            case "agreeMAC":
            case "agreeSignature":
                return new StaticDH(key(it.or("other", it.get("key"))), readCertificate(it.must("with")))
                    .request(b.build().toASN1Structure().getCertReq(), it.must("way"), it.get("pop").equals("agreeSignature"));
            case "thisMessage":
                // POPOPrivKey has no constructor for it.
                return new DERSequence(new ASN1Encodable[] {b.build().toASN1Structure().getCertReq(),
                    new DERTaggedObject(true, keyUse(pair), new DERTaggedObject(false, POPOPrivKey.thisMessage, new DERBitString(oldKey(it, pair))))});
            case "none":
                break;
            default:
                throw new IllegalArgumentException(it.get("pop"));
        }
        CertReqMsg m = b.build().toASN1Structure();
        if (it.get("explicit") != null) {
            // raVerified as some samples have it: [0] around a NULL.
            return new DERSequence(new ASN1Encodable[] {m.getCertReq(), new DERTaggedObject(true, 0, DERNull.INSTANCE)});
        }
        return m;
    }

    /** The private key, or another's, as EncryptedValue to a certificate. */
    EncryptedValue oldKey(Args it, KeyPair pair) throws Exception {
        KeyPair shown = it.get("other") == null ? pair : key(it.get("other"));
        java.security.PublicKey to = new JcaX509CertificateConverter().setProvider(BC).getCertificate(readCertificate(it.must("with"))).getPublicKey();
        return oldEncryption(it.must("way"), to).build(PrivateKeyInfo.getInstance(shown.getPrivate().getEncoded()));
    }

    /** How a key decrypts: by transport or by agreement. */
    static int keyUse(KeyPair k) {
        return k.getPublic().getAlgorithm().equals("RSA") ? ProofOfPossession.TYPE_KEY_ENCIPHERMENT : ProofOfPossession.TYPE_KEY_AGREEMENT;
    }

    CertificationRequest pkcs10(Args a, Transaction tx) throws Exception {
        KeyPair pair = key(a.must("key"));
        tx.keyNames = new String[] {a.get("key")};
        PKCS10CertificationRequestBuilder b = new PKCS10CertificationRequestBuilder(new X500Name(a.must("subject")), spki(pair));
        if (a.get("dns") != null) {
            ExtensionsGenerator g = new ExtensionsGenerator();
            g.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(new GeneralName(GeneralName.dNSName, a.get("dns"))));
            b.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, g.generate());
        }
        if (a.get("with") != null) {
            ExtensionsGenerator g = new ExtensionsGenerator();
            g.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.keyAgreement));
            b.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, g.generate());
            return b.build(new StaticDH(pair, readCertificate(a.get("with"))).signer(a.must("way"))).toASN1Structure();
        }
        return b.build(signer(pair, signatureOf(pair))).toASN1Structure();
    }

    RevReqContent revocations(Args a) throws Exception {
        ASN1EncodableVector v = new ASN1EncodableVector();
        for (String name : a.must("revoke").split(",")) {
            X509CertificateHolder c = cert(name);
            RevDetails d = new RevocationDetailsBuilder().setIssuer(c.getIssuer()).setSerialNumber(c.getSerialNumber()).build().toASN1Structure();
            if (a.get("reason") != null) {
                ExtensionsGenerator g = new ExtensionsGenerator();
                g.addExtension(Extension.reasonCode, false, CRLReason.lookup(Integer.parseInt(a.get("reason"))));
                d = new RevDetails(d.getCertDetails(), g.generate());
            }
            v.add(d);
        }
        return RevReqContent.getInstance(new DERSequence(v));
    }

    String confirm(Args a) throws Exception {
        Transaction tx = transactions.get(a.must("tx"));
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        CertificateConfirmationContentBuilder b = new CertificateConfirmationContentBuilder();
        for (BigInteger id : tx.ids) {
            b.addAcceptedCertificate(tx.issued.get(id), id);
        }
        CertConfirmContent content = b.build(digests).toASN1Structure();
        if (a.get("reject") != null || a.get("wrong") != null) {
            ASN1EncodableVector v = new ASN1EncodableVector();
            for (CertStatus s : content.toCertStatusArray()) {
                byte[] hash = s.getCertHash().getOctets().clone();
                if (a.get("wrong") != null) {
                    hash[0] ^= 1;
                    v.add(new CertStatus(hash, s.getCertReqId().getValue()));
                } else {
                    v.add(new CertStatus(hash, s.getCertReqId().getValue(), new PKIStatusInfo(PKIStatus.rejection, new PKIFreeText("not for me"))));
                }
            }
            content = CertConfirmContent.getInstance(new DERSequence(v));
        }
        Args args = new Args();
        args.putAll(tx.args);
        args.remove("implicit");
        args.put("out", a.must("out"));
        send(args, tx, new PKIBody(PKIBody.TYPE_CERT_CONFIRM, content));
        return "";
    }

    String poll(Args a) throws Exception {
        Transaction tx = transactions.get(a.must("tx"));
        Args args = new Args();
        args.putAll(tx.args);
        args.remove("implicit");
        args.put("out", a.must("out"));
        send(args, tx, new PKIBody(PKIBody.TYPE_POLL_REQ, new PollReqContent(BigInteger.valueOf(a.get("id") != null ? Long.parseLong(a.get("id")) : 0))));
        return "";
    }
}
