//! A secret whose values another account has too: made by the one, begun by the other, ended by either.
mod ends;
mod refused;

use super::{creation, token, version};
use crate::support::{failed, policy, unknown_to};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use serde_json::{Value, json};

const MANAGED: &str = "cross-account-replication";

/// A primary `p` under the default key in [`ACCOUNT`], and a replica `r` under a key of the other one that
/// lets the primary's account encrypt.
struct Pair {
    world: World,
    /// Of the replica's account.
    other: Someone,
    key: String,
    primary: String,
    replica: String,
}

pub fn key_policy(encrypt: bool) -> Value {
    let root = |account: &str| json!({"AWS": format!("arn:aws:iam::{account}:root")});
    let mut statements = vec![json!({"Effect": "Allow", "Principal": root(OTHER_ACCOUNT),
        "Action": "kms:*", "Resource": "*"})];
    if encrypt {
        statements.push(json!({"Effect": "Allow", "Principal": root(ACCOUNT),
            "Action": "kms:Encrypt", "Resource": "*"}));
    }
    policy(&statements)
}

pub fn replica_of(primary: &str, name: &str, key: &str) -> Value {
    json!({"Name": name, "ClientRequestToken": token(1), "KmsKeyId": key,
        "CrossAccountPrimaryARN": primary})
}

fn status(described: &Value) -> &str {
    let of_replica = &described["CrossAccountPrimary"]["ReplicationStatus"];
    let of_primary = &described["CrossAccountReplicas"][0]["ReplicationStatus"];
    of_replica.as_str().or(of_primary.as_str()).unwrap_or_default()
}

impl Pair {
    /// Not yet associated.
    async fn new() -> Self {
        Self::within(World::new().await).await
    }

    async fn within(world: World) -> Self {
        let other = world.other_root();
        let body = json!({"Policy": key_policy(true).to_string()});
        let made = world.kms_as(&other, "CreateKey", body).await;
        let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let primary = world.secret("p", "one").await;
        let made = world.sm_as(&other, "CreateSecret", replica_of(&primary, "r", &key)).await;
        let replica = made["ARN"].as_str().unwrap().to_owned();
        Self { world, other, key, primary, replica }
    }

    async fn associated() -> Self {
        let pair = Self::new().await;
        pair.world.sm("AssociateCrossAccountReplica", pair.link()).await;
        pair
    }

    fn link(&self) -> Value {
        json!({"SecretId": "p", "CrossAccountReplicaARN": self.replica})
    }

