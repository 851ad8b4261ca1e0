//! BatchGetSecretValue: by list, by filters, and what fails for some of the secrets.
use super::{
    DAY, NOW_SECS, creation, kms_denied, no_version, not_found, partial, scheduled, token,
};
use crate::support::{denied, failed, policy, unknown_to, user_arn};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, REGION, Someone, World, allow};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use claviger::secrets::{Secret, Version};
use serde_json::{Value, json};

async fn batch(world: &World, who: &Someone, body: Value) -> Value {
    world.sm_as(who, "BatchGetSecretValue", body).await
}

fn list(ids: &[&str]) -> Value {
    json!({"SecretIdList": ids})
}

fn named(start: &str) -> Value {
    json!({"Filters": [{"Key": "name", "Values": [start]}]})
}

/// The values of the answer, in their order.
fn strings(answer: &Value) -> Vec<&str> {
    let values = answer["SecretValues"].as_array().unwrap();
    values.iter().map(|value| value["SecretString"].as_str().unwrap()).collect()
}

/// Which secret failed and how.
fn errors(answer: &Value) -> Vec<(String, Failed)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |error: &Value| {
        (text(&error["SecretId"]), failed(&text(&error["ErrorCode"]), text(&error["Message"])))
    };
    answer["Errors"].as_array().unwrap().iter().map(one).collect()
}

fn error(id: &str, error: Failed) -> (String, Failed) {
    (id.to_owned(), error)
}

#[tokio::test]
async fn by_list() {
    let world = World::new().await;
    let a = world.secret("a", "one").await;
    let b = world.secret("b", "two").await;
    world.clock.advance(DAY);
    world.put("b", 2, "three").await;
    let body = json!({"Name": "c", "ClientRequestToken": token(1), "SecretBinary": "AAH/"});
    let c = world.sm("CreateSecret", body).await["ARN"].as_str().unwrap().to_owned();
    let answer = batch(&world, &world.root, list(&["c", &b, partial(&a)])).await;
    let expected = json!({"Errors": [], "SecretValues": [
        {"ARN": c, "Name": "c", "VersionId": token(1), "SecretBinary": "AAH/",
            "VersionStages": ["AWSCURRENT"], "CreatedDate": NOW_SECS + DAY},
        {"ARN": b, "Name": "b", "VersionId": token(2), "SecretString": "three",
            "VersionStages": ["AWSCURRENT"], "CreatedDate": NOW_SECS + DAY},
        {"ARN": a, "Name": "a", "VersionId": token(1), "SecretString": "one",
            "VersionStages": ["AWSCURRENT"], "CreatedDate": NOW_SECS},
    ]});
    assert_eq!(answer, expected);
    world.advance(0).await;
    for name in ["a", "b", "c"] {
        assert_eq!(world.describe(name).await["LastAccessedDate"], NOW_SECS + DAY, "{name}");
    }
}

