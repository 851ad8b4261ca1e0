//! How many users, groups, roles and policies an account may have.
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use claviger::identity::{Group, ManagedPolicy, NewUser, Role, User};
use claviger::store::StoreError;
use claviger::types::{AccountId, Tags};
use serde_json::{Value, json};

const TEMPLATE: &str = "template";

impl World {
    /// One of each in the other account.
    async fn templates(&self) {
        for kind in ["User", "Group", "Role", "Policy"] {
            let (name, body) = creation(kind, TEMPLATE);
            self.call_as(&self.other_root(), "iam", &name, body).await.unwrap();
        }
    }

    /// Gives [`ACCOUNT`] so many more of a kind, as nobody counted them.
    async fn plant(&self, kind: &str, how_many: usize) {
        let (account, other): (AccountId, AccountId) =
            (ACCOUNT.parse().unwrap(), OTHER_ACCOUNT.parse().unwrap());
        let mut tx = self.server.store.begin();
        for at in 0..how_many {
            let name = format!("planted{at}");
            let key = [ACCOUNT, name.as_str()];
            match kind {
                "User" => {
                    let found = User::find(&mut tx, &other, TEMPLATE).await.unwrap();
                    let account = account.clone();
                    let user = User { account, name: name.clone(), ..User::clone(&found) };
                    tx.put(&key, user).unwrap();
                }
                "Group" => {
                    let found = Group::find(&mut tx, &other, TEMPLATE).await.unwrap();
                    let account = account.clone();
                    let group = Group { account, name: name.clone(), ..Group::clone(&found) };
                    tx.put(&key, group).unwrap();
                }
                "Role" => {
                    let mut role =
                        Role::clone(&*Role::find(&mut tx, &other, TEMPLATE).await.unwrap());
                    (role.account, role.name) = (account.clone(), name.clone());
                    tx.put(&key, role).unwrap();
                }
                _ => {
                    let arn = format!("arn:aws:iam::{OTHER_ACCOUNT}:policy/{TEMPLATE}");
                    let found = ManagedPolicy::find(&mut tx, &arn).await.unwrap();
                    let mut policy = ManagedPolicy::clone(&found);
                    (policy.account, policy.name) = (Some(account.clone()), name.clone());
                    tx.put(&key, policy).unwrap();
                }
            }
        }
        tx.commit().await.unwrap();
    }

    async fn figure(&self, name: &str) -> Value {
        self.iam("GetAccountSummary", json!({})).await["SummaryMap"][name].clone()
    }
}

/// The request that makes one.
fn creation(kind: &str, name: &str) -> (String, Value) {
    let mut body = json!({format!("{kind}Name"): name});
    if kind == "Role" {
        let trust = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT},
            "Action": "sts:AssumeRole"})]);
        body["AssumeRolePolicyDocument"] = json!(trust.to_string());
    }
    if kind == "Policy" {
        body["PolicyDocument"] = json!(allow(&["s3:*"]).to_string());
    }
    (format!("Create{kind}"), body)
}

#[tokio::test]
async fn an_account_has_no_more_than_its_quotas() {
    let world = World::new().await;
    world.templates().await;
    for (kind, figure, most) in [
        ("User", "Users", 5000),
        ("Group", "Groups", 300),
        ("Role", "Roles", 1000),
        ("Policy", "Policies", 1500),
    ] {
        world.plant(kind, most - 2).await;
        assert_eq!(world.figure(figure).await, most - 2);
        for name in ["a", "b"] {
            let (create, body) = creation(kind, name);
            world.iam(&create, body).await;
        }
        assert_eq!(world.figure(figure).await, most);
        assert_eq!(world.figure(&format!("{figure}Quota")).await, most);
        let text = format!("Cannot exceed quota for {figure}PerAccount: {most}");
        let full = failed("LimitExceeded", text);
        let (create, body) = creation(kind, "c");
        assert_eq!(world.iam_fails(&create, body.clone()).await, full);
        // Another account has its own.
        let other = world.other_root();
        world.call_as(&other, "iam", &create, body.clone()).await.unwrap();
        // A name that is taken is that, and no more.
        let (_, taken) = creation(kind, "A");
        assert_eq!(world.iam_fails(&create, taken).await.code, "EntityAlreadyExists");
        let gone = match kind {
            "Policy" => json!({"PolicyArn": format!("arn:aws:iam::{ACCOUNT}:policy/a")}),
            _ => json!({format!("{kind}Name"): "a"}),
        };
        world.iam(&format!("Delete{kind}"), gone).await;
        assert_eq!(world.figure(figure).await, most - 1);
        world.iam(&create, body.clone()).await;
        assert_eq!(world.iam_fails(&create, creation(kind, "d").1).await, full);
    }
    // Of each policy one version, planted or made.
    assert_eq!(world.figure("PolicyVersionsInUse").await, 1500);
}

/// Whoever takes the last place at the same moment as somebody else asks again.
#[tokio::test]
async fn the_last_place_is_given_once() {
    let world = World::new().await;
    world.templates().await;
    world.plant("User", 4999).await;
    let new = |name: &str| NewUser {
        account: ACCOUNT.parse().unwrap(),
        name: name.into(),
        path: "/".into(),
        boundary: None,
        tags: Tags::default(),
    };
    let (server, now) = (&world.server, world.server.clock.now());
    let (mut one, mut other) = (server.store.begin(), server.store.begin());
    User::insert(&mut one, new("one"), &*server.random, now).await.unwrap();
    User::insert(&mut other, new("other"), &*server.random, now).await.unwrap();
    one.commit().await.unwrap();
    assert!(matches!(other.commit().await, Err(StoreError::Conflict)));
    let mut again = server.store.begin();
    assert!(User::insert(&mut again, new("other"), &*server.random, now).await.is_err());
}

#[tokio::test]
async fn versions_are_counted_as_they_come_and_go() {
    let world = World::new().await;
    let (create, body) = creation("Policy", "p");
    world.iam(&create, body).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/p");
    let text = allow(&["s3:*"]).to_string();
    for expected in [2, 3] {
        let body = json!({"PolicyArn": arn, "PolicyDocument": text});
        world.iam("CreatePolicyVersion", body).await;
        assert_eq!(world.figure("PolicyVersionsInUse").await, expected);
    }
    for (version, expected) in [("v2", 2), ("v3", 1)] {
        world.iam("DeletePolicyVersion", json!({"PolicyArn": arn, "VersionId": version})).await;
        assert_eq!(world.figure("PolicyVersionsInUse").await, expected);
    }
    world.iam("DeletePolicy", json!({"PolicyArn": arn})).await;
    assert_eq!(world.figure("PolicyVersionsInUse").await, 0);
    assert_eq!(world.figure("Policies").await, 0);
}