    /// What the replica answers for a version, to its own account.
    async fn read(&self, more: Value) -> Result<Value, Failed> {
        let mut body = json!({"SecretId": "r"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let got = self.world.call_as(&self.other, "secretsmanager", "GetSecretValue", body).await;
        got.map(|answer| answer["SecretString"].clone())
    }

    /// How each end says it is: the primary, the replica.
    async fn statuses(&self) -> [String; 2] {
        let primary = self.world.describe("p").await;
        let body = json!({"SecretId": "r"});
        let replica = self.world.sm_as(&self.other, "DescribeSecret", body).await;
        [status(&primary).to_owned(), status(&replica).to_owned()]
    }

    async fn set_key_policy(&self, encrypt: bool) {
        let body = json!({"KeyId": self.key, "Policy": key_policy(encrypt).to_string()});
        self.world.kms_as(&self.other, "PutKeyPolicy", body).await;
    }
}

#[tokio::test]
async fn values_and_labels_arrive() {
    let pair = Pair::new().await;
    let world = &pair.world;
    // Nobody has begun: it is empty and waits.
    assert_eq!(pair.statuses().await, ["", "Pending"]);
    assert_eq!(pair.read(json!({})).await, Err(super::no_version("staging label: AWSCURRENT")));
    world.put("p", 2, "two").await;
    let answer = world.sm("AssociateCrossAccountReplica", pair.link()).await;
    let expected = json!({"ARN": pair.primary, "CrossAccountReplicaARN": pair.replica,
        "ReplicationStatus": "InSync"});
    assert_eq!(answer, expected);
    assert_eq!(pair.statuses().await, ["InSync", "InSync"]);
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");
    assert_eq!(pair.read(json!({"VersionId": token(1)})).await.unwrap(), "one");

    world.put("p", 3, "three").await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "three");
    assert_eq!(pair.read(json!({"VersionStage": "AWSPREVIOUS"})).await.unwrap(), "two");
    let body = json!({"SecretId": "p", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(1),
        "RemoveFromVersionId": token(3)});
    world.sm("UpdateSecretVersionStage", body).await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "one");
    // Each end names the other.
    let primary = world.describe("p").await;
    let entry = json!([{"ReplicaSecretARN": pair.replica, "ReplicationStatus": "InSync"}]);
    assert_eq!(primary["CrossAccountReplicas"], entry);
    let replica = world.sm_as(&pair.other, "DescribeSecret", json!({"SecretId": "r"})).await;
    let entry = json!({"PrimarySecretARN": pair.primary, "ReplicationStatus": "InSync"});
    assert_eq!(replica["CrossAccountPrimary"], entry);
    // Every value is under the replica's own key.
    let body = json!({"SecretId": "r", "IncludeDeprecated": true});
    let versions = world.sm_as(&pair.other, "ListSecretVersionIds", body).await;
    for version in versions["Versions"].as_array().unwrap() {
        assert_eq!(version["KmsKeyIds"], json!([pair.key]));
    }
    assert_eq!(versions["Versions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_replica_takes_no_values_but_has_a_life_of_its_own() {
    let pair = Pair::associated().await;
    let (world, other) = (&pair.world, &pair.other);
    let text = "You can't perform this operation on a cross-account replica secret. Its value changes \
                with its primary secret.";
    let refused = failed("InvalidRequestException", text);
    let update = |more: Value| {
        let mut body = json!({"SecretId": "r", "ClientRequestToken": token(8)});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (name, body) in [
        ("PutSecretValue", version("r", 7, "mine")),
        ("UpdateSecret", update(json!({"SecretString": "mine"}))),
        (
            "UpdateSecretVersionStage",
            json!({"SecretId": "r", "VersionStage": "x", "MoveToVersionId": token(1)}),
        ),
        (
            "ReplicateSecretToRegions",
            json!({"SecretId": "r", "AddReplicaRegions": [{"Region": OTHER_REGION}]}),
        ),
    ] {
        assert_eq!(world.sm_fails_as(other, name, body).await, refused, "{name}");
    }
    let body = update(json!({"KmsKeyId": ""}));
    let without_key = world.sm_fails_as(other, "UpdateSecret", body).await;
    let text = "A cross-account replica secret must be encrypted with a customer managed KMS key.";
    assert_eq!(without_key, failed("InvalidParameterException", text));

    // Its description, tags, policy and key are its account's.
    world.sm_as(other, "UpdateSecret", update(json!({"Description": "theirs"}))).await;
    let tags = json!({"SecretId": "r", "Tags": [{"Key": "a", "Value": "b"}]});
    world.sm_as(other, "TagResource", tags).await;
    let body = json!({"Policy": key_policy(true).to_string()});
    let key = world.kms_as(other, "CreateKey", body).await["KeyMetadata"]["Arn"].clone();
    world.sm_as(other, "UpdateSecret", update(json!({"KmsKeyId": key}))).await;
    world.put("p", 2, "two").await;
    assert_eq!(pair.read(json!({})).await.unwrap(), "two");
    let described = world.sm_as(other, "DescribeSecret", json!({"SecretId": "r"})).await;
    assert_eq!(described["Description"], "theirs");
    assert_eq!(described["KmsKeyId"], key);
}

#[tokio::test]
async fn what_cannot_be_made_a_replica() {
    let pair = Pair::new().await;
    let (world, other) = (&pair.world, &pair.other);
    let fails = async |change: Value| {
        let mut body = replica_of(&pair.primary, "new", &pair.key);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.sm_fails_as(other, "CreateSecret", body).await.code
    };
    let arn = |region: &str, account: &str, id: &str| {
        json!({"CrossAccountPrimaryARN":
            format!("arn:aws:secretsmanager:{region}:{account}:secret:{id}")})
    };
    for change in [
        json!({"KmsKeyId": null}),
        json!({"KmsKeyId": "alias/aws/secretsmanager"}),
        json!({"SecretString": "v"}),
        json!({"AddReplicaRegions": [{"Region": OTHER_REGION}]}),
        json!({"CrossAccountPrimaryARN": "x".repeat(30)}),
        arn(OTHER_REGION, ACCOUNT, "p-abcdef"),
        arn(REGION, OTHER_ACCOUNT, "p-abcdef"),
        arn(REGION, ACCOUNT, "p"),
        arn(REGION, ACCOUNT, "-abcdef"),
    ] {
        assert_eq!(fails(change.clone()).await, "InvalidParameterException", "{change}");
    }
    // Whether the primary is there is not told: such a replica waits for ever.
    let body = replica_of(&pair.primary.replace(":p-", ":q-"), "q", &pair.key);
    world.sm_as(other, "CreateSecret", body).await;
    // To make one is to put a policy.
    let actions = &["secretsmanager:CreateSecret", "kms:*"];
    let maker = world.user_of(OTHER_ACCOUNT, "maker", allow(actions)).await;
    let refused =
        world.sm_fails_as(&maker, "CreateSecret", replica_of(&pair.primary, "m", &pair.key)).await;
    assert!(refused.message.contains("secretsmanager:PutResourcePolicy"), "{refused:?}");
}

#[tokio::test]
async fn the_managed_policy_is_shown_and_stays() {
    let pair = Pair::new().await;
    let (world, other) = (&pair.world, &pair.other);
    let named = json!({"SecretId": "r", "PolicyName": MANAGED});
    let shown = world.sm_as(other, "GetResourcePolicy", named.clone()).await;
    assert_eq!(shown["PolicyName"], MANAGED);
    let text: Value = serde_json::from_str(shown["ResourcePolicy"].as_str().unwrap()).unwrap();
    let principal = format!("arn:aws:iam::{ACCOUNT}:root");
    assert_eq!(text["Statement"][0]["Principal"]["AWS"], principal);
    let own = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"})]);
    let body = json!({"SecretId": "r", "ResourcePolicy": own.to_string()});
    world.sm_as(other, "PutResourcePolicy", body.clone()).await;
    let mut names = Vec::new();
    let mut asked = json!({"SecretId": "r", "MaxResults": 1});
    loop {
        let page = world.sm_as(other, "ListResourcePolicies", asked.clone()).await;
        names.push(page["ResourcePolicies"][0]["PolicyName"].as_str().unwrap().to_owned());
        asked["NextToken"] = page["NextToken"].clone();
        if asked["NextToken"].is_null() {
            break;
        }
    }
    assert_eq!(names, ["default", MANAGED]);
    let mut body = body;
    body["PolicyName"] = json!(MANAGED);
    for (name, body) in [("PutResourcePolicy", body), ("DeleteResourcePolicy", named.clone())] {
        let refused = world.sm_fails_as(other, name, body).await;
        assert_eq!(refused.code, "InvalidParameterException");
    }
    // The primary has none.
    let refused =
        world.sm_fails("GetResourcePolicy", json!({"SecretId": "p", "PolicyName": MANAGED}));
    assert_eq!(refused.await.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn who_may_begin() {
    let pair = Pair::new().await;
    let (world, other) = (&pair.world, &pair.other);
    // aws/secretsmanager lets everybody of the account decrypt what is a secret's.
    let key = world.key().await;
    let body = json!({"SecretId": "p", "KmsKeyId": key, "ClientRequestToken": token(5)});
    world.sm("UpdateSecret", body).await;
    let accept = "secretsmanager:AcceptCrossAccountReplication";
    let all = [
        "secretsmanager:AssociateCrossAccountReplica",
        "secretsmanager:GetSecretValue",
        accept,
        "kms:Decrypt",
        "kms:Encrypt",
    ];
    for (at, lacking) in all.iter().enumerate() {
        let rest: Vec<&str> = all.iter().filter(|one| *one != lacking).copied().collect();
        let who = world.user(&format!("u{at}"), allow(&rest)).await;
        let refused = world.sm_fails_as(&who, "AssociateCrossAccountReplica", pair.link()).await;
        assert_eq!(refused.code, "AccessDeniedException", "{lacking}");
    }
    // Nothing came of it, on neither side.
    assert_eq!(pair.statuses().await, ["", "Pending"]);
    // The replica's own policy may say no.
    let deny = policy(&[json!({"Effect": "Deny", "Principal": "*", "Action": accept,
        "Resource": "*"})]);
    let put = json!({"SecretId": "r", "ResourcePolicy": deny.to_string()});
    world.sm_as(other, "PutResourcePolicy", put).await;
    let able = world.user("able", allow(&all)).await;
    let refused = world.sm_fails_as(&able, "AssociateCrossAccountReplica", pair.link()).await;
    let able_arn = format!("arn:aws:iam::{ACCOUNT}:user/able");
    let stranger = |arn: &str| unknown_to(&able_arn, accept, &format!("resource: {arn}"));
    assert_eq!(refused, stranger(&pair.replica));
    world.sm_as(other, "DeleteResourcePolicy", json!({"SecretId": "r"})).await;
    // A secret of theirs that waits for nobody, or for somebody else, is as good as none.
    let mut body = creation("plain", "v");
    body["KmsKeyId"] = json!(pair.key);
    let plain = world.sm_as(other, "CreateSecret", body).await["ARN"].clone();
    let body = replica_of(&pair.primary.replace(":p-", ":q-"), "q", &pair.key);
    let waits = world.sm_as(other, "CreateSecret", body).await["ARN"].clone();
    let gone = json!(pair.replica.replace(":r-", ":gone-"));
    for arn in [plain, waits, gone] {
        let body = json!({"SecretId": "p", "CrossAccountReplicaARN": arn});
        let refused = world.sm_fails_as(&able, "AssociateCrossAccountReplica", body).await;
        assert_eq!(refused, stranger(arn.as_str().unwrap()));
    }
    // There are no organisations.
    let mut body = pair.link();
    body["ReplicaRestriction"] = json!("SameOrg");
    let refused = world.sm_fails("AssociateCrossAccountReplica", body.clone()).await;
    assert_eq!(refused.code, "InvalidRequestException");
    body["ReplicaRestriction"] = json!("NoRestriction");
    world.sm_as(&able, "AssociateCrossAccountReplica", body).await;
    assert_eq!(pair.statuses().await, ["InSync", "InSync"]);
    // One replica for one primary.
    let body = replica_of(&pair.primary, "second", &pair.key);
    let second = world.sm_as(other, "CreateSecret", body).await["ARN"].clone();
    let body = json!({"SecretId": "p", "CrossAccountReplicaARN": second});
    let refused = world.sm_fails("AssociateCrossAccountReplica", body).await;
    assert_eq!(refused.code, "LimitExceededException");
    // Neither the replica's account nor its secret can begin.
    let body = json!({"SecretId": pair.primary, "CrossAccountReplicaARN": pair.replica});
    let refused = world.sm_fails_as(other, "AssociateCrossAccountReplica", body).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let body = json!({"SecretId": "r", "CrossAccountReplicaARN": pair.primary});
    let refused = world.sm_fails_as(other, "AssociateCrossAccountReplica", body).await;
    assert_eq!(refused.code, "InvalidRequestException");
}
