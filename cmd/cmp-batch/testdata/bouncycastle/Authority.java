import java.io.File;
import java.math.BigInteger;
import java.nio.file.Files;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.util.Arrays;
import java.util.Map;

import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cmp.*;
import org.bouncycastle.asn1.cms.EnvelopedData;
import org.bouncycastle.asn1.crmf.*;
import org.bouncycastle.asn1.pkcs.CertificationRequest;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.cmp.*;
import org.bouncycastle.cert.crmf.*;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.CMSTypedData;
import org.bouncycastle.cms.PasswordRecipient;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.util.encoders.Hex;

/** The CA's side: checks requests, and answers as it is told. */
class Authority extends EndEntity {
    /** A root of Bouncy Castle's own. */
    String makeCA(Args a) throws Exception {
        KeyPair pair = key(a.must("key"));
        X500Name name = new X500Name(a.must("subject"));
        SubjectPublicKeyInfo spki = spki(pair);
        JcaX509ExtensionUtils x = new JcaX509ExtensionUtils();
        X509v3CertificateBuilder b = new X509v3CertificateBuilder(name, BigInteger.ONE, yesterday(), inDays(30), name, spki);
        b.addExtension(Extension.basicConstraints, true, new BasicConstraints(true));
        b.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign | KeyUsage.digitalSignature));
        b.addExtension(Extension.subjectKeyIdentifier, false, x.createSubjectKeyIdentifier(spki));
        anchor = b.build(signer(pair, a.must("alg")));
        certs.put("ca", anchor);
        writePEM(a.must("out"), anchor);
        return "";
    }

    X509CertificateHolder issue(X500Name subject, SubjectPublicKeyInfo spki, Args a) throws Exception {
        JcaX509ExtensionUtils x = new JcaX509ExtensionUtils();
        X509v3CertificateBuilder b = new X509v3CertificateBuilder(anchor.getSubject(), new BigInteger(64, RANDOM).setBit(63),
            yesterday(), inDays(10), subject, spki);
        b.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
        b.addExtension(Extension.subjectKeyIdentifier, false, x.createSubjectKeyIdentifier(spki));
        b.addExtension(Extension.authorityKeyIdentifier, false, x.createAuthorityKeyIdentifier(anchor));
        return b.build(signer(key("ca"), a.must("caalg")));
    }

    /** Reads a request, checks it, tells what is in it, and answers as told. */
    String answer(Args a) throws Exception {
        byte[] der = Files.readAllBytes(new File(a.must("file")).toPath());
        GeneralPKIMessage m = new GeneralPKIMessage(der);
        if (!Arrays.equals(m.toASN1Structure().getEncoded(ASN1Encoding.DER), der)) {
            throw new IllegalStateException("the request is another in DER");
        }
        PKIHeader h = m.getHeader();
        StringBuilder out = new StringBuilder(BODIES[m.getBody().getType()] + " v" + h.getPvno() + " " + verify(m, a.get("secret")));
        String id = Hex.toHexString(h.getTransactionID().getOctets());
        Transaction tx = transactions.get(id);
        if (tx == null || h.getRecipNonce() == null) {
            tx = new Transaction();
            tx.id = h.getTransactionID().getOctets();
            tx.type = m.getBody().getType();
            transactions.put(id, tx);
        } else if (!Arrays.equals(h.getRecipNonce().getOctets(), tx.sent)) {
            throw new IllegalStateException("recipNonce is not what was sent");
        }
        tx.received = h.getSenderNonce().getOctets();
        PKIBody body = reply(m, tx, a, out);
        Args args = new Args();
        args.putAll(a);
        args.put("pvno", h.getPvno().toString());
        if (a.get("secret") == null) {
            args.put("sign", "ca");
            args.put("alg", a.must("caalg"));
        } else {
            args.put("sender", anchor.getSubject().toString());
        }
        args.put("recipient", X500Name.getInstance(h.getSender().getName()).toString());
        if (a.get("answersecret") != null) {
            args.put("secret", a.get("answersecret"));
        }
        if (a.get("answersigned") != null) {
            args.remove("secret");
            args.put("sign", "ca");
            args.put("alg", a.must("caalg"));
        }
        if (a.get("answertid") != null) {
            tx.id = random(16);
        }
        if (a.get("answernonce") != null) {
            tx.received = random(16);
        }
        send(args, tx, body);
        return out.toString();
    }

    PKIBody reply(GeneralPKIMessage m, Transaction tx, Args a, StringBuilder out) throws Exception {
        ASN1Encodable content = m.getBody().getContent();
        PKIStatusInfo si = new PKIStatusInfo(PKIStatus.granted);
        String want = a.or("status", "accepted");
        if (want.equals("rejection")) {
            si = new PKIStatusInfo(PKIStatus.rejection, new PKIFreeText("not this one"), new PKIFailureInfo(PKIFailureInfo.badCertTemplate));
        } else if (want.equals("grantedWithMods")) {
            si = new PKIStatusInfo(PKIStatus.grantedWithMods, new PKIFreeText("another name"));
        } else if (want.equals("waiting")) {
            si = new PKIStatusInfo(PKIStatus.waiting);
        }
        if (want.equals("error")) {
            return new PKIBody(PKIBody.TYPE_ERROR, new ErrorMsgContent(new PKIStatusInfo(PKIStatus.rejection, new PKIFreeText("out of order"),
                new PKIFailureInfo(PKIFailureInfo.systemUnavail)), new ASN1Integer(42), new PKIFreeText("details")));
        }
        switch (m.getBody().getType()) {
            case PKIBody.TYPE_INIT_REQ:
            case PKIBody.TYPE_CERT_REQ:
            case PKIBody.TYPE_KEY_UPDATE_REQ: {
                CertReqMsg[] list = ((CertReqMessages) content).toCertReqMsgArray();
                for (CertReqMsg r : list) {
                    CertificateRequestMessage c = new CertificateRequestMessage(r);
                    CertTemplate t = c.getCertTemplate();
                    out.append(" [").append(r.getCertReq().getCertReqId()).append(' ').append(t.getSubject()).append(' ');
                    pop(c, t, a, out);
                    if (r.getCertReq().getControls() != null) {
                        for (AttributeTypeAndValue v : r.getCertReq().getControls().toAttributeTypeAndValueArray()) {
                            out.append(" control ").append(v.getType());
                        }
                    }
                    out.append(']');
                    X500Name subject = a.get("subject") != null ? new X500Name(a.get("subject")) : t.getSubject();
                    SubjectPublicKeyInfo spki = t.getPublicKey();
                    if (spki == null || spki.getPublicKeyData().getBytes().length == 0) {
                        makeKey(Args.of(new String[] {"name=made", "type=P-256"}));
                        spki = spki(key("made"));
                    }
                    tx.issued.put(BigInteger.ZERO, issue(subject, spki, a));
                }
                return certified(tx, a, si);
            }
            case PKIBody.TYPE_P10_CERT_REQ: {
                PKCS10CertificationRequest r = new PKCS10CertificationRequest((CertificationRequest) content);
                boolean good = r.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(BC).build(r.getSubjectPublicKeyInfo()));
                out.append(" [").append(r.getSubject()).append(good ? " signature" : " WRONG signature").append(']');
                tx.issued.put(BigInteger.ONE.negate(), issue(r.getSubject(), r.getSubjectPublicKeyInfo(), a));
                return certified(tx, a, si);
            }
            case PKIBody.TYPE_CERT_CONFIRM: {
                DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
                for (CertificateStatus s : new CertificateConfirmationContent((CertConfirmContent) content).getStatusMessages()) {
                    boolean good = s.isVerified(tx.issued.get(s.getCertRequestID()), digests);
                    out.append(" [").append(s.getCertRequestID()).append(good ? " hash" : " WRONG hash");
                    if (s.getStatusInfo() != null) {
                        out.append(' ').append(status(s.getStatusInfo()));
                    }
                    out.append(']');
                }
                return new PKIBody(PKIBody.TYPE_CONFIRM, new PKIConfirmContent());
            }
            case PKIBody.TYPE_POLL_REQ: {
                for (BigInteger id : ((PollReqContent) content).getCertReqIdValues()) {
                    out.append(" [").append(id).append(']');
                }
                if (want.equals("waiting")) {
                    return new PKIBody(PKIBody.TYPE_POLL_REP, new PollRepContent(new ASN1Integer(0), new ASN1Integer(3600), new PKIFreeText("asking the boss")));
                }
                return certified(tx, a, si);
            }
            case PKIBody.TYPE_REVOCATION_REQ: {
                RevRepContentBuilder b = new RevRepContentBuilder();
                for (RevDetails d : ((RevReqContent) content).toRevDetailsArray()) {
                    CertTemplate t = d.getCertDetails();
                    out.append(" [").append(t.getIssuer()).append(' ').append(nameOf(t.getSerialNumber().getValue()));
                    if (d.getCrlEntryDetails() != null) {
                        out.append(" reason ").append(ASN1Enumerated.getInstance(d.getCrlEntryDetails().getExtensionParsedValue(Extension.reasonCode)).getValue());
                    }
                    out.append(']');
                    b.add(si, new CertId(new GeneralName(t.getIssuer()), t.getSerialNumber()));
                }
                return new PKIBody(PKIBody.TYPE_REVOCATION_REP, b.build());
            }
            case PKIBody.TYPE_GEN_MSG: {
                ASN1EncodableVector v = new ASN1EncodableVector();
                for (InfoTypeAndValue i : ((GenMsgContent) content).toInfoTypeAndValueArray()) {
                    out.append(" [").append(i.getInfoType()).append(']');
                    if (i.getInfoType().getId().equals("1.3.6.1.5.5.7.4.17")) {
                        v.add(new InfoTypeAndValue(i.getInfoType(), new DERSequence(new CMPCertificate(anchor.toASN1Structure()))));
                    } else {
                        v.add(new InfoTypeAndValue(i.getInfoType()));
                    }
                }
                return new PKIBody(PKIBody.TYPE_GEN_REP, GenRepContent.getInstance(new DERSequence(v)));
            }
            default:
                throw new IllegalStateException("body " + m.getBody().getType());
        }
    }

    void pop(CertificateRequestMessage c, CertTemplate t, Args a, StringBuilder out) throws Exception {
        if (!c.hasProofOfPossession()) {
            out.append("no POP");
        } else if (c.getProofOfPossessionType() == CertificateRequestMessage.popRaVerified) {
            out.append("raVerified");
        } else if (c.getProofOfPossessionType() == CertificateRequestMessage.popSigningKey) {
            boolean good = c.isValidSigningKeyPOP(new JcaContentVerifierProviderBuilder().setProvider(BC).build(t.getPublicKey()));
            out.append(good ? "POP" : "WRONG POP");
        } else {
            out.append("POP of type ").append(c.getProofOfPossessionType());
        }
    }

    /** The name under which a certificate is remembered. */
    String nameOf(BigInteger serial) {
        for (Map.Entry<String, X509CertificateHolder> e : certs.entrySet()) {
            if (e.getValue().getSerialNumber().equals(serial)) {
                return e.getKey();
            }
        }
        return "UNKNOWN serial";
    }

    /** ip, cp or kup. */
    PKIBody certified(Transaction tx, Args a, PKIStatusInfo si) throws Exception {
        BigInteger id = tx.issued.keySet().iterator().next();
        int status = si.getStatus().intValue();
        CertifiedKeyPair pair = null;
        if (status == PKIStatus.GRANTED || status == PKIStatus.GRANTED_WITH_MODS) {
            X509CertificateHolder c = tx.issued.get(id);
            CertOrEncCert cert = new CertOrEncCert(new CMPCertificate(c.toASN1Structure()));
            if (a.get("encrypt") != null) {
                cert = new CertOrEncCert(encrypt(a.get("encrypt"), c, a, new CMSProcessableByteArray(PKCSObjectIdentifiers.data, c.getEncoded())));
            }
            if (a.get("encryptold") != null) {
                JcaX509CertificateConverter x = new JcaX509CertificateConverter().setProvider(BC);
                cert = new CertOrEncCert(new EncryptedKey(oldEncryption(a.get("encryptold"), x.getCertificate(c).getPublicKey()).build(c)));
            }
            EncryptedKey made = null;
            if (a.get("make") != null) {
                X509CertificateHolder to = a.get("for") == null ? null : cert(a.get("for"));
                made = encrypt(a.get("make"), to, a, keyPackage(key("made"), a));
            }
            if (a.get("makeold") != null) {
                JcaX509CertificateConverter x = new JcaX509CertificateConverter().setProvider(BC);
                made = new EncryptedKey(oldEncryption(a.get("makeold"), x.getCertificate(cert(a.must("for"))).getPublicKey())
                    .build(PrivateKeyInfo.getInstance(key("made").getPrivate().getEncoded())));
            }
            pair = new CertifiedKeyPair(cert, made, null);
            certs.put(a.or("as", "issued"), tx.issued.get(id));
        }
        CMPCertificate[] caPubs = a.get("secret") != null ? new CMPCertificate[] {new CMPCertificate(anchor.toASN1Structure())} : null;
        int type = tx.type == PKIBody.TYPE_P10_CERT_REQ ? PKIBody.TYPE_CERT_REP : tx.type + 1;
        return new PKIBody(type, new CertRepMessage(caPubs, new CertResponse[] {new CertResponse(new ASN1Integer(id), si, pair, null)}));
    }

    /** A private key, signed by the CA (RFC 5958, RFC 9483 section 4.1.6). */
    CMSTypedData keyPackage(KeyPair k, Args a) throws Exception {
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider(BC).build();
        g.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(digests).build(signer(key("ca"), a.must("caalg")), anchor));
        g.addCertificate(anchor);
        byte[] list = new DERSequence(PrivateKeyInfo.getInstance(k.getPrivate().getEncoded())).getEncoded();
        CMSSignedData signed = g.generate(new CMSProcessableByteArray(new ASN1ObjectIdentifier("2.16.840.1.101.2.1.2.78.5"), list), true);
        return new CMSProcessableByteArray(PKCSObjectIdentifiers.signedData, ((ASN1Object) signed.toASN1Structure().getContent()).getEncoded(ASN1Encoding.DER));
    }

    /** Encrypts to the key of a certificate, or by the shared secret. */
    EncryptedKey encrypt(String how, X509CertificateHolder to, Args a, CMSTypedData content) throws Exception {
        CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
        X509Certificate cert = to == null ? null : new JcaX509CertificateConverter().setProvider(BC).getCertificate(to);
        switch (how) {
            case "pwri":
                g.addRecipientInfoGenerator(new JcePasswordRecipientInfoGenerator(CMSAlgorithm.AES256_CBC, a.must("secret").toCharArray()).setProvider(BC)
                    .setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8).setPRF(PasswordRecipient.PRF.HMacSHA256)
                    .setSaltAndIterationCount(random(16), 2048));
                break;
            case "ktri": {
                AlgorithmIdentifier oaep = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP,
                    new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
                g.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(cert, oaep).setProvider(BC));
                break;
            }
            case "ktri-pkcs1":
                g.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(cert).setProvider(BC));
                break;
            default: {
                KeyPairGenerator kg = KeyPairGenerator.getInstance("EC", BC);
                kg.initialize(((java.security.interfaces.ECPublicKey) cert.getPublicKey()).getParams());
                KeyPair e = kg.generateKeyPair();
                g.addRecipientInfoGenerator(new JceKeyAgreeRecipientInfoGenerator(CMSAlgorithm.ECDH_SHA256KDF, e.getPrivate(), e.getPublic(), CMSAlgorithm.AES256_WRAP)
                    .addRecipient(cert).setProvider(BC));
            }
        }
        CMSEnvelopedData env = g.generate(content, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider(BC).build());
        return new EncryptedKey(EnvelopedData.getInstance(env.toASN1Structure().getContent()));
    }
}
