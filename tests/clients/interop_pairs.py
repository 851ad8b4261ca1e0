"""Data key pairs: private keys that others load and use, for the public keys that came with them."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kyber_py import ml_kem

from boto import refused
from harness import MATERIAL, expect
from outside import (CURVES, ML_KEM_BYTES, hash_of, oaep, openssl, openssl_finds_good,
                     openssl_knows, openssl_version, public_der, signature_is_good)

CONTEXT = {"purpose": "interoperability", "größe": "ü"}
MESSAGE = b"a message"


def pairs(interop, specs):
    """Gives private and public keys, two pairs of each spec, of which one came sealed only."""
    kms = interop.kms
    key = kms.create_key()["KeyMetadata"]["Arn"]
    for spec in specs:
        words = dict(KeyId=key, KeyPairSpec=spec, EncryptionContext=CONTEXT)
        both = kms.generate_data_key_pair(**words)
        sealed = kms.generate_data_key_pair_without_plaintext(**words)
        assert "PrivateKeyPlaintext" not in sealed
        for made in (both, sealed):
            expect((made["KeyId"], made["KeyPairSpec"], made["KeyMaterialId"]), (key, spec, MATERIAL))
            blob = made["PrivateKeyCiphertextBlob"]
            opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"]
            expect(made.get("PrivateKeyPlaintext", opened), opened)
            told = refused(kms.exceptions.InvalidCiphertextException, kms.decrypt,
                           CiphertextBlob=blob, EncryptionContext={"purpose": "another"})
            expect(told[:2], ("InvalidCiphertextException", 400))
            interop.read_public(spec, made["PublicKey"])
            if openssl_knows(spec):
                read = openssl("pkey", "-inform", "DER", "-in", opened, "-pubout", "-outform", "DER")
                expect(read, made["PublicKey"])
            interop.checked["pairs"] += 1
            yield opened, made["PublicKey"]


def loaded(private, public):
    key = serialization.load_der_private_key(private, None)
    expect(public_der(key.public_key()), public)
    return key


def counts(pairs, openssl=None):
    return {"pairs": pairs, "public keys, cryptography": pairs,
            "public keys, openssl": pairs if openssl is None else openssl}


def check_rsa(interop, bits):
    for private, public in pairs(interop, [f"RSA_{bits}"]):
        key = loaded(private, public)
        expect((key.key_size, key.public_key().public_numbers().e), (bits, 65537))
        for algorithm in ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"):
            sealed = key.public_key().encrypt(MESSAGE, oaep(algorithm))
            expect(key.decrypt(sealed, oaep(algorithm)), MESSAGE)
        openssl("pkey", "-inform", "DER", "-in", private, "-check", "-noout")
        signature = openssl("dgst", "-sha256", "-keyform", "DER", "-sign", private, data=MESSAGE)
        assert signature_is_good(public, "RSASSA_PKCS1_V1_5_SHA_256", MESSAGE, signature)
    expect(interop.checked, counts(2))


def test_rsa_2048(interop):
    check_rsa(interop, 2048)


def test_rsa_3072(interop):
    check_rsa(interop, 3072)


def test_rsa_4096(interop):
    check_rsa(interop, 4096)


def test_elliptic_curves(interop):
    for number, (private, public) in enumerate(pairs(interop, CURVES)):
        key = loaded(private, public)
        expect(key.curve.name, list(CURVES.values())[number // 2].name)
        openssl("pkey", "-inform", "DER", "-in", private, "-check", "-noout")
        # Each signs for the other.
        algorithm = "ECDSA_SHA_256"
        signature = openssl("dgst", "-sha256", "-keyform", "DER", "-sign", private, data=MESSAGE)
        assert signature_is_good(public, algorithm, MESSAGE, signature)
        signature = key.sign(MESSAGE, ec.ECDSA(hash_of(algorithm)))
        assert openssl_finds_good(public, algorithm, MESSAGE, signature)
        peer = ec.generate_private_key(key.curve)
        theirs = serialization.load_der_public_key(public)
        expect(key.exchange(ec.ECDH(), peer.public_key()), peer.exchange(ec.ECDH(), theirs))
    expect(interop.checked, counts(8))


def test_edwards_curve(interop):
    for private, public in pairs(interop, ["ECC_NIST_EDWARDS25519"]):
        signature = loaded(private, public).sign(MESSAGE)
        assert openssl_finds_good(public, "ED25519_SHA_512", MESSAGE, signature)
    expect(interop.checked, counts(2))


def test_ml_kem(interop):
    """The private key is the seed, as RFC 9935 frames it: the last 64 bytes."""
    kyber = {800: ml_kem.ML_KEM_512, 1184: ml_kem.ML_KEM_768, 1568: ml_kem.ML_KEM_1024}
    for number, (private, public) in enumerate(pairs(interop, ML_KEM_BYTES)):
        size = list(ML_KEM_BYTES.values())[number // 2]
        raw = public[-size:]
        encapsulation, decapsulation = kyber[size].key_derive(private[-64:])
        expect(encapsulation, raw)
        secret, ciphertext = kyber[size].encaps(raw)
        expect(kyber[size].decaps(decapsulation, ciphertext), secret)
        if size > 800:
            expect(loaded(private, public).decapsulate(ciphertext), secret)
    newer = openssl_version() >= (3, 5)
    expect(interop.checked, {"pairs": 6, "public keys, cryptography": 4}
           | ({"public keys, openssl": 6} if newer else {}))
