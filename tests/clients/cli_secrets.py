"""The AWS CLI's `aws secretsmanager`: what cli.py leaves, from random passwords to replicas."""

import json
import os
import sys

import harness
from cli import Cli, created
from harness import ACCOUNT, NOW, REGIONS, UUID, Like, expect

MARKED = "You can't perform this operation on the secret because it was marked for deletion."


def run(results, server):
    prepare = lambda number: Secrets(server, REGIONS[number % len(REGIONS)], f"secrets{number}")
    harness.run_all(results, sys.modules[__name__], prepare, threads=os.cpu_count() or 2)


class Secrets(Cli):
    def sm(self, *words):
        return self("secretsmanager", *words)

    def refused(self, *words):
        code, _, message = self.fails("secretsmanager", *words)
        return code, message

    def value(self, name, *words):
        return self.sm("get-secret-value", "--secret-id", name, *words, "--query", "SecretString",
                       "--output", "text")

    def elsewhere(self, region):
        return Secrets(self.server, region, f"{self.name}-{region}")


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_random_passwords(aws):
    password = lambda *words: aws.sm("get-random-password", *words)["RandomPassword"]
    first, second = password(), password()
    assert len(first) == len(second) == 32 and first != second
    expect(password("--password-length", "64", "--exclude-punctuation", "--exclude-characters", "0O1lI"),
           Like("[A-HJ-NP-Za-km-z2-9]{64}"))
    expect(password("--password-length", "4", "--exclude-lowercase", "--exclude-uppercase",
                    "--exclude-punctuation"), Like("[0-9]{4}"))
    code, _ = aws.refused("get-random-password", "--exclude-lowercase", "--exclude-uppercase",
                          "--exclude-punctuation", "--exclude-numbers")
    expect(code, "InvalidParameterException")


def test_many_at_once(aws):
    arns = {}
    for name in ("batch/a", "batch/b", "batch/c"):
        arns[name] = created(aws, name, "--secret-string", f"value of {name}")[0]
    answer = aws.sm("batch-get-secret-value", "--secret-id-list", "batch/b", arns["batch/a"], "batch/none")
    found = {one["Name"]: one for one in answer["SecretValues"]}
    expect(sorted(found), ["batch/a", "batch/b"])
    expect(found["batch/a"], {
        "ARN": arns["batch/a"], "Name": "batch/a", "VersionId": Like(UUID), "CreatedDate": NOW,
        "SecretString": "value of batch/a", "VersionStages": ["AWSCURRENT"]})
    (error,) = answer["Errors"]
    expect((error["SecretId"], error["ErrorCode"]), ("batch/none", "ResourceNotFoundException"))
    answer = aws.sm("batch-get-secret-value", "--filters", "Key=name,Values=batch/", "--query",
                    "SecretValues[].Name")
    expect(sorted(answer), ["batch/a", "batch/b", "batch/c"])
    # Somebody who may read one of them only.
    reader = document(
        {"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"},
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arns["batch/a"]})
    reader = aws.user(f"batch-reader-{aws.region}", json.loads(reader))
    answer = reader("secretsmanager", "batch-get-secret-value", "--secret-id-list", "batch/a", "batch/b")
    expect([one["SecretString"] for one in answer["SecretValues"]], ["value of batch/a"])
    expect([error["ErrorCode"] for error in answer["Errors"]], ["AccessDeniedException"])


def test_labels_move(aws):
    name = "labels"
    _, first = created(aws, name, "--secret-string", "one")
    second = aws.sm("put-secret-value", "--secret-id", name, "--secret-string", "two",
                    "--version-stages", "green")["VersionId"]
    expect(aws.value(name), "one")
    move = ("update-secret-version-stage", "--secret-id", name, "--version-stage")
    code, message = aws.refused(*move, "AWSCURRENT", "--move-to-version-id", second)
    expect(code, "InvalidParameterException")
    assert first in message, message
    aws.sm(*move, "AWSCURRENT", "--move-to-version-id", second, "--remove-from-version-id", first)
    expect(aws.value(name), "two")
    expect(aws.value(name, "--version-stage", "AWSPREVIOUS"), "one")
    aws.sm(*move, "green", "--remove-from-version-id", second)
    stages = aws.sm("describe-secret", "--secret-id", name)["VersionIdsToStages"]
    expect(stages, {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]})


