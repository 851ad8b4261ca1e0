//! For every operation of every service: something to act on, and a request that does.
use crate::kms::subject::{Kind, Subject};
use crate::support::token;
use crate::world::{World, allow};
use serde_json::{Value, json};

/// A user with an access key, and two secrets, of which one is deleted.
pub struct Things {
    access_key: String,
}

impl Things {
    pub async fn new(world: &World) -> Self {
        for (at, name) in ["s", "deleted"].into_iter().enumerate() {
            let body = json!({"Name": name, "SecretString": "v", "ClientRequestToken": token(at)});
            world.call("secretsmanager", "CreateSecret", body).await.unwrap();
        }
        let body = json!({"SecretId": "deleted"});
        world.call("secretsmanager", "DeleteSecret", body).await.unwrap();
        let victim = world.user("victim", allow(&["s3:*"])).await;
        Self { access_key: victim.access_key_id }
    }

    /// A request that root can make with success, once in a world.
    pub async fn request(&self, world: &World, service: &str, name: &str) -> Value {
        match service {
            "kms" => of_kms(world, name).await,
            "secretsmanager" => of_secrets(name),
            "iam" => of_iam(name, &self.access_key),
            _ => json!({}),
        }
    }
}

async fn of_kms(world: &World, name: &str) -> Value {
    if Kind::of(name).is_some() {
        let subject = Subject::used(world, name, json!({})).await;
        if name == "CancelKeyDeletion" {
            world.kms("ScheduleKeyDeletion", json!({"KeyId": subject.key})).await;
        }
        return subject.body(name);
    }
    match name {
        "CreateKey" => json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        "CreateCustomKeyStore" => key_store("new"),
        "DescribeCustomKeyStores" | "ListKeys" => json!({}),
        "GenerateRandom" => json!({"NumberOfBytes": 8}),
        "ListRetirableGrants" => json!({"RetiringPrincipal": "arn:aws:iam::111122223333:root"}),
        _ => {
            let made = world.kms("CreateCustomKeyStore", key_store(name)).await;
            let body = json!({"CustomKeyStoreId": made["CustomKeyStoreId"]});
            if name == "DisconnectCustomKeyStore" {
                world.kms("ConnectCustomKeyStore", body.clone()).await;
            }
            body
        }
    }
}

/// A request for an external key store with this name.
fn key_store(name: &str) -> Value {
    json!({
        "CustomKeyStoreName": name,
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://proxy.example.com",
        "XksProxyUriPath": format!("/{name}/kms/xks/v1"),
        "XksProxyAuthenticationCredential":
            {"AccessKeyId": "A".repeat(20), "RawSecretAccessKey": "s".repeat(43)},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    })
}

fn of_secrets(name: &str) -> Value {
    match name {
        "CreateSecret" => {
            json!({"Name": "new", "SecretString": "v", "ClientRequestToken": token(7)})
        }
        "ListSecrets" => json!({}),
        "PutSecretValue" => {
            json!({"SecretId": "s", "SecretString": "w", "ClientRequestToken": token(8)})
        }
        "RestoreSecret" => json!({"SecretId": "deleted"}),
        "TagResource" => json!({"SecretId": "s", "Tags": [{"Key": "a", "Value": "b"}]}),
        "UntagResource" => json!({"SecretId": "s", "TagKeys": ["a"]}),
        "UpdateSecret" => {
            json!({"SecretId": "s", "SecretString": "x", "ClientRequestToken": token(9)})
        }
        _ => json!({"SecretId": "s"}),
    }
}

fn of_iam(name: &str, access_key: &str) -> Value {
    match name {
        "CreateUser" => json!({"UserName": "new"}),
        "DeleteAccessKey" => json!({"UserName": "victim", "AccessKeyId": access_key}),
        "UpdateAccessKey" => {
            json!({"UserName": "victim", "AccessKeyId": access_key, "Status": "Inactive"})
        }
        "GetUserPolicy" | "DeleteUserPolicy" => {
            json!({"UserName": "victim", "PolicyName": "policy"})
        }
        "PutUserPolicy" => {
            json!({"UserName": "victim", "PolicyName": "p",
                "PolicyDocument": allow(&["s3:*"]).to_string()})
        }
        "ListUsers" => json!({}),
        _ => json!({"UserName": "victim"}),
    }
}
