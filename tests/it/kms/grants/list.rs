//! ListGrants and ListRetirableGrants.
use super::{DENIED, attempt, body, grant, granted, idle, ids, with};
use crate::support::{denied, failed, policy, user_arn};
use crate::world::{NOW_SECS, OTHER_ACCOUNT, OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_grant_is_shown_whole() {
    let world = World::new().await;
    idle(&world, "ann").await;
    idle(&world, "bob").await;
    let key = world.key().await;
    let bare = grant(&world, &key, "ann", &["Decrypt"]).await;
    let listed = world.kms("ListGrants", json!({"KeyId": key})).await;
    let expected = json!({"Grants": [{
        "KeyId": key, "GrantId": bare, "Name": "", "CreationDate": NOW_SECS,
        "GranteePrincipal": user_arn("ann"), "Operations": ["Decrypt"],
        "IssuingAccount": "arn:aws:iam::111122223333:root"
    }], "Truncated": false});
    assert_eq!(listed, expected);
    let source = "arn:aws:rds:eu-west-1:111122223333:db:main";
    let constraints = json!({"EncryptionContextEquals": {"B": "2", "a": "1"},
        "EncryptionContextSubset": {"a": "1"}, "SourceArn": source});
    let full = json!({"KeyId": key, "GranteeServicePrincipal": "rds.amazonaws.com",
        "RetiringPrincipal": user_arn("bob"), "Operations": ["Encrypt", "Decrypt"],
        "Name": "mine", "Constraints": constraints});
    world.advance(5).await;
    let full = granted(&world, full).await;
    let listed = world.kms("ListGrants", json!({"KeyId": key, "GrantId": full})).await;
    let expected = json!({"Grants": [{
        "KeyId": key, "GrantId": full, "Name": "mine", "CreationDate": NOW_SECS + 5,
        "GranteeServicePrincipal": "rds.amazonaws.com", "RetiringPrincipal": user_arn("bob"),
        "Operations": ["Encrypt", "Decrypt"], "Constraints": constraints,
        "IssuingAccount": "arn:aws:iam::111122223333:root"
    }], "Truncated": false});
    assert_eq!(listed, expected);
    let services = with(
        body(&key, "ann", &["Decrypt"]),
        json!({"RetiringServicePrincipal": "rds.amazonaws.com"}),
    );
    let id = granted(&world, services).await;
    let listed = world.kms("ListGrants", json!({"KeyId": key, "GrantId": id})).await;
    assert_eq!(listed["Grants"][0]["RetiringServicePrincipal"], "rds.amazonaws.com");
}

#[tokio::test]
async fn pages_join_to_the_whole() {
    let world = World::new().await;
    idle(&world, "ann").await;
    idle(&world, "bob").await;
    let key = world.key().await;
    let mut all = BTreeSet::new();
    for n in 0..53 {
        let retiring = json!({"RetiringPrincipal": user_arn("bob")});
        let user = if n % 5 == 0 { "bob" } else { "ann" };
        all.insert(granted(&world, with(body(&key, user, &["Decrypt"]), retiring)).await);
    }
    for (name, base) in [
        ("ListGrants", json!({"KeyId": key})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": user_arn("bob")})),
    ] {
        for (limit, pages) in
            [(None, 2), (Some(100), 1), (Some(53), 1), (Some(10), 6), (Some(1), 53)]
        {
            let (mut seen, mut count) = (BTreeSet::new(), 0);
            let mut body = with(base.clone(), json!({"Limit": limit}));
            loop {
                let page = world.kms(name, body.clone()).await;
                count += 1;
                for one in page["Grants"].as_array().unwrap() {
                    assert!(seen.insert(one["GrantId"].as_str().unwrap().to_owned()));
                }
                assert_eq!(page["Truncated"] == true, page.get("NextMarker").is_some());
                let Some(next) = page.get("NextMarker") else { break };
                body["Marker"] = next.clone();
            }
            assert_eq!((&seen, count), (&all, pages), "{name} {limit:?}");
        }
        for bad in [0, -1, 101, 1001] {
            let refused = world.kms_fails(name, with(base.clone(), json!({"Limit": bad}))).await;
            assert_eq!(refused.code, "ValidationException", "{name} {bad}");
        }
        for bad in ["x", "bm90IG91cnM"] {
            let refused = world.kms_fails(name, with(base.clone(), json!({"Marker": bad}))).await;
            assert_eq!(refused.code, "InvalidMarkerException", "{name} {bad}");
        }
    }
    // One list's marker is not another's.
    let first = world.kms("ListGrants", json!({"KeyId": key, "Limit": 1})).await;
    let marker = &first["NextMarker"];
    for (name, body) in [
        ("ListGrants", json!({"KeyId": world.key().await})),
        ("ListGrants", json!({"KeyId": key, "GranteePrincipal": user_arn("ann")})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": user_arn("bob")})),
        ("ListKeys", json!({})),
    ] {
        let refused = world.kms_fails(name, with(body, json!({"Marker": marker}))).await;
        assert_eq!(refused.code, "InvalidMarkerException", "{name}");
    }
}

#[tokio::test]
async fn filters_choose() {
    let world = World::new().await;
    for name in ["ann", "bob", "cat"] {
        idle(&world, name).await;
    }
    let key = world.key().await;
    let (mut anns, mut bobs) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..25 {
        let (user, ids) = if n % 2 == 0 { ("ann", &mut anns) } else { ("bob", &mut bobs) };
        ids.insert(grant(&world, &key, user, &["Decrypt"]).await);
    }
    for (user, expected) in [("ann", &anns), ("bob", &bobs), ("cat", &BTreeSet::new())] {
        for limit in [1, 5, 100] {
            let mut body =
                json!({"KeyId": key, "GranteePrincipal": user_arn(user), "Limit": limit});
            let mut seen = BTreeSet::new();
            loop {
                let page = world.kms("ListGrants", body.clone()).await;
                let grants = page["Grants"].as_array().unwrap();
                assert!(grants.len() <= limit);
                seen.extend(grants.iter().map(|g| g["GrantId"].as_str().unwrap().to_owned()));
                let Some(next) = page.get("NextMarker") else { break };
                body["Marker"] = next.clone();
            }
            assert_eq!(&seen, expected, "{user} {limit}");
        }
    }
    let first = anns.first().unwrap();
    for (grantee, count) in [("ann", 1), ("bob", 0)] {
        let body = json!({"KeyId": key, "GrantId": first, "GranteePrincipal": user_arn(grantee)});
        let listed = world.kms("ListGrants", body).await;
        assert_eq!(listed["Grants"].as_array().unwrap().len(), count);
    }
    // An id that no grant has finds nothing, what is no id is refused.
    let none = world.kms("ListGrants", json!({"KeyId": key, "GrantId": "0".repeat(64)})).await;
    assert_eq!(none, json!({"Grants": [], "Truncated": false}));
    let refused = world.kms_fails("ListGrants", json!({"KeyId": key, "GrantId": "x"})).await;
    assert_eq!(refused.code, "InvalidGrantIdException");
    for bad in ["ann", "arn:", "rds.amazonaws.com", "arn:aws:iam::111122223333:group/g"] {
        let body = json!({"KeyId": key, "GranteePrincipal": bad});
        assert_eq!(world.kms_fails("ListGrants", body).await.code, "InvalidArnException", "{bad}");
    }
    let body = json!({"KeyId": key, "GranteeServicePrincipal": "rds.amazonaws.com"});
    assert_eq!(world.kms_fails("ListGrants", body).await.code, "ValidationException");
    assert_eq!(
        world.kms_fails("ListGrants", json!({"KeyId": "no-key"})).await.code,
        "NotFoundException"
    );
}

#[tokio::test]
async fn listing_takes_permission() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    grant(&world, &key, "ann", &["Decrypt", "DescribeKey"]).await;
    let why = format!(
        "resource: {key} because no identity-based policy allows the kms:ListGrants action"
    );
    let refused = world.kms_fails_as(&ann, "ListGrants", json!({"KeyId": key})).await;
    assert_eq!(refused, denied(&user_arn("ann"), "kms:ListGrants", &why));
    let lister = world.user("lister", allow(&["kms:ListGrants"])).await;
    let listed = world.kms_as(&lister, "ListGrants", json!({"KeyId": key})).await;
    assert_eq!(listed["Grants"].as_array().unwrap().len(), 1);
}

/// In one's own account and region, whoever owns the keys.
#[tokio::test]
async fn retirable_grants_are_the_principals() {
    let world = World::new().await;
    for name in ["ann", "bob"] {
        idle(&world, name).await;
    }
    let far = format!("arn:aws:iam::{OTHER_ACCOUNT}:user/far");
    world.user_of(OTHER_ACCOUNT, "far", allow(&["s3:*"])).await;
    let (one, two) = (world.key().await, world.key().await);
    let retiring = |arn: &str| json!({"RetiringPrincipal": arn});
    let by_bob = |key: &str| with(body(key, "ann", &["Decrypt"]), retiring(&user_arn("bob")));
    let expected = BTreeSet::from([
        granted(&world, by_bob(&one)).await,
        granted(&world, by_bob(&one)).await,
        granted(&world, by_bob(&two)).await,
    ]);
    granted(&world, with(body(&one, "ann", &["Decrypt"]), retiring(&far))).await;
    grant(&world, &one, "ann", &["Decrypt"]).await;
    let listed = world.kms("ListRetirableGrants", retiring(&user_arn("bob"))).await;
    let found: BTreeSet<String> = listed["Grants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["GrantId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, expected);
    // Their own account sees those of a key that is not its own; nobody else does.
    let far_root = world.other_root();
    let listed = world.kms_as(&far_root, "ListRetirableGrants", retiring(&far)).await;
    assert_eq!(listed["Grants"][0]["KeyId"], one);
    let refused = attempt(&world, &world.root, "ListRetirableGrants", retiring(&far)).await;
    assert_eq!(refused, Err(DENIED.into()));
    let nothing = world
        .call_in(
            &world.root,
            OTHER_REGION,
            "kms",
            "ListRetirableGrants",
            retiring(&user_arn("bob")),
        )
        .await;
    assert_eq!(nothing, Ok(json!({"Grants": [], "Truncated": false})));
    // What is retired is not listed any more.
    for id in &expected {
        for key in [&one, &two] {
            let body = json!({"KeyId": key, "GrantId": id});
            attempt(&world, &world.root, "RetireGrant", body).await.ok();
        }
    }
    let listed = world.kms("ListRetirableGrants", retiring(&user_arn("bob"))).await;
    assert_eq!(listed, json!({"Grants": [], "Truncated": false}));
    assert_eq!(ids(&world, &one).await.len(), 2);
}

#[tokio::test]
async fn retirable_grants_are_asked_for_by_principal() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let ann = user_arn("ann");
    let own = json!({"Effect": "Allow", "Action": "kms:ListRetirableGrants", "Resource": ann});
    let lister = world.user("lister", policy(&[own])).await;
    let ask = |arn: &str| json!({"RetiringPrincipal": arn});
    world.kms_as(&lister, "ListRetirableGrants", ask(&ann)).await;
    let lister_arn = user_arn("lister");
    let refused = world.kms_fails_as(&lister, "ListRetirableGrants", ask(&lister_arn)).await;
    let why = format!(
        "resource: {lister_arn} because no identity-based policy allows the \
         kms:ListRetirableGrants action"
    );
    assert_eq!(refused, denied(&lister_arn, "kms:ListRetirableGrants", &why));
    for bad in ["ann", "arn:aws:iam::111122223333:user/none", "arn:aws:iam::111122223333:group/g"] {
        let text = format!("ARN does not refer to a valid principal: {bad}");
        let refused = world.kms_fails("ListRetirableGrants", ask(bad)).await;
        assert_eq!(refused, failed("InvalidArnException", text));
    }
    let service = json!({"RetiringServicePrincipal": "rds.amazonaws.com"});
    for bad in [json!({}), service.clone(), with(service, ask(&ann))] {
        let refused = world.kms_fails("ListRetirableGrants", bad.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{bad}");
    }
}

/// Grants are of the region of their key.
#[tokio::test]
async fn regions_have_their_own() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    world.kms("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await;
    let replica = key.replace(REGION, OTHER_REGION);
    let ann = world.user("anna", allow(&["s3:*"])).await;
    grant(&world, &key, "anna", &["DescribeKey"]).await;
    world.kms_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
    let there = |who, name, body: Value| world.call_in(who, OTHER_REGION, "kms", name, body);
    let refused = there(&ann, "DescribeKey", json!({"KeyId": replica})).await;
    assert_eq!(refused.unwrap_err().code, DENIED);
    let listed = there(&world.root, "ListGrants", json!({"KeyId": replica})).await.unwrap();
    assert_eq!(listed["Grants"], json!([]));
}
