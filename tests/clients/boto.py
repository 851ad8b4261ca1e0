"""boto3: its classes of errors, paginators, retries, signatures, regions and threads."""

import collections
import concurrent.futures
import contextlib
import datetime
import json
import sys
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.auth
import botocore.config
import botocore.exceptions

import harness
from harness import ACCOUNT, MATERIAL, REGIONS, UUID, Like, expect

ADMIN = f"arn:aws:iam::{ACCOUNT}:user/admin"
NO_KEY = "00000000-0000-4000-8000-000000000000"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)
INVALID = "The security token included in the request is invalid."


def run(results, server):
    prepare = lambda number: Boto(server, REGIONS[number % len(REGIONS)])
    # One after the other: a test here moves botocore's clock.
    harness.run_all(results, sys.modules[__name__], prepare, threads=1)


class Boto:
    """Makes clients, in the administrator's name unless other keys are given."""

    def __init__(self, server, region):
        self.server, self.region = server, region
        self.id = server.exports["AWS_ACCESS_KEY_ID"]
        self.secret = server.exports["AWS_SECRET_ACCESS_KEY"]
        # How many requests were sent, by operation.
        self.sent = collections.Counter()

    def client(self, service, region=None, id=None, secret=None, token=None, **config):
        session = boto3.session.Session(id or self.id, secret or self.secret, token,
                                        region_name=region or self.region)
        client = session.client(service, endpoint_url=self.server.endpoint,
                                config=botocore.config.Config(**config))
        client.meta.events.register("before-send", self._count)
        return client

    def _count(self, request, event_name, **_):
        self.sent[event_name.rsplit(".", 1)[-1]] += 1


def refused(error_class, call, **arguments):
    """Answers the error's code, status and message; its class must be that one."""
    try:
        answer = call(**arguments)
    except error_class as error:
        told, meta = error.response["Error"], error.response["ResponseMetadata"]
        expect(meta["RetryAttempts"], 0)
        expect(meta["RequestId"], Like(UUID))
        return told["Code"], meta["HTTPStatusCode"], told["Message"]
    raise AssertionError(f"not refused: {answer}")


def plain(answer):
    expect(answer.pop("ResponseMetadata")["HTTPStatusCode"], 200)
    return answer


def new_key(kms, **arguments):
    return kms.create_key(**arguments)["KeyMetadata"]["Arn"]


def is_now(moment):
    assert moment.tzinfo is not None
    assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 300, moment


def test_a_key_and_its_metadata(boto):
    kms = boto.client("kms")
    answer = kms.create_key(Description="boto", Tags=[{"TagKey": "a", "TagValue": "b"}])
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    expect(headers["x-amzn-requestid"], Like(UUID))
    expect(headers["content-type"], "application/x-amz-json-1.1")
    made = plain(answer)["KeyMetadata"]
    is_now(made["CreationDate"])
    expect(plain(kms.describe_key(KeyId=made["KeyId"])), {"KeyMetadata": made})
    expect({name: made[name] for name in ("AWSAccountId", "Description", "KeyState", "Enabled",
                                         "KeyManager", "MultiRegion", "CurrentKeyMaterialId")},
           {"AWSAccountId": ACCOUNT, "Description": "boto", "KeyState": "Enabled", "Enabled": True,
            "KeyManager": "CUSTOMER", "MultiRegion": False, "CurrentKeyMaterialId": MATERIAL})
    ends = kms.schedule_key_deletion(KeyId=made["KeyId"], PendingWindowInDays=7)["DeletionDate"]
    is_now(ends - datetime.timedelta(days=7))
    expect(boto.sent, {"CreateKey": 1, "DescribeKey": 1, "ScheduleKeyDeletion": 1})


