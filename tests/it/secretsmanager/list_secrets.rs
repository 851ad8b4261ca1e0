//! ListSecrets: filters, order, pages.
use super::{NOW_SECS, creation};
use crate::counting::Counting;
use crate::support::failed;
use crate::world::{OTHER_REGION, World};
use claviger::quotas::Settings;
use claviger::random::{Random, SeededRandom};
use claviger_hsm::SoftwareHsm;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Made a minute apart, in this order.
async fn furnished() -> World {
    let world = World::new().await;
    for (name, description, key, value) in [
        ("prod/db", "Password of the main database", "Stage", "prod"),
        ("prod/api", "Token for partners", "Stage", "prod-eu"),
        ("dev/db", "Playground", "stage", "dev"),
        ("Billing", "", "Owner", "prod"),
    ] {
        let mut body = creation(name, "v");
        body["Description"] = json!(description);
        body["Tags"] = json!([{"Key": key, "Value": value}]);
        world.sm("CreateSecret", body).await;
        world.clock.advance(60);
    }
    world
}

fn names(page: &Value) -> Vec<String> {
    let entries = page["SecretList"].as_array().unwrap();
    entries.iter().map(|entry| entry["Name"].as_str().unwrap().to_owned()).collect()
}

async fn list(world: &World, body: Value) -> Vec<String> {
    names(&world.sm("ListSecrets", body).await)
}

#[tokio::test]
async fn an_entry_says_all_but_the_value() {
    let world = World::new().await;
    let key = world.key().await;
    let mut body = creation("a", "hunter2");
    body["Description"] = json!("mine");
    body["KmsKeyId"] = json!(key);
    body["Tags"] = json!([{"Key": "k", "Value": "v"}]);
    let arn = world.sm("CreateSecret", body).await["ARN"].clone();
    world.clock.advance(60);
    world.put("a", 2, "x").await;
    world.value("a").await;
    world.advance(0).await;
    let expected = json!({"SecretList": [{
        "ARN": arn, "Name": "a", "Description": "mine", "KmsKeyId": key,
        "CreatedDate": NOW_SECS, "LastChangedDate": NOW_SECS + 60, "LastAccessedDate": NOW_SECS,
        "Tags": [{"Key": "k", "Value": "v"}],
        "SecretVersionsToStages": {
            (super::token(1)): ["AWSPREVIOUS"], (super::token(2)): ["AWSCURRENT"],
        },
    }]});
    assert_eq!(world.sm("ListSecrets", json!({})).await, expected);
    let there =
        world.call_in(&world.root, OTHER_REGION, "secretsmanager", "ListSecrets", json!({}));
    assert_eq!(there.await.unwrap(), json!({"SecretList": []}));
    let theirs = world.sm_as(&world.other_root(), "ListSecrets", json!({})).await;
    assert_eq!(theirs, json!({"SecretList": []}));
}

#[tokio::test]
async fn filters() {
    let world = furnished().await;
    for (filters, expected) in [
        (json!([]), vec!["prod/db", "prod/api", "dev/db", "Billing"]),
        (json!([{"Key": "name", "Values": ["prod/"]}]), vec!["prod/db", "prod/api"]),
        (json!([{"Key": "name", "Values": ["prod/db"]}]), vec!["prod/db"]),
        (json!([{"Key": "name", "Values": ["prod/db "]}]), vec![]),
        (json!([{"Key": "name", "Values": ["zz"]}]), vec![]),
        (json!([{"Key": "name", "Values": ["prod/a", "prod/d"]}]), vec!["prod/db", "prod/api"]),
        (json!([{"Key": "name", "Values": ["billing"]}]), vec![]),
        (json!([{"Key": "name", "Values": ["dev", "Bill"]}]), vec!["dev/db", "Billing"]),
        (json!([{"Key": "name", "Values": ["!prod"]}]), vec!["dev/db", "Billing"]),
        (json!([{"Key": "description", "Values": ["PASS"]}]), vec!["prod/db"]),
        (json!([{"Key": "description", "Values": ["main data"]}]), vec!["prod/db"]),
        (json!([{"Key": "description", "Values": ["word"]}]), vec![]),
        (json!([{"Key": "tag-key", "Values": ["Stage"]}]), vec!["prod/db", "prod/api"]),
        (json!([{"Key": "tag-value", "Values": ["prod"]}]), vec!["prod/db", "prod/api", "Billing"]),
        (json!([{"Key": "all", "Values": ["DB"]}]), vec!["prod/db", "dev/db"]),
        (json!([{"Key": "all", "Values": ["stage dev"]}]), vec!["dev/db"]),
        (json!([{"Key": "primary-region", "Values": ["eu"]}]), vec![]),
        (json!([{"Key": "owning-service", "Values": ["rds"]}]), vec![]),
        // Several filters must all be passed.
        (
            json!([
                {"Key": "tag-value", "Values": ["prod"]},
                {"Key": "name", "Values": ["!prod/db"]},
            ]),
            vec!["prod/api", "Billing"],
        ),
    ] {
        let listed = list(&world, json!({"Filters": filters})).await;
        assert_eq!(listed, expected, "{filters}");
    }
    for (filters, code) in [
        (json!([{"Key": "colour", "Values": ["red"]}]), "ValidationException"),
        (json!([{"Key": "name"}]), "InvalidParameterException"),
        (json!([{"Values": ["red"]}]), "InvalidParameterException"),
        (json!([{"Key": "name", "Values": []}]), "ValidationException"),
        (json!([{"Key": "name", "Values": ["a*"]}]), "ValidationException"),
        (json!(vec![json!({"Key": "name", "Values": ["a"]}); 11]), "ValidationException"),
    ] {
        let refused = world.sm_fails("ListSecrets", json!({"Filters": filters})).await;
        assert_eq!(refused.code, code, "{filters} {refused:?}");
    }
}

