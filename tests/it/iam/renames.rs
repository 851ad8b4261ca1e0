//! Users and groups with another name: what belonged to them still does.
use crate::front::{Client, code_of};
use crate::support::{failed, policy, user_arn};
use crate::world::{ACCOUNT, Someone, World, allow};
use claviger::authorize::Caller;
use claviger::identity::{Actor, Session};
use claviger::types::{SecretText, Tags, Timestamp};
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_keeps_id_keys_groups_policies_and_grants() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let ann = world.user("Ann", allow(&["kms:ListKeys", "iam:GetUser"])).await;
    world.iam("CreateGroup", json!({"GroupName": "Crew"})).await;
    world.iam("AddUserToGroup", json!({"GroupName": "Crew", "UserName": "ann"})).await;
    let before = world.iam("GetUser", json!({"UserName": "ann"})).await;
    let key = world.key().await;
    let grant =
        json!({"KeyId": key, "GranteePrincipal": user_arn("Ann"), "Operations": ["Encrypt"]});
    world.kms("CreateGrant", grant).await;
    let body = json!({"UserName": "ann", "NewUserName": "Anna", "NewPath": "/team/"});
    world.iam("UpdateUser", body).await;

    let after = world.call_as(&ann, "iam", "GetUser", json!({})).await.unwrap();
    assert_eq!(after["User"]["UserId"], before["User"]["UserId"]);
    assert_eq!(after["User"]["Arn"], format!("arn:aws:iam::{ACCOUNT}:user/team/Anna"));
    assert_eq!(world.iam_fails("GetUser", json!({"UserName": "Ann"})).await.code, "NoSuchEntity");
    let keys = world.iam("ListAccessKeys", json!({"UserName": "anna"})).await;
    assert_eq!(keys["AccessKeyMetadata"][0]["AccessKeyId"], ann.access_key_id);
    let group = world.iam("GetGroup", json!({"GroupName": "Crew"})).await;
    assert_eq!(group["Users"][0]["UserName"], "Anna");
    assert_eq!(group["Users"].as_array().unwrap().len(), 1);
    assert_eq!(code_of(&client.kms(&ann, "ListKeys", json!({})).await), None);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(code_of(&client.kms(&ann, "Encrypt", body.clone()).await), None);
    let grants = world.kms("ListGrants", json!({"KeyId": key})).await;
    assert_eq!(grants["Grants"][0]["GranteePrincipal"], after["User"]["Arn"]);

    // Somebody else under the old name has nothing of it.
    let other = world.user("Ann", allow(&["s3:*"])).await;
    assert!(world.call_as(&other, "kms", "Encrypt", body).await.is_err());
    assert_eq!(
        world.iam("ListGroupsForUser", json!({"UserName": "Ann"})).await["Groups"],
        json!([])
    );
    assert_eq!(code_of(&client.kms(&ann, "ListKeys", json!({})).await), None);
    world.iam("RemoveUserFromGroup", json!({"GroupName": "Crew", "UserName": "Anna"})).await;
}

async fn session_of(world: &World, name: &str, id: &str) -> Option<Caller> {
    let session = Session {
        actor: Actor::User { account: ACCOUNT.parse().unwrap(), name: name.into(), id: id.into() },
        secret: SecretText::new("s".repeat(40)),
        issued: world.server.clock.now(),
        expires: Timestamp(world.server.clock.now().0 + 3_600_000),
        policy: None,
        policy_arns: Vec::new(),
        tags: Tags::default(),
        transitive: [].into(),
        mfa: None,
        source_identity: None,
        provider: None,
        issuer_key: None,
        chained: false,
        door: None,
    };
    let issued = session.issue(&world.server.root, &*world.server.random).unwrap();
    let id = issued.access_key_id;
    let opened = Session::open(&world.server.root, &id, issued.token.expose()).unwrap();
    let (server, mut tx) = (&world.server, world.server.store.begin());
    opened.caller(&mut tx, &server.services, &id).await.unwrap()
}

/// A session knows its user by the name of its beginning.
#[tokio::test]
async fn sessions_follow_their_user_and_nobody_else() {
    let world = World::new().await;
    let made = world.iam("CreateUser", json!({"UserName": "ann"})).await;
    let id = made["User"]["UserId"].as_str().unwrap();
    let name = async |name: &'static str| {
        session_of(&world, name, id).await.map(|caller| caller.principal.user_name.unwrap())
    };
    assert_eq!(name("ann").await.as_deref(), Some("ann"));
    world.iam("UpdateUser", json!({"UserName": "ann", "NewUserName": "bea"})).await;
    world.iam("UpdateUser", json!({"UserName": "bea", "NewUserName": "cleo"})).await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    for old in ["ann", "bea", "cleo"] {
        assert_eq!(name(old).await.as_deref(), Some("cleo"));
    }
    world.iam("DeleteUser", json!({"UserName": "cleo"})).await;
    world.iam("CreateUser", json!({"UserName": "cleo"})).await;
    for old in ["ann", "bea", "cleo"] {
        assert_eq!(name(old).await, None);
    }
}

