//! CreateGrant: what it takes, what it refuses, and when it makes no second grant.
use super::{DENIED, attempt, body, grant, granted, idle, ids, with};
use crate::support::{failed, id_of, user_arn};
use crate::world::{REGION, World, allow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_grant_has_an_id_and_a_token_of_its_own() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let mut seen = BTreeSet::new();
    for named in [key.as_str(), id_of(&key)] {
        let made = world.kms("CreateGrant", body(named, "ann", &["Decrypt"])).await;
        let (id, token) = (made["GrantId"].as_str().unwrap(), made["GrantToken"].as_str().unwrap());
        assert_eq!(id.len(), 64);
        assert!(id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
        assert!(token.len() < 8192 && token.bytes().all(|b| b.is_ascii_graphic()), "{token}");
        assert!(seen.insert(id.to_owned()) && seen.insert(token.to_owned()));
    }
    assert_eq!(ids(&world, &key).await.len(), 2);
}

#[tokio::test]
async fn whoever_may_not_create_grants_is_refused() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let refused = world.kms_fails_as(&ann, "CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let text = format!(
        "User: {} is not authorized to perform: kms:CreateGrant on resource: {key} because no \
         identity-based policy allows the kms:CreateGrant action",
        user_arn("ann")
    );
    assert_eq!(refused, failed(DENIED, text));
    assert!(ids(&world, &key).await.is_empty());
}

#[tokio::test]
async fn parties_are_one_principal_or_one_service() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let bare = json!({"KeyId": key, "Operations": ["Decrypt"]});
    let ann = json!({"GranteePrincipal": user_arn("ann")});
    let service = json!({"GranteeServicePrincipal": "rds.amazonaws.com"});
    let source = json!({"Constraints": {"SourceArn": "arn:aws:rds:eu-west-1:111122223333:db:x"}});
    let retiring = json!({"RetiringServicePrincipal": "rds.amazonaws.com"});
    let both = with(with(bare.clone(), ann.clone()), service.clone());
    for body in [
        bare.clone(),
        both,
        with(bare.clone(), service.clone()),
        with(with(bare.clone(), service.clone()), source.clone()),
        with(with(bare.clone(), service.clone()), retiring.clone()),
        with(
            with(with(bare.clone(), ann), retiring.clone()),
            json!({"RetiringPrincipal": user_arn("ann")}),
        ),
    ] {
        let refused = world.kms_fails("CreateGrant", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
    }
    assert!(ids(&world, &key).await.is_empty());
    let whole = with(with(with(bare, service), source), retiring);
    granted(&world, whole).await;
}

#[tokio::test]
async fn principals_must_be_there() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    for bad in [
        "ann",
        "111122223333",
        "arn:aws:iam::111122223333:user/nobody",
        "arn:aws:iam::111122223333:user/Ann",
        "arn:aws:iam::999999999999:root",
        "arn:aws:iam::111122223333:group/all",
        "arn:aws:iam::111122223333:role/some",
        "arn:aws:sts::111122223333:assumed-role/some/session",
        "arn:aws:kms:eu-west-1:111122223333:user/ann",
        "arn:",
        "rds.amazonaws.com",
    ] {
        let text = format!("ARN does not refer to a valid principal: {bad}");
        for member in ["GranteePrincipal", "RetiringPrincipal"] {
            let mut body = body(&key, "ann", &["Decrypt"]);
            body[member] = json!(bad);
            let refused = world.kms_fails("CreateGrant", body).await;
            assert_eq!(refused, failed("InvalidArnException", text.clone()), "{member}");
        }
    }
    assert!(ids(&world, &key).await.is_empty());
}

#[tokio::test]
async fn operations_must_be_the_keys() {
    let world = World::new().await;
    idle(&world, "ann").await;
    for (spec, usage, good, bad) in [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "Decrypt", "Sign"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "GenerateDataKeyPair", "GetPublicKey"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "Sign", "GenerateDataKey"),
        ("ECC_NIST_P256", "KEY_AGREEMENT", "DeriveSharedSecret", "Verify"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "VerifyMac", "GetPublicKey"),
        ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", "Decapsulate", "Decrypt"),
    ] {
        let key = world.key_of(spec, usage).await;
        grant(&world, &key, "ann", &[good, "DescribeKey", "CreateGrant", "RetireGrant"]).await;
        let refused = world.kms_fails("CreateGrant", body(&key, "ann", &[good, bad])).await;
        assert_eq!(refused.code, "ValidationException", "{spec} {usage} {bad}");
        assert!(refused.message.contains(bad), "{}", refused.message);
        if spec != "SYMMETRIC_DEFAULT" {
            let context = json!({"Constraints": {"EncryptionContextSubset": {"a": "b"}}});
            let constrained = with(body(&key, "ann", &[good]), context);
            let refused = world.kms_fails("CreateGrant", constrained).await;
            assert_eq!(refused.code, "ValidationException", "{spec}");
        }
    }
    let key = world.key().await;
    let refused = world.kms_fails("CreateGrant", body(&key, "ann", &[])).await;
    assert_eq!(refused.code, "ValidationException");
    for unknown in ["PutKeyPolicy", "decrypt", "*"] {
        let refused = world.kms_fails("CreateGrant", body(&key, "ann", &[unknown])).await;
        assert_eq!(refused.code, "ValidationException", "{unknown}");
    }
}

