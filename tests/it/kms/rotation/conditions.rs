//! The condition key kms:RotationPeriodInDays.
use crate::support::{delegate, policy};
use crate::world::{ACCOUNT, Someone, World, allow};
use serde_json::{Value, json};

/// Whether `who` may set this period.
async fn may(world: &World, who: &Someone, key: &str, days: Value) -> bool {
    let body = json!({"KeyId": key, "RotationPeriodInDays": days});
    match world.call_as(who, "kms", "EnableKeyRotation", body).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, "AccessDeniedException");
            false
        }
    }
}

#[tokio::test]
async fn a_policy_bounds_the_period() {
    let world = World::new().await;
    let key = world.key().await;
    let at_most = json!({"NumericLessThanEquals": {"kms:RotationPeriodInDays": "180"}});
    let ann = world
        .user(
            "ann",
            policy(&[
                json!({"Effect": "Allow", "Action": "kms:EnableKeyRotation", "Resource": "*",
                "Condition": at_most}),
            ]),
        )
        .await;
    for (days, allowed) in [(90, true), (180, true), (181, false), (2560, false)] {
        assert_eq!(may(&world, &ann, &key, json!(days)).await, allowed, "{days}");
    }
    // Who names no period asks for 365 days.
    assert!(!may(&world, &ann, &key, json!(null)).await);
    assert_eq!(world.schedule(&key).await.unwrap().0, 180);
}

#[tokio::test]
async fn a_denial_is_not_got_round_by_naming_no_period() {
    let world = World::new().await;
    let more = json!({"NumericGreaterThan": {"kms:RotationPeriodInDays": "364"}});
    let deny = json!({"Effect": "Deny", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/bob")},
        "Action": "kms:EnableKeyRotation", "Resource": "*", "Condition": more});
    let bob = world.user("bob", allow(&["kms:*"])).await;
    let key = world.key_with_policy(policy(&[delegate(), deny])).await;
    for (days, allowed) in
        [(json!(364), true), (json!(365), false), (json!(null), false), (json!(90), true)]
    {
        assert_eq!(may(&world, &bob, &key, days.clone()).await, allowed, "{days}");
    }
    assert!(may(&world, &world.root, &key, json!(null)).await);
}