#[tokio::test]
async fn orders() {
    let world = furnished().await;
    world.put("prod/api", 2, "x").await;
    world.clock.advance(super::DAY);
    world.value("dev/db").await;
    world.advance(0).await;
    for (by, ascending) in [
        (None, ["prod/db", "prod/api", "dev/db", "Billing"]),
        (Some("created-date"), ["prod/db", "prod/api", "dev/db", "Billing"]),
        (Some("last-changed-date"), ["prod/db", "dev/db", "Billing", "prod/api"]),
        // Those that were never read come first, by their names.
        (Some("last-accessed-date"), ["Billing", "prod/api", "prod/db", "dev/db"]),
        (Some("name"), ["Billing", "dev/db", "prod/api", "prod/db"]),
    ] {
        for order in [None, Some("asc"), Some("desc")] {
            let listed = list(&world, json!({"SortBy": by, "SortOrder": order})).await;
            let mut expected = ascending;
            if order == Some("desc") {
                expected.reverse();
            }
            assert_eq!(listed, expected, "{by:?} {order:?}");
            let mut paged = Vec::new();
            let mut next = Value::Null;
            loop {
                let body = json!({"SortBy": by, "SortOrder": order, "MaxResults": 1,
                    "NextToken": next});
                let page = world.sm("ListSecrets", body).await;
                paged.extend(names(&page));
                next = page["NextToken"].clone();
                if next.is_null() {
                    break;
                }
            }
            assert_eq!(paged, expected, "{by:?} {order:?}");
        }
    }
}

/// Every page of a list, of so many entries each.
async fn all(world: &World, mut body: Value, size: usize) -> Vec<String> {
    body["MaxResults"] = json!(size);
    let mut found = Vec::new();
    loop {
        let page = world.sm("ListSecrets", body.clone()).await;
        let names = names(&page);
        assert!(names.len() == size || page["NextToken"].is_null(), "{body} {page}");
        found.extend(names);
        body["NextToken"] = page["NextToken"].clone();
        if body["NextToken"].is_null() {
            return found;
        }
    }
}

#[tokio::test]
async fn every_order_lists_the_same_whatever_has_happened() {
    let world = World::new().await;
    let random: &dyn Random = &SeededRandom::new(5);
    for round in 0..150 {
        let id = format!("s{}", random.bytes::<1>()[0] % 12);
        let named = json!({"SecretId": id});
        // Some of it fails, because the secret is there, or is not.
        let (name, body) = match random.bytes::<1>()[0] % 8 {
            0..=2 => ("CreateSecret", creation(&id, "v")),
            3 => ("DeleteSecret", json!({"SecretId": id, "ForceDeleteWithoutRecovery": true})),
            4 => ("DeleteSecret", named),
            5 => ("RestoreSecret", named),
            6 => ("GetSecretValue", named),
            _ => ("PutSecretValue", super::version(&id, round + 2, "w")),
        };
        let _ = world.call("secretsmanager", name, body).await;
        if round % 7 == 0 {
            world.advance(2 * super::DAY).await;
        }
        if round % 3 == 0 {
            world.clock.advance(1);
        }
        for scheduled in [false, true] {
            let query = json!({"IncludePlannedDeletion": scheduled});
            // The first two are read from an order of the store, the others sorted.
            let size = 1 + usize::from(random.bytes::<1>()[0] % 5);
            let created = all(&world, query.clone(), size).await;
            let mut by_name = created.clone();
            by_name.sort();
            let order = |by: &str, order: &str| {
                let mut query = query.clone();
                query["SortBy"] = json!(by);
                query["SortOrder"] = json!(order);
                query
            };
            assert_eq!(all(&world, order("name", "asc"), size).await, by_name, "{round}");
            let mut other = all(&world, order("created-date", "desc"), size).await;
            other.reverse();
            assert_eq!(other, created, "{round}");
            let mut filtered = query.clone();
            filtered["Filters"] = json!([{"Key": "name", "Values": ["s"]}]);
            assert_eq!(all(&world, filtered, size).await, created, "{round}");
        }
    }
}