#[tokio::test]
async fn members_have_their_bounds() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let pairs = |n: usize| -> Value { (0..n).map(|n| (format!("k{n}"), json!("v"))).collect() };
    for kind in ["EncryptionContextSubset", "EncryptionContextEquals"] {
        let long = |n: usize| json!({"k": "é".repeat(n)});
        for (context, fits) in
            [(pairs(8), true), (pairs(9), false), (long(384), true), (long(385), false)]
        {
            let more = json!({"Constraints": {kind: context}});
            let outcome = attempt(
                &world,
                &world.root,
                "CreateGrant",
                with(body(&key, "ann", &["Decrypt"]), more),
            )
            .await;
            let expected = if fits { None } else { Some("ValidationException".to_owned()) };
            assert_eq!(outcome.err(), expected, "{kind} {context}");
        }
    }
    for (name, fits) in [
        ("a", true),
        ("aZ0:/_-", true),
        (&"n".repeat(256), true),
        (&"n".repeat(257), false),
        ("", false),
        ("a b", false),
        ("ä", false),
    ] {
        let named = with(body(&key, "ann", &["Decrypt"]), json!({"Name": name}));
        let outcome = attempt(&world, &world.root, "CreateGrant", named).await;
        assert_eq!(outcome.is_ok(), fits, "{name}: {outcome:?}");
    }
    for source in ["arn:aws:s3:::bucket-of-mine", "arn:aws:rds:eu-west-1:1:db:main-one", "db"] {
        let more = json!({"Constraints": {"SourceArn": source}});
        let outcome = attempt(
            &world,
            &world.root,
            "CreateGrant",
            with(body(&key, "ann", &["Decrypt"]), more),
        );
        assert_eq!(outcome.await, Err("ValidationException".into()), "{source}");
    }
}

#[tokio::test]
async fn the_key_must_be_there_and_usable() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let elsewhere = key.replace(REGION, "us-east-1");
    let absent = "00000000-0000-4000-8000-000000000000";
    for named in [absent, "alias/app", "no-key", elsewhere.as_str(), "arn:aws:kms:x"] {
        let refused = world.kms_fails("CreateGrant", body(named, "ann", &["Decrypt"])).await;
        assert_eq!(refused.code, "NotFoundException", "{named}");
    }
    let create = || attempt(&world, &world.root, "CreateGrant", body(&key, "ann", &["Decrypt"]));
    let id = grant(&world, &key, "ann", &["Decrypt"]).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    assert_eq!(create().await, Err("DisabledException".into()));
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    assert_eq!(create().await, Err("KMSInvalidStateException".into()));
    // Listing and ending grants goes on.
    assert_eq!(ids(&world, &key).await, [id.as_str()]);
    world.kms("RevokeGrant", json!({"KeyId": key, "GrantId": id})).await;
    let made = world.kms("CreateKey", json!({"Origin": "EXTERNAL"})).await;
    let pending = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let refused = world.kms_fails("CreateGrant", body(pending, "ann", &["Decrypt"])).await;
    assert_eq!(refused.code, "KMSInvalidStateException");
}

