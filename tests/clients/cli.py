"""The AWS CLI as it comes from PyPI, one process per command, as a user runs it."""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys

import harness
from harness import ACCOUNT, BASE64, COMMAND_SECONDS, MATERIAL, NOW, REGIONS, UUID, Like, Near, expect

AWS = pathlib.Path(sys.executable).parent / "aws"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"


def run(results, server):
    prepare = lambda number: Cli(server, REGIONS[number % len(REGIONS)], f"cli{number}")
    harness.run_all(results, sys.modules[__name__], prepare, threads=os.cpu_count() or 2)


class Cli:
    """Runs `aws` in a region, as the administrator or as somebody else."""

    def __init__(self, server, region, name, keys=None):
        self.server, self.region, self.name = server, region, name
        self.directory = server.directory / name
        self.directory.mkdir(exist_ok=True)
        self.env = harness.client_environment() | server.exports | {"AWS_DEFAULT_REGION": region}
        self.env["HOME"] = str(self.directory)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        self.env.update(zip(names, keys or ()))

    def run(self, words):
        return subprocess.run(
            [AWS, *words], env=self.env, cwd=self.directory, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )

    def __call__(self, *words):
        """Answers what the command printed: nothing, JSON or, with --query, text."""
        done = self.run(words)
        assert done.returncode == 0, f"aws {' '.join(words)}: {done.returncode}\n{done.stderr}"
        expect(done.stderr, "")
        if not done.stdout.strip():
            return None
        return done.stdout.strip() if "text" in words else json.loads(done.stdout)

    def fails(self, *words):
        """Answers the error's code, the operation and the message of a command that must fail."""
        done = self.run(words)
        text = f"aws {' '.join(words)}\n{done.stdout}{done.stderr}"
        assert done.returncode != 0 and not done.stdout, text
        told = re.search(
            r"An error occurred \((.*?)\) when calling the (\w+) operation: ?(.*)", done.stderr, re.DOTALL
        )
        assert told, text
        return told[1], told[2], told[3].strip()

    def file(self, name, content):
        """A file for an argument that takes bytes."""
        (self.directory / name).write_bytes(content)
        return f"fileb://{name}"

    def blob(self, text):
        """The same for what an answer has in Base64."""
        return self.file("blob", base64.b64decode(text))

    def arn(self, resource, service="kms"):
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{resource}"

    def key(self, *words):
        return self("kms", "create-key", *words)["KeyMetadata"]["KeyId"]

    def user(self, name, policy=None):
        """A new user with an access key and a policy; the CLI in that user's hands."""
        self("iam", "create-user", "--user-name", name)
        if policy:
            self("iam", "put-user-policy", "--user-name", name, "--policy-name", "p",
                 "--policy-document", json.dumps(policy))
        key = self("iam", "create-access-key", "--user-name", name)["AccessKey"]
        return Cli(self.server, self.region, self.name + name,
                   (key["AccessKeyId"], key["SecretAccessKey"]))


def allow(*actions, resource="*", **more):
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def metadata(aws, key_id, **changed):
    """KeyMetadata of a key that was made just now."""
    return {
        "AWSAccountId": ACCOUNT,
        "KeyId": key_id,
        "Arn": aws.arn(f"key/{key_id}"),
        "CreationDate": NOW,
        "Enabled": True,
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
        "CurrentKeyMaterialId": MATERIAL,
    } | changed


def key_policy(principal, *actions):
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": "*"}
        ],
    }


# KMS.


def test_keys_are_created_listed_and_described(aws):
    expect(aws("kms", "list-keys"), {"Keys": []})
    policy = json.dumps(key_policy(f"arn:aws:iam::{ACCOUNT}:root", "kms:*"), indent=1)
    made = aws("kms", "create-key", "--description", "orders, größer", "--policy", policy,
               "--tags", "TagKey=team,TagValue=orders", "TagKey=stage,TagValue=prod")
    first = made["KeyMetadata"]["KeyId"]
    expect(first, Like(UUID))
    described = {"KeyMetadata": metadata(aws, first, Description="orders, größer")}
    expect(made, described)
    for name in (first, aws.arn(f"key/{first}")):
        expect(aws("kms", "describe-key", "--key-id", name), described)
    expect(aws("kms", "get-key-policy", "--key-id", first),
           {"Policy": policy, "PolicyName": "default"})
    expect(aws("kms", "list-resource-tags", "--key-id", first), {
        "Tags": [{"TagKey": "stage", "TagValue": "prod"}, {"TagKey": "team", "TagValue": "orders"}],
    })
    second = aws.key()
    listed = sorted((first, second))
    expect(aws("kms", "list-keys"),
           {"Keys": [{"KeyId": id, "KeyArn": aws.arn(f"key/{id}")} for id in listed]})
    # The CLI's own paging over the server's.
    pages = aws("kms", "list-keys", "--page-size", "1", "--query", "Keys[].KeyId")
    expect(pages, listed)

    missing = "00000000-0000-4000-8000-000000000000"
    expect(aws.fails("kms", "describe-key", "--key-id", missing), (
        "NotFoundException", "DescribeKey", f"Key '{aws.arn('key/' + missing)}' does not exist"))
    expect(aws.fails("kms", "describe-key", "--key-id", "nonsense"),
           ("NotFoundException", "DescribeKey", "Invalid keyId 'nonsense'"))
    expect(aws.fails("kms", "create-key", "--key-spec", "RSA_2048"), (
        "ValidationException", "CreateKey",
        "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."))


