//! Key policies mean whom they named when they were put: whoever has the id, not whoever bears the name.
use crate::sts::{Temporary, role_arn, trust};
use crate::support::{delegate, failed, policy, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use claviger::identity::{self, BindError};
use claviger::policy::{Kind, Policy};
use serde_json::{Value, json};

const INVALID: &str = "Policy contains a statement with one or more invalid principals.";

impl World {
    /// Deletes a user that [`World::user_of`] made.
    pub async fn delete_user(&self, who: &Someone, name: &str) {
        let root = if who.account == ACCOUNT { self.root.clone() } else { self.other_root() };
        for (operation, body) in [
            ("DeleteAccessKey", json!({"UserName": name, "AccessKeyId": who.access_key_id})),
            ("DeleteUserPolicy", json!({"UserName": name, "PolicyName": "policy"})),
            ("DeleteUser", json!({"UserName": name})),
        ] {
            self.call_as(&root, "iam", operation, body).await.unwrap();
        }
    }

    pub async fn user_id(&self, name: &str) -> String {
        let user = self.iam("GetUser", json!({"UserName": name})).await;
        user["User"]["UserId"].as_str().unwrap().to_owned()
    }

    async fn role_id(&self, name: &str) -> String {
        let role = self.iam("GetRole", json!({"RoleName": name})).await;
        role["Role"]["RoleId"].as_str().unwrap().to_owned()
    }

    async fn key_policy(&self, key: &str) -> String {
        let answer = self.kms("GetKeyPolicy", json!({"KeyId": key})).await;
        answer["Policy"].as_str().unwrap().to_owned()
    }

    async fn may_encrypt(&self, who: &Someone, key: &str) -> bool {
        let outcome = self.call_as(who, "kms", "Encrypt", seal(key)).await;
        let expected = "AccessDeniedException".to_owned();
        assert!(outcome.as_ref().err().is_none_or(|e| e.code == expected), "{outcome:?}");
        outcome.is_ok()
    }
}

fn seal(key: &str) -> Value {
    json!({"KeyId": key, "Plaintext": "aGVsbG8="})
}

/// Who may do nothing but what key policies allow.
async fn idle(world: &World, name: &str) -> Someone {
    world.user(name, allow(&["s3:*"])).await
}

fn letting(named: &[&str]) -> Value {
    policy(&[
        delegate(),
        json!({"Effect": "Allow", "Principal": {"AWS": named}, "Action": "kms:Encrypt",
            "Resource": "*"}),
    ])
}

#[tokio::test]
async fn a_user_made_anew_is_not_meant() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let (arn, id) = (user_arn("ann"), world.user_id("ann").await);
    // What stands elsewhere is text: it stays, and conditions ask for the ARN.
    let text = format!(
        r#"{{"Version":"2012-10-17" , "Statement":[{},
  {{"Sid":"for {arn}","Effect":"Allow","Principal" : {{"AWS":[ "{arn}" ]}},"Action":"kms:Encrypt",
   "Resource":"*","Condition":{{"ArnEquals":{{"aws:PrincipalArn":"{arn}"}}}}}} ]}}"#,
        delegate()
    );
    let key = world.key().await;
    let put = |text: &str| json!({"KeyId": key, "Policy": text});
    world.kms("PutKeyPolicy", put(&text)).await;
    assert!(world.may_encrypt(&ann, &key).await);
    assert_eq!(world.key_policy(&key).await, text);

    world.delete_user(&ann, "ann").await;
    let left = text.replace(&format!("[ \"{arn}\" ]"), &format!("[ \"{id}\" ]"));
    assert_eq!(world.key_policy(&key).await, left);
    let new = idle(&world, "ann").await;
    assert_ne!(world.user_id("ann").await, id);
    assert!(!world.may_encrypt(&new, &key).await);
    assert_eq!(world.key_policy(&key).await, left);

    // Nobody has the id any more: no key takes it again.
    let malformed = failed("MalformedPolicyDocumentException", INVALID);
    assert_eq!(world.kms_fails("PutKeyPolicy", put(&left)).await, malformed);
    assert_eq!(world.kms_fails("CreateKey", json!({"Policy": left})).await, malformed);
    let primary = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    let replicate = json!({"KeyId": primary["KeyMetadata"]["KeyId"], "Policy": left,
        "ReplicaRegion": OTHER_REGION});
    assert_eq!(world.kms_fails("ReplicateKey", replicate).await, malformed);
    assert!(!world.may_encrypt(&new, &key).await);

    // Named again, it is the new one.
    world.kms("PutKeyPolicy", put(&text)).await;
    assert!(world.may_encrypt(&new, &key).await);
    assert_eq!(world.key_policy(&key).await, text);
}