#[tokio::test]
async fn what_fails_for_one_fails_for_no_other() {
    let world = World::new().await;
    let key = world.key().await;
    for name in ["good", "deleted", "closed"] {
        world.secret(name, name).await;
    }
    world.secret_under("disabled", "v", &key).await;
    let body = json!({"Name": "empty", "ClientRequestToken": token(1)});
    world.sm("CreateSecret", body).await;
    world.sm("DeleteSecret", json!({"SecretId": "deleted"})).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    let closed = world.describe("closed").await["ARN"].clone();
    let may = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let not = json!({"Effect": "Deny", "Action": "secretsmanager:GetSecretValue",
        "Resource": closed});
    let ann = world.user("ann", policy(&[may, not])).await;
    let foreign = format!("arn:aws:secretsmanager:{REGION}:{OTHER_ACCOUNT}:secret:x-AAAAAA");
    let ids =
        ["deleted", "absent", "good", "closed", "empty", "disabled", "no name", &foreign, "good"];
    let answer = batch(&world, &ann, list(&ids)).await;
    assert_eq!(strings(&answer), ["good", "good"]);
    let action = "secretsmanager:GetSecretValue";
    let because = "resource: closed with an explicit deny in an identity-based policy";
    let key_id = crate::support::id_of(&key);
    let name = "Invalid name. Must be a valid name containing alphanumeric characters, or any of \
        the following: -/_+=.@!";
    let mut found = errors(&answer);
    let (id, disabled) = found.remove(4);
    assert_eq!((id.as_str(), disabled.code.as_str()), ("disabled", "DecryptionFailure"));
    assert!(disabled.message.contains(key_id), "{disabled:?}");
    let expected = [
        error("deleted", scheduled()),
        error("absent", not_found()),
        error("closed", denied(&user_arn("ann"), action, because)),
        error("empty", no_version("staging label: AWSCURRENT")),
        error("no name", failed("ValidationException", name)),
        error(&foreign, unknown_to(&user_arn("ann"), action, &format!("resource: {foreign}"))),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn each_secret_has_its_event_and_no_event_a_value() {
    let world = World::new().await;
    let arn = world.secret("a", "hunter2").await;
    let ann = world
        .user(
            "ann",
            allow(&["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"]),
        )
        .await;
    let from = world.events().len();
    batch(&world, &ann, list(&["a", "absent"])).await;
    let names = ["Decrypt", "GetSecretValue", "GetSecretValue", "BatchGetSecretValue"];
    assert_eq!(world.event_names(from), names);
    let events = world.events().split_off(from);
    let (decrypted, read, missed, whole) = (&events[0], &events[1], &events[2], &events[3]);
    assert_eq!(decrypted.user_identity.invoked_by.as_deref(), Some("secretsmanager.amazonaws.com"));
    for (event, id) in [(read, "a"), (missed, "absent")] {
        assert_eq!(event.event_source, "secretsmanager.amazonaws.com");
        assert_eq!(event.request_parameters, Some(json!({"secretId": id})));
        assert_eq!(event.user_identity, whole.user_identity);
        assert_eq!(event.source_ip_address, whole.source_ip_address);
        assert!(event.read_only);
    }
    assert_eq!(read.resources[0].arn, arn);
    assert_eq!((&read.error_code, &read.response_elements), (&None, &None));
    assert_eq!(missed.error_code.as_deref(), Some("ResourceNotFoundException"));
    assert_eq!(whole.request_parameters, Some(json!({"secretIdList": ["a", "absent"]})));
    assert_eq!((&whole.error_code, &whole.response_elements), (&None, &None));
    let ids: std::collections::BTreeSet<_> = events.iter().map(|e| &e.event_id).collect();
    assert_eq!(ids.len(), 4);
    assert!(events.iter().all(|event| event.request_id == whole.request_id));
    assert!(!format!("{events:?}").contains("hunter2"));
    // The key's last use names the event that tells of it.
    world.server.last_uses.write(&world.server.store).await.unwrap();
    let key = &decrypted.resources[0].arn;
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    assert_eq!(used["KeyLastUsage"]["CloudTrailEventId"], *decrypted.event_id, "{used}");
}

#[tokio::test]
async fn permissions_of_the_call_of_each_secret_and_of_its_key() {
    let world = World::new().await;
    let key = world.key().await;
    let a = world.secret_under("a", "one", &key).await;
    world.secret("b", "two").await;
    let (whole, each) = ("secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue");

    let reader = world.user("reader", allow(&[each, "kms:*"])).await;
    let refused = world.sm_fails_as(&reader, "BatchGetSecretValue", list(&["a"])).await;
    let because = format!("resource: * because no identity-based policy allows the {whole} action");
    assert_eq!(refused, denied(&user_arn("reader"), whole, &because));

    let caller = world.user("caller", allow(&[whole, "kms:*"])).await;
    let answer = batch(&world, &caller, list(&["a", "absent"])).await;
    assert_eq!(strings(&answer), [""; 0]);
    let refused = |id: &str| {
        let because =
            format!("resource: {id} because no identity-based policy allows the {each} action");
        error(id, denied(&user_arn("caller"), each, &because))
    };
    assert_eq!(errors(&answer), [refused("a"), refused("absent")], "there or not");

    let statements = [
        json!({"Effect": "Allow", "Action": whole, "Resource": "*"}),
        json!({"Effect": "Allow", "Action": each, "Resource": a}),
    ];
    let one = world.user("one", policy(&statements)).await;
    let answer = batch(&world, &one, list(&["a", "b"])).await;
    let (id, second) = &errors(&answer)[1];
    assert_eq!((id.as_str(), second.code.as_str()), ("b", "AccessDeniedException"));
    assert_eq!(errors(&answer)[0], error("a", kms_denied()), "its key is another permission");

    // The conditions of GetSecretValue hold in it.
    let mut current = allow(&[each]);
    current["Statement"][0]["Condition"] =
        json!({"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}});
    let mut previous = current.clone();
    previous["Statement"][0]["Condition"]["StringEquals"] =
        json!({"secretsmanager:VersionStage": "AWSPREVIOUS"});
    for (n, (statement, seen)) in [(current, 1), (previous, 0)].into_iter().enumerate() {
        let more = json!({"Effect": "Allow", "Action": whole, "Resource": "*"});
        let rights = policy(&[statement["Statement"][0].clone(), more]);
        let who = world.user(&format!("u{n}"), rights).await;
        assert_eq!(strings(&batch(&world, &who, list(&["b"])).await).len(), seen);
    }
}

#[tokio::test]
async fn by_filters_a_page_at_a_time() {
    let world = World::new().await;
    for n in 0..25 {
        world.secret(&format!("prod/{n:02}"), &format!("v{n}")).await;
        world.secret(&format!("dev/{n:02}"), "dev").await;
        world.clock.advance(1);
    }
    world.sm("DeleteSecret", json!({"SecretId": "prod/03"})).await;
    let mut expected: Vec<String> = (0..25).map(|n| format!("v{n}")).collect();
    expected.remove(3);
    for size in [None, Some(7), Some(1)] {
        let mut found = Vec::new();
        let mut body = named("prod/");
        body["MaxResults"] = json!(size);
        loop {
            let page = batch(&world, &world.root, body.clone()).await;
            assert_eq!(errors(&page), [], "what is deleted is passed over");
            let values = strings(&page);
            assert!(values.len() <= size.unwrap_or(20));
            found.extend(values.iter().map(|value| (*value).to_owned()));
            body["NextToken"] = page["NextToken"].clone();
            if body["NextToken"].is_null() {
                break;
            }
        }
        assert_eq!(found, expected, "{size:?}");
    }
    // By their names, whichever was there first.
    for name in ["late/b", "late/a"] {
        world.secret(name, name).await;
        world.clock.advance(1);
    }
    assert_eq!(strings(&batch(&world, &world.root, named("late/")).await), ["late/a", "late/b"]);
    let several = json!({"Filters": [
        {"Key": "name", "Values": ["prod/"]}, {"Key": "name", "Values": ["!prod/0", "dev"]}]});
    assert_eq!(strings(&batch(&world, &world.root, several).await), &expected[9..]);
    assert_eq!(strings(&batch(&world, &world.root, named("none")).await), [""; 0]);
}

#[tokio::test]
async fn with_filters_one_must_be_allowed_to_list() {
    let world = World::new().await;
    let a = world.secret("a", "one").await;
    let b = world.secret("b", "two").await;
    let (whole, each) = ("secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue");
    let ann = world.user("ann", allow(&[whole, each])).await;
    let refused = world.sm_fails_as(&ann, "BatchGetSecretValue", named("")).await;
    let action = "secretsmanager:ListSecrets";
    let because =
        format!("resource: * because no identity-based policy allows the {action} action");
    assert_eq!(refused, denied(&user_arn("ann"), action, &because));
    let statements = [
        json!({"Effect": "Allow", "Action": [whole, action], "Resource": "*"}),
        json!({"Effect": "Allow", "Action": each, "Resource": a}),
    ];
    let bob = world.user("bob", policy(&statements)).await;
    let answer = batch(&world, &bob, named("")).await;
    assert_eq!(strings(&answer), ["one"]);
    let because =
        format!("resource: {b} because no identity-based policy allows the {each} action");
    assert_eq!(errors(&answer), [error(&b, denied(&user_arn("bob"), each, &because))]);
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let world = World::new().await;
    world.secret("a", "one").await;
    world.secret("b", "two").await;
    let invalid = |text: &str| failed("InvalidParameterException", text);
    let one = invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
    let both = json!({"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]});
    let size = invalid(
        "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
    );
    let mut page = named("");
    page["MaxResults"] = json!(1);
    let next = batch(&world, &world.root, page.clone()).await["NextToken"].clone();
    assert!(next.is_string());
    let foreign = |mut body: Value| {
        body["NextToken"] = next.clone();
        body
    };
    let no_token = failed("InvalidNextTokenException", "The NextToken value is invalid.");
    for (body, expected) in [
        (json!({}), one.clone()),
        (json!({"Filters": []}), one.clone()),
        (both, one),
        (json!({"SecretIdList": ["a"], "MaxResults": 1}), size.clone()),
        (json!({"MaxResults": 1}), size),
        (json!({"Filters": [{"Key": "name"}]}), invalid("Invalid filter values")),
        (foreign(list(&["a"])), no_token.clone()),
        (foreign(named("a")), no_token.clone()),
        (json!({"Filters": [{"Key": "name", "Values": [""]}], "NextToken": "x"}), no_token.clone()),
    ] {
        let refused = world.sm_fails("BatchGetSecretValue", body.clone()).await;
        assert_eq!(refused, expected, "{body}");
    }
    let elsewhere = foreign(json!({}));
    assert_eq!(world.sm_fails("ListSecrets", elsewhere).await, no_token);
    for body in [
        json!({"SecretIdList": []}),
        json!({"SecretIdList": vec!["a"; 21]}),
        json!({"SecretIdList": [""]}),
        json!({"Filters": [{"Key": "name", "Values": ["a"]}], "MaxResults": 21}),
        json!({"Filters": [{"Key": "name", "Values": ["a"]}], "MaxResults": 0}),
        json!({"Filters": [{"Key": "colour", "Values": ["a"]}]}),
    ] {
        let refused = world.sm_fails("BatchGetSecretValue", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
    }
}

#[tokio::test]
async fn twenty_of_the_largest_go_over_the_wire() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let mut ids = Vec::new();
    for n in 0..20_u8 {
        let id = format!("s{n:02}");
        let create = client.create_secret().name(&id);
        // Control characters are the longest in JSON: six bytes each.
        let create = match n % 2 {
            0 => create.secret_string(char::from(n / 2 + 1).to_string().repeat(65_536)),
            _ => create.secret_binary(Blob::new(vec![n; 65_536])),
        };
        create.send().await.unwrap();
        ids.push(id);
    }
    let answer = client.batch_get_secret_value().set_secret_id_list(Some(ids.clone())).send();
    let answer = answer.await.unwrap();
    assert!(answer.errors().is_empty());
    let values = answer.secret_values();
    assert_eq!(values.iter().map(|value| value.name().unwrap()).collect::<Vec<_>>(), ids);
    for (n, value) in (0..20_u8).zip(values) {
        let bytes = match value.secret_string() {
            Some(text) => text.as_bytes(),
            None => value.secret_binary().unwrap().as_ref(),
        };
        let expected = if n % 2 == 0 { n / 2 + 1 } else { n };
        assert!(bytes.len() == 65_536 && bytes.iter().all(|byte| *byte == expected), "{n}");
    }
}

#[tokio::test]
async fn damage_to_one_is_a_failure_of_the_server() {
    let world = World::new().await;
    world.secret("good", "one").await;
    world.secret("damaged", "two").await;
    let mut tx = world.server.store.begin();
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    let secret = Secret::load(&mut tx, &account, &region, "damaged").await.unwrap().unwrap();
    let id = secret.arn.resource().strip_prefix("secret:").unwrap();
    tx.delete::<Version>(&[ACCOUNT, REGION, id, &token(1)]).unwrap();
    tx.commit().await.unwrap();
    let body = list(&["good", "damaged"]).to_string();
    let fault = world
        .raw(&world.root, "secretsmanager", "BatchGetSecretValue", body.as_bytes())
        .await
        .unwrap_err();
    assert_eq!((fault.status, fault.code, fault.message()), (500, "InternalServiceError", ""));
    // The reads that it had done are in the log all the same.
    let events = world.events();
    let names: Vec<_> = events.iter().rev().take(3).map(|e| e.event_name.as_str()).collect();
    assert_eq!(names, ["BatchGetSecretValue", "GetSecretValue", "GetSecretValue"]);
    assert_eq!(strings(&batch(&world, &world.root, list(&["good"])).await), ["one"]);
}

#[tokio::test]
async fn a_write_in_between_is_seen_or_not_seen_whole() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.sm("CreateSecret", creation(name, "0")).await;
    }
    let write = async {
        for n in 2..20 {
            world.put("a", n, &n.to_string()).await;
            world.put("b", n, &n.to_string()).await;
        }
    };
    let read = async {
        for _ in 0..20 {
            let answer = batch(&world, &world.root, list(&["a", "b"])).await;
            let found: Vec<i64> = strings(&answer).iter().map(|v| v.parse().unwrap()).collect();
            // `b` is written after `a`: never the other way round, and never two behind.
            let (a, b) = (found[0], found[1]);
            assert!(a == b || b < a && (a - b == 1 || a == 2 && b == 0), "{a} {b}");
        }
    };
    futures_util::future::join(write, read).await;
}