#[tokio::test]
async fn a_page_reads_little_more_than_it_answers() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    for n in 0..520 {
        let body = json!({"Name": format!("s{n:03}"), "ClientRequestToken": super::token(1)});
        world.sm("CreateSecret", body).await;
    }
    // Two rows for each entry, and some of the caller's.
    let up: fn(usize) -> usize = |n| n;
    let down: fn(usize) -> usize = |n| 519 - n;
    for (query, most, at) in [
        (json!({}), 40, up),
        (json!({"SortBy": "name"}), 40, up),
        // More than the store answers at once.
        (json!({"SortBy": "name", "SortOrder": "desc"}), 570, down),
        (json!({"SortBy": "last-changed-date", "SortOrder": "desc"}), 570, down),
        (
            json!({"SortBy": "name", "Filters": [{"Key": "name", "Values": ["s00", "s01", "s02", "s03"]}]}),
            40,
            up,
        ),
        // A hundred of them, in batches of 11, 22, 44 and 88.
        (
            json!({"SortBy": "last-changed-date", "Filters": [{"Key": "name", "Values": ["s0", "s03"]},
            {"Key": "all", "Values": ["s"]}]}),
            180,
            up,
        ),
    ] {
        let mut query = query;
        for page_number in 0..3 {
            query["MaxResults"] = json!(10);
            let before = backend.rows.load(Ordering::SeqCst);
            let page = world.sm("ListSecrets", query.clone()).await;
            let read = backend.rows.load(Ordering::SeqCst) - before;
            assert!((10..=most).contains(&read), "{query}: {read} rows");
            let first = page_number * 10;
            let expected: Vec<String> =
                (first..first + 10).map(|n| format!("s{:03}", at(n))).collect();
            assert_eq!(names(&page), expected, "{query}");
            query["NextToken"] = page["NextToken"].clone();
        }
    }
}

#[tokio::test]
async fn pages() {
    let world = furnished().await;
    let first = world.sm("ListSecrets", json!({"MaxResults": 2})).await;
    assert_eq!(names(&first), ["prod/db", "prod/api"]);
    let next = first["NextToken"].clone();
    // What comes and goes in between neither repeats nor hides the others.
    let force = json!({"SecretId": "prod/api", "ForceDeleteWithoutRecovery": true});
    world.sm("DeleteSecret", force).await;
    world.secret("later", "v").await;
    let rest = world.sm("ListSecrets", json!({"MaxResults": 3, "NextToken": next})).await;
    assert_eq!(names(&rest), ["dev/db", "Billing", "later"]);
    assert_eq!(rest.get("NextToken"), None);

    let invalid = failed("InvalidNextTokenException", "The NextToken value is invalid.");
    for body in [
        json!({"NextToken": "x"}),
        json!({"NextToken": format!("{}A", next.as_str().unwrap())}),
        json!({"NextToken": next, "SortOrder": "desc"}),
        json!({"NextToken": next, "SortBy": "name"}),
        json!({"NextToken": next, "IncludePlannedDeletion": true}),
        json!({"NextToken": next, "Filters": [{"Key": "name", "Values": ["prod"]}]}),
    ] {
        assert_eq!(world.sm_fails("ListSecrets", body).await, invalid);
    }
    let body = json!({"NextToken": next});
    let other = world.other_root();
    assert_eq!(world.sm_fails_as(&other, "ListSecrets", body.clone()).await, invalid);
    let there = world.call_in(&world.root, OTHER_REGION, "secretsmanager", "ListSecrets", body);
    assert_eq!(there.await, Err(invalid));
    for bad in [0, -1, 101] {
        let refused = world.sm_fails("ListSecrets", json!({"MaxResults": bad})).await;
        assert_eq!(refused.code, "ValidationException", "{bad}");
    }
}

#[tokio::test]
async fn a_page_holds_a_hundred() {
    let world = World::new().await;
    for n in 0..101 {
        let body = json!({"Name": format!("s{n:03}"), "ClientRequestToken": super::token(1)});
        world.sm("CreateSecret", body).await;
    }
    let first = world.sm("ListSecrets", json!({})).await;
    assert_eq!(first["SecretList"].as_array().unwrap().len(), 100);
    let rest = world.sm("ListSecrets", json!({"NextToken": first["NextToken"]})).await;
    assert_eq!(names(&rest), ["s100"]);
}

#[tokio::test]
async fn scheduled_secrets_only_if_asked_for() {
    let world = furnished().await;
    world.sm("DeleteSecret", json!({"SecretId": "prod/api"})).await;
    assert_eq!(list(&world, json!({})).await, ["prod/db", "dev/db", "Billing"]);
    let body = json!({"IncludePlannedDeletion": false});
    assert_eq!(list(&world, body).await, ["prod/db", "dev/db", "Billing"]);
    let filters = json!([{"Key": "name", "Values": ["prod"]}]);
    let body = json!({"IncludePlannedDeletion": true, "Filters": filters});
    assert_eq!(list(&world, body).await, ["prod/db", "prod/api"]);
}
