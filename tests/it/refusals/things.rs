//! For every operation of every service: something to act on, and a request that does.
use super::credentials;
use crate::kms::subject::{Kind, Subject};
use crate::sts::{issuer, web_identity};
use crate::support::token;
use crate::world::{ACCOUNT, OTHER_REGION, REGION, World, allow};
use claviger::identity::Account;
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// A user with an access key, two secrets, of which one is deleted, and two more with a replica in another
/// region.
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
        for (from, name, to) in
            [(REGION, "primary", OTHER_REGION), (OTHER_REGION, "replica", REGION)]
        {
            let body = json!({"Name": name, "SecretString": "v", "ClientRequestToken": token(2),
                "AddReplicaRegions": [{"Region": to}]});
            let (root, service) = (&world.root, "secretsmanager");
            world.call_in(root, from, service, "CreateSecret", body).await.unwrap();
        }
        let victim = world.user("victim", allow(&["s3:*"])).await;
        for name in ["crew", "spare"] {
            world.iam("CreateGroup", json!({"GroupName": name})).await;
            world.iam("CreateRole", role(name)).await;
        }
        let body = json!({"UserName": "victim", "GroupName": "crew"});
        world.iam("AddUserToGroup", body).await;
        with_policies(world).await;
        Self { access_key: victim.access_key_id }
    }

    /// A request that root can make with success, once in a world.
    pub async fn request(&self, world: &World, service: &str, name: &str) -> Value {
        match service {
            "kms" => of_kms(world, name).await,
            "secretsmanager" if name.ends_with("CrossAccountReplica") => {
                across_accounts(world, name).await
            }
            "secretsmanager" => of_secrets(name),
            "iam" => match credentials::request(world, name).await {
                Some(body) => body,
                None => of_iam(name, &self.access_key),
            },
            "sts" => of_sts(world, name, &self.access_key).await,
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
        "BatchGetSecretValue" => json!({"SecretIdList": ["s"]}),
        "CreateSecret" => {
            json!({"Name": "new", "SecretString": "v", "ClientRequestToken": token(7)})
        }
        "GetRandomPassword" | "ListSecrets" => json!({}),
        "PutSecretValue" => {
            json!({"SecretId": "s", "SecretString": "w", "ClientRequestToken": token(8)})
        }
        "PutResourcePolicy" | "ValidateResourcePolicy" => {
            let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":
                {"AWS":"111122223333"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;
            json!({"SecretId": "s", "ResourcePolicy": text})
        }
        "RemoveRegionsFromReplication" => {
            json!({"SecretId": "primary", "RemoveReplicaRegions": [OTHER_REGION]})
        }
        "ReplicateSecretToRegions" => {
            json!({"SecretId": "s", "AddReplicaRegions": [{"Region": OTHER_REGION}]})
        }
        "RestoreSecret" => json!({"SecretId": "deleted"}),
        "RotateSecret" => json!({"SecretId": "s", "ClientRequestToken": token(10)}),
        "StopReplicationToReplica" => json!({"SecretId": "replica"}),
        "TagResource" => json!({"SecretId": "s", "Tags": [{"Key": "a", "Value": "b"}]}),
        "UntagResource" => json!({"SecretId": "s", "TagKeys": ["a"]}),
        "UpdateSecret" => {
            json!({"SecretId": "s", "SecretString": "x", "ClientRequestToken": token(9)})
        }
        "UpdateSecretVersionStage" => {
            json!({"SecretId": "s", "VersionStage": "blue", "MoveToVersionId": token(0)})
        }
        _ => json!({"SecretId": "s"}),
    }
}

/// About a new secret, and a new replica of it in a third account, not to fill lists of the others.
async fn across_accounts(world: &World, name: &str) -> Value {
    const THIRD: &str = "777788889999";
    let n = world.events().len();
    let mut tx = world.server.store.begin();
    let (third, now) = (THIRD.parse().unwrap(), world.server.clock.now());
    Account::ensure(&mut tx, &third, now).await.unwrap();
    tx.commit().await.unwrap();
    let third = world.user_of(THIRD, &format!("third{n}"), allow(&["*"])).await;
    let may = |account: &str, action: &str| json!({"Effect": "Allow", "Principal": {"AWS": account}, "Action": action, "Resource": "*"});
    let text = json!({"Version": "2012-10-17",
        "Statement": [may(THIRD, "kms:*"), may(ACCOUNT, "kms:Encrypt")]});
    let made = world.kms_as(&third, "CreateKey", json!({"Policy": text.to_string()})).await;
    let body =
        json!({"Name": format!("p{n}"), "SecretString": "v", "ClientRequestToken": token(1)});
    let primary = world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let body = json!({"ClientRequestToken": token(n), "Name": format!("r{n}"),
        "KmsKeyId": made["KeyMetadata"]["Arn"], "CrossAccountPrimaryARN": primary["ARN"]});
    let replica = world.call_as(&third, "secretsmanager", "CreateSecret", body).await.unwrap();
    let body = json!({"SecretId": format!("p{n}"), "CrossAccountReplicaARN": replica["ARN"]});
    if name.starts_with("Dis") {
        let associate = "AssociateCrossAccountReplica";
        world.call("secretsmanager", associate, body.clone()).await.unwrap();
    }
    body
}

/// A request for a role with this name, which the account may assume.
fn role(name: &str) -> Value {
    json!({"RoleName": name, "AssumeRolePolicyDocument": trust()})
}

fn trust() -> String {
    let principal = json!({"AWS": "111122223333"});
    json!({"Version": "2012-10-17", "Statement":
        [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]})
    .to_string()
}

async fn of_sts(world: &World, name: &str, access_key: &str) -> Value {
    match name {
        "AssumeRole" => {
            json!({"RoleArn": "arn:aws:iam::111122223333:role/r", "RoleSessionName": "s1"})
        }
        "DecodeAuthorizationMessage" => {
            let body = br#"{"UserName":"victim"}"#;
            let who = world.user("refused", allow(&["s3:*"])).await;
            let refused = world.raw(&who, "iam", "GetUser", body).await;
            json!({"EncodedMessage": refused.unwrap_err().encoded})
        }
        "AssumeRoleWithWebIdentity" => {
            web_identity::cluster(world).await;
            let now = world.server.clock.now().secs();
            web_identity::request(&issuer::token(&issuer::claims(now)))
        }
        "GetAccessKeyInfo" => json!({"AccessKeyId": access_key}),
        "GetDelegatedAccessToken" => json!({"TradeInToken": "e30"}),
        "GetFederationToken" => json!({"Name": "federated"}),
        "GetWebIdentityToken" => {
            // It may be so already.
            let _ = world.call("iam", "EnableOutboundWebIdentityFederation", json!({})).await;
            json!({"Audience": ["a"], "SigningAlgorithm": "ES384"})
        }
        _ => json!({}),
    }
}

/// Managed policies, of which one is attached to the victim, the group and the role of the crew, and
/// policies written into the latter two.
async fn with_policies(world: &World) {
    let text = allow(&["s3:*"]).to_string();
    for name in ["used", "spare"] {
        world.iam("CreatePolicy", json!({"PolicyName": name, "PolicyDocument": text})).await;
    }
    let arn = managed("used");
    world.iam("CreatePolicyVersion", json!({"PolicyArn": arn, "PolicyDocument": text})).await;
    for (kind, name) in [("User", "victim"), ("Group", "crew"), ("Role", "crew")] {
        let whom = format!("{kind}Name");
        let body = json!({&whom: name, "PolicyArn": arn});
        world.iam(&format!("Attach{kind}Policy"), body).await;
        let body = json!({&whom: name, "PolicyName": "policy", "PolicyDocument": text});
        world.iam(&format!("Put{kind}Policy"), body).await;
    }
    world.iam("CreateAccountAlias", json!({"AccountAlias": "acme"})).await;
}

fn managed(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

/// Of the operations on policies; none for the others.
fn of_policies(name: &str) -> Option<Value> {
    let text = allow(&["s3:*"]).to_string();
    for (kind, whose) in [("User", "victim"), ("Group", "crew"), ("Role", "crew")] {
        let whom = format!("{kind}Name");
        if [format!("Attach{kind}Policy"), format!("Detach{kind}Policy")].contains(&name.into()) {
            return Some(json!({whom: whose, "PolicyArn": managed("used")}));
        }
        if [format!("Get{kind}Policy"), format!("Delete{kind}Policy")].contains(&name.into()) {
            return Some(json!({whom: whose, "PolicyName": "policy"}));
        }
        if name == format!("Put{kind}Policy") {
            return Some(json!({whom: whose, "PolicyName": "p", "PolicyDocument": text}));
        }
        if [format!("List{kind}Policies"), format!("ListAttached{kind}Policies")]
            .contains(&name.into())
        {
            return Some(json!({whom: whose}));
        }
    }
    Some(match name {
        "CreatePolicy" => json!({"PolicyName": "new", "PolicyDocument": text}),
        "DeletePolicy" => json!({"PolicyArn": managed("spare")}),
        "CreatePolicyVersion" => json!({"PolicyArn": managed("used"), "PolicyDocument": text}),
        "DeletePolicyVersion" | "GetPolicyVersion" | "SetDefaultPolicyVersion" => {
            json!({"PolicyArn": managed("used"), "VersionId": "v2"})
        }
        "GetPolicy" | "ListEntitiesForPolicy" | "ListPolicyTags" | "ListPolicyVersions" => {
            json!({"PolicyArn": managed("used")})
        }
        "TagPolicy" => {
            json!({"PolicyArn": managed("used"), "Tags": [{"Key": "a", "Value": "b"}]})
        }
        "UntagPolicy" => json!({"PolicyArn": managed("used"), "TagKeys": ["a"]}),
        "CreateAccountAlias" => json!({"AccountAlias": "other"}),
        "DeleteAccountAlias" => json!({"AccountAlias": "acme"}),
        "GetAccountAuthorizationDetails"
        | "GetAccountSummary"
        | "ListAccountAliases"
        | "ListPolicies" => json!({}),
        "GetContextKeysForCustomPolicy" => json!({"PolicyInputList": [text]}),
        "GetContextKeysForPrincipalPolicy" => {
            json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/victim")})
        }
        "SimulateCustomPolicy" => {
            json!({"PolicyInputList": [text], "ActionNames": ["s3:GetObject"]})
        }
        "SimulatePrincipalPolicy" => {
            json!({"PolicySourceArn": format!("arn:aws:iam::{ACCOUNT}:user/victim"),
                "ActionNames": ["s3:GetObject"]})
        }
        _ => return None,
    })
}

fn of_iam(name: &str, access_key: &str) -> Value {
    if let Some(body) = of_policies(name) {
        return body;
    }
    match name {
        "CreateUser" => json!({"UserName": "new"}),
        "DeleteAccessKey" => json!({"UserName": "victim", "AccessKeyId": access_key}),
        "UpdateAccessKey" => {
            json!({"UserName": "victim", "AccessKeyId": access_key, "Status": "Inactive"})
        }
        "ListUsers" | "ListGroups" | "ListRoles" => json!({}),
        "AddUserToGroup" | "RemoveUserFromGroup" => {
            json!({"UserName": "victim", "GroupName": "crew"})
        }
        "CreateGroup" => json!({"GroupName": "new"}),
        "CreateRole" => role("new"),
        "DeleteGroup" => json!({"GroupName": "spare"}),
        "DeleteRole" => json!({"RoleName": "spare"}),
        "GetAccessKeyLastUsed" => json!({"AccessKeyId": access_key}),
        "GetGroup" => json!({"GroupName": "crew"}),
        "UpdateGroup" => json!({"GroupName": "crew", "NewPath": "/x/"}),
        "UpdateUser" => json!({"UserName": "victim", "NewPath": "/x/"}),
        "PutUserPermissionsBoundary" => {
            json!({"UserName": "victim", "PermissionsBoundary": ADMINISTRATOR})
        }
        "PutRolePermissionsBoundary" => {
            json!({"RoleName": "crew", "PermissionsBoundary": ADMINISTRATOR})
        }
        "TagUser" => json!({"UserName": "victim", "Tags": [{"Key": "a", "Value": "b"}]}),
        "TagRole" => json!({"RoleName": "crew", "Tags": [{"Key": "a", "Value": "b"}]}),
        "UntagUser" => json!({"UserName": "victim", "TagKeys": ["a"]}),
        "UntagRole" => json!({"RoleName": "crew", "TagKeys": ["a"]}),
        "UpdateAssumeRolePolicy" => json!({"RoleName": "crew", "PolicyDocument": trust()}),
        "UpdateRoleDescription" => json!({"RoleName": "crew", "Description": "new"}),
        "DeleteRolePermissionsBoundary"
        | "GetRole"
        | "ListInstanceProfilesForRole"
        | "ListRoleTags"
        | "UpdateRole" => json!({"RoleName": "crew"}),
        _ => json!({"UserName": "victim"}),
    }
}