#[tokio::test]
async fn a_named_request_that_is_repeated_makes_one_grant() {
    let world = World::new().await;
    idle(&world, "ann").await;
    idle(&world, "bob").await;
    let key = world.key().await;
    let context = json!({"EncryptionContextSubset": {"a": "1"}});
    let named = with(
        body(&key, "ann", &["Decrypt", "Encrypt"]),
        json!({"Name": "mine", "Constraints": context, "RetiringPrincipal": user_arn("bob")}),
    );
    let first = world.kms("CreateGrant", named.clone()).await;
    let again = world.kms("CreateGrant", named.clone()).await;
    assert_eq!(first["GrantId"], again["GrantId"]);
    assert_ne!(first["GrantToken"], again["GrantToken"]);
    let turned = with(named.clone(), json!({"Operations": ["Encrypt", "Decrypt", "Encrypt"]}));
    assert_eq!(world.kms("CreateGrant", turned).await["GrantId"], first["GrantId"]);
    // Whatever differs makes another grant.
    let mut others = BTreeSet::from([first["GrantId"].to_string()]);
    for differs in [
        json!({"Name": "other"}),
        json!({"Operations": ["Decrypt"]}),
        json!({"GranteePrincipal": user_arn("bob")}),
        json!({"RetiringPrincipal": user_arn("ann")}),
        json!({"Constraints": {"EncryptionContextSubset": {"a": "2"}}}),
        json!({"Constraints": {"EncryptionContextEquals": {"a": "1"}}}),
        json!({"Constraints": null}),
        json!({"Name": null}),
        json!({"Name": null}),
    ] {
        let made = world.kms("CreateGrant", with(named.clone(), differs.clone())).await;
        assert!(others.insert(made["GrantId"].to_string()), "{differs}");
    }
    assert_eq!(ids(&world, &key).await.len(), others.len());
    // Once it is gone, the name means a new one.
    let id = first["GrantId"].as_str().unwrap();
    world.kms("RevokeGrant", json!({"KeyId": key, "GrantId": id})).await;
    let made = world.kms("CreateGrant", named).await;
    assert!(others.insert(made["GrantId"].to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn named_requests_at_the_same_moment_make_one_grant() {
    let world = World::new().await;
    idle(&world, "ann").await;
    for round in 0..10 {
        let key = world.key().await;
        let name = format!("round-{round}");
        let named = with(body(&key, "ann", &["Decrypt"]), json!({"Name": name}));
        let create = || world.kms("CreateGrant", named.clone());
        let (a, b, c, d) = tokio::join!(create(), create(), create(), create());
        let made: BTreeSet<String> =
            [a, b, c, d].iter().map(|made| made["GrantId"].to_string()).collect();
        assert_eq!(made.len(), 1);
        assert_eq!(ids(&world, &key).await.len(), 1);
    }
}

#[tokio::test]
async fn a_dry_run_makes_nothing() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let dry = with(body(&key, "ann", &["Encrypt"]), json!({"DryRun": true}));
    let refused = world.kms_fails("CreateGrant", dry.clone()).await;
    assert_eq!(refused.code, "DryRunOperationException");
    assert!(ids(&world, &key).await.is_empty());
    assert_eq!(attempt(&world, &ann, "CreateGrant", dry.clone()).await, Err(DENIED.into()));
    let nobody = with(dry, json!({"GranteePrincipal": "arn:aws:iam::111122223333:user/none"}));
    let refused = attempt(&world, &world.root, "CreateGrant", nobody).await;
    assert_eq!(refused, Err("InvalidArnException".into()));
}

#[tokio::test]
async fn a_key_has_so_many_grants_and_no_more() {
    let world = World::with_quotas("[resources]\ngrants_per_key = 3\n").await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let named = with(body(&key, "ann", &["Decrypt"]), json!({"Name": "first"}));
    let first = granted(&world, named.clone()).await;
    for _ in 0..2 {
        grant(&world, &key, "ann", &["Decrypt"]).await;
    }
    for more in [json!({}), json!({"DryRun": true})] {
        let refused = world.kms_fails("CreateGrant", with(body(&key, "ann", &["Decrypt"]), more));
        let text = format!("{key} has 3 grants, which is the limit.");
        assert_eq!(refused.await, failed("LimitExceededException", text));
    }
    // A repeated request asks for no more, another key has its own, one that is revoked makes room.
    assert_eq!(granted(&world, named).await, first);
    grant(&world, &world.key().await, "ann", &["Decrypt"]).await;
    world.kms("RevokeGrant", json!({"KeyId": key, "GrantId": first})).await;
    grant(&world, &key, "ann", &["Decrypt"]).await;
    assert_eq!(
        world.kms_fails("CreateGrant", body(&key, "ann", &["Encrypt"])).await.code,
        "LimitExceededException"
    );
}

/// The account's own user, by an identity policy and a key policy that delegates.
#[tokio::test]
async fn a_user_with_permission_creates_grants() {
    let world = World::new().await;
    let admin = world.user("admin", allow(&["kms:CreateGrant"])).await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    world.kms_as(&admin, "CreateGrant", body(&key, "ann", &["DescribeKey"])).await;
    world.kms_as(&ann, "DescribeKey", json!({"KeyId": key})).await;
    // Which does not give it what it grants.
    let refused = attempt(&world, &admin, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(refused, Err(DENIED.into()));
}

/// Grants that are made at once do not keep each other from it, and all of them count.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_grants_can_be_made_at_the_same_moment() {
    let world = World::with_quotas("[resources]\ngrants_per_key = 40\n").await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let create = || world.kms("CreateGrant", body(&key, "ann", &["Decrypt"]));
    let made = futures_util::future::join_all((0..40).map(|_| create())).await;
    let made: BTreeSet<String> = made.iter().map(|made| made["GrantId"].to_string()).collect();
    assert_eq!(made.len(), 40);
    assert_eq!(ids(&world, &key).await.len(), 40);
    let refused = world.kms_fails("CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    assert_eq!(refused.code, "LimitExceededException");
}
