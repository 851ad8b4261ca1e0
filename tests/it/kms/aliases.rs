//! CreateAlias, UpdateAlias, DeleteAlias and ListAliases.
use crate::support::{denied, failed, id_of, policy, user_arn};
use crate::world::{ACCOUNT, NOW_SECS, OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

fn arn(name: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT}:{name}")
}

/// What is listed of the key of Secrets Manager before it is there.
fn predefined() -> Value {
    let name = "alias/aws/secretsmanager";
    json!({"AliasName": name, "AliasArn": arn(name)})
}

async fn make(world: &World, name: &str, key: &str) {
    world.kms("CreateAlias", json!({"AliasName": name, "TargetKeyId": key})).await;
}

#[tokio::test]
async fn an_alias_is_made_moved_listed_and_deleted() {
    let world = World::new().await;
    let (one, two) = (world.key().await, world.key().await);
    make(&world, "alias/app", &one).await;
    make(&world, "alias/zoo", id_of(&two)).await;
    let entry = |name: &str, key: &str, updated: i64| {
        json!({"AliasName": name, "AliasArn": arn(name), "TargetKeyId": id_of(key),
            "CreationDate": NOW_SECS as f64, "LastUpdatedDate": updated as f64})
    };
    // Whole seconds may be written with a fraction or without.
    let listed = async |body: Value| {
        let mut answer = world.kms("ListAliases", body).await;
        for alias in answer["Aliases"].as_array_mut().unwrap() {
            for date in ["CreationDate", "LastUpdatedDate"] {
                let Some(at) = alias.get_mut(date) else { continue };
                *at = json!(at.as_f64().unwrap());
            }
        }
        assert_eq!(answer["Truncated"], false);
        answer["Aliases"].clone()
    };
    let zoo = entry("alias/zoo", &two, NOW_SECS);
    let all = json!([entry("alias/app", &one, NOW_SECS), predefined(), zoo]);
    assert_eq!(listed(json!({})).await, all);
    assert_eq!(listed(json!({"KeyId": two})).await, json!([zoo]));
    world.clock.advance(60);
    let body = json!({"AliasName": "alias/app", "TargetKeyId": two});
    world.kms("UpdateAlias", body).await;
    let app = entry("alias/app", &two, NOW_SECS + 60);
    assert_eq!(listed(json!({"KeyId": two})).await, json!([app, zoo]));
    assert_eq!(listed(json!({"KeyId": id_of(&one)})).await, json!([]));
    world.kms("DeleteAlias", json!({"AliasName": "alias/app"})).await;
    assert_eq!(listed(json!({})).await, json!([predefined(), zoo]));
    assert_eq!(world.state(&two).await, "Enabled");
    let gone = failed("NotFoundException", format!("Alias {} is not found.", arn("alias/app")));
    for (name, body) in [
        ("DeleteAlias", json!({"AliasName": "alias/app"})),
        ("UpdateAlias", json!({"AliasName": "alias/app", "TargetKeyId": two})),
        ("DescribeKey", json!({"KeyId": "alias/app"})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, gone, "{name}");
    }
}

