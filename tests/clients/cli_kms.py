"""The AWS CLI on keys of every kind: signatures, MACs, grants, rotation, imports, replicas.

The steps are those of AWS's documentation, with `openssl` where it has it.
"""

import base64
import datetime
import os
import subprocess
import sys

import harness
from cli import Cli, metadata
from harness import ACCOUNT, BASE64, MATERIAL, NOW, REGIONS, Like, Near, expect


def run(results, server):
    prepare = lambda number: KmsCli(server, REGIONS[number % len(REGIONS)], f"kms{number}")
    harness.run_all(results, sys.modules[__name__], prepare, threads=os.cpu_count() or 2)


class KmsCli(Cli):
    def kms(self, *words):
        return self("kms", *words)

    def made(self, *words):
        return self.kms("create-key", *words)["KeyMetadata"]

    def bytes(self, name):
        return (self.directory / name).read_bytes()

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, f"openssl {words}: {done.stderr}"
        return done.stdout.strip()


def key_of(made):
    """The words that name a key."""
    return "--key-id", made["KeyId"]


def test_signatures(aws):
    algorithm = "RSASSA_PSS_SHA_256"
    made = aws.made("--key-spec", "RSA_2048", "--key-usage", "SIGN_VERIFY")
    expect((made["KeySpec"], made["KeyUsage"]), ("RSA_2048", "SIGN_VERIFY"))
    message = aws.file("message", os.urandom(1000))
    public = aws.kms("get-public-key", *key_of(made))
    expect(public, {
        "KeyId": made["Arn"], "PublicKey": BASE64, "KeySpec": "RSA_2048",
        "CustomerMasterKeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": made["SigningAlgorithms"]})
    aws.file("public.der", base64.b64decode(public["PublicKey"]))
    words = (*key_of(made), "--message-type", "RAW", "--signing-algorithm", algorithm)
    signed = aws.kms("sign", *words, "--message", message)
    expect(signed, {"KeyId": made["Arn"], "Signature": BASE64, "SigningAlgorithm": algorithm})
    signature = aws.file("signature", base64.b64decode(signed["Signature"]))
    expect(aws.openssl("dgst", "-sha256", "-keyform", "DER", "-verify", "public.der",
                       "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest",
                       "-signature", "signature", "message"), "Verified OK")
    expect(aws.kms("verify", *words, "--message", message, "--signature", signature),
           {"KeyId": made["Arn"], "SignatureValid": True, "SigningAlgorithm": algorithm})
    other = aws.file("other", b"other")
    expect(aws.fails("kms", "verify", *words, "--message", other, "--signature", signature),
           ("KMSInvalidSignatureException", "Verify", ""))


def test_macs(aws):
    made = aws.made("--key-spec", "HMAC_384", "--key-usage", "GENERATE_VERIFY_MAC")
    expect(made, {name: value for name, value in metadata(
        aws, made["KeyId"], KeySpec="HMAC_384", CustomerMasterKeySpec="HMAC_384",
        KeyUsage="GENERATE_VERIFY_MAC", MacAlgorithms=["HMAC_SHA_384"]).items()
        if name not in ("EncryptionAlgorithms", "CurrentKeyMaterialId")})
    words = (*key_of(made), "--mac-algorithm", "HMAC_SHA_384")
    message = aws.file("message", b"message")
    mac = aws.kms("generate-mac", *words, "--message", message)
    expect(mac, {"Mac": BASE64, "MacAlgorithm": "HMAC_SHA_384", "KeyId": made["Arn"]})
    expect(len(base64.b64decode(mac["Mac"])), 48)
    file = aws.blob(mac["Mac"])
    expect(aws.kms("verify-mac", *words, "--message", message, "--mac", file),
           {"KeyId": made["Arn"], "MacValid": True, "MacAlgorithm": "HMAC_SHA_384"})
    expect(aws.fails("kms", "verify-mac", *words, "--message", aws.file("other", b"x"), "--mac", file),
           ("KMSInvalidMacException", "VerifyMac", ""))


def test_grants(aws):
    key = aws.made()
    user = aws.user("grantee")
    arn = f"arn:aws:iam::{ACCOUNT}:user/grantee"
    sealed = aws.kms("encrypt", *key_of(key), "--plaintext", aws.file("in", b"x"),
                     "--encryption-context", "dept=hr,more=1")
    opening = ("decrypt", "--ciphertext-blob", f"fileb://../{aws.name}/blob",
               "--encryption-context", "dept=hr,more=1")
    aws.blob(sealed["CiphertextBlob"])
    expect(user.fails("kms", *opening)[0], "AccessDeniedException")
    words = (*key_of(key), "--grantee-principal", arn, "--retiring-principal", arn, "--name", "n",
             "--operations", "Decrypt", "RetireGrant",
             "--constraints", "EncryptionContextSubset={dept=hr}")
    granted = aws.kms("create-grant", *words)
    expect(granted, {"GrantToken": Like("[A-Za-z0-9+/=_-]+"), "GrantId": Like("[0-9a-f]{64}")})
    # The name makes it the same grant, with a new token.
    expect(aws.kms("create-grant", *words)["GrantId"], granted["GrantId"])
    opened = user("kms", *opening, "--grant-tokens", granted["GrantToken"], "--query", "Plaintext")
    expect(opened, base64.b64encode(b"x").decode())
    entry = {
        "KeyId": key["Arn"], "GrantId": granted["GrantId"], "Name": "n", "CreationDate": NOW,
        "GranteePrincipal": arn, "RetiringPrincipal": arn,
        "IssuingAccount": f"arn:aws:iam::{ACCOUNT}:root", "Operations": ["Decrypt", "RetireGrant"],
        "Constraints": {"EncryptionContextSubset": {"dept": "hr"}},
    }
    expect(aws.kms("list-grants", *key_of(key)), {"Grants": [entry]})
    expect(aws.kms("list-retirable-grants", "--retiring-principal", arn), {"Grants": [entry]})
    expect(user("kms", "retire-grant", "--grant-token", granted["GrantToken"]), None)
    expect(aws.kms("list-grants", *key_of(key)), {"Grants": []})
    expect(user.fails("kms", *opening)[0], "AccessDeniedException")


