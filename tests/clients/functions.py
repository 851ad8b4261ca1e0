"""A rotation function of Lambda's, with boto3: run by the server, and behind an endpoint with Lambda's Invoke API."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import boto3
from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

import harness
from harness import ACCOUNT, expect

HERE = pathlib.Path(__file__).resolve().parent
REGION = "us-east-1"
LAMBDA_SERVER = HERE.parent / "it" / "rotation_functions" / "lambda_server.py"
ROTATION_SECONDS = 60
EXCLUDED = "/@\"'\\"


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def package(folder):
    """Puts boto3 beside the function, as a deployment package for Lambda has it: whoever runs functions need not
    get at this venv. Of botocore's descriptions of services only what is used."""
    used = {"secretsmanager", "endpoints.json", "partitions.json", "_retry.json", "sdk-default-configuration.json"}
    unused = lambda path, names: set(names) - used if path.endswith("botocore/data") else set()
    site = pathlib.Path(boto3.__file__).parent.parent
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
        shutil.copytree(site / name, folder / name, ignore=unused)
    shutil.copyfile(site / "six.py", folder / "six.py")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


class Rotating(harness.Deployed):
    """`claviger serve` with the same function twice: in a process of its own, and over HTTP."""

    def __init__(self, program):
        self.program = program
        # Who runs functions is not root, and must get at their files.
        self.open = pathlib.Path(tempfile.mkdtemp(prefix="claviger-functions-"))
        self.open.chmod(0o755)
        package(self.open)
        self.place = self.open / "place"
        self.place.mkdir()
        self.place.chmod(0o777)
        self.function = self.open / "function.py"
        shutil.copyfile(HERE / "rotation_function.py", self.function)
        self.function.chmod(0o644)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        super().__init__(program, self._more)

    def _more(self, directory):
        role = f'role = "arn:aws:iam::{ACCOUNT}:role/rotator"\n'
        user = 'user = "nobody"\n' if os.geteuid() == 0 else ""
        return (
            f'[[function]]\narn = "{arn("local")}"\n{role}{user}python = "{self.function}"\n'
            f'handler = "function.lambda_handler"\n'
            f"[function.environment]\nEXCLUDE_CHARACTERS = '''{EXCLUDED}'''\n"
            f'PASSWORD_FILE = "{self.place}/local"\n'
            f'[[function]]\narn = "{arn("remote")}"\n{role}url = "http://127.0.0.1:{self.port}/rotate"\n'
        )

    def _end(self):
        super()._end()
        shutil.rmtree(self.open, ignore_errors=True)

    def history(self, name):
        words = [self.program, "secret", "rotation", name, "--region", REGION, "--json"]
        words += ["--config", self.directory / "claviger.toml"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=harness.COMMAND_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self, service):
        keys = self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"]
        return boto3.Session(*keys, region_name=REGION).client(service, endpoint_url=self.endpoint)


serve = Rotating


def run(results, server):
    iam = server.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]}
    iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=json.dumps(trust))
    # What AWS gives to its own rotation functions.
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Resource": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:*", "Action": [
            "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        ]},
        {"Effect": "Allow", "Resource": "*", "Action": "secretsmanager:GetRandomPassword"},
    ]}
    iam.put_role_policy(RoleName="rotator", PolicyName="p", PolicyDocument=json.dumps(policy))
    harness.run_all(results, sys.modules[__name__], lambda _: server)


def create(server, name):
    value = {"username": "app", "password": "first", "note": "kept"}
    server.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value))


def rotated(server, name, function):
    """Has a secret rotated by a function; answers the value that it has then."""
    client = server.client("secretsmanager")
    rules = {"ScheduleExpression": "rate(10 days)"}
    asked = client.rotate_secret(SecretId=name, RotationLambdaARN=arn(function), RotationRules=rules)
    deadline = time.monotonic() + ROTATION_SECONDS
    while time.monotonic() < deadline:
        found = client.get_secret_value(SecretId=name)
        described = client.describe_secret(SecretId=name)
        if found["VersionId"] == asked["VersionId"] and "LastRotatedDate" in described:
            stages = {label for labels in described["VersionIdsToStages"].values() for label in labels}
            expect(stages, {"AWSCURRENT", "AWSPREVIOUS"})
            return json.loads(found["SecretString"])
        time.sleep(0.2)
    raise AssertionError(f"it was not rotated in {ROTATION_SECONDS} s: {server.history(name)}")


def check(value, written):
    expect({**value, "password": None}, {"username": "app", "password": None, "note": "kept"})
    assert value["password"] != "first" and not set(value["password"]) & set(EXCLUDED), value
    expect(written.read_text(), value["password"])


def test_boto3_in_a_process_of_its_own(server):
    create(server, "local")
    check(rotated(server, "local", "local"), server.place / "local")
    history = server.history("local")
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        assert f"{step}: done, as local in {REGION}" in history, history
    # What it tells its logger, as it is set up for functions.
    assert re.search(r"\[INFO\]\\t[-0-9T:.]+Z\\tfinishSecret: Successfully set AWSCURRENT", history), history


def test_boto3_over_http(server):
    endpoint = server.place / "endpoint"
    endpoint.write_text(server.endpoint)
    environment = dict(os.environ)
    environment.update(
        AWS_ACCESS_KEY_ID=server.exports["AWS_ACCESS_KEY_ID"],
        AWS_SECRET_ACCESS_KEY=server.exports["AWS_SECRET_ACCESS_KEY"],
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        EXCLUDE_CHARACTERS=EXCLUDED,
        PASSWORD_FILE=str(server.place / "remote"),
    )
    words = [sys.executable, LAMBDA_SERVER, server.function, "/rotate", "", endpoint, str(server.port)]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        expect(process.stdout.readline(), f"{server.port}\n")
        create(server, "remote")
        check(rotated(server, "remote", "remote"), server.place / "remote")
    finally:
        process.kill()
        process.wait()
    assert f"finishSecret: done, as over-http in {REGION}" in server.history("remote")


def test_a_rotation_is_seen_through_the_cache_of_aws(server):
    create(server, "cached")
    settings = SecretCacheConfig(secret_refresh_interval=1)
    cache = SecretCache(config=settings, client=server.client("secretsmanager"))
    password = lambda *stage: json.loads(cache.get_secret_string("cached", *stage))["password"]
    expect((password(), password()), ("first", "first"))
    new = rotated(server, "cached", "local")["password"]
    deadline = time.monotonic() + ROTATION_SECONDS
    while password() != new and time.monotonic() < deadline:
        time.sleep(0.2)
    expect((password(), password("AWSPREVIOUS")), (new, "first"))
    expect(cache.refresh_secret_now("cached"), True)
    expect(password(), new)
