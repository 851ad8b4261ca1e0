"""RSA encryption, MACs, key agreement and encapsulation between the server and others."""

import os
import pathlib
import tempfile

import botocore.exceptions
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kyber_py import ml_kem

import imports
from boto import refused
from harness import expect
from outside import (CURVES, ML_KEM_BYTES, altered, hash_of, oaep, openssl, openssl_version,
                     public_der)

OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
KYBER = {"ML_KEM_512": ml_kem.ML_KEM_512, "ML_KEM_768": ml_kem.ML_KEM_768,
         "ML_KEM_1024": ml_kem.ML_KEM_1024}


def encrypted_by_openssl(public, algorithm, plaintext):
    name = hash_of(algorithm).name
    options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{name}", f"rsa_mgf1_md:{name}"]
    words = [word for option in options for word in ("-pkeyopt", option)]
    key = ["-pubin", "-keyform", "DER", "-inkey", public]
    return openssl("pkeyutl", "-encrypt", *key, *words, data=plaintext)


def test_rsa_encrypted_elsewhere(interop):
    invalid = interop.kms.exceptions.InvalidCiphertextException
    for bits in (2048, 3072, 4096):
        key, public = interop.key(f"RSA_{bits}", "ENCRYPT_DECRYPT")
        theirs = serialization.load_der_public_key(public)
        for algorithm in OAEP:
            longest = bits // 8 - 2 * hash_of(algorithm).digest_size - 2
            words = dict(KeyId=key, EncryptionAlgorithm=algorithm)
            for plaintext in (b"\0", os.urandom(longest)):
                for blob in (theirs.encrypt(plaintext, oaep(algorithm)),
                             encrypted_by_openssl(public, algorithm, plaintext),
                             interop.kms.encrypt(Plaintext=plaintext, **words)["CiphertextBlob"]):
                    expect(len(blob), bits // 8)
                    opened = interop.kms.decrypt(CiphertextBlob=blob, **words)
                    expect((opened["Plaintext"], opened["KeyId"], opened["EncryptionAlgorithm"]),
                           (plaintext, key, algorithm))
                    interop.checked["opened"] += 1
                # Damaged, or with the other hash.
                other = OAEP[1 - OAEP.index(algorithm)]
                for change in ({"CiphertextBlob": altered(blob)}, {"EncryptionAlgorithm": other}):
                    told = refused(invalid, interop.kms.decrypt,
                                   **{"CiphertextBlob": blob, **words, **change})
                    expect(told[:2], ("InvalidCiphertextException", 400))
                    interop.checked["refused"] += 1
    expect(interop.checked, {"public keys, cryptography": 3, "public keys, openssl": 3,
                             "opened": 36, "refused": 24})


def test_macs(interop):
    digests = {224: hashes.SHA224(), 256: hashes.SHA256(), 384: hashes.SHA384(),
               512: hashes.SHA512()}
    invalid = interop.kms.exceptions.KMSInvalidMacException
    for bits, digest in digests.items():
        material = os.urandom(bits // 8)
        key = imports.external(interop.kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
        imports.bring(interop.kms, key, material)
        for message in (b"\0", os.urandom(4096)):
            theirs = hmac.HMAC(material, digest)
            theirs.update(message)
            mac = theirs.finalize()
            words = dict(KeyId=key, Message=message, MacAlgorithm=f"HMAC_SHA_{bits}")
            expect(interop.kms.generate_mac(**words)["Mac"], mac)
            options = ["-digest", digest.name, "-macopt", f"hexkey:{material.hex()}", "-binary"]
            expect(openssl("mac", *options, "-in", message, "HMAC"), mac)
            expect(interop.kms.verify_mac(Mac=mac, **words)["MacValid"], True)
            interop.checked["macs"] += 1
            for change in ({"Mac": altered(mac)}, {"Mac": mac[:-1]}, {"Mac": mac + b"\0"},
                           {"Message": altered(message)}):
                told = refused(invalid, interop.kms.verify_mac, **{"Mac": mac, **words, **change})
                expect(told[:2], ("KMSInvalidMacException", 400))
                interop.checked["refused"] += 1
    expect(interop.checked, {"macs": 8, "refused": 32})


def test_shared_secrets(interop):
    specs = [spec for spec in CURVES if spec != "ECC_SECG_P256K1"]
    for spec in specs:
        key, public = interop.key(spec, "KEY_AGREEMENT")
        other, other_public = interop.key(spec, "KEY_AGREEMENT")
        derived = lambda key, public: interop.kms.derive_shared_secret(
            KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)["SharedSecret"]
        for _ in range(4):
            private = ec.generate_private_key(CURVES[spec])
            secret = derived(key, public_der(private.public_key()))
            theirs = serialization.load_der_public_key(public)
            expect(private.exchange(ec.ECDH(), theirs), secret)
            words = ["-derive", "-keyform", "DER", "-inkey", imports.pkcs8(private)]
            expect(openssl("pkeyutl", *words, "-peerform", "DER", "-peerkey", public), secret)
            interop.checked["secrets"] += 1
        # Between two keys of the server's.
        expect(derived(key, other_public), derived(other, public))
        # A key of another curve, the last one a curve that agrees with nobody here.
        for elsewhere in CURVES.values():
            if elsewhere.name == CURVES[spec].name:
                continue
            stranger = public_der(ec.generate_private_key(elsewhere).public_key())
            told = refused(botocore.exceptions.ClientError, interop.kms.derive_shared_secret, KeyId=key,
                           KeyAgreementAlgorithm="ECDH", PublicKey=stranger)
            expect(told[:2], ("ValidationException", 400))
            interop.checked["refused"] += 1
    expect(interop.checked, {"public keys, cryptography": 6, "public keys, openssl": 6,
                             "secrets": 12, "refused": 9})


def encapsulated_elsewhere(spec, public):
    """Secrets and their ciphertexts, by everybody who can."""
    yield KYBER[spec].encaps(public[-ML_KEM_BYTES[spec]:])
    if spec != "ML_KEM_512":
        yield serialization.load_der_public_key(public).encapsulate()
    if openssl_version() >= (3, 5):
        ciphertext, secret = openssl_encapsulated(public)
        yield secret, ciphertext


def openssl_encapsulated(public):
    with tempfile.TemporaryDirectory() as directory:
        out, secret = (pathlib.Path(directory) / name for name in ("out", "secret"))
        key = ["-pubin", "-keyform", "DER", "-inkey", public]
        openssl("pkeyutl", "-encap", *key, "-out", str(out), "-secret", str(secret))
        return out.read_bytes(), secret.read_bytes()


def test_ml_kem(interop):
    invalid = interop.kms.exceptions.InvalidCiphertextException
    for spec in ML_KEM_BYTES:
        key, public = interop.key(spec, "ENCAPSULATE_DECAPSULATE")
        words = dict(KeyId=key, EncapsulationAlgorithm="ML_KEM")
        opened = lambda blob: interop.kms.decapsulate(
            SharedSecretCiphertextBlob=blob, **words)["SharedSecret"]
        for _ in range(4):
            for secret, ciphertext in encapsulated_elsewhere(spec, public):
                expect(opened(ciphertext), secret)
                interop.checked["decapsulated"] += 1
        made = interop.kms.encapsulate(**words)
        expect(opened(made["SharedSecretCiphertextBlob"]), made["SharedSecret"])
        expect(len(made["SharedSecret"]), 32)
        # A damaged ciphertext gives another secret, always the same; a cut one is refused.
        blob = altered(made["SharedSecretCiphertextBlob"])
        wrong = opened(blob)
        assert wrong != made["SharedSecret"]
        expect(opened(blob), wrong)
        for blob in (blob[:-1], blob + b"\0"):
            told = refused(invalid, interop.kms.decapsulate, SharedSecretCiphertextBlob=blob, **words)
            expect(told[:2], ("InvalidCiphertextException", 400))
    newer = openssl_version() >= (3, 5)
    counts = {"public keys, cryptography": 2, "decapsulated": 32 if newer else 20}
    expect(interop.checked, counts | ({"public keys, openssl": 3} if newer else {}))
