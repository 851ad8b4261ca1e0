"""Signatures: the server's verified by others, others' verified by the server.

Every algorithm with every message type that goes with it. Ed25519ph gets the digest as its message,
as KMS has it, so the digest is hashed once more.
"""

import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa

import imports
from boto import refused
from harness import expect
from outside import (CURVES, altered, digest_of, hash_of, openssl_finds_good, openssl_knows,
                     openssl_version, rsa_padding, signature_is_good)

RSA_ALGORITHMS = [f"RSASSA_{scheme}_SHA_{bits}" for scheme in ("PKCS1_V1_5", "PSS")
                  for bits in (256, 384, 512)]
# The longest there is, and of every kind of byte.
MESSAGE = bytes(range(256)) * 16


def given_as(public, algorithm, kind, message):
    """The bytes that Sign gets for a message."""
    if kind == "RAW":
        return message
    if kind == "DIGEST":
        return digest_of(algorithm, message)
    hasher = mldsa.MLDSAMuHasher(serialization.load_der_public_key(public))
    hasher.update(message)
    return hasher.finalize()


def check(interop, key, public, spec, algorithm, kind):
    """Signs once; everybody must find that signature good and its neighbours bad."""
    given = given_as(public, algorithm, kind, MESSAGE)
    words = dict(KeyId=key, Message=given, MessageType=kind, SigningAlgorithm=algorithm)
    answer = interop.kms.sign(**words)
    expect((answer["KeyId"], answer["SigningAlgorithm"]), (key, algorithm))
    signature = answer["Signature"]
    signed = given if algorithm == "ED25519_PH_SHA_512" else MESSAGE
    expect(signature_is_good(public, algorithm, signed, signature), True)
    expect(signature_is_good(public, algorithm, signed, altered(signature)), False)
    interop.checked["signatures, Python"] += 1
    if openssl_knows(spec) and algorithm != "ED25519_PH_SHA_512":
        expect(openssl_finds_good(public, algorithm, signed, signature), True)
        expect(openssl_finds_good(public, algorithm, altered(signed), signature), False)
        interop.checked["signatures, openssl"] += 1

    verified = interop.kms.verify(Signature=signature, **words)
    expect((verified["SignatureValid"], verified["SigningAlgorithm"]), (True, algorithm))
    invalid = interop.kms.exceptions.KMSInvalidSignatureException
    for change in ({"Signature": altered(signature)}, {"Signature": signature[:-1]},
                   {"Message": altered(given)}):
        told = refused(invalid, interop.kms.verify, **{"Signature": signature, **words, **change})
        expect(told[:2], ("KMSInvalidSignatureException", 400))
        interop.checked["refused"] += 1


def test_rsa(interop):
    for spec in ("RSA_2048", "RSA_3072", "RSA_4096"):
        key, public = interop.key(spec, "SIGN_VERIFY")
        for algorithm in RSA_ALGORITHMS:
            for kind in ("RAW", "DIGEST"):
                check(interop, key, public, spec, algorithm, kind)
    expect(interop.checked, {"public keys, cryptography": 3, "public keys, openssl": 3,
                             "signatures, Python": 36, "signatures, openssl": 36, "refused": 108})


def test_elliptic_curves(interop):
    bits = {"ECC_NIST_P384": 384, "ECC_NIST_P521": 512}
    for spec in CURVES:
        key, public = interop.key(spec, "SIGN_VERIFY")
        for kind in ("RAW", "DIGEST"):
            check(interop, key, public, spec, f"ECDSA_SHA_{bits.get(spec, 256)}", kind)
    spec = "ECC_NIST_EDWARDS25519"
    key, public = interop.key(spec, "SIGN_VERIFY")
    check(interop, key, public, spec, "ED25519_SHA_512", "RAW")
    check(interop, key, public, spec, "ED25519_PH_SHA_512", "DIGEST")
    expect(interop.checked, {"public keys, cryptography": 5, "public keys, openssl": 5,
                             "signatures, Python": 10, "signatures, openssl": 9, "refused": 30})


def test_ml_dsa(interop):
    for spec in ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87"):
        key, public = interop.key(spec, "SIGN_VERIFY")
        for kind in ("RAW", "EXTERNAL_MU"):
            check(interop, key, public, spec, "ML_DSA_SHAKE_256", kind)
    counts = {"public keys, cryptography": 3, "signatures, Python": 6, "refused": 18}
    if openssl_version() >= (3, 5):
        counts |= {"public keys, openssl": 3, "signatures, openssl": 6}
    expect(interop.checked, counts)


def test_signatures_made_with_imported_keys(interop):
    """One key on both sides: each verifies what the other signed."""
    keys = {"RSA_2048": rsa.generate_private_key(65537, 2048),
            "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey.generate()}
    keys |= {spec: ec.generate_private_key(curve) for spec, curve in CURVES.items()}
    for spec, private in keys.items():
        key = imports.external(interop.kms, spec, "SIGN_VERIFY")
        imports.bring(interop.kms, key, imports.pkcs8(private), "RSA_AES_KEY_WRAP_SHA_256")
        made = interop.kms.describe_key(KeyId=key)["KeyMetadata"]
        public = interop.public_key(made)
        for algorithm in made["SigningAlgorithms"]:
            if algorithm == "ED25519_PH_SHA_512":
                continue
            check(interop, key, public, spec, algorithm, "RAW")
            words = dict(KeyId=key, Message=MESSAGE, SigningAlgorithm=algorithm)
            for signature in (signed(private, algorithm), signed(private, algorithm)):
                expect(interop.kms.verify(Signature=signature, **words)["SignatureValid"], True)
                interop.checked["verified"] += 1
    expect({name: interop.checked[name] for name in ("signatures, Python", "verified")},
           {"signatures, Python": 11, "verified": 22})


def signed(private, algorithm):
    if algorithm.startswith("RSASSA"):
        return private.sign(MESSAGE, rsa_padding(algorithm), hash_of(algorithm))
    if algorithm.startswith("ECDSA"):
        return private.sign(MESSAGE, ec.ECDSA(hash_of(algorithm)))
    return private.sign(MESSAGE)


def test_another_salt_is_refused(interop):
    """PSS with a salt as long as the digest is AWS's; others are valid elsewhere, and not here."""
    private = rsa.generate_private_key(65537, 2048)
    key = imports.external(interop.kms, "RSA_2048", "SIGN_VERIFY")
    imports.bring(interop.kms, key, imports.pkcs8(private), "RSA_AES_KEY_WRAP_SHA_1")
    invalid = interop.kms.exceptions.KMSInvalidSignatureException
    message = os.urandom(100)
    for algorithm in RSA_ALGORITHMS[3:]:
        digest = hash_of(algorithm)
        for length in (0, digest.digest_size - 1, digest.digest_size + 1):
            salted = padding.PSS(padding.MGF1(digest), length)
            signature = private.sign(message, salted, digest)
            private.public_key().verify(signature, message, salted, digest)
            told = refused(invalid, interop.kms.verify, KeyId=key, Message=message,
                           Signature=signature, SigningAlgorithm=algorithm)
            expect(told[:2], ("KMSInvalidSignatureException", 400))