def test_aliases(aws):
    first, second = aws.key(), aws.key()
    name, arn = "alias/app/main", aws.arn("alias/app/main")
    expect(aws("kms", "create-alias", "--alias-name", name, "--target-key-id", first), None)
    for named in (name, arn):
        expect(aws("kms", "describe-key", "--key-id", named), {"KeyMetadata": metadata(aws, first)})
    entry = {"AliasName": name, "AliasArn": arn, "TargetKeyId": first,
             "CreationDate": NOW, "LastUpdatedDate": NOW}
    # Of the key that nobody has used yet.
    default = {"AliasName": "alias/aws/secretsmanager", "AliasArn": aws.arn("alias/aws/secretsmanager")}
    expect(aws("kms", "list-aliases"), {"Aliases": [entry, default]})
    expect(aws("kms", "list-aliases", "--key-id", first), {"Aliases": [entry]})
    expect(aws("kms", "list-aliases", "--key-id", second), {"Aliases": []})
    expect(aws.fails("kms", "create-alias", "--alias-name", name, "--target-key-id", second),
           ("AlreadyExistsException", "CreateAlias", f"An alias with the name {arn} already exists"))
    expect(aws.fails("kms", "create-alias", "--alias-name", "alias/aws/mine",
                     "--target-key-id", second)[0], "ValidationException")

    sealed = aws("kms", "encrypt", "--key-id", name, "--plaintext", "before")["CiphertextBlob"]
    expect(aws("kms", "update-alias", "--alias-name", name, "--target-key-id", second), None)
    expect(aws("kms", "describe-key", "--key-id", name), {"KeyMetadata": metadata(aws, second)})
    expect(aws("kms", "list-aliases", "--key-id", second), {"Aliases": [entry | {"TargetKeyId": second}]})
    # The ciphertext names its key, whatever the alias means now.
    opened = aws("kms", "decrypt", "--ciphertext-blob", aws.blob(sealed))
    expect(opened["KeyId"], aws.arn(f"key/{first}"))

    expect(aws("kms", "delete-alias", "--alias-name", name), None)
    expect(aws("kms", "list-aliases"), {"Aliases": [default]})
    gone = ("NotFoundException", f"Alias {arn} is not found.")
    for words in (("describe-key", "--key-id", name), ("delete-alias", "--alias-name", name),
                  ("encrypt", "--key-id", name, "--plaintext", "x")):
        code, _, message = aws.fails("kms", *words)
        expect((code, message), gone)


