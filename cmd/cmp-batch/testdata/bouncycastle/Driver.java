import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.Security;
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
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.EnvelopedData;
import org.bouncycastle.asn1.iana.IANAObjectIdentifiers;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.CertificationRequest;
import org.bouncycastle.asn1.pkcs.PBKDF2Params;
import org.bouncycastle.asn1.pkcs.PBMAC1Params;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.cmp.*;
import org.bouncycastle.cert.crmf.*;
import org.bouncycastle.cert.crmf.Control;
import org.bouncycastle.cert.crmf.jcajce.JcePKMACValuesCalculator;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.CMSTypedData;
import org.bouncycastle.cms.KeyTransRecipientInformation;
import org.bouncycastle.cms.PasswordRecipient;
import org.bouncycastle.cms.PasswordRecipientInformation;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JcePasswordEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.MacCalculator;
import org.bouncycastle.operator.PBEMacCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcePBMac1CalculatorBuilder;
import org.bouncycastle.util.encoders.Hex;

/**
 * Bouncy Castle as a CMP end entity and as a CA, for files. A line of stdin is a
 * command: a verb and its arguments NAME=VALUE, between tabs. A line of stdout
 * is the answer: "ok" or "failed", a tab and a text. All that is checked of a
 * message is checked by Bouncy Castle and by the Java platform.
 */
public class Driver {
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

    public static void main(String[] a) throws Exception {
        Security.addProvider(BC);
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Driver d = new Driver();
        for (String line; (line = in.readLine()) != null;) {
            String answer;
            try {
                String[] words = line.split("\t");
                answer = "ok\t" + d.run(words[0], Args.of(Arrays.copyOfRange(words, 1, words.length)));
            } catch (Throwable e) {
                StringBuilder text = new StringBuilder("failed\t" + e);
                for (Throwable c = e.getCause(); c != null; c = c.getCause()) {
                    text.append(": ").append(c);
                }
                for (StackTraceElement s : e.getStackTrace()) {
                    if (s.getClassName().equals("Driver")) {
                        text.append(" at line ").append(s.getLineNumber());
                    }
                }
                answer = text.toString();
            }
            out.println(answer.replace('\n', ' '));
        }
    }

    String run(String verb, Args a) throws Exception {
        switch (verb) {
            case "version":
                return String.valueOf(BC.getVersionStr());
            case "trust":
                anchor = readCertificate(a.must("file"));
                return anchor.getSubject().toString();
            case "key":
                return makeKey(a);
            case "ca":
                return makeCA(a);
            case "request":
                return request(a);
            case "wrap":
                return wrap(a);
            case "confirm":
                return confirm(a);
            case "poll":
                return poll(a);
            case "read":
                return read(a);
            case "answer":
                return answer(a);
            default:
                throw new IllegalArgumentException("no such verb: " + verb);
        }
    }

    // Keys and certificates

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

    static Date yesterday() {
        return inDays(-1);
    }

    static Date inDays(int n) {
        return new Date(System.currentTimeMillis() + n * 86400000L);
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

    // Protection

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

    // The end entity's messages

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

    // Answers

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

    // The CA

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
            EncryptedKey made = null;
            if (a.get("make") != null) {
                X509CertificateHolder to = a.get("for") == null ? null : cert(a.get("for"));
                made = encrypt(a.get("make"), to, a, keyPackage(key("made"), a));
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
        // Its generators write BER, and CMP is DER.
        byte[] der = ((ASN1Object) env.toASN1Structure().getContent()).getEncoded(ASN1Encoding.DER);
        return new EncryptedKey(EnvelopedData.getInstance(ASN1Primitive.fromByteArray(der)));
    }
}
