import java.io.File;
import java.nio.file.Files;
import java.security.KeyPair;
import java.util.Arrays;
import java.util.Map;

import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cmp.*;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.EnvelopedData;
import org.bouncycastle.asn1.crmf.*;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.cmp.*;
import org.bouncycastle.cert.crmf.*;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.KeyTransRecipientInformation;
import org.bouncycastle.cms.PasswordRecipient;
import org.bouncycastle.cms.PasswordRecipientInformation;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JcePasswordEnvelopedRecipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;

/** Checks the answers that an end entity gets. */
class Answers extends Party {
    /** Reads an answer, checks it against its request, and tells what is in it. */
    String read(Args a) throws Exception {
        byte[] der = Files.readAllBytes(new File(a.must("file")).toPath());
        GeneralPKIMessage m = new GeneralPKIMessage(der);
        if (!Arrays.equals(m.toASN1Structure().getEncoded(ASN1Encoding.DER), der)) {
            throw new IllegalStateException("the answer is another in DER");
        }
        Transaction tx = transactions.get(a.must("tx"));
        PKIHeader h = m.getHeader();
        String protection = verify(m, tx.args.get("secret"));
        if (!Arrays.equals(h.getTransactionID().getOctets(), tx.id)) {
            throw new IllegalStateException("another transactionID");
        }
        if (!Arrays.equals(h.getRecipNonce().getOctets(), a.get("nonce") != null ? tx.first : tx.sent)) {
            throw new IllegalStateException("recipNonce is not what was sent");
        }
        if (h.getSenderNonce().getOctets().length < 16) {
            throw new IllegalStateException("a short senderNonce");
        }
        if (!h.getSender().equals(new GeneralName(anchor.getSubject()))) {
            throw new IllegalStateException("sender " + h.getSender());
        }
        tx.received = h.getSenderNonce().getOctets();
        StringBuilder out = new StringBuilder(BODIES[m.getBody().getType()] + " v" + h.getPvno() + " " + protection);
        if (h.getGeneralInfo() != null) {
            for (InfoTypeAndValue i : h.getGeneralInfo()) {
                if (i.getInfoType().equals(CMPObjectIdentifiers.it_implicitConfirm)) {
                    out.append(" implicit");
                }
            }
        }
        ASN1Encodable content = m.getBody().getContent();
        switch (m.getBody().getType()) {
            case PKIBody.TYPE_INIT_REP:
            case PKIBody.TYPE_CERT_REP:
            case PKIBody.TYPE_KEY_UPDATE_REP:
                certificates((CertRepMessage) content, tx, a, out);
                break;
            case PKIBody.TYPE_REVOCATION_REP: {
                RevRepContent r = (RevRepContent) content;
                PKIStatusInfo[] list = r.getStatus();
                for (int i = 0; i < list.length; i++) {
                    out.append(" [").append(status(list[i]));
                    if (r.getRevCerts() != null) {
                        for (Map.Entry<String, X509CertificateHolder> e : certs.entrySet()) {
                            CertId id = r.getRevCerts()[i];
                            if (id.getSerialNumber().getValue().equals(e.getValue().getSerialNumber())
                                && id.getIssuer().equals(new GeneralName(e.getValue().getIssuer()))) {
                                out.append(' ').append(e.getKey());
                            }
                        }
                    }
                    out.append(']');
                }
                break;
            }
            case PKIBody.TYPE_GEN_REP:
                for (InfoTypeAndValue i : ((GenRepContent) content).toInfoTypeAndValueArray()) {
                    out.append(" [").append(info(i)).append(']');
                }
                break;
            case PKIBody.TYPE_ERROR:
                out.append(" [").append(status(((ErrorMsgContent) content).getPKIStatusInfo())).append(']');
                break;
            case PKIBody.TYPE_POLL_REP: {
                PollRepContent p = (PollRepContent) content;
                for (int i = 0; i < p.size(); i++) {
                    out.append(" [").append(p.getCertReqId(i)).append(" after ").append(p.getCheckAfter(i)).append(']');
                }
                break;
            }
            case PKIBody.TYPE_NESTED: {
                PKIMessage[] list = ((PKIMessages) content).toPKIMessageArray();
                for (int i = 0; i < list.length; i++) {
                    write(a.must("inner") + i, list[i].getEncoded());
                }
                out.append(" [").append(list.length).append(" messages]");
                break;
            }
            default:
                break;
        }
        return out.toString();
    }

    void certificates(CertRepMessage r, Transaction tx, Args a, StringBuilder out) throws Exception {
        if (r.getCaPubs() != null) {
            for (CMPCertificate c : r.getCaPubs()) {
                if (!anchor.equals(new X509CertificateHolder(c.getX509v3PKCert()))) {
                    throw new IllegalStateException("caPubs has more than the root");
                }
            }
            out.append(" caPubs");
        }
        for (CertResponse c : r.getResponse()) {
            out.append(" [").append(c.getCertReqId()).append(' ').append(status(c.getStatus()));
            if (c.getCertifiedKeyPair() != null) {
                int i = Math.max(c.getCertReqId().intValueExact(), 0);
                CertOrEncCert either = c.getCertifiedKeyPair().getCertOrEncCert();
                X509CertificateHolder got;
                String opened = "";
                if (either.getEncryptedCert() != null) {
                    Opened o = open(either.getEncryptedCert(), null, key(tx.keyNames[i]));
                    got = new X509CertificateHolder(o.content);
                    opened = " " + o.how;
                } else {
                    got = new X509CertificateHolder(either.getCertificate().getX509v3PKCert());
                }
                checkPath(got);
                String name = a.must("tx") + (i == 0 ? "" : "-" + i);
                if (tx.keyNames[i].equals("central")) {
                    opened = " " + centralKey(c.getCertifiedKeyPair().getPrivateKey(), got, name, tx.args);
                } else {
                    keys.put(name, key(tx.keyNames[i]));
                }
                if (!got.getSubjectPublicKeyInfo().equals(spki(key(name)))) {
                    throw new IllegalStateException("the certificate is for another key");
                }
                tx.ids.add(c.getCertReqId().getValue());
                tx.issued.put(c.getCertReqId().getValue(), got);
                certs.put(name, got);
                writePEM(new File(a.must("certs"), name + ".crt").getPath(), got);
                out.append(' ').append(got.getSubject()).append(opened);
            }
            out.append(']');
        }
    }