#[tokio::test]
async fn names_follow_the_rules() {
    let world = World::new().await;
    let key = world.key().await;
    let prefix = "Alias must start with the prefix \"alias/\". Please see \
        https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";
    let reserved = "Alias names that begin with alias/aws/ are reserved for AWS managed keys.";
    let pattern = |shown: &str| {
        format!(
            "1 validation error detected: Value '{shown}' at 'aliasName' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        )
    };
    for (name, code, text) in [
        ("app", "ValidationException", prefix.to_owned()),
        ("Alias/app", "ValidationException", prefix.to_owned()),
        ("alias", "ValidationException", prefix.to_owned()),
        ("alias/aws/mine", "ValidationException", reserved.to_owned()),
        ("alias/aws/secretsmanager", "ValidationException", reserved.to_owned()),
        ("alias/", "InvalidAliasNameException", "The alias name is empty.".to_owned()),
        ("alias/a b", "ValidationException", pattern("alias/a b")),
        ("alias/é", "ValidationException", pattern("alias/é")),
        ("alias/a\n", "ValidationException", pattern("alias/a\n")),
    ] {
        let body = json!({"AliasName": name, "TargetKeyId": key});
        let refused = world.kms_fails("CreateAlias", body.clone()).await;
        assert_eq!(refused, failed(code, text.clone()), "{name}");
        // Only CreateAlias has an error of its own for names.
        let absent = "Alias arn:aws:kms:eu-west-1:111122223333:alias/ is not found.".to_owned();
        let (code, text) = match name {
            "alias/" => ("NotFoundException", absent),
            _ => (code, text),
        };
        let refused = world.kms_fails("UpdateAlias", body).await;
        assert_eq!(refused, failed(code, text.clone()), "{name}");
        let refused = world.kms_fails("DeleteAlias", json!({"AliasName": name})).await;
        assert_eq!(refused, failed(code, text), "{name}");
    }
    for name in
        [format!("alias/{}", "a".repeat(250)), "alias/aws".into(), "alias/a:b/c_d-E9".into()]
    {
        make(&world, &name, &key).await;
    }
    let long = json!({"AliasName": format!("alias/{}", "a".repeat(251)), "TargetKeyId": key});
    assert_eq!(world.kms_fails("CreateAlias", long).await.code, "ValidationException");
}

#[tokio::test]
async fn a_name_is_taken_once_in_an_account_and_region() {
    let world = World::new().await;
    let key = world.key().await;
    make(&world, "alias/app", &key).await;
    let taken = failed(
        "AlreadyExistsException",
        format!("An alias with the name {} already exists", arn("alias/app")),
    );
    for target in [&key, &world.key().await] {
        let body = json!({"AliasName": "alias/app", "TargetKeyId": target});
        assert_eq!(world.kms_fails("CreateAlias", body).await, taken);
    }
    // Names are case-sensitive.
    make(&world, "alias/App", &key).await;
    for (who, region) in [(world.root.clone(), OTHER_REGION), (world.other_root(), REGION)] {
        let made = world.call_in(&who, region, "kms", "CreateKey", json!({})).await.unwrap();
        let body = json!({"AliasName": "alias/app", "TargetKeyId": made["KeyMetadata"]["KeyId"]});
        world.call_in(&who, region, "kms", "CreateAlias", body).await.unwrap();
        let body = json!({"KeyId": "alias/app"});
        let found = world.call_in(&who, region, "kms", "DescribeKey", body).await.unwrap();
        assert_eq!(found["KeyMetadata"]["Arn"], made["KeyMetadata"]["Arn"]);
    }
    let found = world.kms("DescribeKey", json!({"KeyId": "alias/app"})).await;
    assert_eq!(found["KeyMetadata"]["Arn"], *key);
}

#[tokio::test]
async fn a_key_has_at_most_fifty() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    for at in 0..50 {
        make(&world, &format!("alias/a{at}"), &key).await;
    }
    make(&world, "alias/b", &other).await;
    for (name, alias) in [("CreateAlias", "alias/a50"), ("UpdateAlias", "alias/b")] {
        let body = json!({"AliasName": alias, "TargetKeyId": key});
        assert_eq!(world.kms_fails(name, body).await.code, "LimitExceededException", "{name}");
    }
    // One that points there already may be pointed there again.
    world.kms("UpdateAlias", json!({"AliasName": "alias/a7", "TargetKeyId": key})).await;
    let listed = world.kms("ListAliases", json!({"KeyId": key})).await;
    assert_eq!(listed["Aliases"].as_array().unwrap().len(), 50);
    for (of_key, count) in [(Value::Null, 52), (json!(key), 50)] {
        let (mut marker, mut all) = (Value::Null, std::collections::BTreeSet::new());
        loop {
            let body = json!({"Limit": 20, "Marker": marker, "KeyId": of_key});
            let page = world.kms("ListAliases", body).await;
            let names = page["Aliases"].as_array().unwrap().iter();
            all.extend(names.map(|alias| alias["AliasName"].to_string()));
            assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
            let Some(next) = page.get("NextMarker") else { break };
            marker = next.clone();
        }
        assert_eq!(all.len(), count);
    }
}