def test_a_resource_policy_lets_somebody_in(aws):
    name = "with-policy"
    arn, _ = created(aws, name, "--secret-string", "shared")
    reader = aws.user(f"policy-reader-{aws.region}")
    user = f"arn:aws:iam::{ACCOUNT}:user/policy-reader-{aws.region}"
    get = ("secretsmanager", "get-secret-value", "--secret-id", name)
    expect(reader.fails(*get)[0], "AccessDeniedException")
    expect(aws.sm("get-resource-policy", "--secret-id", name), {"ARN": arn, "Name": name})
    statement = {"Effect": "Allow", "Principal": {"AWS": user},
                 "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = document(statement)
    expect(aws.sm("validate-resource-policy", "--secret-id", name, "--resource-policy", policy)[
        "PolicyValidationPassed"], True)
    put = ("put-resource-policy", "--secret-id", name, "--resource-policy")
    aws.sm(*put, policy)
    expect(reader(*get)["SecretString"], "shared")
    shown = aws.sm("get-resource-policy", "--secret-id", name)["ResourcePolicy"]
    expect(json.loads(shown), json.loads(policy))
    public = document(statement | {"Principal": "*"})
    expect(aws.refused(*put, public, "--block-public-policy")[0], "PublicPolicyException")
    expect(aws.refused(*put, "{}")[0], "MalformedPolicyDocumentException")
    aws.sm("delete-resource-policy", "--secret-id", name)
    expect(reader.fails(*get)[0], "AccessDeniedException")


def test_replicas(aws):
    name, region = "replicated", "us-east-2" if aws.region != "us-east-2" else "us-west-2"
    arn, _ = created(aws, name, "--secret-string", "one")
    there = aws.elsewhere(region)
    replicated = aws.sm("replicate-secret-to-regions", "--secret-id", name, "--add-replica-regions",
                        f"Region={region}")
    (status,) = replicated["ReplicationStatus"]
    expect((status["Region"], status["Status"]), (region, "InSync"))
    expect(there.value(name), "one")
    aws.sm("put-secret-value", "--secret-id", name, "--secret-string", "two")
    expect(there.value(name), "two")
    expect(there.value(name, "--version-stage", "AWSPREVIOUS"), "one")
    described = there.sm("describe-secret", "--secret-id", name)
    expect((described["ARN"], described["PrimaryRegion"]), (arn.replace(aws.region, region), aws.region))
    expect(there.refused("put-secret-value", "--secret-id", name, "--secret-string", "x"), (
        "InvalidParameterException", "Operation not permitted on a replica secret. Call must be made in "
        "primary secret's region."))
    expect(aws.refused("delete-secret", "--secret-id", name)[0], "InvalidParameterException")
    there.sm("stop-replication-to-replica", "--secret-id", name)
    there.sm("put-secret-value", "--secret-id", name, "--secret-string", "its own")
    expect((aws.value(name), there.value(name)), ("two", "its own"))


def test_a_replica_is_removed(aws):
    name, region = "moved", "us-west-1" if aws.region != "us-west-1" else "us-west-2"
    made = aws.sm("create-secret", "--name", name, "--secret-string", "one", "--add-replica-regions",
                  f"Region={region}")
    expect([one["Status"] for one in made["ReplicationStatus"]], ["InSync"])
    there = aws.elsewhere(region)
    expect(there.value(name), "one")
    aws.sm("remove-regions-from-replication", "--secret-id", name, "--remove-replica-regions", region)
    expect(there.refused("get-secret-value", "--secret-id", name)[0], "ResourceNotFoundException")
    aws.sm("delete-secret", "--secret-id", name)


def test_what_a_scheduled_secret_refuses(aws):
    name = "scheduled"
    _, first = created(aws, name, "--secret-string", "one")
    aws.sm("delete-secret", "--secret-id", name, "--recovery-window-in-days", "7")
    secret = ("--secret-id", name)
    for words in (
        ("get-secret-value", *secret),
        ("put-secret-value", *secret, "--secret-string", "x"),
        ("update-secret-version-stage", *secret, "--version-stage", "a", "--move-to-version-id", first),
        ("rotate-secret", *secret),
        ("cancel-rotate-secret", *secret),
        ("replicate-secret-to-regions", *secret, "--add-replica-regions", "Region=us-east-2"),
    ):
        expect(aws.refused(*words), ("InvalidRequestException", MARKED))
    aws.sm("restore-secret", *secret)
    expect(aws.value(name), "one")


def test_rotation_needs_a_function(aws):
    name = "unrotated"
    created(aws, name, "--secret-string", "one")
    rotate = ("rotate-secret", "--secret-id", name)
    expect(aws.refused(*rotate), (
        "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret."))
    function = f"arn:aws:lambda:{aws.region}:{ACCOUNT}:function:nobody"
    expect(aws.refused(*rotate, "--rotation-lambda-arn", function)[0], "AccessDeniedException")
    code, _ = aws.refused(*rotate, "--rotation-rules", "ScheduleExpression=rate(5 minutes)",
                          "--rotation-lambda-arn", function)
    expect(code, Like("InvalidParameterException|AccessDeniedException"))
