"""boto3 on IAM and STS: paginators, waiters, classes of errors, and botocore's own ways to become a role."""

import json
import pathlib
import sys
import threading
import time

import boto3
import botocore.config
import botocore.exceptions
import botocore.session

import harness
from boto import Boto, plain, refused
from cli import allow
from cli_iam import serve, trust, user_arn
from harness import ACCOUNT, REGIONS, Like, expect
from issuer import AUDIENCE, HOST, ISSUER, SUBJECT

__all__ = ["serve"]
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}/cluster"


def run(results, server):
    prepare = lambda number: Boto(server, REGIONS[number % len(REGIONS)])
    harness.run_all(results, sys.modules[__name__], prepare, threads=1)


def role(iam, name, trusted, policy, **more):
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trusted), **more)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    return arn


def user(iam, name, policy):
    """A new user; answers its access key."""
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    return iam.create_access_key(UserName=name)["AccessKey"]


def test_every_paginator(boto):
    iam = boto.client("iam")
    document = json.dumps(allow("kms:ListKeys"))
    tags = [{"Key": f"k{n}", "Value": str(n)} for n in range(3)]
    arns = []
    for n in range(3):
        iam.create_user(UserName=f"u{n}", Tags=tags)
        iam.create_group(GroupName=f"g{n}")
        iam.create_role(RoleName=f"r{n}", AssumeRolePolicyDocument=json.dumps(trust({"AWS": ACCOUNT})), Tags=tags)
        arns.append(iam.create_policy(PolicyName=f"m{n}", PolicyDocument=document, Tags=tags)["Policy"]["Arn"])
        iam.create_virtual_mfa_device(VirtualMFADeviceName=f"d{n}")
    for n in range(3):
        iam.add_user_to_group(GroupName="g0", UserName=f"u{n}")
        iam.create_policy_version(PolicyArn=arns[0], PolicyDocument=document)
        for kind, name in (("user", "u0"), ("group", "g0"), ("role", "r0")):
            whom = {f"{kind.title()}Name": name}
            getattr(iam, f"put_{kind}_policy")(PolicyName=f"p{n}", PolicyDocument=document, **whom)
            getattr(iam, f"attach_{kind}_policy")(PolicyArn=arns[n], **whom)
    for name in ("g1", "g2"):
        iam.add_user_to_group(GroupName=name, UserName="u0")
    for name in ("u1", "u2"):
        iam.attach_user_policy(UserName=name, PolicyArn=arns[0])
    for _ in range(2):
        iam.create_access_key(UserName="u0")

    u, g, r, p = {"UserName": "u0"}, {"GroupName": "g0"}, {"RoleName": "r0"}, {"PolicyArn": arns[0]}
    # What is listed, and how much of it there is at least.
    lists = {
        "list_users": ({}, 4), "list_groups": ({}, 3), "list_roles": ({}, 3),
        "list_policies": ({"Scope": "Local"}, 3), "list_account_aliases": ({}, 0),
        "list_virtual_mfa_devices": ({}, 3), "list_mfa_devices": (u, 0), "list_access_keys": (u, 2),
        "list_user_policies": (u, 3), "list_group_policies": (g, 3), "list_role_policies": (r, 3),
        "list_attached_user_policies": (u, 3), "list_attached_group_policies": (g, 3),
        "list_attached_role_policies": (r, 3), "list_groups_for_user": (u, 3), "get_group": (g, 3),
        "list_policy_versions": (p, 4), "list_entities_for_policy": (p, 5),
        "list_instance_profiles_for_role": (r, 0), "get_account_authorization_details": ({}, 10),
        "list_user_tags": (u, 3), "list_role_tags": (r, 3), "list_policy_tags": (p, 3),
    }
    for name, (arguments, least) in lists.items():
        if not iam.can_paginate(name):
            # Told by botocore's model; then the members are there to be used by hand.
            marker, count = {}, 0
            while True:
                page = getattr(iam, name)(MaxItems=1, **arguments, **marker)
                count += len(page["Tags"])
                if not page["IsTruncated"]:
                    break
                marker = {"Marker": page["Marker"]}
            assert count >= least, (name, count)
            continue
        paginator = iam.get_paginator(name)
        whole = list(paginator.paginate(**arguments, PaginationConfig={"PageSize": 1000}))
        parts = list(paginator.paginate(**arguments, PaginationConfig={"PageSize": 1}))
        members = [key.parsed["value"] for key in paginator.result_keys]
        collect = lambda pages, member: [item for page in pages for item in page.get(member, [])]
        count = 0
        for member in members:
            found = collect(parts, member)
            expect(found, collect(whole, member))
            count += len(found)
        assert count >= least, (name, count)
        assert len(parts) >= least, (name, len(parts))
        assert all(sum(len(page.get(m, [])) for m in members) <= 1 for page in parts), name
    # A marker is of its list, and of whose it is.
    marker = iam.list_user_policies(MaxItems=1, **u)["Marker"]
    for call, arguments in ((iam.list_users, {}), (iam.list_group_policies, g),
                            (iam.list_user_policies, {"UserName": "u1"})):
        expect(refused(botocore.exceptions.ClientError, call, Marker=marker, **arguments)[0], "ValidationError")