#[tokio::test]
async fn names_that_are_taken_stay_whose_they_are() {
    let world = World::new().await;
    for name in ["ann", "bob"] {
        world.iam("CreateUser", json!({"UserName": name})).await;
        world.iam("CreateGroup", json!({"GroupName": name})).await;
    }
    let refused =
        world.iam_fails("UpdateUser", json!({"UserName": "ann", "NewUserName": "BOB"})).await;
    assert_eq!(refused, failed("EntityAlreadyExists", "User with name BOB already exists."));
    let refused =
        world.iam_fails("UpdateGroup", json!({"GroupName": "ann", "NewGroupName": "BOB"})).await;
    assert_eq!(refused, failed("EntityAlreadyExists", "Group with name BOB already exists."));
    // Only the case differs: it is the same user.
    world.iam("UpdateUser", json!({"UserName": "ann", "NewUserName": "ANN"})).await;
    assert_eq!(world.iam("GetUser", json!({"UserName": "ann"})).await["User"]["UserName"], "ANN");
    for body in [
        json!({"UserName": "ann", "NewUserName": "a b"}),
        json!({"UserName": "ann", "NewUserName": ""}),
        json!({"UserName": "ann", "NewPath": "x"}),
    ] {
        assert_eq!(world.iam_fails("UpdateUser", body).await.code, "ValidationError");
    }
    world.iam("UpdateUser", json!({"UserName": "ann"})).await;
}

#[tokio::test]
async fn a_group_keeps_its_users_and_its_policies() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let made = world.iam("CreateGroup", json!({"GroupName": "Crew"})).await;
    let admins =
        json!({"GroupName": "Crew", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    world.iam("AttachGroupPolicy", admins).await;
    world.iam("AddUserToGroup", json!({"GroupName": "Crew", "UserName": "ann"})).await;
    let body = json!({"GroupName": "Crew", "NewGroupName": "Hands", "NewPath": "/deck/"});
    world.iam("UpdateGroup", body).await;
    let group = world.iam("GetGroup", json!({"GroupName": "hands"})).await;
    assert_eq!(group["Group"]["GroupId"], made["Group"]["GroupId"]);
    assert_eq!(group["Group"]["Arn"], format!("arn:aws:iam::{ACCOUNT}:group/deck/Hands"));
    assert_eq!(group["Users"][0]["UserName"], "ann");
    world.call_as(&ann, "kms", "ListKeys", json!({})).await.unwrap();
    // A group made under the old name is another one.
    world.iam("CreateGroup", json!({"GroupName": "Crew"})).await;
    let groups = world.iam("ListGroupsForUser", json!({"UserName": "ann"})).await;
    let names: Vec<&Value> =
        groups["Groups"].as_array().unwrap().iter().map(|group| &group["GroupName"]).collect();
    assert_eq!(names, ["Hands"]);
    world.iam("RemoveUserFromGroup", json!({"GroupName": "Hands", "UserName": "ann"})).await;
    assert!(world.call_as(&ann, "kms", "ListKeys", json!({})).await.is_err());
}

/// Both on what it is called and on what it will be called.
#[tokio::test]
async fn renaming_takes_permission_at_both_ends() {
    let world = World::new().await;
    let arns = ["user/from", "user/to", "group/from", "group/to"]
        .map(|name| format!("arn:aws:iam::{ACCOUNT}:{name}"));
    let rename = async |who: &Someone| {
        let user = json!({"UserName": "from", "NewUserName": "to"});
        let group = json!({"GroupName": "from", "NewGroupName": "to"});
        let user = world.call_as(who, "iam", "UpdateUser", user).await;
        let group = world.call_as(who, "iam", "UpdateGroup", group).await;
        [user, group].map(|outcome| outcome.map_err(|error| error.code))
    };
    world.iam("CreateUser", json!({"UserName": "from"})).await;
    world.iam("CreateGroup", json!({"GroupName": "from"})).await;
    let may = |arns: &[String]| {
        policy(&[json!({"Effect": "Allow", "Action": ["iam:UpdateUser", "iam:UpdateGroup"],
            "Resource": arns})])
    };
    for (name, some) in
        [("ann", &[arns[0].clone(), arns[2].clone()]), ("bob", &[arns[1].clone(), arns[3].clone()])]
    {
        let who = world.user(name, may(some)).await;
        let denied = || Err("AccessDenied".to_owned());
        assert_eq!(rename(&who).await, [denied(), denied()]);
    }
    let who = world.user("carl", may(&arns)).await;
    assert!(rename(&who).await.iter().all(Result::is_ok));
}