    static class Opened {
        String how;
        byte[] content;
    }

    /** Opens an EnvelopedData, and tells how it was encrypted. */
    static Opened open(EncryptedKey encrypted, String secret, KeyPair own) throws Exception {
        CMSEnvelopedData env = new CMSEnvelopedData(new ContentInfo(PKCSObjectIdentifiers.envelopedData, encrypted.getValue()));
        RecipientInformation r = env.getRecipientInfos().getRecipients().iterator().next();
        Recipient opener;
        Opened o = new Opened();
        if (r instanceof PasswordRecipientInformation) {
            opener = new JcePasswordEnvelopedRecipient(secret.toCharArray()).setProvider(BC)
                .setPasswordConversionScheme(PasswordRecipient.PKCS5_SCHEME2_UTF8);
            o.how = "pwri";
        } else if (r instanceof KeyTransRecipientInformation) {
            opener = new JceKeyTransEnvelopedRecipient(own.getPrivate()).setProvider(BC);
            o.how = "ktri";
        } else {
            opener = new JceKeyAgreeEnvelopedRecipient(own.getPrivate()).setProvider(BC);
            o.how = "kari";
        }
        o.content = r.getContent(opener);
        return o;
    }

    /** Opens a private key that the CA made, checks who signed it, and tells how it was encrypted. */
    String centralKey(EncryptedKey encrypted, X509CertificateHolder got, String name, Args a) throws Exception {
        Opened o = open(encrypted, a.get("secret"), a.get("sign") == null ? null : key(a.get("sign")));
        CMSSignedData signed = new CMSSignedData(new ContentInfo(PKCSObjectIdentifiers.signedData, ASN1Sequence.getInstance(o.content)));
        if (signed.getSignerInfos().size() != 1 || !signed.getSignedContentTypeOID().equals("2.16.840.1.101.2.1.2.78.5")) {
            throw new IllegalStateException("no signed key package");
        }
        for (SignerInformation s : signed.getSignerInfos()) {
            X509CertificateHolder by = (X509CertificateHolder) signed.getCertificates().getMatches(s.getSID()).iterator().next();
            if (!s.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(by))) {
                throw new IllegalStateException("the signature of the key is wrong");
            }
            checkPath(by);
        }
        ASN1Sequence list = ASN1Sequence.getInstance((byte[]) signed.getSignedContent().getContent());
        java.security.PrivateKey priv = BouncyCastleProvider.getPrivateKey(PrivateKeyInfo.getInstance(list.getObjectAt(0)));
        java.security.PublicKey pub = BouncyCastleProvider.getPublicKey(got.getSubjectPublicKeyInfo());
        KeyPair pair = new KeyPair(pub, priv);
        java.security.Signature sig = java.security.Signature.getInstance(signatureOf(pair), BC);
        sig.initSign(priv);
        sig.update(got.getEncoded());
        byte[] made = sig.sign();
        sig.initVerify(pub);
        sig.update(got.getEncoded());
        if (!sig.verify(made)) {
            throw new IllegalStateException("the private key is not that of the certificate");
        }
        keys.put(name, pair);
        return o.how;
    }

    String info(InfoTypeAndValue i) throws Exception {
        String oid = i.getInfoType().getId();
        ASN1Encodable v = i.getInfoValue();
        switch (oid) {
            case "1.3.6.1.5.5.7.4.17": { // caCerts
                for (ASN1Encodable c : ASN1Sequence.getInstance(v)) {
                    checkPath(new X509CertificateHolder(CMPCertificate.getInstance(c).getX509v3PKCert()));
                }
                return "caCerts " + ASN1Sequence.getInstance(v).size();
            }
            case "1.3.6.1.5.5.7.4.2": // signKeyPairTypes
                for (ASN1Encodable alg : ASN1Sequence.getInstance(v)) {
                    AlgorithmIdentifier.getInstance(alg);
                }
                return "signKeyPairTypes";
            case "1.3.6.1.5.5.7.4.6": { // currentCRL
                org.bouncycastle.cert.X509CRLHolder crl = new org.bouncycastle.cert.X509CRLHolder(CertificateList.getInstance(v));
                if (!crl.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(BC).build(anchor))) {
                    throw new IllegalStateException("the signature of the CRL is wrong");
                }
                StringBuilder b = new StringBuilder("currentCRL");
                for (Map.Entry<String, X509CertificateHolder> e : new java.util.TreeMap<>(certs).entrySet()) {
                    if (crl.getRevokedCertificate(e.getValue().getSerialNumber()) != null) {
                        b.append(' ').append(e.getKey());
                    }
                }
                return b.toString();
            }
            case "1.3.6.1.5.5.7.4.7": // unsupportedOIDs
                return "unsupportedOIDs " + ASN1Sequence.getInstance(v);
            default:
                return oid + (v == null ? "" : " value");
        }
    }
}
