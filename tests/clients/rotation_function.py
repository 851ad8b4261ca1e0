"""A rotation function for Lambda as AWS's templates are made: boto3, the four steps, and settings from the environment.

It knows nothing of claviger. The "service" whose password it changes is a file, PASSWORD_FILE.
"""

import json
import logging
import os

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def lambda_handler(event, context):
    arn = event["SecretId"]
    token = event["ClientRequestToken"]
    step = event["Step"]
    service_client = boto3.client("secretsmanager", endpoint_url=os.environ["SECRETS_MANAGER_ENDPOINT"])

    metadata = service_client.describe_secret(SecretId=arn)
    if not metadata["RotationEnabled"]:
        logger.error("Secret %s is not enabled for rotation" % arn)
        raise ValueError("Secret %s is not enabled for rotation" % arn)
    versions = metadata["VersionIdsToStages"]
    if token not in versions:
        raise ValueError("Secret version %s has no stage for rotation of secret %s." % (token, arn))
    if "AWSCURRENT" in versions[token]:
        logger.info("Secret version %s already set as AWSCURRENT for secret %s." % (token, arn))
        return
    elif "AWSPENDING" not in versions[token]:
        raise ValueError("Secret version %s not set as AWSPENDING for rotation of secret %s." % (token, arn))

    steps = {
        "createSecret": create_secret,
        "setSecret": set_secret,
        "testSecret": test_secret,
        "finishSecret": finish_secret,
    }
    if step not in steps:
        raise ValueError("Invalid step parameter")
    steps[step](service_client, arn, token)
    print("%s: done, as %s in %s" % (step, context.function_name, os.environ["AWS_REGION"]))


def get_secret_dict(service_client, arn, **which):
    return json.loads(service_client.get_secret_value(SecretId=arn, **which)["SecretString"])


def create_secret(service_client, arn, token):
    secret = get_secret_dict(service_client, arn, VersionStage="AWSCURRENT")
    try:
        get_secret_dict(service_client, arn, VersionId=token, VersionStage="AWSPENDING")
        logger.info("createSecret: Successfully retrieved secret for %s." % arn)
    except service_client.exceptions.ResourceNotFoundException:
        password = service_client.get_random_password(ExcludeCharacters=os.environ["EXCLUDE_CHARACTERS"])
        secret["password"] = password["RandomPassword"]
        service_client.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString=json.dumps(secret), VersionStages=["AWSPENDING"]
        )


def set_secret(service_client, arn, token):
    secret = get_secret_dict(service_client, arn, VersionId=token, VersionStage="AWSPENDING")
    with open(os.environ["PASSWORD_FILE"], "w") as service:
        service.write(secret["password"])


def test_secret(service_client, arn, token):
    secret = get_secret_dict(service_client, arn, VersionId=token, VersionStage="AWSPENDING")
    with open(os.environ["PASSWORD_FILE"]) as service:
        if service.read() != secret["password"]:
            raise ValueError("Unable to log into the service with the pending secret of secret ARN %s" % arn)


def finish_secret(service_client, arn, token):
    metadata = service_client.describe_secret(SecretId=arn)
    current_version = None
    for version in metadata["VersionIdsToStages"]:
        if "AWSCURRENT" in metadata["VersionIdsToStages"][version]:
            if version == token:
                return
            current_version = version
            break
    service_client.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current_version
    )
    logger.info("finishSecret: Successfully set AWSCURRENT stage to version %s for secret %s." % (token, arn))