/// Each operation that gives a key its policy binds it.
#[tokio::test]
async fn new_keys_and_replicas_are_bound_too() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let id = world.user_id("ann").await;
    let text = letting(&[&user_arn("ann")]).to_string();
    let made = world.kms("CreateKey", json!({"Policy": text, "MultiRegion": true})).await;
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    let body = json!({"KeyId": key, "Policy": text, "ReplicaRegion": OTHER_REGION});
    assert_eq!(world.kms("ReplicateKey", body).await["ReplicaPolicy"], text);
    let outcomes = async |who: &Someone| {
        let here = world.call_in(who, REGION, "kms", "Encrypt", seal(key)).await;
        let there = world.call_in(who, OTHER_REGION, "kms", "Encrypt", seal(key)).await;
        [here.is_ok(), there.is_ok()]
    };
    assert_eq!(outcomes(&ann).await, [true, true]);
    world.delete_user(&ann, "ann").await;
    let new = idle(&world, "ann").await;
    assert_eq!(outcomes(&new).await, [false, false]);
    let left = text.replace(&user_arn("ann"), &id);
    for region in [REGION, OTHER_REGION] {
        let body = json!({"KeyId": key});
        let answer = world.call_in(&world.root, region, "kms", "GetKeyPolicy", body).await;
        assert_eq!(answer.unwrap()["Policy"], left);
    }
}

/// A role's policies hold for all of its sessions, a session's for that one: while it is that role.
#[tokio::test]
async fn a_role_made_anew_is_not_meant_nor_are_its_sessions() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    let make = async || {
        world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
        world.assume(&ann, "r", json!({})).await
    };
    let old = make().await;
    let id = world.role_id("r").await;
    let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    let texts = [role_arn("r"), session].map(|arn| letting(&[&arn]).to_string());
    let lefts = [id.clone(), format!("{id}:s1")].map(|id| letting(&[&id]).to_string());
    let make_key = |text: &str| world.key_with_policy(text.parse().unwrap());
    let keys = [make_key(&texts[0]).await, make_key(&texts[1]).await];
    let may = async |who: &Temporary| {
        let first = world.may_with(who, "kms", "Encrypt", seal(&keys[0])).await;
        [first, world.may_with(who, "kms", "Encrypt", seal(&keys[1])).await]
    };
    assert_eq!(may(&old).await, [true, true]);
    let other = world.assume(&ann, "r", json!({"RoleSessionName": "s2"})).await;
    assert_eq!(may(&other).await, [true, false]);
    assert_eq!([world.key_policy(&keys[0]).await, world.key_policy(&keys[1]).await], texts);
    world.delete_role("r").await;
    let new = make().await;
    assert_eq!(may(&new).await, [false, false]);
    assert_eq!([world.key_policy(&keys[0]).await, world.key_policy(&keys[1]).await], lefts);
    for (key, left) in keys.iter().zip(&lefts) {
        let refused = world.kms_fails("PutKeyPolicy", json!({"KeyId": key, "Policy": left})).await;
        assert_eq!(refused.code, "MalformedPolicyDocumentException", "{left}");
    }
}

/// Who asked for a federated user is behind it: a policy that names the user reaches it.
#[tokio::test]
async fn federated_users_of_a_user_made_anew_are_not_meant() {
    let world = World::new().await;
    let make = async || world.user("ann", allow(&["sts:*", "kms:*"])).await;
    let federate = async |who: &Someone| {
        let body = json!({"Name": "fed", "Policy": allow(&["*"]).to_string()});
        let answer = world.call_as(who, "sts", "GetFederationToken", body).await;
        Temporary::of(&answer.unwrap())
    };
    let ann = make().await;
    let id = world.user_id("ann").await;
    let only = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")}, "Action": "kms:*",
        "Resource": "*"});
    let key = world.key_with_policy(policy(&[only])).await;
    let fed = federate(&ann).await;
    assert!(world.may_with(&fed, "kms", "Encrypt", seal(&key)).await);
    world.with(&fed, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    let identity = serde_json::to_value(world.last_event().user_identity).unwrap();
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["principalId"], id);
    world.delete_user(&ann, "ann").await;
    let fed = federate(&make().await).await;
    assert!(!world.may_with(&fed, "kms", "Encrypt", seal(&key)).await);
}

/// A Deny for all but one spares that one, not its successor.
#[tokio::test]
async fn a_new_user_is_not_the_exception_its_predecessor_was() {
    let world = World::new().await;
    let make = async |name: &str| world.user(name, allow(&["kms:*"])).await;
    let (ann, bob) = (make("ann").await, make("bob").await);
    let id = world.user_id("ann").await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let but = |named: &str| {
        policy(&[
            delegate(),
            json!({"Effect": "Deny", "NotPrincipal": {"AWS": [root, named]},
                "Action": "kms:Encrypt", "Resource": "*"}),
        ])
    };
    let key = world.key_with_policy(but(&user_arn("ann"))).await;
    assert!(world.may_encrypt(&ann, &key).await);
    assert!(!world.may_encrypt(&bob, &key).await);
    world.delete_user(&ann, "ann").await;
    let new = make("ann").await;
    assert!(!world.may_encrypt(&new, &key).await);
    assert_eq!(world.key_policy(&key).await, but(&id).to_string());
}

