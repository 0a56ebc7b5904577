import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.MGF1ParameterSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;

import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cmp.*;
import org.bouncycastle.asn1.crmf.*;
import org.bouncycastle.asn1.iana.IANAObjectIdentifiers;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PBKDF2Params;
import org.bouncycastle.asn1.pkcs.PBMAC1Params;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.cmp.*;
import org.bouncycastle.cert.crmf.*;
import org.bouncycastle.cert.crmf.jcajce.JceCRMFEncryptorBuilder;
import org.bouncycastle.cert.crmf.jcajce.JcePKMACValuesCalculator;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.MacCalculator;
import org.bouncycastle.operator.PBEMacCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JceAsymmetricKeyWrapper;
import org.bouncycastle.pkcs.jcajce.JcePBMac1CalculatorBuilder;

/** What both sides of CMP need: keys, certificates, protection, headers. */
class Party {
    static final X500Name NOBODY = new X500Name(new org.bouncycastle.asn1.x500.RDN[0]);
    static final SecureRandom RANDOM = new SecureRandom();
    static final BouncyCastleProvider BC = new BouncyCastleProvider();

    final Map<String, KeyPair> keys = new HashMap<>();
    final Map<String, X509CertificateHolder> certs = new HashMap<>();
    final Map<String, Transaction> transactions = new HashMap<>();
    X509CertificateHolder anchor; // what everything must chain to

    /** What an end entity, or a CA, remembers of a transaction. */
    static class Transaction {
        Args args; // of the first message
        byte[] id, first, sent, received; // transactionID, nonces
        String[] keyNames; // of the requested certificates, by certReqId
        final Map<BigInteger, X509CertificateHolder> issued = new HashMap<>();
        List<BigInteger> ids = new ArrayList<>();
        int type; // body of the first message
    }

    static class Args extends HashMap<String, String> {
        final List<Args> items = new ArrayList<>();

        String must(String name) {
            String v = get(name);
            if (v == null) {
                throw new IllegalArgumentException("argument " + name + " is missing");
            }
            return v;
        }

        String or(String name, String otherwise) {
            return getOrDefault(name, otherwise);
        }

        static Args of(String[] words) {
            Args a = new Args();
            for (String w : words) {
                int i = w.indexOf('=');
                if (w.startsWith("item=")) {
                    a.items.add(of(w.substring(5).split("\\|")));
                } else if (i > 0) {
                    a.put(w.substring(0, i), w.substring(i + 1));
                }
            }
            return a;
        }
    }

    String makeKey(Args a) throws Exception {
        KeyPairGenerator g;
        String type = a.must("type");
        if (type.equals("rsa")) {
            g = KeyPairGenerator.getInstance("RSA", BC);
            g.initialize(2048);
        } else if (type.startsWith("Ed")) {
            g = KeyPairGenerator.getInstance(type, BC);
        } else {
            g = KeyPairGenerator.getInstance("EC", BC);
            g.initialize(new ECGenParameterSpec(type));
        }
        keys.put(a.must("name"), g.generateKeyPair());
        return type;
    }

    static Date yesterday() {
        return inDays(-1);
    }

    static Date inDays(int n) {
        return new Date(System.currentTimeMillis() + n * 86400000L);
    }

