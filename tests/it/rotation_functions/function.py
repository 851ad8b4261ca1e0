"""A rotation function against Lambda's contract, as AWS's templates are, with nothing but Python itself.

The "database" is a file that holds one password. Instead of boto3 it signs its requests by hand; TEST_CLOCK, if there,
says by which clock.
"""

import datetime
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.parse
import urllib.request


class Refused(Exception):
    pass


class SecretsManager:
    """The few calls that rotation takes, with AWS Signature Version 4."""

    def __init__(self):
        self.endpoint = os.environ["SECRETS_MANAGER_ENDPOINT"]
        self.host = urllib.parse.urlsplit(self.endpoint).netloc
        self.region = os.environ["AWS_REGION"]

    def call(self, operation, **members):
        body = json.dumps(members).encode()
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        date = os.environ.get("TEST_CLOCK", now)
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.host,
            "x-amz-date": date,
            "x-amz-target": "secretsmanager." + operation,
        }
        if "AWS_SESSION_TOKEN" in os.environ:
            headers["x-amz-security-token"] = os.environ["AWS_SESSION_TOKEN"]
        names = sorted(headers)
        lines = "".join(f"{name}:{headers[name]}\n" for name in names)
        signed = ";".join(names)
        request = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{date[:8]}/{self.region}/secretsmanager/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={key.hex()}"
        )
        asked = urllib.request.Request(self.endpoint + "/", body, headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            said = json.loads(error.read())
            raise Refused(said["__type"], said.get("Message") or said.get("message")) from None


def value(client, secret, **which):
    return client.call("GetSecretValue", SecretId=secret, **which)["SecretString"]


def lambda_handler(event, context):
    client = SecretsManager()
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    print(step, "of", context.function_name, "as", context.aws_request_id)
    described = client.call("DescribeSecret", SecretId=secret)
    if not described.get("RotationEnabled"):
        raise ValueError(f"Secret {secret} is not enabled for rotation")
    versions = described["VersionIdsToStages"]
    if "AWSCURRENT" in versions.get(token, []):
        return
    if "AWSPENDING" not in versions.get(token, []):
        raise ValueError(f"Secret version {token} not set as AWSPENDING for rotation of secret {secret}.")
    pending = {"VersionId": token, "VersionStage": "AWSPENDING"}
    if step == "createSecret":
        value(client, secret, VersionStage="AWSCURRENT")
        try:
            value(client, secret, **pending)
        except Refused as error:
            if "ResourceNotFoundException" not in error.args[0]:
                raise
            password = client.call("GetRandomPassword", ExcludeCharacters="/@\"'\\")["RandomPassword"]
            client.call(
                "PutSecretValue",
                SecretId=secret,
                ClientRequestToken=token,
                SecretString=password,
                VersionStages=["AWSPENDING"],
                RotationToken=event["RotationToken"],
            )
    elif step == "setSecret":
        with open(os.environ["DATABASE"], "w") as database:
            database.write(value(client, secret, **pending))
    elif step == "testSecret":
        with open(os.environ["DATABASE"]) as database:
            if database.read() != value(client, secret, **pending):
                raise ValueError("the database does not take the new password")
    elif step == "finishSecret":
        current = next(id for id, labels in versions.items() if "AWSCURRENT" in labels)
        client.call(
            "UpdateSecretVersionStage",
            SecretId=secret,
            VersionStage="AWSCURRENT",
            MoveToVersionId=token,
            RemoveFromVersionId=current,
        )
    else:
        raise ValueError("Invalid step parameter")
