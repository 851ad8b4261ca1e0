//! The recent past with another policy.
use super::{Data, ask};
use crate::support::{delegate, policy, user_arn};
use crate::world::{Someone, World, allow};
use claviger::control::{Attach, Changed, Command, Question, Span, WhatIf};
use claviger::types::Timestamp;
use serde_json::{Value, json};

/// Ann encrypts thrice and describes once; Bob is refused twice.
async fn past() -> (World, Data, String) {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:Encrypt", "kms:DescribeKey"])).await;
    let bob = world.user("bob", allow(&["s3:*"])).await;
    for _ in 0..3 {
        encrypt(&world, &ann, &key, true).await;
    }
    world.call_as(&ann, "kms", "DescribeKey", json!({"KeyId": key})).await.unwrap();
    for _ in 0..2 {
        encrypt(&world, &bob, &key, false).await;
    }
    (world, Data::new(), key)
}

async fn encrypt(world: &World, who: &Someone, key: &str, expected: bool) {
    let body = json!({"KeyId": key, "Plaintext": "YQ=="});
    let outcome = world.call_as(who, "kms", "Encrypt", body).await;
    assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
}

fn deny(actions: &[&str]) -> Value {
    let mut policy = allow(actions);
    policy["Statement"][0]["Effect"] = json!("Deny");
    policy
}

fn groups(changed: &Changed) -> Vec<(bool, &str, u64)> {
    changed.groups.iter().map(|g| (g.now_allowed, g.action.as_str(), g.count)).collect()
}

#[tokio::test]
async fn a_policy_more_at_a_user() {
    let (world, data, key) = past().await;
    let attach = || Attach::User("ann".into());
    let changed = data.what_if(&world, &deny(&["kms:Encrypt"]), attach(), None).await;
    assert_eq!(groups(&changed), [(true, "kms:Encrypt", 3)]);
    let group = &changed.groups[0];
    assert_eq!((group.principal.as_str(), group.resource.as_str()), (&*user_arn("ann"), &*key));
    assert_eq!(group.events.len(), 3);
    assert!(group.because.contains("\"what if\""), "{group:?}");
    let named: Vec<_> = world.events().into_iter().map(|e| e.event_id).collect();
    assert!(group.events.iter().all(|id| named.iter().any(|name| name == id)));
    assert_eq!((changed.changed, changed.unlike_then), (3, 0));
    // What changes nothing, and what concerns somebody else.
    for (policy, at) in [
        (deny(&["kms:Decrypt"]), attach()),
        (allow(&["kms:*"]), attach()),
        (deny(&["*"]), Attach::User("bob".into())),
    ] {
        let changed = data.what_if(&world, &policy, at, None).await;
        assert_eq!((changed.changed, changed.groups.len()), (0, 0), "{policy}");
        assert!(changed.evaluated >= 6);
    }
    let all = allow(&["kms:*"]);
    let changed = data.what_if(&world, &all, Attach::User(user_arn("bob")), None).await;
    assert_eq!(groups(&changed), [(false, "kms:Encrypt", 2)]);
    let text = changed.to_string();
    assert!(text.contains("denied -> allowed: 2 times"), "{text}");
    // And what it foretells comes true.
    let body = json!({"UserName": "bob", "PolicyName": "p", "PolicyDocument": all.to_string()});
    world.iam("PutUserPolicy", body).await;
    let question = Question {
        principal: user_arn("bob"),
        action: "kms:Encrypt".into(),
        resource: key,
        context: Vec::new(),
        session_policy: None,
    };
    assert!(ask(&world, question).await.unwrap().allowed);
    let changed = data.what_if(&world, &all, Attach::User("bob".into()), None).await;
    assert_eq!((changed.changed, changed.unlike_then), (0, 2), "they were denied then");
}

#[tokio::test]
async fn another_policy_in_place_of_one() {
    let (world, data, _) = past().await;
    let narrow = allow(&["kms:DescribeKey"]);
    let at = || Attach::User("ann".into());
    assert_eq!(data.what_if(&world, &narrow, at(), None).await.changed, 0);
    let changed = data.what_if(&world, &narrow, at(), Some("policy")).await;
    assert_eq!(groups(&changed), [(true, "kms:Encrypt", 3)]);
    // Of a group: its members lose what they have from it only.
    world.iam("CreateGroup", json!({"GroupName": "crew"})).await;
    let text = allow(&["kms:*"]).to_string();
    world.iam("CreatePolicy", json!({"PolicyName": "wide", "PolicyDocument": text})).await;
    let arn = "arn:aws:iam::111122223333:policy/wide";
    world.iam("AttachGroupPolicy", json!({"GroupName": "crew", "PolicyArn": arn})).await;
    for name in ["ann", "bob"] {
        world.iam("AddUserToGroup", json!({"GroupName": "crew", "UserName": name})).await;
    }
    for named in ["wide", arn] {
        let crew = Attach::Group("crew".into());
        let changed = data.what_if(&world, &narrow, crew, Some(named)).await;
        // Bob's are allowed now, by the group; Ann has a policy of her own.
        assert_eq!(groups(&changed), [(true, "kms:Encrypt", 2)]);
        assert_eq!(changed.unlike_then, 2);
    }
}