def test_waiters(boto):
    iam = boto.client("iam")
    policy = f"arn:aws:iam::{ACCOUNT}:policy/awaited"
    late = {
        "user_exists": ({"UserName": "awaited"}, lambda: iam.create_user(UserName="awaited")),
        "role_exists": ({"RoleName": "awaited"}, lambda: iam.create_role(
            RoleName="awaited", AssumeRolePolicyDocument=json.dumps(trust({"AWS": ACCOUNT})))),
        "policy_exists": ({"PolicyArn": policy}, lambda: iam.create_policy(
            PolicyName="awaited", PolicyDocument=json.dumps(allow("kms:ListKeys")))),
    }
    for name, (arguments, make) in late.items():
        waiter = iam.get_waiter(name)
        try:
            waiter.wait(**arguments, WaiterConfig={"Delay": 0, "MaxAttempts": 2})
        except botocore.exceptions.WaiterError:
            pass
        else:
            raise AssertionError(f"{name}: there is none yet")
        timer = threading.Timer(0.5, make)
        timer.start()
        began = time.monotonic()
        waiter.wait(**arguments)
        assert time.monotonic() - began > 0.4, name
        timer.join()


def test_classes_of_errors(boto):
    iam, sts = boto.client("iam"), boto.client("sts")
    errors = iam.exceptions
    iam.create_user(UserName="errors")
    iam.create_access_key(UserName="errors")
    document = json.dumps(allow("kms:ListKeys"))
    policy = iam.create_policy(PolicyName="errors", PolicyDocument=document)["Policy"]["Arn"]
    nobody = json.dumps(trust({"AWS": user_arn("nobody")}))
    cases = [
        (errors.NoSuchEntityException, iam.get_user, {"UserName": "none"}, ("NoSuchEntity", 404)),
        (errors.EntityAlreadyExistsException, iam.create_user, {"UserName": "ERRORS"}, ("EntityAlreadyExists", 409)),
        (errors.DeleteConflictException, iam.delete_user, {"UserName": "errors"}, ("DeleteConflict", 409)),
        (errors.MalformedPolicyDocumentException, iam.put_user_policy,
         {"UserName": "errors", "PolicyName": "p", "PolicyDocument": "{}"}, ("MalformedPolicyDocument", 400)),
        (errors.MalformedPolicyDocumentException, iam.create_role,
         {"RoleName": "errors", "AssumeRolePolicyDocument": nobody}, ("MalformedPolicyDocument", 400)),
        (errors.InvalidInputException, iam.get_policy, {"PolicyArn": "arn:aws:iam::aws:user/none"}, None),
        (errors.DeleteConflictException, iam.delete_policy_version, {"PolicyArn": policy, "VersionId": "v1"},
         ("DeleteConflict", 409)),
        (errors.PasswordPolicyViolationException, iam.create_login_profile,
         {"UserName": "errors", "Password": "short"}, ("PasswordPolicyViolation", 400)),
        (sts.exceptions.MalformedPolicyDocumentException, sts.get_federation_token,
         {"Name": "guest", "Policy": "{}"}, ("MalformedPolicyDocument", 400)),
        (sts.exceptions.InvalidIdentityTokenException, sts.assume_role_with_web_identity,
         {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/none", "RoleSessionName": "s1", "WebIdentityToken": "a.b.c"},
         ("InvalidIdentityToken", 400)),
        (sts.exceptions.PackedPolicyTooLargeException, sts.get_federation_token,
         {"Name": "guest", "Policy": document, "Tags": [{"Key": f"{n}" + "k" * 120, "Value": "v" * 250}
                                                      for n in range(40)]}, ("PackedPolicyTooLarge", 400)),
    ]
    for error, call, arguments, told in cases:
        if told is None:
            # Another kind's ARN: refused, whatever the class.
            refused(botocore.exceptions.ClientError, call, **arguments)
            continue
        expect(refused(error, call, **arguments)[:2], told)
    iam.create_access_key(UserName="errors")
    expect(refused(errors.LimitExceededException, iam.create_access_key, UserName="errors")[:2],
           ("LimitExceeded", 409))


def test_the_resources(boto):
    """boto3's objects, which load and follow what they name."""
    iam = boto3.session.Session(boto.id, boto.secret, region_name=boto.region).resource(
        "iam", endpoint_url=boto.server.endpoint)
    made = iam.create_user(UserName="object", Tags=[{"Key": "a", "Value": "b"}])
    expect((made.arn, made.user_id, made.tags), (user_arn("object"), Like("AIDA.*"), [{"Key": "a", "Value": "b"}]))
    document = allow("kms:ListKeys")
    policy = iam.create_policy(PolicyName="object", PolicyDocument=json.dumps(document))
    made.attach_policy(PolicyArn=policy.arn)
    expect([one.arn for one in made.attached_policies.all()], [policy.arn])
    expect([one.name for one in policy.attached_users.all()], ["object"])
    expect(policy.default_version.document, document)
    # `all` goes over pages.
    expect(len(list(iam.users.page_size(1))), len(list(iam.users.all())))
    group = iam.create_group(GroupName="object")
    group.add_user(UserName="object")
    expect([one.name for one in made.groups.all()], ["object"])
    pair = made.create_access_key_pair()
    pair.deactivate()
    expect([key.status for key in made.access_keys.all()], ["Inactive"])
    pair.delete()
    made.remove_group(GroupName="object")
    made.detach_policy(PolicyArn=policy.arn)
    policy.delete()
    group.delete()
    made.delete()
    assert "object" not in [one.name for one in iam.users.all()]


class Profiles:
    """Files as users have them in ~/.aws, and sessions that read them."""

    def __init__(self, boto, name):
        self.boto = boto
        self.directory = pathlib.Path(boto.server.directory / name)
        self.directory.mkdir()
        self.config = self.directory / "config"
        self.credentials = self.directory / "credentials"
        self.credentials.write_text("")

    def write(self, text):
        place = f"endpoint_url = {self.boto.server.endpoint}\nregion = {self.boto.region}\n"
        # Each profile says where the server is.
        lines = [line + "\n" + place if line.startswith("[profile") else line for line in text.splitlines()]
        self.config.write_text("\n".join(lines) + "\n")

    def session(self, profile):
        core = botocore.session.Session(profile=profile)
        core.set_config_variable("config_file", str(self.config))
        core.set_config_variable("credentials_file", str(self.credentials))
        return boto3.session.Session(botocore_session=core)


def test_profiles_that_assume_roles(boto):
    iam = boto.client("iam")
    key = user(iam, "dev", allow("sts:AssumeRole"))
    first = role(iam, "first", trust({"AWS": user_arn("dev")}, condition={
        "StringEquals": {"sts:ExternalId": "agreed", "sts:RoleSessionName": "laptop"}}),
        allow("kms:ListKeys", "sts:AssumeRole"))
    role(iam, "second", trust({"AWS": first}), allow("kms:ListAliases"))
    profiles = Profiles(boto, "profiles")
    profiles.credentials.write_text(
        f"[dev]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n")
    of = f"arn:aws:iam::{ACCOUNT}:role"
    profiles.write(f"""
[profile dev]
[profile first]
role_arn = {of}/first
source_profile = dev
external_id = agreed
role_session_name = laptop
duration_seconds = 900
[profile second]
role_arn = {of}/second
source_profile = first
[profile guessed]
role_arn = {of}/first
source_profile = dev
external_id = guessed
role_session_name = laptop
[profile unknown]
role_arn = {of}/none
source_profile = dev
""")
    who = lambda session: session.client("sts").get_caller_identity()["Arn"]
    expect(who(profiles.session("dev")), user_arn("dev"))
    session = profiles.session("first")
    expect(who(session), f"arn:aws:sts::{ACCOUNT}:assumed-role/first/laptop")
    expect(session.get_credentials().method, "assume-role")
    plain(session.client("kms").list_keys())
    error = botocore.exceptions.ClientError
    expect(refused(error, session.client("kms").list_aliases)[0], "AccessDeniedException")
    chained = profiles.session("second")
    expect(who(chained), Like(f"arn:aws:sts::{ACCOUNT}:assumed-role/second/botocore-session-[0-9]+"))
    plain(chained.client("kms").list_aliases())
    for profile in ("guessed", "unknown"):
        code, status, _ = refused(error, profiles.session(profile).client("sts").get_caller_identity)
        expect((code, status), ("AccessDenied", 403))
    # What the key may no longer do, the sessions that came of it may no longer do either.
    iam.update_access_key(UserName="dev", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    expect(refused(error, session.client("kms").list_keys)[0], "UnrecognizedClientException")


def test_credentials_are_renewed(boto):
    """botocore asks for new ones before the old ones end."""
    iam = boto.client("iam")
    key = user(iam, "renewer", allow("sts:AssumeRole"))
    role(iam, "renewed", trust({"AWS": user_arn("renewer")}), allow("kms:ListKeys"))
    profiles = Profiles(boto, "renewed")
    profiles.credentials.write_text(
        f"[dev]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n")
    profiles.write(f"[profile dev]\n[profile role]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/renewed\n"
                   "source_profile = dev\nduration_seconds = 900\n")
    session = profiles.session("role")
    kms = session.client("kms")
    kms.list_keys()
    credentials = session.get_credentials()
    old = credentials.get_frozen_credentials()
    # Fifteen minutes are what botocore holds to be almost over: it has asked once, and asks again.
    kms.list_keys()
    new = credentials.get_frozen_credentials()
    assert old.access_key != new.access_key and old.token != new.token
    # The old ones are good until their end.
    expect(boto.client("sts", id=old.access_key, secret=old.secret_key, token=old.token)
           .get_caller_identity()["Arn"], Like(".*:assumed-role/renewed/.*"))
    # Parts of two sessions make none.
    error = botocore.exceptions.ClientError
    mixed = boto.client("sts", id=old.access_key, secret=old.secret_key, token=new.token)
    expect(refused(error, mixed.get_caller_identity)[:2], ("InvalidClientTokenId", 403))
    without = boto.client("sts", id=old.access_key, secret=old.secret_key)
    expect(refused(error, without.get_caller_identity)[:2], ("InvalidClientTokenId", 403))


def test_a_web_identity_token_file(boto):
    iam, issuer = boto.client("iam"), boto.server.issuer
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE], ThumbprintList=["0" * 40])
    role(iam, "pod", trust({"Federated": PROVIDER}, "sts:AssumeRoleWithWebIdentity", condition={
        "StringEquals": {f"{HOST}/cluster:sub": SUBJECT, f"{HOST}/cluster:aud": AUDIENCE}}), allow("kms:ListKeys"))
    profiles = Profiles(boto, "pod")
    token = profiles.directory / "token"
    token.write_text(issuer.token())
    profiles.write(f"[profile pod]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/pod\n"
                   f"web_identity_token_file = {token}\nrole_session_name = pod-7\n")
    session = profiles.session("pod")
    plain(session.client("kms").list_keys())
    expect(session.client("sts").get_caller_identity()["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/pod/pod-7")
    expect(session.get_credentials().method, "assume-role-with-web-identity")
    error = botocore.exceptions.ClientError
    for bad, code in ((issuer.token(sub="system:serviceaccount:shop:else"), "AccessDenied"),
                      (issuer.token(exp=int(time.time()) - 1), "ExpiredTokenException")):
        token.write_text(bad)
        expect(refused(error, profiles.session("pod").client("sts").get_caller_identity)[0], code)