def test_encrypt_and_decrypt_with_a_context(aws):
    key = aws.key()
    arn = aws.arn(f"key/{key}")
    plaintext = bytes(range(256)) * 16
    sealed = aws("kms", "encrypt", "--key-id", key, "--plaintext", aws.file("in", plaintext),
                 "--encryption-context", "dept=hr,case=Ünïcode 7")
    expect(sealed, {"CiphertextBlob": BASE64, "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    blob = aws.blob(sealed["CiphertextBlob"])
    opened = {
        "KeyId": arn,
        "Plaintext": base64.b64encode(plaintext).decode(),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "KeyMaterialId": MATERIAL,
    }
    decrypt = ("kms", "decrypt", "--ciphertext-blob", blob)
    reordered = ("--encryption-context", "case=Ünïcode 7,dept=hr")
    expect(aws(*decrypt, *reordered), opened)
    expect(aws(*decrypt, *reordered, "--key-id", key), opened)

    refused = ("InvalidCiphertextException", "Decrypt", "")
    for context in ("dept=hr", "dept=it,case=Ünïcode 7", "Dept=hr,case=Ünïcode 7",
                    "dept=hr,case=Ünïcode 7,more=1"):
        expect(aws.fails(*decrypt, "--encryption-context", context), refused)
    expect(aws.fails(*decrypt), refused)
    changed = bytearray(base64.b64decode(sealed["CiphertextBlob"]))
    changed[-1] ^= 1
    expect(aws.fails("kms", "decrypt", "--ciphertext-blob", aws.file("changed", changed), *reordered),
           refused)
    expect(aws.fails("kms", "decrypt", "--ciphertext-blob", aws.file("junk", b"junk")), refused)
    expect(aws.fails(*decrypt, *reordered, "--key-id", aws.key()), (
        "IncorrectKeyException", "Decrypt",
        "The key ID in the request does not identify a CMK that can perform this operation."))
    too_long = aws.file("long", bytes(4097))
    code, _, message = aws.fails("kms", "encrypt", "--key-id", key, "--plaintext", too_long)
    expect(code, "ValidationException")
    expect(message, Like("1 validation error detected: Value at 'plaintext' failed to satisfy "
                         "constraint: Member must have length less than or equal to 4096"))


def test_re_encrypt(aws):
    old, new = aws.key(), aws.key()
    sealed = aws("kms", "encrypt", "--key-id", old, "--plaintext", "moved",
                 "--encryption-context", "n=1")["CiphertextBlob"]
    moved = aws("kms", "re-encrypt", "--ciphertext-blob", aws.blob(sealed),
                "--source-encryption-context", "n=1", "--destination-key-id", new,
                "--destination-encryption-context", "n=2")
    expect(moved, {
        "CiphertextBlob": BASE64,
        "SourceKeyId": aws.arn(f"key/{old}"),
        "KeyId": aws.arn(f"key/{new}"),
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "SourceKeyMaterialId": MATERIAL,
        "DestinationKeyMaterialId": MATERIAL,
    })
    opened = aws("kms", "decrypt", "--ciphertext-blob", aws.blob(moved["CiphertextBlob"]),
                 "--encryption-context", "n=2")
    expect((opened["KeyId"], base64.b64decode(opened["Plaintext"])), (aws.arn(f"key/{new}"), b"moved"))
    expect(aws.fails("kms", "re-encrypt", "--ciphertext-blob", aws.blob(sealed),
                     "--destination-key-id", new), ("InvalidCiphertextException", "ReEncrypt", ""))


def test_data_keys_and_random_bytes(aws):
    key = aws.key()
    arn, context = aws.arn(f"key/{key}"), ("--encryption-context", "file=1")
    for words, length in ((("--key-spec", "AES_256"), 32), (("--key-spec", "AES_128"), 16),
                          (("--number-of-bytes", "100"), 100)):
        made = aws("kms", "generate-data-key", "--key-id", key, *words, *context)
        expect(made, {"CiphertextBlob": BASE64, "Plaintext": BASE64, "KeyId": arn, "KeyMaterialId": MATERIAL})
        expect(len(base64.b64decode(made["Plaintext"])), length)
        blob = aws.blob(made["CiphertextBlob"])
        opened = aws("kms", "decrypt", "--ciphertext-blob", blob, *context)
        expect(opened["Plaintext"], made["Plaintext"])
    sealed = aws("kms", "generate-data-key-without-plaintext", "--key-id", key,
                 "--key-spec", "AES_256", *context)
    expect(sealed, {"CiphertextBlob": BASE64, "KeyId": arn, "KeyMaterialId": MATERIAL})
    opened = aws("kms", "decrypt", "--ciphertext-blob", aws.blob(sealed["CiphertextBlob"]), *context)
    expect(len(base64.b64decode(opened["Plaintext"])), 32)
    expect(aws.fails("kms", "generate-data-key", "--key-id", key)[:2],
           ("ValidationException", "GenerateDataKey"))

    random = [aws("kms", "generate-random", "--number-of-bytes", "1024") for _ in range(2)]
    for one in random:
        expect(one, {"Plaintext": BASE64})
        expect(len(base64.b64decode(one["Plaintext"])), 1024)
    assert random[0] != random[1]


def test_a_disabled_key_does_nothing(aws):
    key = aws.key()
    sealed = aws("kms", "encrypt", "--key-id", key, "--plaintext", "x")["CiphertextBlob"]
    expect(aws("kms", "disable-key", "--key-id", key), None)
    expect(aws("kms", "describe-key", "--key-id", key),
           {"KeyMetadata": metadata(aws, key, Enabled=False, KeyState="Disabled")})
    told = f"{aws.arn('key/' + key)} is disabled."
    expect(aws.fails("kms", "encrypt", "--key-id", key, "--plaintext", "x"),
           ("DisabledException", "Encrypt", told))
    expect(aws.fails("kms", "decrypt", "--ciphertext-blob", aws.blob(sealed)),
           ("DisabledException", "Decrypt", told))
    expect(aws.fails("kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256"),
           ("DisabledException", "GenerateDataKey", told))
    expect(aws("kms", "enable-key", "--key-id", key), None)
    expect(aws("kms", "describe-key", "--key-id", key), {"KeyMetadata": metadata(aws, key)})
    expect(aws("kms", "decrypt", "--ciphertext-blob", aws.blob(sealed))["Plaintext"], "eA==")


def test_deletion_is_scheduled_and_cancelled(aws):
    key = aws.key()
    arn = aws.arn(f"key/{key}")
    sealed = aws("kms", "encrypt", "--key-id", key, "--plaintext", "x")["CiphertextBlob"]
    expect(aws("kms", "schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7"), {
        "KeyId": arn, "DeletionDate": Near(days=7), "KeyState": "PendingDeletion",
        "PendingWindowInDays": 7})
    expect(aws("kms", "describe-key", "--key-id", key), {"KeyMetadata": metadata(
        aws, key, Enabled=False, KeyState="PendingDeletion", DeletionDate=Near(days=7))})
    pending = ("KMSInvalidStateException", f"{arn} is pending deletion.")
    for words in (("decrypt", "--ciphertext-blob", aws.blob(sealed)),
                  ("encrypt", "--key-id", key, "--plaintext", "x"),
                  ("enable-key", "--key-id", key), ("schedule-key-deletion", "--key-id", key),
                  ("create-alias", "--alias-name", "alias/a", "--target-key-id", key)):
        code, _, message = aws.fails("kms", *words)
        expect((code, message), pending)
    expect(aws("kms", "cancel-key-deletion", "--key-id", key), {"KeyId": arn})
    expect(aws("kms", "describe-key", "--key-id", key),
           {"KeyMetadata": metadata(aws, key, Enabled=False, KeyState="Disabled")})
    expect(aws.fails("kms", "cancel-key-deletion", "--key-id", key),
           ("KMSInvalidStateException", "CancelKeyDeletion", f"{arn} is not pending deletion."))
    expect(aws("kms", "enable-key", "--key-id", key), None)
    expect(aws("kms", "decrypt", "--ciphertext-blob", aws.blob(sealed))["Plaintext"], "eA==")
    expect(aws("kms", "schedule-key-deletion", "--key-id", key)["PendingWindowInDays"], 30)
    expect(aws.fails("kms", "schedule-key-deletion", "--key-id", aws.key(),
                     "--pending-window-in-days", "6")[0], "ValidationException")


def test_key_policies(aws):
    key = aws.key()
    default = aws("kms", "get-key-policy", "--key-id", key, "--policy-name", "default")
    expect(default["PolicyName"], "default")
    expect(json.loads(default["Policy"]), {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    # The administrator may manage this key and not use it.
    policy = json.dumps(key_policy(ADMIN, "kms:PutKeyPolicy", "kms:GetKeyPolicy"))
    put = ("kms", "put-key-policy", "--key-id", key, "--policy-name", "default", "--policy")
    expect(aws(*put, policy), None)
    expect(aws("kms", "get-key-policy", "--key-id", key), {"Policy": policy, "PolicyName": "default"})
    code, _, message = aws.fails("kms", "encrypt", "--key-id", key, "--plaintext", "x")
    expect((code, message), ("AccessDeniedException", (
        f"User: {ADMIN} is not authorized to perform: kms:Encrypt on resource: "
        f"{aws.arn('key/' + key)} because no resource-based policy allows the kms:Encrypt action")))

    lockout = json.dumps(key_policy(ADMIN, "kms:GetKeyPolicy"))
    expect(aws.fails(*put, lockout), (
        "MalformedPolicyDocumentException", "PutKeyPolicy",
        "The new key policy will not allow you to update the key policy in the future."))
    for bad in ("{", "{}", json.dumps(key_policy(f"arn:aws:iam::{ACCOUNT}:user/nobody", "kms:*"))):
        expect(aws.fails(*put, bad)[:2], ("MalformedPolicyDocumentException", "PutKeyPolicy"))
    expect(aws("kms", "get-key-policy", "--key-id", key)["Policy"], policy)


def test_tags_of_a_key(aws):
    key = aws.key("--tags", "TagKey=a,TagValue=1")
    expect(aws("kms", "tag-resource", "--key-id", key, "--tags",
               "TagKey=a,TagValue=2", "TagKey=b c,TagValue="), None)
    listed = {"Tags": [{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b c", "TagValue": ""}]}
    expect(aws("kms", "list-resource-tags", "--key-id", key), listed)
    expect(aws("kms", "untag-resource", "--key-id", key, "--tag-keys", "a", "never there"), None)
    expect(aws("kms", "list-resource-tags", "--key-id", key),
           {"Tags": listed["Tags"][1:]})
    expect(aws.fails("kms", "tag-resource", "--key-id", key, "--tags", "TagKey=aws:x,TagValue=1")[:2],
           ("TagException", "TagResource"))


# Secrets Manager.


def created(aws, name, *words):
    made = aws("secretsmanager", "create-secret", "--name", name, *words)
    arn = Like(re.escape(aws.arn(f"secret:{name}-", "secretsmanager")) + "[A-Za-z0-9]{6}")
    expect(made, {"ARN": arn, "Name": name, "VersionId": Like(UUID)})
    return made["ARN"], made["VersionId"]


def test_a_secret_and_its_versions(aws):
    name = "prod/app/db"
    get = ("secretsmanager", "get-secret-value", "--secret-id")
    arn, first = created(aws, name, "--description", "the database", "--secret-string",
                         '{"user":"app","password":"größer"}', "--tags", "Key=stage,Value=prod")
    value = {
        "ARN": arn,
        "Name": name,
        "VersionId": first,
        "SecretString": '{"user":"app","password":"größer"}',
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": NOW,
    }
    for named in (name, arn, arn[:-7]):
        expect(aws(*get, named), value)
    expect(aws.fails("secretsmanager", "create-secret", "--name", name, "--secret-string", "x"), (
        "ResourceExistsException", "CreateSecret",
        f"The operation failed because the secret {name} already exists."))

    put = aws("secretsmanager", "put-secret-value", "--secret-id", name, "--secret-string", "second")
    second = put["VersionId"]
    expect(put, {"ARN": arn, "Name": name, "VersionId": Like(UUID), "VersionStages": ["AWSCURRENT"]})
    new = value | {"VersionId": second, "SecretString": "second"}
    old = value | {"VersionStages": ["AWSPREVIOUS"]}
    expect(aws(*get, name), new)
    expect(aws(*get, arn, "--version-stage", "AWSPREVIOUS"), old)
    expect(aws(*get, arn, "--version-id", first), old)
    expect(aws(*get, name, "--query", "SecretString", "--output", "text"), "second")
    # LastAccessedDate is the day, at midnight.
    today = Near(within=86_401)
    expect(aws("secretsmanager", "describe-secret", "--secret-id", name), {
        "ARN": arn,
        "Name": name,
        "Description": "the database",
        "LastChangedDate": NOW,
        "LastAccessedDate": today,
        "Tags": [{"Key": "stage", "Value": "prod"}],
        "VersionIdsToStages": {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]},
        "CreatedDate": NOW,
    })
    third = aws("secretsmanager", "put-secret-value", "--secret-id", name, "--secret-string", "3",
                "--version-stages", "AWSCURRENT", "blue")
    expect(sorted(third["VersionStages"]), ["AWSCURRENT", "blue"])
    entry = lambda id, *stages: {
        "VersionId": id, **({"VersionStages": list(stages)} if stages else {}),
        "CreatedDate": NOW, "KmsKeyIds": ["DefaultEncryptionKey"],
    }
    shown = lambda answer: sorted(answer["Versions"], key=lambda v: v["VersionId"])
    listed = aws("secretsmanager", "list-secret-version-ids", "--secret-id", name)
    expect((listed["ARN"], listed["Name"]), (arn, name))
    for version in listed["Versions"]:
        version.pop("LastAccessedDate", None)
    wanted = [entry(second, "AWSPREVIOUS"), entry(third["VersionId"], "AWSCURRENT", "blue")]
    expect(shown(listed), sorted(wanted, key=lambda v: v["VersionId"]))
    listed = aws("secretsmanager", "list-secret-version-ids", "--secret-id", name,
                 "--include-deprecated", "--query", "Versions[].VersionId")
    expect(sorted(listed), sorted([first, second, third["VersionId"]]))

    missing = "Secrets Manager can't find the specified secret"
    expect(aws.fails(*get, "prod/none"),
           ("ResourceNotFoundException", "GetSecretValue", missing + "."))
    expect(aws.fails(*get, name, "--version-stage", "red"), (
        "ResourceNotFoundException", "GetSecretValue", missing + " value for staging label: red"))
    unknown = "00000000-0000-4000-8000-000000000000"
    expect(aws.fails(*get, name, "--version-id", unknown), (
        "ResourceNotFoundException", "GetSecretValue", f"{missing} value for VersionId: {unknown}"))


def test_a_binary_secret(aws):
    content = bytes(range(256))
    arn, version = created(aws, "certs/key.der", "--secret-binary", aws.file("der", content))
    expect(aws("secretsmanager", "get-secret-value", "--secret-id", "certs/key.der"), {
        "ARN": arn,
        "Name": "certs/key.der",
        "VersionId": version,
        "SecretBinary": base64.b64encode(content).decode(),
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": NOW,
    })
    aws("secretsmanager", "put-secret-value", "--secret-id", arn, "--secret-string", "text now")
    value = aws("secretsmanager", "get-secret-value", "--secret-id", arn)
    expect((value["SecretString"], "SecretBinary" in value), ("text now", False))


def test_secrets_are_listed_and_filtered(aws):
    expect(aws("secretsmanager", "list-secrets"), {"SecretList": []})
    first, one = created(aws, "a/1", "--secret-string", "x", "--tags", "Key=team,Value=red")
    second, two = created(aws, "a/2", "--secret-string", "x", "--description", "the second")
    third = aws("secretsmanager", "create-secret", "--name", "b")
    expect(third, {"ARN": Like(".*:secret:b-.{6}"), "Name": "b"})
    entries = {
        "a/1": {"ARN": first, "Name": "a/1", "LastChangedDate": NOW,
                "Tags": [{"Key": "team", "Value": "red"}],
                "SecretVersionsToStages": {one: ["AWSCURRENT"]}, "CreatedDate": NOW},
        "a/2": {"ARN": second, "Name": "a/2", "Description": "the second", "LastChangedDate": NOW,
                "SecretVersionsToStages": {two: ["AWSCURRENT"]}, "CreatedDate": NOW},
        "b": {"ARN": third["ARN"], "Name": "b", "LastChangedDate": NOW, "CreatedDate": NOW},
    }

    def listed(*words):
        answer = aws("secretsmanager", "list-secrets", *words)
        expect(list(answer), ["SecretList"])
        for entry in answer["SecretList"]:
            expect(entry, entries[entry["Name"]])
        return [entry["Name"] for entry in answer["SecretList"]]

    expect(sorted(listed()), ["a/1", "a/2", "b"])
    expect(listed("--filters", "Key=name,Values=a/"), listed("--filters", "Key=name,Values=!b"))
    expect(sorted(listed("--filters", "Key=name,Values=a/")), ["a/1", "a/2"])
    expect(listed("--filters", "Key=tag-key,Values=team", "Key=tag-value,Values=red"), ["a/1"])
    expect(listed("--filters", "Key=description,Values=second"), ["a/2"])
    expect(listed("--page-size", "1", "--sort-by", "name", "--sort-order", "desc"), ["b", "a/2", "a/1"])
    aws("secretsmanager", "delete-secret", "--secret-id", "b")
    expect(sorted(listed()), ["a/1", "a/2"])
    entries["b"]["DeletedDate"] = NOW
    expect(sorted(listed("--include-planned-deletion")), ["a/1", "a/2", "b"])


def test_a_secret_is_updated_and_moved_to_another_key(aws):
    arn, first = created(aws, "app", "--secret-string", "one")
    key = aws.key()
    key_arn = aws.arn(f"key/{key}")
    update = ("secretsmanager", "update-secret", "--secret-id", "app")
    expect(aws(*update, "--description", "described"), {"ARN": arn, "Name": "app"})
    moved = aws(*update, "--kms-key-id", key_arn, "--secret-string", "two")
    expect(moved, {"ARN": arn, "Name": "app", "VersionId": Like(UUID)})
    described = aws("secretsmanager", "describe-secret", "--secret-id", "app")
    expect((described["KmsKeyId"], described["Description"]), (key_arn, "described"))
    get = ("secretsmanager", "get-secret-value", "--secret-id", "app")
    expect(aws(*get)["SecretString"], "two")
    expect(aws(*get, "--version-stage", "AWSPREVIOUS")["SecretString"], "one")
    versions = aws("secretsmanager", "list-secret-version-ids", "--secret-id", "app")["Versions"]
    expect([v["KmsKeyIds"] for v in versions], [[key_arn], [key_arn]])
    # The secret is as good as its key.
    aws("kms", "disable-key", "--key-id", key)
    expect(aws.fails(*get), ("DecryptionFailure", "GetSecretValue",
                             f"Secrets Manager can't decrypt the secret value: {key_arn} is disabled."))
    aws("kms", "enable-key", "--key-id", key)
    expect(aws(*get)["SecretString"], "two")
    expect(aws.fails("secretsmanager", "create-secret", "--name", "other", "--secret-string", "x",
                     "--kms-key-id", "alias/none")[:2], ("EncryptionFailure", "CreateSecret"))


def test_a_secret_is_deleted_restored_and_destroyed(aws):
    arn, version = created(aws, "old", "--secret-string", "still here")
    get = ("secretsmanager", "get-secret-value", "--secret-id", "old")
    delete = ("secretsmanager", "delete-secret", "--secret-id", "old")
    expect(aws(*delete, "--recovery-window-in-days", "7"),
           {"ARN": arn, "Name": "old", "DeletionDate": Near(days=7)})
    marked = ("InvalidRequestException", "You can't perform this operation on the secret because it "
              "was marked for deletion.")
    for words in (get, ("secretsmanager", "put-secret-value", "--secret-id", "old",
                        "--secret-string", "x"),
                  ("secretsmanager", "update-secret", "--secret-id", "old", "--description", "x")):
        code, _, message = aws.fails(*words)
        expect((code, message), marked)
    expect(aws("secretsmanager", "describe-secret", "--secret-id", "old"), {
        "ARN": arn, "Name": "old", "LastChangedDate": NOW, "DeletedDate": Near(days=7),
        "VersionIdsToStages": {version: ["AWSCURRENT"]}, "CreatedDate": NOW})
    expect(aws.fails("secretsmanager", "create-secret", "--name", "old", "--secret-string", "x"), (
        "InvalidRequestException", "CreateSecret",
        "You can't create this secret because a secret with this name is already scheduled for "
        "deletion."))
    expect(aws("secretsmanager", "restore-secret", "--secret-id", "old"), {"ARN": arn, "Name": "old"})
    expect(aws(*get)["SecretString"], "still here")
    expect(aws.fails(*delete, "--recovery-window-in-days", "6")[:2],
           ("InvalidParameterException", "DeleteSecret"))
    expect(aws(*delete)["DeletionDate"], Near(days=30))
    expect(aws(*delete, "--force-delete-without-recovery"),
           {"ARN": arn, "Name": "old", "DeletionDate": NOW})
    expect(aws.fails(*get), ("ResourceNotFoundException", "GetSecretValue",
                             "Secrets Manager can't find the specified secret."))
    again, _ = created(aws, "old", "--secret-string", "new")
    assert again != arn, again
    # The old ARN is not the new secret's.
    expect(aws.fails("secretsmanager", "get-secret-value", "--secret-id", arn)[0],
           "ResourceNotFoundException")


def test_tags_of_a_secret(aws):
    created(aws, "tagged", "--secret-string", "x")
    tags = lambda: aws("secretsmanager", "describe-secret", "--secret-id", "tagged").get("Tags")
    expect(aws("secretsmanager", "tag-resource", "--secret-id", "tagged", "--tags",
               "Key=a,Value=1", "Key=b,Value="), None)
    expect(tags(), [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    expect(aws("secretsmanager", "untag-resource", "--secret-id", "tagged", "--tag-keys", "a", "z"), None)
    expect(tags(), [{"Key": "b", "Value": ""}])


# STS, IAM and who may do what.


def test_users_their_keys_and_policies(aws):
    identity = aws("sts", "get-caller-identity")
    expect(identity, {"UserId": Like("AIDA[A-Z2-7]{17}"), "Account": ACCOUNT, "Arn": ADMIN})
    user = {"Path": "/team/", "UserName": "Ann", "UserId": Like("AIDA[A-Z2-7]{17}"),
            "Arn": f"arn:aws:iam::{ACCOUNT}:user/team/Ann",
            "CreateDate": Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")}
    tagged = user | {"Tags": [{"Key": "cost", "Value": "7"}]}
    words = ("--user-name", "Ann")
    expect(aws("iam", "create-user", *words, "--path", "/team/", "--tags", "Key=cost,Value=7"),
           {"User": tagged})
    expect(aws("iam", "get-user", *words), {"User": tagged})
    expect(aws("iam", "list-users", "--path-prefix", "/team/"), {"Users": [user]})
    expect(aws.fails("iam", "create-user", "--user-name", "ann"),
           ("EntityAlreadyExists", "CreateUser", "User with name ann already exists."))

    made = aws("iam", "create-access-key", *words)
    key = made["AccessKey"]
    expect(made, {"AccessKey": {
        "UserName": "Ann", "AccessKeyId": Like("AKIA[A-Z2-7]{16}"), "Status": "Active",
        "SecretAccessKey": Like("[A-Za-z0-9+/]{40}"), "CreateDate": user["CreateDate"]}})
    listed = {"UserName": "Ann", "AccessKeyId": key["AccessKeyId"], "Status": "Active",
              "CreateDate": key["CreateDate"]}
    expect(aws("iam", "list-access-keys", *words), {"AccessKeyMetadata": [listed]})
    ann = Cli(aws.server, aws.region, "ann", (key["AccessKeyId"], key["SecretAccessKey"]))
    expect(ann("sts", "get-caller-identity"),
           {"UserId": user["UserId"], "Account": ACCOUNT, "Arn": user["Arn"]})

    # She may do nothing until a policy says so.
    denied = (f"User: {user['Arn']} is not authorized to perform: kms:ListKeys on resource: * "
              "because no identity-based policy allows the kms:ListKeys action")
    expect(ann.fails("kms", "list-keys"), ("AccessDeniedException", "ListKeys", denied))
    expect(ann.fails("iam", "get-user"), (
        "AccessDenied", "GetUser",
        f"User: {user['Arn']} is not authorized to perform: iam:GetUser on resource: {user['Arn']} "
        "because no identity-based policy allows the iam:GetUser action"))
    policy = allow("kms:ListKeys", "iam:GetUser")
    named = (*words, "--policy-name", "see")
    expect(aws("iam", "put-user-policy", *named, "--policy-document", json.dumps(policy)), None)
    expect(aws("iam", "get-user-policy", *named),
           {"UserName": "Ann", "PolicyName": "see", "PolicyDocument": policy})
    expect(aws("iam", "list-user-policies", *words), {"PolicyNames": ["see"]})
    expect(ann("kms", "list-keys", "--query", "length(Keys) >= `0`"), True)
    expect(ann("iam", "get-user"), {"User": tagged})
    expect(aws.fails("iam", "put-user-policy", *named, "--policy-document", "{}")[:2],
           ("MalformedPolicyDocument", "PutUserPolicy"))

    deactivate = ("--access-key-id", key["AccessKeyId"], "--status", "Inactive")
    expect(aws("iam", "update-access-key", *words, *deactivate), None)
    expect(aws("iam", "list-access-keys", *words), {"AccessKeyMetadata": [listed | {"Status": "Inactive"}]})
    invalid = "The security token included in the request is invalid."
    expect(ann.fails("kms", "list-keys"), ("UnrecognizedClientException", "ListKeys", invalid))
    expect(ann.fails("sts", "get-caller-identity"), ("InvalidClientTokenId", "GetCallerIdentity", invalid))

    conflict = ("DeleteConflict", "DeleteUser", "Cannot delete entity, must delete access keys first.")
    expect(aws.fails("iam", "delete-user", *words), conflict)
    expect(aws("iam", "delete-access-key", *words, "--access-key-id", key["AccessKeyId"]), None)
    expect(aws.fails("iam", "delete-user", *words),
           (*conflict[:2], "Cannot delete entity, must delete policies first."))
    expect(aws("iam", "delete-user-policy", *named), None)
    expect(aws("iam", "delete-user", *words), None)
    expect(aws.fails("iam", "get-user", *words),
           ("NoSuchEntity", "GetUser", "The user with name Ann cannot be found."))
    expect(aws.fails("iam", "get-user-policy", *named)[0], "NoSuchEntity")


def test_a_user_is_denied_what_no_policy_allows(aws):
    key = aws.key()
    arn = aws.arn(f"key/{key}")
    bob = aws.user("bob", allow("kms:Encrypt", resource=arn))
    who = f"arn:aws:iam::{ACCOUNT}:user/bob"
    sealed = bob("kms", "encrypt", "--key-id", key, "--plaintext", "x")["CiphertextBlob"]
    denied = lambda action, why: (
        f"User: {who} is not authorized to perform: {action} on resource: {arn} {why}")
    why = "because no identity-based policy allows the kms:Decrypt action"
    decrypt = ("kms", "decrypt", "--ciphertext-blob", bob.blob(sealed))
    expect(bob.fails(*decrypt), ("AccessDeniedException", "Decrypt", denied("kms:Decrypt", why)))
    # A statement that denies is stronger than one that allows.
    policy = allow("kms:*")
    policy["Statement"].append({"Effect": "Deny", "Action": "kms:Decrypt", "Resource": arn})
    aws("iam", "put-user-policy", "--user-name", "bob", "--policy-name", "p",
        "--policy-document", json.dumps(policy))
    expect(bob.fails(*decrypt), ("AccessDeniedException", "Decrypt",
                                 denied("kms:Decrypt", "with an explicit deny in an identity-based policy")))
    # A condition on the encryption context.
    condition = {"StringEquals": {"kms:EncryptionContext:dept": "hr"}}
    aws("iam", "put-user-policy", "--user-name", "bob", "--policy-name", "p",
        "--policy-document", json.dumps(allow("kms:Encrypt", Condition=condition)))
    encrypt = ("kms", "encrypt", "--key-id", key, "--plaintext", "x", "--encryption-context")
    expect(bob(*encrypt, "dept=hr")["KeyId"], arn)
    expect(bob.fails(*encrypt, "dept=it")[0], "AccessDeniedException")
    # A key of no one: the same words as for a key that forbids.
    missing = aws.arn("key/00000000-0000-4000-8000-000000000000").replace(ACCOUNT, "999999999999")
    expect(bob.fails("kms", "encrypt", "--key-id", missing, "--plaintext", "x"), (
        "AccessDeniedException", "Encrypt",
        f"User: {who} is not authorized to perform: kms:Encrypt on this resource because the resource "
        "does not exist in this Region, no resource-based policies allow access, or a resource-based "
        "policy explicitly denies access"))
    aws("secretsmanager", "create-secret", "--name", "not-for-bob", "--secret-string", "x")
    code, _, message = bob.fails("secretsmanager", "get-secret-value", "--secret-id", "not-for-bob")
    expect(code, "AccessDeniedException")
    # In the caller's own words: the real ARN is for those who may see the secret.
    expect(message, (
        f"User: {who} is not authorized to perform: secretsmanager:GetSecretValue on resource: "
        "not-for-bob because no identity-based policy allows the secretsmanager:GetSecretValue action"))


def test_a_service_uses_a_key_for_its_callers_and_they_cannot(aws):
    app = aws.user("app", allow("secretsmanager:*"))
    aws("secretsmanager", "create-secret", "--name", "shared", "--secret-string", "through the service")
    get = ("secretsmanager", "get-secret-value", "--secret-id")
    expect(app(*get, "shared")["SecretString"], "through the service")
    app("secretsmanager", "put-secret-value", "--secret-id", "shared", "--secret-string", "by app")
    expect(aws(*get, "shared")["SecretString"], "by app")

    # The same key directly: not for a user, not even for the administrator.
    name = "alias/aws/secretsmanager"
    described = aws("kms", "describe-key", "--key-id", name)["KeyMetadata"]
    expect(described, metadata(
        aws, described["KeyId"], KeyManager="AWS",
        Description="Default key that protects my Secrets Manager data when no other key is defined"))
    arn = described["Arn"]
    sealed = aws("kms", "encrypt", "--key-id", aws.key(), "--plaintext", "x")["CiphertextBlob"]
    for who, cli in (("app", app), ("admin", aws)):
        blob = cli.blob(sealed)
        for action, words in (
            ("Encrypt", ("encrypt", "--key-id", name, "--plaintext", "x")),
            ("Decrypt", ("decrypt", "--key-id", name, "--ciphertext-blob", blob)),
            ("GenerateDataKey", ("generate-data-key", "--key-id", arn, "--key-spec", "AES_256")),
        ):
            code, operation, message = cli.fails("kms", *words)
            expect((code, operation), ("AccessDeniedException", action))
            expect(message, f"User: arn:aws:iam::{ACCOUNT}:user/{who} is not authorized to perform: "
                            f"kms:{action} on resource: {arn} because no resource-based policy "
                            f"allows the kms:{action} action")
    for command in ("disable-key", "schedule-key-deletion"):
        expect(aws.fails("kms", command, "--key-id", arn)[0], "AccessDeniedException")

    # A secret under the account's own key needs permission on that key, through the service only.
    key = aws.arn(f"key/{aws.key()}")
    aws("secretsmanager", "create-secret", "--name", "own", "--kms-key-id", key, "--secret-string", "x")
    expect(app.fails(*get, "own"),
           ("AccessDeniedException", "GetSecretValue", "Access to KMS is not allowed"))
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{aws.region}.amazonaws.com"}}
    aws("iam", "put-user-policy", "--user-name", "app", "--policy-name", "key", "--policy-document",
        json.dumps(allow("kms:Decrypt", resource=key, Condition=via)))
    expect(app(*get, "own")["SecretString"], "x")
    sealed = aws("kms", "encrypt", "--key-id", key, "--plaintext", "x")["CiphertextBlob"]
    expect(app.fails("kms", "decrypt", "--ciphertext-blob", app.blob(sealed))[0],
           "AccessDeniedException")