#[tokio::test]
async fn a_key_policy_and_a_role() {
    let (world, data, key) = past().await;
    let id = key.rsplit('/').next().unwrap().to_owned();
    let open = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("bob")},
        "Action": "kms:Encrypt", "Resource": "*"});
    for named in [id, key.clone()] {
        let new = policy(&[delegate(), open.clone()]);
        let changed = data.what_if(&world, &new, Attach::Key(named.clone()), None).await;
        assert_eq!(groups(&changed), [(false, "kms:Encrypt", 2)]);
        // Alone it takes the account's delegation away.
        let new = policy(std::slice::from_ref(&open));
        let changed = data.what_if(&world, &new, Attach::Key(named), None).await;
        let mut found = groups(&changed);
        found.sort_unstable();
        assert_eq!(
            found,
            [(false, "kms:Encrypt", 2), (true, "kms:DescribeKey", 1), (true, "kms:Encrypt", 3)]
        );
    }
    let carl = world.user("carl", allow(&["sts:*"])).await;
    world.role("r", crate::sts::trust(&user_arn("carl")), allow(&["kms:*"])).await;
    let session = world.assume(&carl, "r", json!({})).await;
    world.with(&session, "kms", "DescribeKey", json!({"KeyId": key})).await.unwrap();
    let at = Attach::Role("r".into());
    let changed = data.what_if(&world, &deny(&["kms:*"]), at, None).await;
    assert_eq!(groups(&changed), [(true, "kms:DescribeKey", 1)]);
}

#[tokio::test]
async fn which_events_are_looked_at() {
    let (world, data, _) = past().await;
    let of = async |span: Span| {
        let policy = deny(&["*"]).to_string();
        let attach_to = Attach::User("ann".into());
        let asked = WhatIf { policy, attach_to, replace: None, span };
        match data.execute(&world, Command::WhatIf(asked)).await.unwrap() {
            claviger::control::Output::WhatIf(changed) => (changed.examined, changed.changed),
            other => panic!("{other:?}"),
        }
    };
    let all = u64::try_from(world.events().len()).unwrap();
    assert_eq!(of(Span::Last(0)).await, (0, 0));
    assert_eq!(of(Span::Last(2)).await, (2, 0));
    assert_eq!(of(Span::Last(3)).await, (3, 1));
    assert_eq!(of(Span::Last(u64::MAX)).await, (all, 4));
    let now = world.server.clock.now();
    assert_eq!(of(Span::Since(now.plus_secs(1))).await, (0, 0));
    assert_eq!(of(Span::Since(now)).await, (all, 4));
    assert_eq!(of(Span::Since(Timestamp::from_secs(0))).await, (all, 4));
}

/// Who waits for many thousands of events sees that it goes on.
#[tokio::test]
async fn a_long_log_tells_how_far_it_is() {
    let (world, data, _) = past().await;
    data.catch_up(&world).await;
    let event = world.last_event();
    let more = (0..2100).map(|_| data.log.append(&event));
    for written in futures_util::future::join_all(more).await {
        written.unwrap();
    }
    let asked = WhatIf {
        policy: allow(&["kms:*"]).to_string(),
        attach_to: Attach::User("bob".into()),
        replace: None,
        span: Span::Last(2000),
    };
    let told = std::sync::Mutex::new(Vec::new());
    let progress = |events| told.lock().unwrap().push(events);
    let command = Command::WhatIf(asked);
    let dir = data.dir.path();
    let outcome = claviger::control::execute(&world.server, dir, command, &progress).await;
    let claviger::control::Output::WhatIf(changed) = outcome.unwrap() else { panic!() };
    assert_eq!(groups(&changed), [(false, "kms:Encrypt", 2000)]);
    assert_eq!(changed.groups[0].events.len(), 10);
    assert_eq!(*told.lock().unwrap(), [1000, 2000]);
}

#[tokio::test]
async fn what_cannot_be_tried() {
    let (world, data, key) = past().await;
    world.user_of(crate::world::OTHER_ACCOUNT, "ann", allow(&["*"])).await;
    let good = allow(&["kms:*"]).to_string();
    let stranger = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("nobody")},
        "Action": "kms:*", "Resource": "*"});
    let stranger = policy(&[stranger]).to_string();
    let bob = || Attach::User("bob".into());
    for (policy, attach_to, replace, part) in [
        ("{", bob(), None, "the policy cannot be read"),
        (stranger.as_str(), bob(), None, "the policy cannot be read"),
        (&*good, Attach::User("nobody".into()), None, "there is no user nobody"),
        (&*good, Attach::Role("bob".into()), None, "there is no role bob"),
        (&*good, Attach::Group("bob".into()), None, "there is no group bob"),
        (&*good, Attach::User("ann".into()), None, "more than one account has a user ann"),
        (&*good, Attach::User(user_arn("nobody")), None, "there is no user"),
        (&*good, bob(), Some("absent"), "has no policy absent"),
        (&*good, Attach::Key(key.clone()), None, "the policy cannot be read"),
        (stranger.as_str(), Attach::Key(key.clone()), None, "Invalid principal in policy"),
        (stranger.as_str(), Attach::Key(key), Some("default"), "a key has one policy"),
        (stranger.as_str(), Attach::Key("absent".into()), None, "Invalid principal"),
    ] {
        let (policy, replace) = (policy.to_owned(), replace.map(str::to_owned));
        let asked = WhatIf { policy, attach_to, replace, span: Span::Last(10) };
        let error = data.execute(&world, Command::WhatIf(asked)).await.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}