    /** EncryptedValue (RFC 4211 section 2.1): CIPHER-WRAP, as aes256-pkcs1 or 3des-oaep. */
    static EncryptedValueBuilder oldEncryption(String how, java.security.PublicKey to) throws Exception {
        String[] words = how.split("-");
        ASN1ObjectIdentifier cipher;
        switch (words[0]) {
            case "aes128":
                cipher = NISTObjectIdentifiers.id_aes128_CBC;
                break;
            case "aes192":
                cipher = NISTObjectIdentifiers.id_aes192_CBC;
                break;
            case "aes256":
                cipher = NISTObjectIdentifiers.id_aes256_CBC;
                break;
            case "3des":
                cipher = PKCSObjectIdentifiers.des_EDE3_CBC;
                break;
            default:
                throw new IllegalArgumentException(how);
        }
        JceAsymmetricKeyWrapper wrapper = words[1].equals("pkcs1") ? new JceAsymmetricKeyWrapper(to)
            : new JceAsymmetricKeyWrapper(new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT), to);
        return new EncryptedValueBuilder(wrapper.setProvider(BC), new JceCRMFEncryptorBuilder(cipher).setProvider(BC).build());
    }

    KeyPair key(String name) {
        KeyPair k = keys.get(name);
        if (k == null) {
            throw new IllegalArgumentException("no key " + name);
        }
        return k;
    }

    X509CertificateHolder cert(String name) {
        X509CertificateHolder c = certs.get(name);
        if (c == null) {
            throw new IllegalArgumentException("no certificate " + name);
        }
        return c;
    }

    static SubjectPublicKeyInfo spki(KeyPair k) {
        return SubjectPublicKeyInfo.getInstance(k.getPublic().getEncoded());
    }

    static ContentSigner signer(KeyPair k, String alg) throws Exception {
        return new JcaContentSignerBuilder(alg).setProvider(BC).build(k.getPrivate());
    }

    static String signatureOf(KeyPair k) {
        String alg = k.getPrivate().getAlgorithm();
        return alg.equals("RSA") ? "SHA256withRSA" : alg.startsWith("E") && !alg.startsWith("Ed") ? "SHA256withECDSA" : alg;
    }

    static X509CertificateHolder readCertificate(String file) throws Exception {
        try (ByteArrayInputStream in = new ByteArrayInputStream(Files.readAllBytes(new File(file).toPath()))) {
            X509Certificate c = (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(in);
            return new X509CertificateHolder(c.getEncoded());
        }
    }

    static void writePEM(String file, X509CertificateHolder c) throws Exception {
        String base64 = java.util.Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(c.getEncoded());
        write(file, ("-----BEGIN CERTIFICATE-----\n" + base64 + "\n-----END CERTIFICATE-----\n").getBytes(StandardCharsets.US_ASCII));
    }

    static void write(String file, byte[] data) throws Exception {
        Files.write(new File(file).toPath(), data);
    }

    static byte[] random(int n) {
        byte[] b = new byte[n];
        RANDOM.nextBytes(b);
        return b;
    }

    static final Map<String, ASN1ObjectIdentifier> HASHES = Map.of("sha1", OIWObjectIdentifiers.idSHA1, "sha224", NISTObjectIdentifiers.id_sha224,
        "sha256", NISTObjectIdentifiers.id_sha256, "sha384", NISTObjectIdentifiers.id_sha384, "sha512", NISTObjectIdentifiers.id_sha512);
    static final Map<String, ASN1ObjectIdentifier> MACS = Map.of("hmac-sha1", IANAObjectIdentifiers.hmacSHA1,
        "hmacWithSHA1", PKCSObjectIdentifiers.id_hmacWithSHA1, "hmac-sha224", PKCSObjectIdentifiers.id_hmacWithSHA224,
        "hmac-sha256", PKCSObjectIdentifiers.id_hmacWithSHA256, "hmac-sha384", PKCSObjectIdentifiers.id_hmacWithSHA384,
        "hmac-sha512", PKCSObjectIdentifiers.id_hmacWithSHA512);

    static String nameOf(Map<String, ASN1ObjectIdentifier> names, AlgorithmIdentifier alg) {
        for (Map.Entry<String, ASN1ObjectIdentifier> e : names.entrySet()) {
            if (e.getValue().equals(alg.getAlgorithm())) {
                return e.getKey();
            }
        }
        return alg.getAlgorithm().getId();
    }

    static PKMACBuilder pkmac(Args a) throws Exception {
        PKMACBuilder b = new PKMACBuilder(new JcePKMACValuesCalculator().setProvider(BC));
        if (a.get("hash") != null) {
            b.setParameters(new PBMParameter(random(Integer.parseInt(a.or("salt", "20"))),
                new AlgorithmIdentifier(HASHES.get(a.get("hash")), DERNull.INSTANCE), Integer.parseInt(a.must("iterations")),
                new AlgorithmIdentifier(MACS.get(a.must("mac")), DERNull.INSTANCE)));
        } else if (a.get("iterations") != null) {
            b.setIterationCount(Integer.parseInt(a.get("iterations")));
        }
        return b;
    }

    static MacCalculator mac(Args a) throws Exception {
        char[] secret = a.must("secret").toCharArray();
        if ("pbmac1".equals(a.get("mac"))) {
            MacCalculator m = new JcePBMac1CalculatorBuilder(a.or("hmac", "HMACSHA256"), Integer.parseInt(a.or("keylength", "256"))).setProvider(BC)
                .setPrf("sha512".equals(a.get("prf")) ? JcePBMac1CalculatorBuilder.PRF_SHA512 : JcePBMac1CalculatorBuilder.PRF_SHA256)
                .setIterationCount(Integer.parseInt(a.or("iterations", "1000"))).setSaltLength(16).build(secret);
            if (a.get("pbes2") != null) {
                return m;
            }
            // Version 1.72 names PBES2 as the key derivation that is PBKDF2.
            PBMAC1Params p = PBMAC1Params.getInstance(m.getAlgorithmIdentifier().getParameters());
            return named(m, new AlgorithmIdentifier(PKCSObjectIdentifiers.id_PBMAC1, new PBMAC1Params(
                new AlgorithmIdentifier(PKCSObjectIdentifiers.id_PBKDF2, p.getKeyDerivationFunc().getParameters()), p.getMessageAuthScheme())));
        }
        MacCalculator m = pkmac(a).build(secret);
        if (a.get("claim") == null) {
            return m;
        }
        PBMParameter p = PBMParameter.getInstance(m.getAlgorithmIdentifier().getParameters());
        return named(m, new AlgorithmIdentifier(CMPObjectIdentifiers.passwordBasedMac,
            new PBMParameter(p.getSalt(), p.getOwf(), new ASN1Integer(new BigInteger(a.get("claim"))), p.getMac())));
    }

    /** The same MAC under another identifier. */
    static MacCalculator named(MacCalculator m, AlgorithmIdentifier alg) {
        return new MacCalculator() {
            public AlgorithmIdentifier getAlgorithmIdentifier() {
                return alg;
            }

            public OutputStream getOutputStream() {
                return m.getOutputStream();
            }

            public byte[] getMac() {
                return m.getMac();
            }

            public org.bouncycastle.operator.GenericKey getKey() {
                return m.getKey();
            }
        };
    }

    /** Protects with a secret (secret, kid) or with a key (sign, cert). */
    PKIMessage protect(ProtectedPKIMessageBuilder b, Args a) throws Exception {
        if (a.get("secret") != null) {
            b.setSenderKID(a.must("kid").getBytes(StandardCharsets.UTF_8));
            return b.build(mac(a)).toASN1Structure();
        }
        X509CertificateHolder c = cert(a.must("sign"));
        b.setSenderKID(SubjectKeyIdentifier.fromExtensions(c.getExtensions()).getKeyIdentifier());
        b.addCMPCertificate(c);
        String k = a.or("signkey", a.get("sign"));
        return b.build(signer(key(k), a.or("alg", signatureOf(key(k))))).toASN1Structure();
    }

    /** Checks protection, and tells what it is. */
    String verify(GeneralPKIMessage general, String secret) throws Exception {
        if (!general.hasProtection()) {
            return "unprotected";
        }
        ProtectedPKIMessage m = new ProtectedPKIMessage(general);
        AlgorithmIdentifier alg = m.getHeader().getProtectionAlg();
        if (m.hasPasswordBasedMacProtection() || alg.getAlgorithm().equals(PKCSObjectIdentifiers.id_PBMAC1)) {
            if (secret == null) {
                throw new IllegalStateException("a MAC, and no secret");
            }
            PBEMacCalculatorProvider p;
            String text;
            if (m.hasPasswordBasedMacProtection()) {
                PBMParameter pbm = PBMParameter.getInstance(alg.getParameters());
                p = new PKMACBuilder(new JcePKMACValuesCalculator().setProvider(BC));
                text = "pbm " + nameOf(HASHES, pbm.getOwf()) + " " + pbm.getIterationCount() + " " + nameOf(MACS, pbm.getMac());
            } else {
                PBMAC1Params pbmac1 = PBMAC1Params.getInstance(alg.getParameters());
                // Version 1.72 reads all parameters but the pseudo-random function.
                p = (id, password) -> new JcePBMac1CalculatorBuilder(pbmac1).setProvider(BC)
                    .setPrf(PBKDF2Params.getInstance(pbmac1.getKeyDerivationFunc().getParameters()).getPrf()).build(password);
                text = "pbmac1 " + nameOf(MACS, pbmac1.getMessageAuthScheme());
            }
            if (!m.verify(p, secret.toCharArray())) {
                throw new IllegalStateException("the MAC is wrong");
            }
            return text;
        }
        X509CertificateHolder[] chain = m.getCertificates();
        if (chain.length == 0) {
            throw new IllegalStateException("a signature, and no extraCerts");
        }
        if (!m.verify(new JcaContentVerifierProviderBuilder().setProvider(BC).build(chain[0]))) {
            throw new IllegalStateException("the signature is wrong");
        }
        checkPath(chain[0]);
        if (!m.getHeader().getSender().equals(new GeneralName(chain[0].getSubject()))) {
            throw new IllegalStateException("sender " + m.getHeader().getSender() + " is not who signs");
        }
        if (!Arrays.equals(m.getHeader().getSenderKID().getOctets(), SubjectKeyIdentifier.fromExtensions(chain[0].getExtensions()).getKeyIdentifier())) {
            throw new IllegalStateException("senderKID is not that of who signs");
        }
        return "signed " + new org.bouncycastle.operator.DefaultSignatureNameFinder().getAlgorithmName(alg);
    }

    void checkPath(X509CertificateHolder c) throws Exception {
        if (c.equals(anchor)) {
            return;
        }
        JcaX509CertificateConverter conv = new JcaX509CertificateConverter().setProvider(BC);
        PKIXParameters p = new PKIXParameters(Collections.singleton(new TrustAnchor(conv.getCertificate(anchor), null)));
        p.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX", BC).validate(
            CertificateFactory.getInstance("X.509", BC).generateCertPath(List.of(conv.getCertificate(c))), p);
    }

    ProtectedPKIMessageBuilder header(Args a, Transaction tx) throws Exception {
        GeneralName sender = new GeneralName(a.get("sender") != null ? new X500Name(a.get("sender"))
            : a.get("sign") != null ? cert(a.get("sign")).getSubject() : NOBODY);
        GeneralName recipient = new GeneralName(a.get("recipient") != null ? new X500Name(a.get("recipient")) : anchor.getSubject());
        ProtectedPKIMessageBuilder b = new ProtectedPKIMessageBuilder(Integer.parseInt(a.or("pvno", "2")), sender, recipient);
        b.setMessageTime(new Date());
        b.setTransactionID(tx.id);
        tx.sent = random(16);
        tx.first = tx.first == null ? tx.sent : tx.first;
        b.setSenderNonce(tx.sent);
        if (tx.received != null) {
            b.setRecipNonce(tx.received);
        }
        return b;
    }

    void send(Args a, Transaction tx, PKIBody body) throws Exception {
        ProtectedPKIMessageBuilder b = header(a, tx);
        b.setBody(body);
        if (a.get("implicit") != null) {
            b.addGeneralInfo(new InfoTypeAndValue(CMPObjectIdentifiers.it_implicitConfirm, DERNull.INSTANCE));
        }
        if (a.get("profile") != null) {
            b.addGeneralInfo(new InfoTypeAndValue(new ASN1ObjectIdentifier("1.3.6.1.5.5.7.4.21"), new DERSequence(new DERUTF8String(a.get("profile")))));
        }
        PKIMessage m = protect(b, a);
        if (a.get("unprotected") != null) {
            PKIHeader h = m.getHeader();
            PKIHeaderBuilder plain = new PKIHeaderBuilder(h.getPvno().intValueExact(), h.getSender(), h.getRecipient());
            if (h.getRecipNonce() != null) {
                plain.setRecipNonce(h.getRecipNonce());
            }
            plain.setMessageTime(h.getMessageTime()).setTransactionID(h.getTransactionID()).setSenderNonce(h.getSenderNonce()).setSenderKID(h.getSenderKID());
            m = new PKIMessage(plain.build(), body);
        }
        if (a.get("nested") != null) {
            // The answer is that to the message inside.
            Transaction outer = new Transaction();
            outer.id = tx.id;
            m = nest(Args.of(new String[] {"sign=" + a.get("nested")}), outer, m);
        }
        write(a.must("out"), m.getEncoded());
    }

    PKIMessage nest(Args a, Transaction outer, PKIMessage... inner) throws Exception {
        ProtectedPKIMessageBuilder n = header(a, outer);
        n.setBody(new PKIBody(PKIBody.TYPE_NESTED, new PKIMessages(inner)));
        return protect(n, a);
    }

    static final String[] BODIES = {"ir", "ip", "cr", "cp", "p10cr", "popdecc", "popdecr", "kur", "kup", "krr", "krp", "rr", "rp", "ccr", "ccp",
        "ckuann", "cann", "rann", "crlann", "pkiconf", "nested", "genm", "genp", "error", "certConf", "pollReq", "pollRep"};

    static final String[] STATUS = {"accepted", "grantedWithMods", "rejection", "waiting", "revocationWarning", "revocationNotification", "keyUpdateWarning"};

    static final String[] FAILURES = {"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "badDataFormat", "wrongAuthority",
        "incorrectData", "missingTimeStamp", "badPOP", "certRevoked", "certConfirmed", "wrongIntegrity", "badRecipientNonce", "timeNotAvailable",
        "unacceptedPolicy", "unacceptedExtension", "addInfoNotAvailable", "badSenderNonce", "badCertTemplate", "signerNotTrusted", "transactionIdInUse",
        "unsupportedVersion", "notAuthorized", "systemUnavail", "systemFailure", "duplicateCertReq"};

    static String status(PKIStatusInfo s) {
        StringBuilder b = new StringBuilder(STATUS[s.getStatus().intValue()]);
        if (s.getFailInfo() != null) {
            byte[] bits = s.getFailInfo().getBytes();
            for (int i = 0; i < FAILURES.length; i++) {
                if (i / 8 < bits.length && (bits[i / 8] & 0x80 >> i % 8) != 0) {
                    b.append(' ').append(FAILURES[i]);
                }
            }
        }
        if (s.getStatusString() != null) {
            for (int i = 0; i < s.getStatusString().size(); i++) {
                b.append(" \"").append(s.getStatusString().getStringAtUTF8(i).getString()).append('"');
            }
        }
        return b.toString();
    }
}