def test_rotation(aws):
    key = aws.made()
    expect(aws.kms("enable-key-rotation", *key_of(key), "--rotation-period-in-days", "180"), None)
    expect(aws.kms("get-key-rotation-status", *key_of(key)), {
        "KeyRotationEnabled": True, "KeyId": key["KeyId"], "RotationPeriodInDays": 180,
        "NextRotationDate": Near(180)})
    expect(aws.kms("rotate-key-on-demand", *key_of(key)), {"KeyId": key["KeyId"]})
    rotations = aws.kms("list-key-rotations", *key_of(key))["Rotations"]
    expect([(entry["RotationType"], entry["RotationDate"], entry["KeyMaterialId"])
            for entry in rotations], [("ON_DEMAND", NOW, MATERIAL)])
    assert rotations[0]["KeyMaterialId"] != key["CurrentKeyMaterialId"]
    expect(aws.kms("disable-key-rotation", *key_of(key)), None)
    expect(aws.kms("get-key-rotation-status", *key_of(key), "--query", "KeyRotationEnabled"), False)


def test_an_import_as_aws_documents_it(aws):
    key = aws.made("--origin", "EXTERNAL")
    expect((key["KeyState"], key["Enabled"], key["Origin"]), ("PendingImport", False, "EXTERNAL"))
    given = aws.kms("get-parameters-for-import", *key_of(key), "--wrapping-algorithm",
                    "RSAES_OAEP_SHA_256", "--wrapping-key-spec", "RSA_3072")
    expect(given, {"KeyId": key["Arn"], "ImportToken": BASE64, "PublicKey": BASE64,
                   "ParametersValidTo": Near(1)})
    for member in ("PublicKey", "ImportToken"):
        aws.file(f"{member}.b64", given[member].encode())
        aws.openssl("enc", "-d", "-base64", "-A", "-in", f"{member}.b64", "-out", f"{member}.bin")
    aws.openssl("rand", "-out", "PlaintextKeyMaterial.bin", "32")
    aws.openssl("pkeyutl", "-encrypt", "-in", "PlaintextKeyMaterial.bin",
                "-out", "EncryptedKeyMaterial.bin", "-inkey", "PublicKey.bin", "-keyform", "DER",
                "-pubin", "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256",
                "-pkeyopt", "rsa_mgf1_md:sha256")
    bring = ("import-key-material", *key_of(key), "--import-token", "fileb://ImportToken.bin",
             "--encrypted-key-material", "fileb://EncryptedKeyMaterial.bin")
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
    expires = expires.isoformat(timespec="seconds")
    expect(aws.kms(*bring, "--expiration-model", "KEY_MATERIAL_EXPIRES", "--valid-to", expires),
           {"KeyId": key["Arn"], "KeyMaterialId": MATERIAL})
    described = aws.kms("describe-key", *key_of(key))["KeyMetadata"]
    expect({name: described[name] for name in ("KeyState", "ExpirationModel", "ValidTo")},
           {"KeyState": "Enabled", "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": Near(30)})
    sealed = aws.kms("encrypt", *key_of(key), "--plaintext", aws.file("in", b"imported"))
    blob = aws.blob(sealed["CiphertextBlob"])
    aws.kms("delete-imported-key-material", *key_of(key))
    expect(aws.fails("kms", "decrypt", "--ciphertext-blob", blob)[0], "KMSInvalidStateException")
    # The same material again, with the same token.
    aws.kms(*bring, "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    expect(aws.kms("decrypt", "--ciphertext-blob", blob, "--query", "Plaintext"),
           base64.b64encode(b"imported").decode())


def test_a_replica(aws):
    there = REGIONS[(REGIONS.index(aws.region) + 1) % len(REGIONS)]
    key = aws.made("--multi-region", "--description", "everywhere")
    expect(key["KeyId"], Like("mrk-[0-9a-f]{32}"))
    sealed = aws.kms("encrypt", *key_of(key), "--plaintext", aws.file("in", b"far"))
    made = aws.kms("replicate-key", *key_of(key), "--replica-region", there)
    far = made["ReplicaKeyMetadata"]
    replica = {"Arn": key["Arn"].replace(aws.region, there), "Region": there}
    expect(far["Arn"], replica["Arn"])
    expect(far["MultiRegionConfiguration"], {
        "MultiRegionKeyType": "REPLICA", "PrimaryKey": {"Arn": key["Arn"], "Region": aws.region},
        "ReplicaKeys": [replica]})
    opened = aws.kms("decrypt", "--ciphertext-blob", aws.blob(sealed["CiphertextBlob"]),
                     "--region", there)
    expect((opened["KeyId"], opened["Plaintext"]),
           (replica["Arn"], base64.b64encode(b"far").decode()))
    expect(aws.kms("update-primary-region", *key_of(key), "--primary-region", there), None)
    now = aws.kms("describe-key", *key_of(key), "--query", "KeyMetadata.MultiRegionConfiguration")
    expect((now["MultiRegionKeyType"], now["PrimaryKey"]), ("REPLICA", replica))