#[tokio::test]
async fn another_accounts_user_made_anew_is_not_meant() {
    let world = World::new().await;
    let make = async || world.user_of(OTHER_ACCOUNT, "far", allow(&["kms:*"])).await;
    let far = make().await;
    let arn = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/far");
    let key = world.key_with_policy(letting(&[&arn])).await;
    assert!(world.may_encrypt(&far, &key).await);
    assert_eq!(world.key_policy(&key).await, letting(&[&arn]).to_string());
    world.delete_user(&far, "far").await;
    let new = make().await;
    assert!(!world.may_encrypt(&new, &key).await);
    let left = world.key_policy(&key).await;
    assert!(!left.contains(&arn) && left.contains("\"AIDA"), "{left}");
    for named in ["user/gone", "role/gone"] {
        let named = format!("arn:aws:iam::{OTHER_ACCOUNT}:{named}");
        let body = json!({"KeyId": key, "Policy": letting(&[&named]).to_string()});
        let refused = world.kms_fails("PutKeyPolicy", body).await;
        assert_eq!(refused, failed("MalformedPolicyDocumentException", INVALID));
    }
}

#[tokio::test]
async fn who_is_renamed_stays_meant_and_is_shown_by_the_new_name() {
    let world = World::new().await;
    let (ann, bob) = (idle(&world, "ann").await, idle(&world, "bob").await);
    let key = world.key_with_policy(letting(&[&user_arn("ann")])).await;
    let rename = async |from: &str, to: Value| {
        let mut body = json!({"UserName": from});
        body.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        world.iam("UpdateUser", body).await;
    };
    let shows = async |name: &str| {
        assert_eq!(world.key_policy(&key).await, letting(&[&user_arn(name)]).to_string());
    };
    // The two change names.
    rename("ann", json!({"NewUserName": "cleo"})).await;
    shows("cleo").await;
    rename("bob", json!({"NewUserName": "ann"})).await;
    rename("cleo", json!({"NewUserName": "bob"})).await;
    shows("bob").await;
    assert!(world.may_encrypt(&ann, &key).await);
    assert!(!world.may_encrypt(&bob, &key).await);
    rename("bob", json!({"NewPath": "/team/"})).await;
    shows("team/bob").await;
    // What is shown can be put again, and says the same.
    let text = world.key_policy(&key).await;
    world.kms("PutKeyPolicy", json!({"KeyId": key, "Policy": text})).await;
    assert!(world.may_encrypt(&ann, &key).await);
    assert!(!world.may_encrypt(&bob, &key).await);
    // The old ARN is nobody's.
    let body = json!({"KeyId": key, "Policy": letting(&[&user_arn("bob")]).to_string()});
    let refused = world.kms_fails("PutKeyPolicy", body).await;
    assert_eq!(refused, failed("MalformedPolicyDocumentException", INVALID));
}

/// An id can be put for whoever has it; it is shown as the ARN, as AWS does.
#[tokio::test]
async fn ids_of_the_living_are_taken() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
    let (user, role) = (world.user_id("ann").await, world.role_id("r").await);
    let key = world.key_with_policy(letting(&[&user, &role])).await;
    assert!(world.may_encrypt(&ann, &key).await);
    let shown = letting(&[&user_arn("ann"), &role_arn("r")]).to_string();
    assert_eq!(world.key_policy(&key).await, shown);
    for id in ["AIDAAAAAAAAAAAAAAAAAA", "AROAAAAAAAAAAAAAAAAAA", &format!("{role}:s1"), ACCOUNT] {
        let body = json!({"KeyId": key, "Policy": letting(&[id]).to_string()});
        let outcome = world.call("kms", "PutKeyPolicy", body).await.map_err(|e| e.code);
        let malformed = Err("MalformedPolicyDocumentException".to_owned());
        assert_eq!(outcome, if id == ACCOUNT { Ok(Value::Null) } else { malformed }, "{id}");
    }
}

/// Whoever goes while a policy that names them is being put is not in it afterwards.
#[tokio::test]
async fn nobody_is_bound_who_goes_meanwhile() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let text = letting(&[&user_arn("ann")]).to_string();
    let read = Policy::parse(&text, Kind::Resource).unwrap();
    let mut tx = world.server.store.begin();
    let bound = identity::bind(&mut tx, text.clone(), &read).await.unwrap();
    assert_eq!(bound.ids().len(), 1);
    // Something to commit, so that what was read is compared.
    let root = ACCOUNT.parse().unwrap();
    let now = world.server.clock.now();
    let (id, secret) = ("ROOTOTHER", claviger::types::SecretText::new("s".repeat(40)));
    identity::AccessKey::seed_root(&mut tx, &root, id, secret, now).await.unwrap();
    world.delete_user(&ann, "ann").await;
    assert!(tx.commit().await.is_err());
    let again = identity::bind(&mut world.server.store.begin(), text, &read).await;
    assert!(matches!(again, Err(BindError::Unknown(_))), "{again:?}");
}
