//! Login profiles and passwords.
use crate::support::failed;
use crate::world::{World, allow};
use serde_json::json;

const GOOD: &str = "Correct-horse7";

#[tokio::test]
async fn a_password_is_given_changed_and_taken_away() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["iam:ChangePassword", "iam:GetLoginProfile"])).await;
    let body = json!({"UserName": "ann", "Password": GOOD, "PasswordResetRequired": true});
    let made = world.iam("CreateLoginProfile", body.clone()).await;
    assert_eq!(made["LoginProfile"]["UserName"], "ann");
    assert_eq!(made["LoginProfile"]["PasswordResetRequired"], true);
    assert!(!serde_json::to_string(&world.events()).unwrap().contains(GOOD));
    let again = world.iam_fails("CreateLoginProfile", body).await;
    let text = "Login Profile for user ann already exists.";
    assert_eq!(again, failed("EntityAlreadyExists", text));

    let wrong = json!({"OldPassword": "Correct-horse8", "NewPassword": "Battery-staple9"});
    let refused = world.fails(&ann, "iam", "ChangePassword", wrong).await;
    assert_eq!(refused, failed("AccessDenied", "The old password was incorrect."));
    let weak = json!({"OldPassword": GOOD, "NewPassword": "weak"});
    let refused = world.fails(&ann, "iam", "ChangePassword", weak).await;
    assert_eq!(refused.code, "PasswordPolicyViolation");
    let right = json!({"OldPassword": GOOD, "NewPassword": "Battery-staple9"});
    world.call_as(&ann, "iam", "ChangePassword", right.clone()).await.unwrap();
    let refused = world.fails(&ann, "iam", "ChangePassword", right).await;
    assert_eq!(refused.code, "AccessDenied");
    let shown = world.call_as(&ann, "iam", "GetLoginProfile", json!({})).await.unwrap();
    assert_eq!(shown["LoginProfile"]["PasswordResetRequired"], false);

    let body = json!({"UserName": "ann", "Password": GOOD});
    world.iam("UpdateLoginProfile", body).await;
    let right = json!({"OldPassword": GOOD, "NewPassword": "Battery-staple9"});
    world.call_as(&ann, "iam", "ChangePassword", right).await.unwrap();

    world.iam("DeleteLoginProfile", json!({"UserName": "ann"})).await;
    let gone = failed("NoSuchEntity", "Login Profile for User ann cannot be found.");
    for name in ["GetLoginProfile", "DeleteLoginProfile", "UpdateLoginProfile"] {
        assert_eq!(world.iam_fails(name, json!({"UserName": "ann"})).await, gone, "{name}");
    }
}

#[tokio::test]
async fn weak_passwords_are_refused() {
    let world = World::new().await;
    world.iam("CreateUser", json!({"UserName": "Annabel-1"})).await;
    for password in ["Aa1!", "alllowercase", "lower1234", "ANNABEL-1", "UPPER-ONLY"] {
        let body = json!({"UserName": "Annabel-1", "Password": password});
        let refused = world.iam_fails("CreateLoginProfile", body).await;
        assert_eq!(refused.code, "PasswordPolicyViolation", "{password}");
    }
    for (body, code) in [
        (json!({"UserName": "Annabel-1"}), "ValidationError"),
        (json!({"UserName": "nobody-here", "Password": GOOD}), "NoSuchEntity"),
        (json!({"UserName": "Annabel-1", "Password": "x".repeat(129)}), "ValidationError"),
    ] {
        assert_eq!(world.iam_fails("CreateLoginProfile", body).await.code, code);
    }
}

#[tokio::test]
async fn a_user_with_a_password_stays_and_root_has_none_to_change() {
    let world = World::new().await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    world.iam("CreateLoginProfile", json!({"UserName": "ann", "Password": GOOD})).await;
    let refused = world.iam_fails("DeleteUser", json!({"UserName": "ann"})).await;
    let text = "Cannot delete entity, must delete login profile first.";
    assert_eq!(refused, failed("DeleteConflict", text));
    world.iam("DeleteLoginProfile", json!({"UserName": "ann"})).await;
    world.iam("DeleteUser", json!({"UserName": "ann"})).await;
    let body = json!({"OldPassword": GOOD, "NewPassword": "Battery-staple9"});
    assert_eq!(world.iam_fails("ChangePassword", body).await.code, "InvalidUserType");
}

#[tokio::test]
async fn passwords_cannot_be_guessed_at_leisure() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["iam:ChangePassword"])).await;
    world.iam("CreateLoginProfile", json!({"UserName": "ann", "Password": GOOD})).await;
    let change = |old: &str| json!({"OldPassword": old, "NewPassword": "Battery-staple9"});
    for _ in 0..5 {
        let refused = world.fails(&ann, "iam", "ChangePassword", change("Correct-horse8")).await;
        assert_eq!(refused.code, "AccessDenied");
    }
    assert_eq!(world.fails(&ann, "iam", "ChangePassword", change(GOOD)).await.code, "Throttling");
    world.advance(300).await;
    world.call_as(&ann, "iam", "ChangePassword", change(GOOD)).await.unwrap();
}
