import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.security.KeyPair;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.util.Arrays;
import javax.crypto.KeyAgreement;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cmp.CMPObjectIdentifiers;
import org.bouncycastle.asn1.cmp.DHBMParameter;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.crmf.*;
import org.bouncycastle.asn1.iana.IANAObjectIdentifiers;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.ContentSigner;

/** Proofs of possession by the secret of a key and the certificate of a CA. */
class StaticDH {
    private static final ASN1ObjectIdentifier ecdhPop = new ASN1ObjectIdentifier("1.3.6.1.5.5.7.6");

    final byte[] secret;
    final X509CertificateHolder ca;

    StaticDH(KeyPair own, X509CertificateHolder ca) throws Exception {
        PublicKey peer = new JcaPEMKeyConverter().setProvider(Party.BC).getPublicKey(ca.getSubjectPublicKeyInfo());
        KeyAgreement a = KeyAgreement.getInstance(peer.getAlgorithm().startsWith("X") ? peer.getAlgorithm() : "ECDH", Party.BC);
        a.init(own.getPrivate());
        a.doPhase(peer, true);
        this.secret = a.generateSecret();
        this.ca = ca;
    }

    /** The algorithm of a way to prove: dhbm, or a hash for RFC 6955. */
    static AlgorithmIdentifier algorithm(String way) {
        switch (way) {
            case "dhbm":
                return new AlgorithmIdentifier(new ASN1ObjectIdentifier("1.2.840.113533.7.66.30"), new DHBMParameter(
                    new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256), new AlgorithmIdentifier(IANAObjectIdentifiers.hmacSHA1)));
            case "SHA256":
                return new AlgorithmIdentifier(ecdhPop.branch("26"));
            case "SHA384":
                return new AlgorithmIdentifier(ecdhPop.branch("27"));
            case "SHA512":
                return new AlgorithmIdentifier(ecdhPop.branch("28"));
            default:
                throw new IllegalArgumentException(way);
        }
    }

    byte[] prove(String way, byte[] message) throws Exception {
        if (way.equals("dhbm")) {
            // HMAC-SHA1 takes the first 20 octets.
            byte[] key = Arrays.copyOf(MessageDigest.getInstance("SHA-256", Party.BC).digest(secret), 20);
            return mac("HmacSHA1", key, message);
        }
        MessageDigest d = MessageDigest.getInstance(way.replace("SHA", "SHA-"), Party.BC);
        d.update(ca.getSubject().getEncoded());
        d.update(secret);
        d.update(ca.getIssuer().getEncoded());
        byte[] value = mac("Hmac" + way, d.digest(), message);
        return new DhSigStatic(new IssuerAndSerialNumber(ca.getIssuer(), ca.getSerialNumber()), value).getEncoded("DER");
    }

    static byte[] mac(String alg, byte[] key, byte[] message) throws Exception {
        Mac m = Mac.getInstance(alg, Party.BC);
        m.init(new SecretKeySpec(key, alg));
        return m.doFinal(message);
    }

    /** What stands for a signature in a PKCS #10 request. */
    ContentSigner signer(String way) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        return new ContentSigner() {
            public AlgorithmIdentifier getAlgorithmIdentifier() {
                return algorithm(way);
            }

            public OutputStream getOutputStream() {
                return out;
            }

            public byte[] getSignature() {
                try {
                    return prove(way, out.toByteArray());
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        };
    }

    /** The request with agreeMAC, or with the MAC where a signature would be. */
    CertReqMsg request(CertRequest r, String way, boolean signature) throws Exception {
        DERBitString value = new DERBitString(prove(way, r.getEncoded("DER")));
        if (signature) {
            return new CertReqMsg(r, new ProofOfPossession(new POPOSigningKey(null, algorithm(way), value)), null);
        }
        POPOPrivKey p = new POPOPrivKey(new PKMACValue(algorithm(way), value));
        return new CertReqMsg(r, new ProofOfPossession(ProofOfPossession.TYPE_KEY_AGREEMENT, p), null);
    }
}
