"""The AWS CLI's `aws iam` and `aws sts`, from the first user to an empty account."""

import base64
import hashlib
import hmac
import json
import os
import re
import struct
import sys
import time

import harness
from cli import Cli, allow
from harness import ACCOUNT, REGIONS, Like, expect
from issuer import AUDIENCE, HOST, SUBJECT, Issuer

TIME = Like(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
HEADER = "x-claviger-authorization-message"


def serve(program):
    issuers = []

    def more(directory):
        issuers.append(Issuer(directory))
        return issuers[0].settings()

    server = harness.Deployed(program, more)
    server.issuer = issuers[0]
    return server


def run(results, server):
    prepare = lambda number: Iam(server, REGIONS[number % len(REGIONS)], f"iam{number}")
    harness.run_all(results, sys.modules[__name__], prepare, threads=os.cpu_count() or 2)


class Iam(Cli):
    def iam(self, *words):
        return self("iam", *words)

    def sts(self, *words):
        return self("sts", *words)

    def as_session(self, credentials):
        """The CLI in the hands of whoever has these temporary credentials."""
        keys = [credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        return Iam(self.server, self.region, f"{self.name}-{credentials['AccessKeyId']}", keys)

    def as_user(self, name, policy=None):
        env = self.user(name, policy).env
        keys = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
        return Iam(self.server, self.region, f"{self.name}-{name}", keys)

    def role(self, name, trust, policy=None, *words):
        made = self.iam("create-role", "--role-name", name, "--assume-role-policy-document",
                        json.dumps(trust), *words)["Role"]
        if policy:
            self.iam("put-role-policy", "--role-name", name, "--policy-name", "p",
                     "--policy-document", json.dumps(policy))
        return made["Arn"]

    def assume(self, arn, name, *words):
        return self.sts("assume-role", "--role-arn", arn, "--role-session-name", name, *words)

    def may_not(self, *words):
        code, _, message = self.fails(*words)
        assert code.startswith("AccessDenied"), (code, message)
        return message


def trust(principal, *actions, condition=None):
    statement = {"Effect": "Allow", "Principal": principal, "Action": list(actions or ["sts:AssumeRole"])}
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def user_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


def unauthorized(who, action, resource):
    return (f"User: {who} is not authorized to perform: {action} on resource: {resource} because no "
            f"identity-based policy allows the {action} action")


class Device:
    """What a telephone does with a seed: RFC 6238. A code is good once, so each is of a later step."""

    def __init__(self, seed):
        self.key = base64.b32decode(seed + "=" * (-len(seed) % 8))
        self.step = int(time.time()) // 30 - 2

    def code(self):
        self.step += 1
        # The server takes codes that are a step early.
        while int(time.time()) // 30 + 1 < self.step:
            time.sleep(1)
        mac = hmac.new(self.key, struct.pack(">q", self.step), hashlib.sha1).digest()
        at = mac[-1] & 15
        word = struct.unpack(">I", mac[at:at + 4])[0] & 0x7fff_ffff
        return f"{word % 1_000_000:06}"


def test_a_user_from_its_making_to_its_end(aws):
    made = aws.iam("create-user", "--user-name", "Ann", "--path", "/staff/", "--tags", "Key=team,Value=red")
    shown = {"Path": "/staff/", "UserName": "Ann", "UserId": Like("AIDA[A-Z2-7]{17}"),
             "Arn": user_arn("staff/Ann"), "CreateDate": TIME, "Tags": [{"Key": "team", "Value": "red"}]}
    expect(made, {"User": shown})
    expect(aws.iam("get-user", "--user-name", "ann"), made)
    expect(aws.fails("iam", "create-user", "--user-name", "ANN"),
           ("EntityAlreadyExists", "CreateUser", "User with name ANN already exists."))
    listed = {name: value for name, value in shown.items() if name != "Tags"}
    expect(aws.iam("list-users", "--path-prefix", "/staff/"), {"Users": [listed]})
    expect(aws.iam("tag-user", "--user-name", "Ann", "--tags", "Key=TEAM,Value=blue", "Key=x,Value="), None)
    expect(aws.iam("list-user-tags", "--user-name", "Ann")["Tags"],
           [{"Key": "TEAM", "Value": "blue"}, {"Key": "x", "Value": ""}])
    aws.iam("untag-user", "--user-name", "Ann", "--tag-keys", "team")
    expect(aws.iam("list-user-tags", "--user-name", "Ann")["Tags"], [{"Key": "x", "Value": ""}])

    keys = [aws.iam("create-access-key", "--user-name", "Ann")["AccessKey"] for _ in range(2)]
    for key in keys:
        expect(key, {"UserName": "Ann", "AccessKeyId": Like("AKIA[A-Z2-7]{16}"), "Status": "Active",
                     "SecretAccessKey": Like(r"[A-Za-z0-9+/]{40}"), "CreateDate": TIME})
    expect(aws.fails("iam", "create-access-key", "--user-name", "Ann"),
           ("LimitExceeded", "CreateAccessKey", "Cannot exceed quota for AccessKeysPerUser: 2"))
    first, second = sorted(key["AccessKeyId"] for key in keys)
    expect([key["AccessKeyId"] for key in
            aws.iam("list-access-keys", "--user-name", "Ann")["AccessKeyMetadata"]], [first, second])
    asked = ("get-access-key-last-used", "--access-key-id", first)
    expect(aws.iam(*asked), {"UserName": "Ann", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}})
    ann = Iam(aws.server, aws.region, "ann", next(
        (key["AccessKeyId"], key["SecretAccessKey"]) for key in keys if key["AccessKeyId"] == first))
    expect(ann.sts("get-caller-identity"),
           {"UserId": made["User"]["UserId"], "Account": ACCOUNT, "Arn": user_arn("staff/Ann")})
    expect(aws.iam(*asked), {"UserName": "Ann", "AccessKeyLastUsed": {
        "LastUsedDate": TIME, "ServiceName": "sts", "Region": "us-east-1"}})
    expect(aws.sts("get-access-key-info", "--access-key-id", first), {"Account": ACCOUNT})
    status = ("update-access-key", "--user-name", "Ann", "--access-key-id", first, "--status")
    aws.iam(*status, "Inactive")
    expect(ann.fails("sts", "get-caller-identity")[0], "InvalidClientTokenId")
    aws.iam(*status, "Active")
    ann.sts("get-caller-identity")

    aws.iam("put-user-policy", "--user-name", "Ann", "--policy-name", "keys",
            "--policy-document", json.dumps(allow("kms:ListKeys")))
    expect(aws.iam("get-user-policy", "--user-name", "Ann", "--policy-name", "keys"),
           {"UserName": "Ann", "PolicyName": "keys", "PolicyDocument": allow("kms:ListKeys")})
    expect(aws.iam("list-user-policies", "--user-name", "Ann"), {"PolicyNames": ["keys"]})
    ann("kms", "list-keys")
    expect(ann.may_not("kms", "list-aliases"), unauthorized(user_arn("staff/Ann"), "kms:ListAliases", "*"))
    expect(aws.fails("iam", "put-user-policy", "--user-name", "Ann", "--policy-name", "bad",
                     "--policy-document", "{}")[0], "MalformedPolicyDocument")
    aws.iam("update-user", "--user-name", "Ann", "--new-user-name", "Anna", "--new-path", "/")
    expect(ann.sts("get-caller-identity")["Arn"], user_arn("Anna"))

    delete = ("iam", "delete-user", "--user-name", "Anna")
    expect(aws.fails(*delete), ("DeleteConflict", "DeleteUser",
                                "Cannot delete entity, must delete access keys first."))
    for key in (first, second):
        aws.iam("delete-access-key", "--user-name", "Anna", "--access-key-id", key)
    expect(ann.fails("kms", "list-keys")[0], "UnrecognizedClientException")
    expect(aws.fails(*delete)[0::2], ("DeleteConflict", "Cannot delete entity, must delete policies first."))
    aws.iam("delete-user-policy", "--user-name", "Anna", "--policy-name", "keys")
    aws(*delete)
    expect(aws.fails("iam", "get-user", "--user-name", "Anna"),
           ("NoSuchEntity", "GetUser", "The user with name Anna cannot be found."))


def test_groups(aws):
    made = aws.iam("create-group", "--group-name", "Ops", "--path", "/g/")["Group"]
    expect(made, {"Path": "/g/", "GroupName": "Ops", "GroupId": Like("AGPA[A-Z2-7]{17}"),
                  "Arn": f"arn:aws:iam::{ACCOUNT}:group/g/Ops", "CreateDate": TIME})
    bob = aws.as_user("bob")
    bob.may_not("kms", "list-keys")
    aws.iam("put-group-policy", "--group-name", "Ops", "--policy-name", "p",
            "--policy-document", json.dumps(allow("kms:ListKeys")))
    aws.iam("add-user-to-group", "--group-name", "Ops", "--user-name", "bob")
    bob("kms", "list-keys")
    expect(aws.iam("list-groups-for-user", "--user-name", "bob"), {"Groups": [made]})
    found = aws.iam("get-group", "--group-name", "ops")
    expect((found["Group"], [user["UserName"] for user in found["Users"]]), (made, ["bob"]))
    delete = ("iam", "delete-group", "--group-name", "Ops")
    expect(aws.fails(*delete)[0], "DeleteConflict")
    aws.iam("remove-user-from-group", "--group-name", "Ops", "--user-name", "bob")
    bob.may_not("kms", "list-keys")
    expect(aws.fails(*delete)[0], "DeleteConflict")
    expect(aws.iam("list-group-policies", "--group-name", "Ops"), {"PolicyNames": ["p"]})
    expect(aws.iam("get-group-policy", "--group-name", "Ops", "--policy-name", "p")["PolicyDocument"],
           allow("kms:ListKeys"))
    aws.iam("delete-group-policy", "--group-name", "Ops", "--policy-name", "p")
    aws.iam("update-group", "--group-name", "Ops", "--new-group-name", "Old")
    aws.iam("delete-group", "--group-name", "Old")
    expect(aws.fails("iam", "get-group", "--group-name", "Old")[0], "NoSuchEntity")


def test_policies_and_their_versions(aws):
    made = aws.iam("create-policy", "--policy-name", "Reader", "--path", "/p/", "--description", "reads",
                   "--policy-document", json.dumps(allow("kms:ListKeys")),
                   "--tags", "Key=a,Value=b")["Policy"]
    arn = f"arn:aws:iam::{ACCOUNT}:policy/p/Reader"
    expect(made, {"PolicyName": "Reader", "PolicyId": Like("ANPA[A-Z2-7]{17}"), "Arn": arn, "Path": "/p/",
                  "DefaultVersionId": "v1", "AttachmentCount": 0, "PermissionsBoundaryUsageCount": 0,
                  "IsAttachable": True, "Description": "reads", "CreateDate": TIME, "UpdateDate": TIME,
                  "Tags": [{"Key": "a", "Value": "b"}]})
    cat = aws.as_user("cat")
    aws.iam("attach-user-policy", "--user-name", "cat", "--policy-arn", arn)
    cat("kms", "list-keys")
    cat.may_not("kms", "list-aliases")
    version = ("create-policy-version", "--policy-arn", arn, "--policy-document")
    second = aws.iam(*version, json.dumps(allow("kms:ListAliases")))["PolicyVersion"]
    expect(second, {"VersionId": "v2", "IsDefaultVersion": False, "CreateDate": TIME})
    cat("kms", "list-keys")
    aws.iam("set-default-policy-version", "--policy-arn", arn, "--version-id", "v2")
    cat("kms", "list-aliases")
    cat.may_not("kms", "list-keys")
    for number in (3, 4, 5):
        aws.iam(*version, json.dumps(allow(f"kms:Describe{number}")), "--set-as-default")
    cat.may_not("kms", "list-aliases")
    expect(aws.fails("iam", *version, json.dumps(allow("kms:*")))[0], "LimitExceeded")
    expect([v["VersionId"] for v in aws.iam("list-policy-versions", "--policy-arn", arn)["Versions"]],
           ["v5", "v4", "v3", "v2", "v1"])
    expect(aws.iam("get-policy-version", "--policy-arn", arn, "--version-id", "v2")["PolicyVersion"],
           second | {"IsDefaultVersion": False, "Document": allow("kms:ListAliases")})
    expect(aws.fails("iam", "delete-policy-version", "--policy-arn", arn, "--version-id", "v5")[0::2],
           ("DeleteConflict", "Cannot delete the default version of a policy."))
    found = aws.iam("get-policy", "--policy-arn", arn)["Policy"]
    expect((found["AttachmentCount"], found["DefaultVersionId"], found["Description"]), (1, "v5", "reads"))
    expect([p["PolicyName"] for p in aws.iam("list-policies", "--scope", "Local", "--path-prefix", "/p/")["Policies"]],
           ["Reader"])
    assert ADMINISTRATOR in [p["Arn"] for p in aws.iam("list-policies", "--scope", "AWS")["Policies"]]
    expect(aws.iam("list-entities-for-policy", "--policy-arn", arn)["PolicyUsers"],
           [{"UserName": "cat", "UserId": Like("AIDA.*")}])
    expect(aws.iam("list-attached-user-policies", "--user-name", "cat"),
           {"AttachedPolicies": [{"PolicyName": "Reader", "PolicyArn": arn}]})
    aws.iam("tag-policy", "--policy-arn", arn, "--tags", "Key=c,Value=d")
    aws.iam("untag-policy", "--policy-arn", arn, "--tag-keys", "a")
    expect(aws.iam("list-policy-tags", "--policy-arn", arn)["Tags"], [{"Key": "c", "Value": "d"}])
    told = aws.iam("get-context-keys-for-custom-policy", "--policy-input-list", json.dumps(
        allow("kms:*", Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:username}"}})))
    expect(sorted(told["ContextKeyNames"]), ["aws:PrincipalTag/a", "aws:username"])

    delete = ("iam", "delete-policy", "--policy-arn", arn)
    expect(aws.fails(*delete)[0::2], ("DeleteConflict", "Cannot delete a policy attached to entities."))
    aws.iam("detach-user-policy", "--user-name", "cat", "--policy-arn", arn)
    expect(aws.fails(*delete)[0], "DeleteConflict")
    for number in (1, 2, 3, 4):
        aws.iam("delete-policy-version", "--policy-arn", arn, "--version-id", f"v{number}")
    aws(*delete)
    expect(aws.fails("iam", "get-policy", "--policy-arn", arn)[0], "NoSuchEntity")
    code, _, message = aws.fails("iam", "attach-user-policy", "--user-name", "cat", "--policy-arn", arn)
    expect((code, message), ("NoSuchEntity", f"Policy {arn} does not exist or is not attachable."))


def test_a_boundary(aws):
    limit = aws.iam("create-policy", "--policy-name", "Limit",
                    "--policy-document", json.dumps(allow("kms:ListKeys", "sts:*")))["Policy"]["Arn"]
    aws.iam("create-user", "--user-name", "dan", "--permissions-boundary", limit)
    aws.iam("attach-user-policy", "--user-name", "dan", "--policy-arn", ADMINISTRATOR)
    key = aws.iam("create-access-key", "--user-name", "dan")["AccessKey"]
    dan = Iam(aws.server, aws.region, "dan", (key["AccessKeyId"], key["SecretAccessKey"]))
    dan("kms", "list-keys")
    message = dan.may_not("kms", "list-aliases")
    assert message.endswith("because no permissions boundary allows the kms:ListAliases action"), message
    expect(aws.iam("get-user", "--user-name", "dan")["User"]["PermissionsBoundary"],
           {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": limit})
    expect(aws.fails("iam", "delete-policy", "--policy-arn", limit)[0], "DeleteConflict")
    aws.iam("delete-user-permissions-boundary", "--user-name", "dan")
    dan("kms", "list-aliases")
    aws.iam("put-user-permissions-boundary", "--user-name", "dan", "--permissions-boundary", limit)
    dan.may_not("kms", "list-aliases")
    arn = aws.role("bounded", trust({"AWS": user_arn("dan")}), allow("kms:*"),
                   "--permissions-boundary", limit)
    session = dan.as_session(dan.assume(arn, "s1")["Credentials"])
    session("kms", "list-keys")
    session.may_not("kms", "list-aliases")
    aws.iam("delete-role-permissions-boundary", "--role-name", "bounded")
    session("kms", "list-aliases")
    aws.iam("put-role-permissions-boundary", "--role-name", "bounded", "--permissions-boundary", limit)
    session.may_not("kms", "list-aliases")


def test_roles_and_sessions(aws):
    eve = aws.as_user("eve", allow("sts:*"))
    arn = aws.role("deploy", trust({"AWS": user_arn("eve")}, "sts:AssumeRole", "sts:TagSession",
                                   "sts:SetSourceIdentity",
                                   condition={"StringEquals": {"sts:ExternalId": "agreed"}}),
                   allow("kms:ListKeys", "kms:ListAliases", "sts:*"),
                   "--max-session-duration", "7200", "--description", "of the pipeline", "--path", "/ci/")
    expect(arn, f"arn:aws:iam::{ACCOUNT}:role/ci/deploy")
    refused = f"User: {user_arn('eve')} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    for words in ((), ("--external-id", "guessed")):
        expect(eve.fails("sts", "assume-role", "--role-arn", arn, "--role-session-name", "s0", *words),
               ("AccessDenied", "AssumeRole", refused))
    made = eve.assume(arn, "s1", "--external-id", "agreed", "--duration-seconds", "7200",
                      "--policy", json.dumps(allow("kms:ListKeys", "sts:*")),
                      "--tags", "Key=cost,Value=7", "Key=team,Value=red", "--transitive-tag-keys", "cost",
                      "--source-identity", "eve@example.com")
    session_arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/s1"
    expect(made["AssumedRoleUser"], {"AssumedRoleId": Like("AROA[A-Z2-7]{17}:s1"), "Arn": session_arn})
    expect((made["SourceIdentity"], made["Credentials"]["Expiration"]), ("eve@example.com", TIME))
    expect(made["Credentials"]["AccessKeyId"], Like("ASIA[A-Z2-7]{16}"))
    session = eve.as_session(made["Credentials"])
    expect(session.sts("get-caller-identity"), {
        "UserId": made["AssumedRoleUser"]["AssumedRoleId"], "Account": ACCOUNT, "Arn": session_arn})
    session("kms", "list-keys")
    message = session.may_not("kms", "list-aliases")
    assert message.endswith("because no session policy allows the kms:ListAliases action"), message
    expect(session.fails("iam", "list-users")[0], "AccessDenied")
    # With an id changed, with a token changed, with the token of another.
    broken = made["Credentials"] | {"SessionToken": made["Credentials"]["SessionToken"][:-8] + "AAAAAAA="}
    expect(eve.as_session(broken).fails("sts", "get-caller-identity")[0], "InvalidClientTokenId")

    # Chained: the transitive tag and the source identity go on, the other tag does not.
    second = aws.role("second", trust(
        {"AWS": arn}, "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity",
        condition={"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "eve@example.com"}}),
        allow("kms:ListKeys", Condition={"StringEquals": {
            "aws:PrincipalTag/cost": "7", "aws:SourceIdentity": "eve@example.com"}}))
    chained = session.as_session(session.assume(second, "s2")["Credentials"])
    chained("kms", "list-keys")
    expect(session.fails("sts", "assume-role", "--role-arn", second, "--role-session-name", "s0",
                         "--duration-seconds", "3601")[0], "ValidationError")
    expect(session.fails("sts", "assume-role", "--role-arn", second, "--role-session-name", "s0",
                         "--source-identity", "mallory")[0], "AccessDenied")
    expect(session.fails("sts", "assume-role", "--role-arn", second, "--role-session-name", "s0",
                         "--tags", "Key=COST,Value=8")[0], "InvalidParameterValue")
    expect(session.fails("sts", "get-session-token")[0], "AccessDenied")
    expect(eve.fails("sts", "assume-role", "--role-arn", arn, "--role-session-name", "s0",
                     "--external-id", "agreed", "--duration-seconds", "7201")[0], "ValidationError")

    # What is decided in the role holds for the sessions there are.
    aws.iam("put-role-policy", "--role-name", "second", "--policy-name", "no", "--policy-document", json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Sid": "Stop", "Effect": "Deny", "Action": "*", "Resource": "*"}]}))
    message = chained.may_not("kms", "list-keys")
    assert "with an explicit deny in an identity-based policy" in message, message
    aws.iam("delete-role-policy", "--role-name", "second", "--policy-name", "no")
    chained("kms", "list-keys")
    aws.iam("update-role", "--role-name", "deploy", "--description", "new", "--max-session-duration", "3600")
    aws.iam("tag-role", "--role-name", "deploy", "--tags", "Key=a,Value=b")
    found = aws.iam("get-role", "--role-name", "deploy")["Role"]
    expect((found["Description"], found["MaxSessionDuration"], found["Tags"]),
           ("new", 3600, [{"Key": "a", "Value": "b"}]))
    expect([role["RoleName"] for role in aws.iam("list-roles", "--path-prefix", "/ci/")["Roles"]], ["deploy"])
    expect(aws.iam("list-instance-profiles-for-role", "--role-name", "deploy"), {"InstanceProfiles": []})
    expect(aws.fails("iam", "update-assume-role-policy", "--role-name", "deploy", "--policy-document",
                     json.dumps(trust({"AWS": user_arn("nobody")})))[0], "MalformedPolicyDocument")

    delete = ("iam", "delete-role", "--role-name", "second")
    expect(aws.fails(*delete)[0::2], ("DeleteConflict", "Cannot delete entity, must delete policies first."))
    aws.iam("attach-role-policy", "--role-name", "second", "--policy-arn", ADMINISTRATOR)
    expect(aws.iam("list-attached-role-policies", "--role-name", "second")["AttachedPolicies"],
           [{"PolicyName": "AdministratorAccess", "PolicyArn": ADMINISTRATOR}])
    aws.iam("delete-role-policy", "--role-name", "second", "--policy-name", "p")
    expect(aws.fails(*delete)[0::2], ("DeleteConflict", "Cannot delete entity, must detach all policies first."))
    aws.iam("detach-role-policy", "--role-name", "second", "--policy-arn", ADMINISTRATOR)
    aws(*delete)
    expect(chained.fails("sts", "get-caller-identity")[0], "InvalidClientTokenId")
    session.sts("get-caller-identity")
    # The key that all of it began with.
    aws.iam("update-access-key", "--user-name", "eve", "--access-key-id", eve.env["AWS_ACCESS_KEY_ID"], "--status", "Inactive")
    expect(session.fails("sts", "get-caller-identity")[0], "InvalidClientTokenId")


def test_mfa(aws):
    seed_file = aws.directory / "seed"
    made = aws.iam("create-virtual-mfa-device", "--virtual-mfa-device-name", "phone",
                   "--outfile", seed_file, "--bootstrap-method", "Base32StringSeed")
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/phone"
    expect(made, {"VirtualMFADevice": {"SerialNumber": serial}})
    device = Device(seed_file.read_text())
    when = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    fay = aws.as_user("fay", {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*", "Condition": when},
        {"Effect": "Allow", "Action": "kms:ListAliases", "Resource": "*",
         "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "600"}}},
        {"Effect": "Allow", "Action": ["sts:AssumeRole", "iam:ListMFADevices"], "Resource": "*"}]})
    enable = ("enable-mfa-device", "--user-name", "fay", "--serial-number", serial)
    expect(aws.fails("iam", *enable, "--authentication-code1", "000000", "--authentication-code2", "000001")[0],
           "InvalidAuthenticationCode")
    aws.iam(*enable, "--authentication-code1", device.code(), "--authentication-code2", device.code())
    expect(aws.iam("list-mfa-devices", "--user-name", "fay")["MFADevices"],
           [{"UserName": "fay", "SerialNumber": serial, "EnableDate": TIME}])
    arn = aws.role("guarded", trust({"AWS": user_arn("fay")}, condition=when), allow("kms:ListAliases"))
    fay.may_not("kms", "list-keys")
    fay.may_not("sts", "assume-role", "--role-arn", arn, "--role-session-name", "s0")
    code, proof = device.code(), ("--serial-number", serial, "--token-code")
    session = fay.as_session(fay.sts("get-session-token", *proof, code)["Credentials"])
    session("kms", "list-keys")
    session("kms", "list-aliases")
    expect(session.iam("list-mfa-devices")["MFADevices"][0]["SerialNumber"], serial)
    # Used once, it is used up; without one, the session says that there was none.
    expect(fay.fails("sts", "get-session-token", *proof, code)[0], "AccessDenied")
    expect(fay.fails("sts", "get-session-token", "--serial-number", serial)[0], "ValidationError")
    plain = fay.as_session(fay.sts("get-session-token")["Credentials"])
    plain.may_not("kms", "list-keys")
    expect(plain.fails("iam", "list-mfa-devices")[0], "InvalidClientTokenId")
    fay.as_session(session.assume(arn, "s0")["Credentials"])("kms", "list-aliases")
    fay.as_session(fay.assume(arn, "s0", *proof, device.code())["Credentials"])("kms", "list-aliases")
    expect([d["SerialNumber"] for d in aws.iam("list-virtual-mfa-devices", "--assignment-status", "Assigned")
            ["VirtualMFADevices"]], [serial])
    expect(aws.fails("iam", "delete-virtual-mfa-device", "--serial-number", serial)[0], "DeleteConflict")
    aws.iam("deactivate-mfa-device", "--user-name", "fay", "--serial-number", serial)
    aws.iam("delete-virtual-mfa-device", "--serial-number", serial)


def test_a_web_identity(aws):
    issuer, provider = aws.server.issuer, f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}/cluster"
    token = issuer.token()
    arn_of = lambda name: f"arn:aws:iam::{ACCOUNT}:role/{name}"
    ask = lambda token: ("sts", "assume-role-with-web-identity", "--role-arn", arn_of("pod"),
                         "--role-session-name", "pod-1", "--web-identity-token", token)
    # Unsigned, so with no credentials at all.
    nobody = Iam(aws.server, aws.region, "nobody")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del nobody.env[name]
    expect(nobody.fails(*ask(token))[0], "InvalidIdentityToken")
    made = aws.iam("create-open-id-connect-provider", "--url", f"https://{HOST}/cluster",
                   "--client-id-list", AUDIENCE, "--thumbprint-list", "0" * 40)
    expect(made, {"OpenIDConnectProviderArn": provider})
    aws.role("pod", trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", condition={
        "StringEquals": {f"{HOST}/cluster:sub": SUBJECT, f"{HOST}/cluster:aud": AUDIENCE}}),
        allow("kms:ListKeys"))
    answer = nobody(*ask(token))
    expect({name: answer[name] for name in ("SubjectFromWebIdentityToken", "Provider", "Audience")},
           {"SubjectFromWebIdentityToken": SUBJECT, "Provider": provider, "Audience": AUDIENCE})
    session = aws.as_session(answer["Credentials"])
    expect(session.sts("get-caller-identity")["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/pod/pod-1")
    session("kms", "list-keys")
    session.may_not("kms", "list-aliases")
    assert "/cluster/.well-known/openid-configuration" in issuer.asked and "/cluster/keys" in issuer.asked
    asked = len(issuer.asked)
    now = int(time.time())
    other = Issuer(aws.directory).key
    for bad, code in (
        (issuer.token(sub="system:serviceaccount:shop:else"), "AccessDenied"),
        (issuer.token(aud=["else"]), "InvalidIdentityToken"),
        (issuer.token(exp=now - 1), "ExpiredTokenException"),
        (issuer.token(iss="https://elsewhere.example.com"), "InvalidIdentityToken"),
        (issuer.token(key=other), "InvalidIdentityToken"),
        (token[:-6] + "AAAAAA", "InvalidIdentityToken"),
        ("not.a.token", "InvalidIdentityToken"),
    ):
        expect(nobody.fails(*ask(bad))[0], code)
    # Its keys were kept.
    expect(len(issuer.asked), asked)
    found = aws.iam("get-open-id-connect-provider", "--open-id-connect-provider-arn", provider)
    expect((found["Url"], found["ClientIDList"], found["ThumbprintList"]),
           (f"{HOST}/cluster", [AUDIENCE], ["0" * 40]))
    named = ("--open-id-connect-provider-arn", provider)
    aws.iam("add-client-id-to-open-id-connect-provider", *named, "--client-id", "more")
    aws.iam("remove-client-id-from-open-id-connect-provider", *named, "--client-id", AUDIENCE)
    expect(nobody.fails(*ask(issuer.token()))[0], "InvalidIdentityToken")
    aws.iam("update-open-id-connect-provider-thumbprint", *named, "--thumbprint-list", "1" * 40)
    expect(aws.iam("list-open-id-connect-providers")["OpenIDConnectProviderList"], [{"Arn": provider}])
    aws.iam("delete-open-id-connect-provider", *named)
    aws.iam("delete-role-policy", "--role-name", "pod", "--policy-name", "p")
    aws.iam("delete-role", "--role-name", "pod")
    expect(session.fails("sts", "get-caller-identity")[0], "InvalidClientTokenId")


def test_federated_users(aws):
    gil = aws.as_user("gil", allow("sts:GetFederationToken", "sts:TagSession", "kms:ListKeys", "kms:ListAliases"))
    made = gil.sts("get-federation-token", "--name", "guest", "--policy", json.dumps(allow("kms:ListKeys", "s3:*")),
                   "--tags", "Key=a,Value=b", "--duration-seconds", "900")
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/guest"
    expect(made["FederatedUser"], {"FederatedUserId": f"{ACCOUNT}:guest", "Arn": arn})
    guest = gil.as_session(made["Credentials"])
    expect(guest.sts("get-caller-identity")["Arn"], arn)
    guest("kms", "list-keys")
    guest.may_not("kms", "list-aliases")
    for words in (("iam", "get-user"), ("iam", "list-users")):
        expect(guest.fails(*words)[0], "InvalidClientTokenId")
    expect(guest.fails("sts", "get-session-token")[0], "AccessDenied")
    without = gil.as_session(gil.sts("get-federation-token", "--name", "guest")["Credentials"])
    without.may_not("kms", "list-keys")
    aws.iam("put-user-policy", "--user-name", "gil", "--policy-name", "p", "--policy-document", json.dumps(allow("s3:*")))
    guest.may_not("kms", "list-keys")


def test_messages_of_refusals(aws):
    key = aws.key()
    hal = aws.as_user("hal", allow("kms:Encrypt"))
    done = hal.run(("--debug", "kms", "describe-key", "--key-id", key))
    assert done.returncode != 0
    told = re.search(rf"'{HEADER}': '([A-Za-z0-9+/=]+)'", done.stderr, re.IGNORECASE)
    assert told, done.stderr[-4000:]
    decode = ("sts", "decode-authorization-message", "--encoded-message", told[1])
    hal.may_not(*decode)
    message = json.loads(aws(*decode)["DecodedMessage"])
    expect((message["allowed"], message["explicitDeny"]), (False, False))
    context = message["context"]
    expect((context["action"], context["resource"], context["principal"]["arn"]),
           ("kms:DescribeKey", aws.arn(f"key/{key}"), user_arn("hal")))
    expect(aws.fails(*decode[:-1], told[1][:-8] + "AAAAAAA=")[0], "InvalidAuthorizationMessageException")


def test_passwords(aws):
    ida = aws.as_user("ida", allow("iam:ChangePassword"))
    create = ("create-login-profile", "--user-name", "ida", "--password")
    expect(aws.fails("iam", *create, "short")[0], "PasswordPolicyViolation")
    made = aws.iam(*create, "Correct-horse-1", "--password-reset-required")["LoginProfile"]
    expect(made, {"UserName": "ida", "CreateDate": TIME, "PasswordResetRequired": True})
    expect(aws.iam("get-login-profile", "--user-name", "ida")["LoginProfile"], made)
    expect(aws.fails("iam", *create, "Correct-horse-2")[0], "EntityAlreadyExists")
    change = ("iam", "change-password", "--old-password")
    expect(ida.fails(*change, "wrong", "--new-password", "Battery-staple-2")[0], "AccessDenied")
    ida(*change, "Correct-horse-1", "--new-password", "Battery-staple-2")
    aws.iam("update-login-profile", "--user-name", "ida", "--no-password-reset-required")
    expect(aws.iam("get-login-profile", "--user-name", "ida")["LoginProfile"]["PasswordResetRequired"], False)
    expect(aws.fails("iam", "delete-user", "--user-name", "ida")[0], "DeleteConflict")
    aws.iam("delete-login-profile", "--user-name", "ida")
    expect(aws.fails("iam", "get-login-profile", "--user-name", "ida")[0], "NoSuchEntity")


def test_the_account(aws):
    expect(aws.iam("list-account-aliases"), {"AccountAliases": []})
    aws.iam("create-account-alias", "--account-alias", "claviger-test")
    expect(aws.iam("list-account-aliases"), {"AccountAliases": ["claviger-test"]})
    aws.iam("create-account-alias", "--account-alias", "renamed-test")
    expect(aws.iam("list-account-aliases"), {"AccountAliases": ["renamed-test"]})
    expect(aws.fails("iam", "delete-account-alias", "--account-alias", "claviger-test")[0], "NoSuchEntity")
    aws.iam("delete-account-alias", "--account-alias", "renamed-test")

    before = aws.iam("get-account-summary")["SummaryMap"]
    expect((before["AccessKeysPerUserQuota"], before["PolicySizeQuota"], before["VersionsPerPolicyQuota"]),
           (2, 6144, 5))
    assert before["Users"] >= 1, before
    group = "details"
    aws.iam("create-group", "--group-name", group)
    jan = aws.as_user("jan", allow("kms:ListKeys"))
    aws.iam("add-user-to-group", "--group-name", group, "--user-name", "jan")
    arn = aws.iam("create-policy", "--policy-name", "details",
                  "--policy-document", json.dumps(allow("kms:ListAliases")))["Policy"]["Arn"]
    aws.iam("attach-group-policy", "--group-name", group, "--policy-arn", arn)
    aws.role("details", trust({"AWS": user_arn("jan")}), allow("kms:*"))
    jan("kms", "list-aliases")
    details = aws.iam("get-account-authorization-details", "--filter", "User", "Group", "Role", "LocalManagedPolicy")
    find = lambda list, name, value: next(item for item in details[list] if item[name] == value)
    user = find("UserDetailList", "UserName", "jan")
    expect((user["GroupList"], user["UserPolicyList"]),
           ([group], [{"PolicyName": "p", "PolicyDocument": allow("kms:ListKeys")}]))
    expect(find("GroupDetailList", "GroupName", group)["AttachedManagedPolicies"],
           [{"PolicyName": "details", "PolicyArn": arn}])
    expect(find("RoleDetailList", "RoleName", "details")["AssumeRolePolicyDocument"], trust({"AWS": user_arn("jan")}))
    policy = find("Policies", "Arn", arn)
    expect((policy["AttachmentCount"], policy["PolicyVersionList"][0]["Document"]), (1, allow("kms:ListAliases")))
    # The CLI goes on where the server stopped.
    expect(sorted(user["UserName"] for user in aws.iam(
        "get-account-authorization-details", "--filter", "User", "--page-size", "1")["UserDetailList"])[0], "admin")
    assert "iam:GetAccountSummary" in jan.may_not("iam", "get-account-summary")

    aws.iam("detach-group-policy", "--group-name", group, "--policy-arn", arn)
    jan.may_not("kms", "list-aliases")
    aws.iam("delete-policy", "--policy-arn", arn)
    aws.iam("remove-user-from-group", "--group-name", group, "--user-name", "jan")
    aws.iam("delete-group", "--group-name", group)
