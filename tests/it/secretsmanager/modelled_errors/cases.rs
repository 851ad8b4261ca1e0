//! Errors that one operation has, or a few.
use super::subject::Subject;
use super::{attempt, with};
use crate::secretsmanager::{creation, token, version};
use crate::world::{Failed, World};
use serde_json::{Value, json};

pub async fn produce(operation: &str, error: &str) -> Option<Failed> {
    let Subject { world, body: good } = Subject::of(operation).await;
    let more = match error {
        "InvalidParameterException" => senseless(operation)?,
        "InvalidRequestException" if operation == "CreateSecret" => json!({"Name": "deleted"}),
        "InvalidRequestException" if operation == "DeleteSecret" => {
            // Two accounts' secrets are to be taken apart first.
            let pair = Subject::of("DisassociateCrossAccountReplica").await;
            let body = json!({"SecretId": pair.body["SecretId"]});
            return Some(attempt(&pair.world, operation, body).await);
        }
        "InvalidNextTokenException" if operation == "BatchGetSecretValue" => {
            json!({"SecretIdList": null, "Filters": [{"Key": "all", "Values": ["s"]}],
                "NextToken": "x"})
        }
        "EncryptionFailure" | "DecryptionFailure" => disabled(&world, operation, error).await,
        "ResourceExistsException" if operation == "CreateSecret" => json!({"Name": "s"}),
        // The token of the version that it has, with another value.
        "ResourceExistsException" => json!({"ClientRequestToken": token(0)}),
        "LimitExceededException" if operation == "AssociateCrossAccountReplica" => {
            world.sm(operation, good.clone()).await;
            let other = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:other-AAAAAA";
            json!({"CrossAccountReplicaARN": other})
        }
        "LimitExceededException" => too_many(&world, operation).await?,
        "MalformedPolicyDocumentException" => json!({"ResourcePolicy": "{}"}),
        "PublicPolicyException" => {
            let everybody = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]});
            json!({"ResourcePolicy": everybody.to_string(), "BlockPublicPolicy": true})
        }
        _ => return None,
    };
    Some(attempt(&world, operation, with(good, more)).await)
}

/// Of the operations that name no secret.
fn senseless(operation: &str) -> Option<Value> {
    Some(match operation {
        "BatchGetSecretValue" => json!({"MaxResults": 1}),
        "CreateSecret" => json!({"Tags": [{"Key": "aws:a", "Value": "b"}]}),
        "GetRandomPassword" => json!({"PasswordLength": 3}),
        "ListSecrets" => json!({"Filters": [{"Key": "name"}]}),
        _ => return None,
    })
}

/// The key that is to encrypt cannot, or the one that has encrypted: a secret `k` is under it.
async fn disabled(world: &World, operation: &str, error: &str) -> Value {
    let key = world.key().await;
    world.secret_under("k", "v", &key).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    match (operation, error) {
        ("BatchGetSecretValue", _) => json!({"SecretIdList": ["k"]}),
        ("CreateSecret" | "UpdateSecret", "EncryptionFailure") => json!({"KmsKeyId": key}),
        ("GetSecretValue", _) | (_, "EncryptionFailure") => json!({"SecretId": "k"}),
        // Whether a repeated value is the same is known when it has been opened.
        ("CreateSecret", _) => creation("k", "v"),
        _ => version("k", 1, "v"),
    }
}

/// AWS: 20 labels. Here also 150 versions, if none of them is a day old.
async fn too_many(world: &World, operation: &str) -> Option<Value> {
    if operation == "UpdateSecret" {
        // It attaches no labels but those that are not counted.
        for n in world.versions("s").await.len()..150 {
            world.put("s", 1000 + n, "v").await;
        }
        return Some(json!({}));
    }
    if !["PutSecretValue", "UpdateSecretVersionStage"].contains(&operation) {
        return None;
    }
    for n in 1..20 {
        let body = json!({"SecretId": "s", "VersionStage": format!("l{n}"),
            "MoveToVersionId": token(0)});
        world.sm("UpdateSecretVersionStage", body).await;
    }
    match operation {
        "PutSecretValue" => Some(json!({"VersionStages": ["one more"]})),
        _ => Some(json!({})),
    }
}
