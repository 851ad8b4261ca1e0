"""Cryptography that is not the server's, and what the interoperability tests share.

Who has what, besides Python's `cryptography`, which has all but the two named last:

| algorithm | the `openssl` program | Python |
|---|---|---|
| RSA, ECDSA, ECDH, Ed25519, HMAC | every 3.x | `cryptography` |
| ML-DSA, ML-KEM | from 3.5 on; an older one is not asked | `cryptography`, ML-KEM's 768 and 1024 |
| ML-KEM-512 | from 3.5 on | `kyber-py` |
| Ed25519ph | its library only | `pycryptodome` |
"""

import collections
import functools
import pathlib
import re
import subprocess
import tempfile

from Crypto.Hash import SHA512
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from boto import Boto, plain
from harness import expect

CURVES = {
    "ECC_NIST_P256": ec.SECP256R1(),
    "ECC_NIST_P384": ec.SECP384R1(),
    "ECC_NIST_P521": ec.SECP521R1(),
    "ECC_SECG_P256K1": ec.SECP256K1(),
}
HASHES = {"SHA_1": hashes.SHA1(), "SHA_256": hashes.SHA256(), "SHA_384": hashes.SHA384(),
          "SHA_512": hashes.SHA512()}
# Bytes of a public key of ML-KEM; in a SubjectPublicKeyInfo they are the last.
ML_KEM_BYTES = {"ML_KEM_512": 800, "ML_KEM_768": 1184, "ML_KEM_1024": 1568}


# Of which a key has one.
ALGORITHM_LISTS = ("EncryptionAlgorithms", "SigningAlgorithms", "KeyAgreementAlgorithms",
                   "EncapsulationAlgorithms")


class Interop(Boto):
    """A client of KMS that makes keys and counts what was checked."""

    def __init__(self, server, region):
        super().__init__(server, region)
        self.kms = self.client("kms")
        self.checked = collections.Counter()

    def key(self, spec, usage, **more):
        """A new key and its public half, which every program has read that can."""
        made = self.kms.create_key(KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]
        expect((made["KeySpec"], made["KeyUsage"]), (spec, usage))
        return made["Arn"], self.public_key(made)

    def public_key(self, made):
        answer = plain(self.kms.get_public_key(KeyId=made["Arn"]))
        der = answer.pop("PublicKey")
        same = ("KeySpec", "CustomerMasterKeySpec", "KeyUsage", *ALGORITHM_LISTS)
        expect(answer, {"KeyId": made["Arn"]} | {name: made[name] for name in same if name in made})
        self.read_public(made["KeySpec"], der)
        return der

    def read_public(self, spec, der):
        if spec != "ML_KEM_512":
            expect(public_der(serialization.load_der_public_key(der)), der)
            self.checked["public keys, cryptography"] += 1
        if openssl_knows(spec):
            words = ["-pubin", "-inform", "DER", "-in", der, "-pubout", "-outform", "DER"]
            expect(openssl("pkey", *words), der)
            self.checked["public keys, openssl"] += 1


# The program `openssl`.


@functools.cache
def openssl_version():
    text = openssl("version").decode()
    found = re.match(r"OpenSSL (\d+)\.(\d+)", text)
    assert found, f"no OpenSSL: {text}"
    return int(found[1]), int(found[2])


def openssl_knows(spec):
    return not spec.startswith("ML_") or openssl_version() >= (3, 5)


def run_openssl(*words, data=b""):
    """Bytes among the words are given as a file's name."""
    with tempfile.TemporaryDirectory() as directory:
        named = []
        for number, word in enumerate(words):
            if isinstance(word, bytes):
                file = pathlib.Path(directory) / str(number)
                file.write_bytes(word)
                word = file
            named.append(word)
        return subprocess.run(["openssl", *named], input=data, capture_output=True, timeout=60)


def openssl(*words, data=b""):
    done = run_openssl(*words, data=data)
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr.decode(errors='replace')}"
    return done.stdout


# Keys.


def public_der(key):
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def hash_of(algorithm):
    return HASHES[re.search(r"SHA_\d+$", algorithm)[0]]


def digest_of(algorithm, message):
    digest = hashes.Hash(hash_of(algorithm))
    digest.update(message)
    return digest.finalize()


def oaep(algorithm):
    return padding.OAEP(padding.MGF1(hash_of(algorithm)), hash_of(algorithm), None)


def altered(data, at=-1):
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


# Signatures.


def rsa_padding(algorithm):
    if "PKCS1" in algorithm:
        return padding.PKCS1v15()
    digest = hash_of(algorithm)
    # This length and no other is taken.
    return padding.PSS(padding.MGF1(digest), digest.digest_size)


def signature_is_good(public, algorithm, message, signature):
    """What Python says of a signature."""
    key = serialization.load_der_public_key(public)
    try:
        if algorithm.startswith("RSASSA"):
            key.verify(signature, message, rsa_padding(algorithm), hash_of(algorithm))
        elif algorithm.startswith("ECDSA"):
            key.verify(signature, message, ec.ECDSA(hash_of(algorithm)))
        elif algorithm == "ED25519_PH_SHA_512":
            prehashed = eddsa.new(ECC.import_key(public), "rfc8032")
            prehashed.verify(SHA512.new(message), signature)
        else:
            key.verify(signature, message)
    # The second is pycryptodome's.
    except (InvalidSignature, ValueError):
        return False
    return True


def openssl_finds_good(public, algorithm, message, signature):
    """What `openssl` says of a signature."""
    if algorithm.startswith(("RSASSA", "ECDSA")):
        words = ["dgst", f"-{hash_of(algorithm).name}", "-keyform", "DER", "-verify", public]
        if "PSS" in algorithm:
            words += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        done = run_openssl(*words, "-signature", signature, message)
    else:
        words = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", public, "-rawin"]
        done = run_openssl(*words, "-in", message, "-sigfile", signature)
    text = (done.stdout + done.stderr).decode(errors="replace")
    said = {0: ("Verified OK", "Signature Verified Successfully"),
            1: ("Verification failure", "Signature Verification Failure")}
    # An error is no answer.
    assert text.startswith(said.get(done.returncode, ("-",))), (done.returncode, text)
    return done.returncode == 0
