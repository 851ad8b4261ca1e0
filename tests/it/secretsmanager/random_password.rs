//! GetRandomPassword.
use crate::support::{denied, failed, user_arn};
use crate::world::{World, allow};
use serde_json::{Value, json};

async fn password(world: &World, body: Value) -> String {
    let made = world.sm("GetRandomPassword", body).await;
    assert_eq!(made.as_object().unwrap().len(), 1);
    made["RandomPassword"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_is_as_asked_for() {
    let world = World::new().await;
    let usual = password(&world, json!({})).await;
    assert_eq!(usual.len(), 32);
    assert_ne!(usual, password(&world, json!({})).await);
    let is_special = |c: char| c.is_ascii_punctuation();
    for (flag, must_not) in [
        ("ExcludeUppercase", char::is_uppercase as fn(char) -> bool),
        ("ExcludeLowercase", char::is_lowercase),
        ("ExcludeNumbers", char::is_numeric),
        ("ExcludePunctuation", is_special),
    ] {
        for (on, is_there) in [(true, false), (false, true)] {
            let made = password(&world, json!({flag: on, "PasswordLength": 4096})).await;
            assert_eq!(made.len(), 4096);
            assert_eq!(made.contains(must_not), is_there, "{flag} {on}");
        }
    }
    let long =
        json!({"PasswordLength": 4096, "ExcludeCharacters": "aZ5'\\ é", "IncludeSpace": false});
    assert!(!password(&world, long).await.contains(['a', 'Z', '5', '\'', '\\', ' ']));
    let spaced = json!({"PasswordLength": 4096, "IncludeSpace": true});
    assert!(password(&world, spaced).await.contains(' '));
    // One of each type in four places, or whatever comes.
    let body = json!({"PasswordLength": 4});
    for _ in 0..50 {
        let made = password(&world, body.clone()).await;
        let types = [char::is_uppercase, char::is_lowercase, char::is_numeric, is_special];
        assert!(types.iter().all(|kind| made.contains(kind)), "{made}");
    }
    let free = json!({"PasswordLength": 1, "RequireEachIncludedType": false});
    assert_eq!(password(&world, free).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let world = World::new().await;
    let types = ["ExcludeUppercase", "ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation"];
    let none: Value = types.iter().map(|name| ((*name).to_owned(), json!(true))).collect();
    for (body, text) in [
        (json!({"PasswordLength": 3}), "Password length is too short based on the required types."),
        (none, "All characters have been excluded from selection."),
        (
            json!({"ExcludeCharacters": "0123456789"}),
            "All characters of the desired type have been excluded.",
        ),
    ] {
        let refused = world.sm_fails("GetRandomPassword", body).await;
        assert_eq!(refused, failed("InvalidParameterException", text));
    }
    for body in [
        json!({"PasswordLength": 0}),
        json!({"PasswordLength": -1}),
        json!({"PasswordLength": 4097}),
        json!({"ExcludeCharacters": "x".repeat(4097)}),
    ] {
        let refused = world.sm_fails("GetRandomPassword", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
    }
    // All of a type may go, if each type is not asked for; and a digit that is left is found.
    let digits = "012345678";
    let body = json!({"ExcludeCharacters": digits, "PasswordLength": 4, "IncludeSpace": true});
    assert!(password(&world, body).await.contains('9'));
    let body = json!({"ExcludeCharacters": "0123456789", "RequireEachIncludedType": false});
    assert!(!password(&world, body).await.contains(char::is_numeric));
}

#[tokio::test]
async fn permission_and_event() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["secretsmanager:GetRandomPassword"])).await;
    let body = json!({"PasswordLength": 40, "ExcludeCharacters": "@/", "IncludeSpace": true});
    let before = world.server.store.acknowledged();
    let made = world.sm_as(&ann, "GetRandomPassword", body).await;
    let made = made["RandomPassword"].as_str().unwrap();
    let event = world.last_event();
    assert_eq!(event.event_name, "GetRandomPassword");
    assert!(event.read_only);
    let expected = json!({"passwordLength": 40, "excludeCharacters": "@/", "includeSpace": true});
    assert_eq!(
        (event.request_parameters.clone(), event.response_elements.clone()),
        (Some(expected), None)
    );
    assert!(!format!("{event:?}").contains(made));
    assert_eq!(world.server.store.acknowledged(), before, "nothing of it is kept");

    let bob = world.user("bob", allow(&["secretsmanager:Get*Value"])).await;
    let action = "secretsmanager:GetRandomPassword";
    let because =
        format!("resource: * because no identity-based policy allows the {action} action");
    let refused = world.sm_fails_as(&bob, "GetRandomPassword", json!({})).await;
    assert_eq!(refused, denied(&user_arn("bob"), action, &because));
}