def test_bytes_and_contexts(boto):
    kms = boto.client("kms")
    arn = new_key(kms)
    context = {"b": "2", "a": "1", "key with spaces": "ü/+=\"'\\\n"}
    for plaintext in (b"x", bytes(range(256)), b"\0" * 4096):
        sealed = plain(kms.encrypt(KeyId=arn, Plaintext=plaintext, EncryptionContext=context))
        blob = sealed.pop("CiphertextBlob")
        assert isinstance(blob, bytes) and len(blob) == len(plaintext) + 132, len(blob)
        expect(sealed, {"KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
        opened = plain(kms.decrypt(CiphertextBlob=blob, EncryptionContext=dict(sorted(context.items()))))
        expect(opened, {"KeyId": arn, "Plaintext": plaintext, "KeyMaterialId": MATERIAL,
                        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
        for key in context:
            changed = context | {key: context[key] + " "}
            expect(refused(kms.exceptions.InvalidCiphertextException, kms.decrypt,
                           CiphertextBlob=blob, EncryptionContext=changed)[:2],
                   ("InvalidCiphertextException", 400))
    made = plain(kms.generate_data_key(KeyId=arn, KeySpec="AES_256", EncryptionContext=context))
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)
    expect(opened["Plaintext"], made["Plaintext"])
    moved = kms.re_encrypt(CiphertextBlob=made["CiphertextBlob"], SourceEncryptionContext=context,
                           DestinationKeyId=new_key(kms))
    expect(kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"], made["Plaintext"])
    expect(len(kms.generate_random(NumberOfBytes=1024)["Plaintext"]), 1024)
    expect(refused(kms.exceptions.DryRunOperationException, kms.encrypt,
                   KeyId=arn, Plaintext=b"x", DryRun=True)[:2], ("DryRunOperationException", 400))


def test_errors_of_kms_have_their_classes_and_are_not_retried(boto):
    kms = boto.client("kms", retries={"mode": "standard", "max_attempts": 5})
    arn, other, errors = new_key(kms), new_key(kms), kms.exceptions
    blob = kms.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=arn)
    disabled, pending = new_key(kms), new_key(kms)
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=pending)
    boto.sent.clear()
    cases = [
        (errors.NotFoundException, kms.describe_key, {"KeyId": NO_KEY}),
        (errors.AlreadyExistsException, kms.create_alias, {"AliasName": "alias/a", "TargetKeyId": arn}),
        (errors.DisabledException, kms.encrypt, {"KeyId": disabled, "Plaintext": b"x"}),
        (errors.KMSInvalidStateException, kms.encrypt, {"KeyId": pending, "Plaintext": b"x"}),
        (errors.InvalidCiphertextException, kms.decrypt, {"CiphertextBlob": blob[:-1]}),
        (errors.IncorrectKeyException, kms.decrypt, {"CiphertextBlob": blob, "KeyId": other}),
        (errors.MalformedPolicyDocumentException, kms.put_key_policy,
         {"KeyId": arn, "PolicyName": "default", "Policy": "[]"}),
        (errors.TagException, kms.tag_resource,
         {"KeyId": arn, "Tags": [{"TagKey": "aws:a", "TagValue": "b"}]}),
        (errors.UnsupportedOperationException, kms.get_public_key, {"KeyId": arn}),
        (errors.InvalidKeyUsageException, kms.generate_mac,
         {"KeyId": arn, "Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}),
        (errors.InvalidMarkerException, kms.list_keys, {"Marker": "nonsense"}),
        (errors.DryRunOperationException, kms.decrypt, {"CiphertextBlob": blob, "DryRun": True}),
    ]
    for count, (error, call, arguments) in enumerate(cases, 1):
        code, status, _ = refused(error, call, **arguments)
        expect((code, status), (error.__name__, 400))
        expect(sum(boto.sent.values()), count)
    # What no model names, botocore has no class for.
    expect(refused(botocore.exceptions.ClientError, kms.encrypt, KeyId=arn, Plaintext=b"x" * 4097)[:2],
           ("ValidationException", 400))


def test_errors_of_secrets_manager_have_their_classes_and_are_not_retried(boto):
    sm = boto.client("secretsmanager", retries={"mode": "standard", "max_attempts": 5})
    errors = sm.exceptions
    sm.create_secret(Name="here", SecretString="x")
    sm.create_secret(Name="deleted", SecretString="x")
    sm.delete_secret(SecretId="deleted")
    boto.sent.clear()
    get = sm.get_secret_value
    cases = [
        (errors.ResourceNotFoundException, get, {"SecretId": "none"},
         "Secrets Manager can't find the specified secret."),
        (errors.ResourceExistsException, sm.create_secret, {"Name": "here", "SecretString": "y"},
         "The operation failed because the secret here already exists."),
        (errors.InvalidRequestException, get, {"SecretId": "deleted"},
         "You can't perform this operation on the secret because it was marked for deletion."),
        (errors.InvalidParameterException, sm.tag_resource,
         {"SecretId": "here", "Tags": [{"Key": "aws:a", "Value": "b"}]},
         "Tag keys that begin with aws: are reserved."),
        (errors.InvalidRequestException, sm.put_secret_value, {"SecretId": "here"},
         "You must provide either SecretString or SecretBinary."),
        (errors.InvalidNextTokenException, sm.list_secrets, {"NextToken": "nonsense"},
         "The NextToken value is invalid."),
    ]
    for count, (error, call, arguments, message) in enumerate(cases, 1):
        expect(refused(error, call, **arguments), (error.__name__, 400, message))
        expect(sum(boto.sent.values()), count)


def test_pages(boto):
    kms, sm, iam = boto.client("kms"), boto.client("secretsmanager"), boto.client("iam")

    def pages(client, operation, size, member, **arguments):
        """Answers what was listed, in how many pages."""
        config = {"PageSize": size}
        found = list(client.get_paginator(operation).paginate(PaginationConfig=config, **arguments))
        for page in found:
            assert len(page[member]) <= size, page
        return [item for page in found for item in page[member]], len(found)

    arns = sorted(new_key(kms) for _ in range(7))
    tags = [{"TagKey": f"k{n:02}", "TagValue": str(n)} for n in range(7)]
    kms.tag_resource(KeyId=arns[0], Tags=tags)
    for n in range(7):
        kms.create_alias(AliasName=f"alias/a{n}", TargetKeyId=arns[n % 2])
        sm.create_secret(Name=f"s{n}", SecretString="x")
    # The default key of the secrets is one more.
    keys, count = pages(kms, "list_keys", 3, "Keys")
    listed = [key["KeyArn"] for key in keys]
    expect((len(listed), count), (8, 3))
    assert len(set(listed)) == 8 and set(arns) < set(listed)
    aliases, count = pages(kms, "list_aliases", 3, "Aliases")
    expect(([alias["AliasName"] for alias in aliases], count),
           ([f"alias/a{n}" for n in range(7)] + ["alias/aws/secretsmanager"], 3))
    aliases, _ = pages(kms, "list_aliases", 3, "Aliases", KeyId=arns[0])
    expect([alias["AliasName"] for alias in aliases], [f"alias/a{n}" for n in (0, 2, 4, 6)])
    expect(pages(kms, "list_resource_tags", 3, "Tags", KeyId=arns[0]), (tags, 3))
    for order in ("asc", "desc"):
        secrets, count = pages(sm, "list_secrets", 3, "SecretList", SortBy="name", SortOrder=order)
        names = [f"s{n}" for n in range(7)]
        expect(([secret["Name"] for secret in secrets], count),
               (names if order == "asc" else names[::-1], 3))
    # In the order of their creation, several within a millisecond or not.
    secrets, _ = pages(sm, "list_secrets", 3, "SecretList")
    expect(sorted(secret["Name"] for secret in secrets), names)

    for n in range(5):
        sm.put_secret_value(SecretId="s0", SecretString=str(n), VersionStages=[f"v{n}"])
    # botocore has no paginator for these.
    first = sm.list_secret_version_ids(SecretId="s0", MaxResults=4)
    second = sm.list_secret_version_ids(SecretId="s0", MaxResults=4, NextToken=first["NextToken"])
    assert "NextToken" not in second
    versions = [[version["VersionId"] for version in page["Versions"]] for page in (first, second)]
    expect(([len(page) for page in versions], len(set(versions[0] + versions[1]))), ([4, 2], 6))

    for n in range(7):
        iam.create_user(UserName=f"page{n}", Path="/pages/")
    users, _ = pages(iam, "list_users", 3, "Users", PathPrefix="/pages/")
    expect([user["UserName"] for user in users], [f"page{n}" for n in range(7)])
    made = sorted(iam.create_access_key(UserName="page0")["AccessKey"]["AccessKeyId"] for _ in range(2))
    keys, count = pages(iam, "list_access_keys", 1, "AccessKeyMetadata", UserName="page0")
    expect(([key["AccessKeyId"] for key in keys], count), (made, 2))
    for n in range(3):
        statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        iam.put_user_policy(UserName="page0", PolicyName=f"p{n}", PolicyDocument=document)
    expect(pages(iam, "list_user_policies", 2, "PolicyNames", UserName="page0"), (["p0", "p1", "p2"], 2))
    refused(iam.exceptions.NoSuchEntityException, iam.get_user, UserName="nobody")
    iam.get_waiter("user_exists").wait(UserName="page0")


def test_a_request_token_makes_writes_repeatable(boto):
    sm = boto.client("secretsmanager")
    token = str(uuid.uuid4())
    create = {"Name": "t", "SecretString": "one", "ClientRequestToken": token}
    made = plain(sm.create_secret(**create))
    expect(made["VersionId"], token)
    expect(plain(sm.create_secret(**create)), made)
    code, _, _ = refused(sm.exceptions.ResourceExistsException, sm.create_secret,
                         **create | {"SecretString": "two"})
    expect(code, "ResourceExistsException")
    token = str(uuid.uuid4())
    put = {"SecretId": "t", "SecretBinary": b"\0two\xff", "ClientRequestToken": token}
    stored = plain(sm.put_secret_value(**put))
    expect(stored, {"ARN": made["ARN"], "Name": "t", "VersionId": token, "VersionStages": ["AWSCURRENT"]})
    expect(plain(sm.put_secret_value(**put)), stored)
    refused(sm.exceptions.ResourceExistsException, sm.put_secret_value, **put | {"SecretBinary": b"3"})
    value = plain(sm.get_secret_value(SecretId="t"))
    is_now(value["CreatedDate"])
    expect((value["SecretBinary"], "SecretString" in value), (b"\0two\xff", False))
    big = "é" * 32_768
    sm.put_secret_value(SecretId="t", SecretString=big)
    expect(sm.get_secret_value(SecretId="t")["SecretString"], big)
    expect(refused(botocore.exceptions.ClientError, sm.put_secret_value, SecretId="t",
                   SecretString=big + "x")[:2], ("ValidationException", 400))


def test_regions_do_not_see_each_other(boto):
    # Of all tests' regions these two hold nothing else that this test would look at.
    here, there = (boto.client("kms", region) for region in ("eu-north-1", "sa-east-1"))
    arn = new_key(here)
    key_id, blob = arn.rsplit("/", 1)[1], here.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    expect(arn, f"arn:aws:kms:eu-north-1:{ACCOUNT}:key/{key_id}")
    assert key_id in [key["KeyId"] for key in here.list_keys()["Keys"]]
    assert key_id not in [key["KeyId"] for key in there.list_keys()["Keys"]]
    here.create_alias(AliasName="alias/where", TargetKeyId=arn)
    for named in (key_id, "alias/where", arn, f"arn:aws:kms:eu-north-1:{ACCOUNT}:alias/where"):
        expect(refused(there.exceptions.NotFoundException, there.describe_key, KeyId=named)[:2],
               ("NotFoundException", 400))
    # A ciphertext of elsewhere is one of a key that is not there.
    expect(refused(botocore.exceptions.ClientError, there.decrypt, CiphertextBlob=blob), (
        "AccessDeniedException", 400,
        f"User: {ADMIN} is not authorized to perform: kms:Decrypt on the resource associated with "
        "this ciphertext because the resource does not exist in this Region, no resource-based "
        "policies allow access, or a resource-based policy explicitly denies access"))
    here, there = (boto.client("secretsmanager", region) for region in ("eu-north-1", "sa-east-1"))
    arns = [client.create_secret(Name="same", SecretString=client.meta.region_name)["ARN"]
            for client in (here, there)]
    for client, arn in zip((here, there), arns):
        expect(client.get_secret_value(SecretId="same")["SecretString"], client.meta.region_name)
        expect(client.get_secret_value(SecretId=arn)["SecretString"], client.meta.region_name)
    refused(here.exceptions.ResourceNotFoundException, here.get_secret_value, SecretId=arns[1])
    # A region that is not served.
    code, status, message = refused(
        botocore.exceptions.ClientError, boto.client("kms", "mars-north-1").list_keys)
    expect((code, status), ("InvalidSignatureException", 400))
    assert "region" in message.lower(), message
    # IAM and STS are everywhere.
    for region in ("eu-north-1", "sa-east-1"):
        expect(boto.client("sts", region).get_caller_identity()["Arn"], ADMIN)


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_presigned_identity(boto):
    def presigned():
        return boto.client("sts").generate_presigned_url(
            "get_caller_identity", ExpiresIn=60, HttpMethod="GET")

    url = presigned()
    status, text = fetch(url)
    expect(status, 200)
    assert f"<Arn>{ADMIN}</Arn>" in text and f"<Account>{ACCOUNT}</Account>" in text, text
    for changed in (url.replace("GetCallerIdentity", "GetSessionToken"), url[:-1],
                    url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), url + "&More=1"):
        status, text = fetch(changed)
        expect(status, 403)
        assert "<Code>SignatureDoesNotMatch</Code>" in text, text
    with clock_moved(minutes=-20):
        old = presigned()
    status, text = fetch(old)
    expect(status, 403)
    assert "<Code>SignatureDoesNotMatch</Code>" in text and "Signature expired" in text, text


def everywhere(boto, **arguments):
    """A call of each service."""
    return {
        "kms": boto.client("kms", **arguments).list_keys,
        "secretsmanager": boto.client("secretsmanager", **arguments).list_secrets,
        "sts": boto.client("sts", **arguments).get_caller_identity,
        "iam": boto.client("iam", **arguments).list_users,
    }


def test_wrong_credentials(boto):
    error = botocore.exceptions.ClientError
    for service, call in everywhere(boto, secret="wrong" * 8).items():
        query = service in ("sts", "iam")
        expect(refused(error, call),
               ("SignatureDoesNotMatch", 403, MISMATCH) if query
               else ("InvalidSignatureException", 400, MISMATCH))
    for unknown in ({"id": "AKIAAAAAAAAAAAAAAAAA"}, {"token": "a token that it does not have"}):
        for service, call in everywhere(boto, **unknown).items():
            query = service in ("sts", "iam")
            expect(refused(error, call),
                   ("InvalidClientTokenId", 403, INVALID) if query
                   else ("UnrecognizedClientException", 400, INVALID))
    expect(sum(boto.sent.values()), 12)


@contextlib.contextmanager
def clock_moved(**by):
    """What botocore signs with is the time so much later."""
    real, delta = botocore.auth.get_current_datetime, datetime.timedelta(**by)
    botocore.auth.get_current_datetime = lambda *args, **kwargs: real(*args, **kwargs) + delta
    try:
        yield
    finally:
        botocore.auth.get_current_datetime = real


def test_a_wrong_clock(boto):
    error, stamp = botocore.exceptions.ClientError, r"\d{8}T\d{6}Z"
    calls = everywhere(boto)
    for minutes, pattern in (
        (10, rf"Signature not yet current: {stamp} is still later than {stamp} \({stamp} \+ 5 min\.\)"),
        (-10, rf"Signature expired: {stamp} is now earlier than {stamp} \({stamp} - 5 min\.\)"),
    ):
        with clock_moved(minutes=minutes):
            for service in ("kms", "secretsmanager"):
                expect(refused(error, calls[service]), ("InvalidSignatureException", 400, Like(pattern)))
            # STS and IAM take a quarter of an hour.
            for service in ("sts", "iam"):
                plain(calls[service]())
        with clock_moved(minutes=2 * minutes):
            for service in ("sts", "iam"):
                expect(refused(error, calls[service]),
                       ("SignatureDoesNotMatch", 403, Like(pattern.replace("5 min", "15 min"))))
    with clock_moved(minutes=4):
        for call in calls.values():
            plain(call())


def test_many_threads_share_a_client(boto):
    kms = boto.client("kms", max_pool_connections=16)
    sm = boto.client("secretsmanager", max_pool_connections=16)
    arn = new_key(kms)
    sm.create_secret(Name="busy", SecretString="-")
    boto.sent.clear()

    def work(number):
        context = {"n": str(number)}
        sealed = kms.encrypt(KeyId=arn, Plaintext=str(number).encode(), EncryptionContext=context)
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
        expect(opened["Plaintext"], str(number).encode())
        if number % 10 == 0:
            sm.put_secret_value(SecretId="busy", SecretString=str(number))
        return sm.get_secret_value(SecretId="busy")["SecretString"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        read = set(pool.map(work, range(320)))
    assert read <= {"-"} | {str(n) for n in range(0, 320, 10)}, read
    # Nothing was sent twice.
    expect(boto.sent, {"Encrypt": 320, "Decrypt": 320, "PutSecretValue": 32, "GetSecretValue": 320})


def test_what_is_not_served_is_told_at_once(boto):
    sts = boto.client("sts")
    error = botocore.exceptions.ClientError
    code, status, message = refused(error, sts.assume_root, TargetPrincipal=ACCOUNT, TaskPolicyArn={
        "arn": "arn:aws:iam::aws:policy/root-task/IAMAuditRootUserCredentials"})
    expect((code, status, message), (
        "InvalidAction", 400, "Could not find operation AssumeRoot for version 2011-06-15"))
    expect(sum(boto.sent.values()), 1)