#[tokio::test]
async fn the_predefined_alias_is_listed_in_its_place_once() {
    let name = "alias/aws/secretsmanager";
    for mine in [
        &[][..],
        &["alias/a"],
        &["alias/z"],
        &["alias/a", "alias/b"],
        &["alias/a", "alias/z"],
        &["alias/a", "alias/aws", "alias/y", "alias/z"],
    ] {
        let world = World::new().await;
        let key = world.key().await;
        for name in mine {
            make(&world, name, &key).await;
        }
        let mut expected: Vec<&str> = [mine, &[name]].concat();
        expected.sort_unstable();
        // Before its key is made and after that.
        for made in [false, true] {
            for size in 1..6 {
                let (mut marker, mut names) = (Value::Null, Vec::new());
                loop {
                    let body = json!({"Limit": size, "Marker": marker});
                    let page = world.kms("ListAliases", body).await;
                    let aliases = page["Aliases"].as_array().unwrap();
                    assert!(aliases.len() <= size && !aliases.is_empty(), "{size}: {page}");
                    for alias in aliases {
                        let shown = alias["AliasName"].as_str().unwrap();
                        assert_eq!(alias["AliasArn"], arn(shown));
                        let has_key = shown != name || made;
                        assert_eq!(alias.get("TargetKeyId").is_some(), has_key, "{alias}");
                        names.push(shown.to_owned());
                    }
                    assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
                    // Every page but the last is full.
                    let Some(next) = page.get("NextMarker") else { break };
                    assert_eq!(aliases.len(), size, "{page}");
                    marker = next.clone();
                }
                assert_eq!(names, expected, "{size} {made}");
            }
            world.kms("DescribeKey", json!({"KeyId": name})).await;
        }
    }
}

#[tokio::test]
async fn targets_must_be_keys_that_can_have_names() {
    let world = World::new().await;
    let (key, dying) = (world.key().await, world.key().await);
    make(&world, "alias/app", &key).await;
    make(&world, "alias/dying", &dying).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": dying})).await;
    let pending = failed("KMSInvalidStateException", format!("{dying} is pending deletion."));
    for (name, alias) in [("CreateAlias", "alias/new"), ("UpdateAlias", "alias/app")] {
        let body = json!({"AliasName": alias, "TargetKeyId": dying});
        assert_eq!(world.kms_fails(name, body).await, pending);
        for (target, text) in [
            ("alias/app", "Invalid keyId 'alias/app'".to_owned()),
            ("nope", "Invalid keyId 'nope'".to_owned()),
            (&key.replace(REGION, OTHER_REGION), format!("Invalid arn {OTHER_REGION}")),
        ] {
            let body = json!({"AliasName": alias, "TargetKeyId": target});
            let refused = world.kms_fails(name, body).await;
            assert_eq!(refused, failed("NotFoundException", text), "{name} {target}");
        }
    }
    // Away from a key that is dying, an alias may go; and it may be deleted.
    world.kms("UpdateAlias", json!({"AliasName": "alias/dying", "TargetKeyId": key})).await;
}

#[tokio::test]
async fn permission_is_needed_on_the_alias_and_on_every_key() {
    let world = World::new().await;
    let (old, new) = (world.key().await, world.key().await);
    let alias = arn("alias/app");
    let on = |resources: &[&String]| {
        policy(&[json!({"Effect": "Allow", "Action": "kms:*Alias", "Resource": resources})])
    };
    let why = |what: &str, action: &str| {
        format!("resource: {what} because no identity-based policy allows the {action} action")
    };
    let update = json!({"AliasName": "alias/app", "TargetKeyId": new});
    let create = json!({"AliasName": "alias/app", "TargetKeyId": old});
    let delete = json!({"AliasName": "alias/app"});
    for (at, (name, body, allowed, missing)) in [
        ("CreateAlias", &create, vec![&old], &alias),
        ("CreateAlias", &create, vec![&alias, &new], &old),
        ("UpdateAlias", &update, vec![&old, &new], &alias),
        ("UpdateAlias", &update, vec![&alias, &old], &new),
        ("UpdateAlias", &update, vec![&alias, &new], &old),
        ("DeleteAlias", &delete, vec![&old], &alias),
        ("DeleteAlias", &delete, vec![&alias, &new], &old),
    ]
    .into_iter()
    .enumerate()
    {
        if name == "UpdateAlias"
            && world.call("kms", "DescribeKey", json!({"KeyId": "alias/app"})).await.is_err()
        {
            make(&world, "alias/app", &old).await;
        }
        let user = format!("u{at}");
        let who = world.user(&user, on(&allowed)).await;
        let action = format!("kms:{name}");
        let refused = world.kms_fails_as(&who, name, body.clone()).await;
        assert_eq!(refused, denied(&user_arn(&user), &action, &why(missing, &action)));
    }
    let who = world.user("able", on(&[&alias, &old, &new])).await;
    world.kms_as(&who, "UpdateAlias", update).await;
    world.kms_as(&who, "DeleteAlias", delete).await;
    world.kms_as(&who, "CreateAlias", create).await;
    let lister = world.user("lister", allow(&["kms:ListKeys"])).await;
    let refused = world.kms_fails_as(&lister, "ListAliases", json!({})).await;
    let action = "kms:ListAliases";
    assert_eq!(refused, denied(&user_arn("lister"), action, &why("*", action)));
}
