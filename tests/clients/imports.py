"""Key material wrapped by others' code: Python's `cryptography` and the `openssl` program.

What is imported is then used through KMS, and the same is done here with the same key.
"""

import hashlib
import hmac
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import botocore.exceptions
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

import harness
import vectors
from boto import Boto
from harness import REGIONS, expect

ALGORITHMS = [
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256",
]
HASHES = {224: hashlib.sha224, 256: hashlib.sha256, 384: hashlib.sha384, 512: hashlib.sha512}


def run(results, server):
    prepare = lambda number: Boto(server, REGIONS[number % len(REGIONS)])
    harness.run_all(results, sys.modules[__name__], prepare, threads=os.cpu_count() or 2)


def wrapped_here(algorithm, public, material):
    """As the developer guide says it, with `cryptography`."""
    key = serialization.load_der_public_key(public)
    digest = hashes.SHA256() if algorithm.endswith("256") else hashes.SHA1()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    if algorithm.startswith("RSAES"):
        return key.encrypt(material, oaep)
    between = os.urandom(32)
    return key.encrypt(between, oaep) + keywrap.aes_key_wrap_with_padding(between, material)


def wrapped_by_openssl(algorithm, public, material):
    """As the developer guide says it, with the commands of `openssl`."""
    with tempfile.TemporaryDirectory() as directory:
        public_file = pathlib.Path(directory) / "public.der"
        public_file.write_bytes(public)
        name = "sha256" if algorithm.endswith("256") else "sha1"

        def openssl(*words, data):
            # No secret stands on the command line of a program that runs on.
            done = subprocess.run(["openssl", *words], input=data, capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout

        def oaep(data):
            options = ["rsa_padding_mode:oaep", f"rsa_oaep_md:{name}", f"rsa_mgf1_md:{name}"]
            words = [word for option in options for word in ("-pkeyopt", option)]
            key = ["-pubin", "-keyform", "DER", "-inkey", public_file]
            return openssl("pkeyutl", "-encrypt", *key, *words, data=data)

        if algorithm.startswith("RSAES"):
            return oaep(material)
        between = os.urandom(32)
        words = ["-id-aes256-wrap-pad", "-e", "-K", between.hex(), "-iv", "A65959A6"]
        # From a file: newer ones wrap nothing that they read in parts.
        plain = pathlib.Path(directory) / "material"
        plain.write_bytes(material)
        return oaep(between) + openssl("enc", *words, "-in", plain, data=b"")


WRAPPERS = [wrapped_here] + ([wrapped_by_openssl] if shutil.which("openssl") else [])


def external(kms, spec, usage):
    made = kms.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    expect((made["KeyState"], made["Enabled"]), ("PendingImport", False))
    return made["Arn"]


def bring(kms, key, material, algorithm="RSAES_OAEP_SHA_256", size="RSA_2048", wrap=wrapped_here):
    given = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=size
    )
    expect(serialization.load_der_public_key(given["PublicKey"]).key_size, int(size[4:]))
    answer = kms.import_key_material(
        KeyId=key,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrap(algorithm, given["PublicKey"], material),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    expect(answer["KeyId"], key)
    expect(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Enabled")


def pkcs8(private):
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return private.private_bytes(encoding, form, serialization.NoEncryption())


def test_a_symmetric_key_of_each_wrapper_and_size(boto):
    kms = boto.client("kms")
    for wrap in WRAPPERS:
        for algorithm in ALGORITHMS[:2]:
            for size in ("RSA_2048", "RSA_3072"):
                key, material = external(kms, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), os.urandom(32)
                bring(kms, key, material, algorithm, size, wrap)
                blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
                kms.delete_imported_key_material(KeyId=key)
                try:
                    kms.decrypt(CiphertextBlob=blob)
                except kms.exceptions.KMSInvalidStateException:
                    pass
                else:
                    raise AssertionError("decrypted with what was deleted")
                bring(kms, key, material, algorithm, size, wrap)
                expect(kms.decrypt(CiphertextBlob=blob)["Plaintext"], b"hello")


def test_blobs_open_outside_and_those_of_outside_open_here(boto):
    """The format as docs/ciphertext-format.md has it, with imported material that is known here."""
    kms = boto.client("kms")
    context = {"b": "2", "größe": "ü", "a": ""}
    aad = vectors.encryption_context(context)
    for algorithm, several, wrap in ((ALGORITHMS[0], False, WRAPPERS[0]),
                                     (ALGORITHMS[1], True, WRAPPERS[-1])):
        made = kms.create_key(Origin="EXTERNAL", MultiRegion=several)["KeyMetadata"]
        key, material = made["Arn"], os.urandom(32)
        bring(kms, key, material, algorithm, "RSA_4096", wrap)
        flags, key_id = vectors.key_id_bytes(made["KeyId"])
        material_id = vectors.key_material_id(material, made["KeyId"])
        expect(kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"], material_id)
        header = b"\x01\x02\x02\0C\x01\x01" + bytes([flags]) + key_id
        header += bytes.fromhex(material_id)[:16]
        for plaintext in (b"x", bytes(range(256)) * 16):
            blob = kms.encrypt(KeyId=key, Plaintext=plaintext,
                               EncryptionContext=context)["CiphertextBlob"]
            expect(blob[:40], header)
            case = {"blob": blob.hex(), "material": material.hex(), "context": context}
            expect(vectors.open_blob(case), plaintext)
            try:
                vectors.open_blob(case | {"context": context | {"b": "3"}})
            except vectors.Refused:
                pass
            else:
                raise AssertionError("opened with another context")
            sealed = vectors.seal(material, "claviger/v1/enc", header, aad, os.urandom(32),
                                  os.urandom(12), plaintext)
            opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)
            expect((opened["Plaintext"], opened["KeyId"], opened["KeyMaterialId"]),
                   (plaintext, key, material_id))


def test_hmac_keys_make_the_macs_of_python(boto):
    kms = boto.client("kms")
    for bits, function in HASHES.items():
        for length in (bits // 8, 100, 128):
            material = os.urandom(length)
            key = external(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
            bring(kms, key, material)
            mac = f"HMAC_SHA_{bits}"
            made = kms.generate_mac(KeyId=key, Message=b"hello", MacAlgorithm=mac)["Mac"]
            expect(made, hmac.new(material, b"hello", function).digest())


def test_elliptic_keys_sign_for_the_public_key_of_python(boto):
    kms = boto.client("kms")
    curves = [
        ("ECC_NIST_P256", ec.SECP256R1(), hashes.SHA256(), "ECDSA_SHA_256"),
        ("ECC_NIST_P384", ec.SECP384R1(), hashes.SHA384(), "ECDSA_SHA_384"),
        ("ECC_NIST_P521", ec.SECP521R1(), hashes.SHA512(), "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", ec.SECP256K1(), hashes.SHA256(), "ECDSA_SHA_256"),
    ]
    for spec, curve, digest, algorithm in curves:
        for wrapping in ALGORITHMS:
            for wrap in WRAPPERS:
                private = ec.generate_private_key(curve)
                key = external(kms, spec, "SIGN_VERIFY")
                # A P-521 key is too long for a small wrapping key.
                size = "RSA_3072" if spec == "ECC_NIST_P521" else "RSA_2048"
                bring(kms, key, pkcs8(private), wrapping, size, wrap)
                words = dict(KeyId=key, Message=b"hello", SigningAlgorithm=algorithm)
                signature = kms.sign(**words)["Signature"]
                private.public_key().verify(signature, b"hello", ec.ECDSA(digest))
                ours = private.sign(b"hello", ec.ECDSA(digest))
                expect(kms.verify(Signature=ours, **words)["SignatureValid"], True)


def test_an_edwards_key_signs_as_in_python(boto):
    kms = boto.client("kms")
    for wrapping in ALGORITHMS:
        for wrap in WRAPPERS:
            private = ed25519.Ed25519PrivateKey.generate()
            key = external(kms, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
            bring(kms, key, pkcs8(private), wrapping, wrap=wrap)
            signature = kms.sign(KeyId=key, Message=b"hello", SigningAlgorithm="ED25519_SHA_512")
            expect(signature["Signature"], private.sign(b"hello"))


def test_a_key_agrees_as_in_python(boto):
    kms = boto.client("kms")
    private, peer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    key = external(kms, "ECC_NIST_P256", "KEY_AGREEMENT")
    bring(kms, key, pkcs8(private))
    encoding = serialization.Encoding.DER
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = peer.public_key().public_bytes(encoding, form)
    shared = kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)
    expect(shared["SharedSecret"], private.exchange(ec.ECDH(), peer.public_key()))


def test_rsa_keys_sign_and_decrypt_with_python(boto):
    kms = boto.client("kms")
    wraps = [(a, w) for a in ALGORITHMS[2:] for w in WRAPPERS]
    for bits in (2048, 3072, 4096):
        private = rsa.generate_private_key(65537, bits)
        for algorithm, wrap in wraps if bits == 2048 else wraps[:1]:
            key = external(kms, f"RSA_{bits}", "SIGN_VERIFY")
            bring(kms, key, pkcs8(private), algorithm, f"RSA_{bits}", wrap)
            name = "RSASSA_PKCS1_V1_5_SHA_256"
            signature = kms.sign(KeyId=key, Message=b"hello", SigningAlgorithm=name)["Signature"]
            expect(signature, private.sign(b"hello", padding.PKCS1v15(), hashes.SHA256()))
        key = external(kms, f"RSA_{bits}", "ENCRYPT_DECRYPT")
        bring(kms, key, pkcs8(private), ALGORITHMS[3], f"RSA_{bits}")
        name = "RSAES_OAEP_SHA_256"
        words = dict(KeyId=key, EncryptionAlgorithm=name)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        blob = kms.encrypt(Plaintext=b"hello", **words)["CiphertextBlob"]
        expect(private.decrypt(blob, oaep), b"hello")
        blob = private.public_key().encrypt(b"hello", oaep)
        expect(kms.decrypt(CiphertextBlob=blob, **words)["Plaintext"], b"hello")


def test_errors_are_the_clients_classes(boto):
    kms = boto.client("kms")
    key = external(kms, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    given = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )

    def refused(error_class, token, material):
        try:
            kms.import_key_material(KeyId=key, ImportToken=token, EncryptedKeyMaterial=material,
                                    ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
        except botocore.exceptions.ClientError as error:
            assert isinstance(error, error_class), error
        else:
            raise AssertionError(f"not refused with {error_class}")

    good = lambda material: wrapped_here("RSAES_OAEP_SHA_256", given["PublicKey"], material)
    errors, token = kms.exceptions, given["ImportToken"]
    refused(errors.InvalidImportTokenException, b"token", good(bytes(32)))
    refused(errors.InvalidCiphertextException, token, bytes(256))
    refused(errors.IncorrectKeyMaterialException, token, good(bytes(31)))
    expect(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "PendingImport")
