//! A session never exceeds its issuer: random policies, and every kind of session beside who made it.
use super::{Temporary, assuming, trust};
use crate::world::{ACCOUNT, World};
use serde_json::{Value, json};

const ACTIONS: [(&str, &str); 3] = [
    ("kms:ListKeys", "ListKeys"),
    ("kms:ListAliases", "ListAliases"),
    ("kms:DescribeCustomKeyStores", "DescribeCustomKeyStores"),
];

/// A policy of a few statements, drawn from a seed.
fn drawn(seed: &mut u64) -> Value {
    let mut next = |below: u64| {
        // Numerical Recipes' generator; its high bits are good enough for drawing.
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % below
    };
    let mut statements =
        vec![json!({"Effect": "Allow", "Action": ["sts:*", "s3:*"], "Resource": "*"})];
    for _ in 0..=next(3) {
        let effect = if next(4) == 0 { "Deny" } else { "Allow" };
        let action = match next(4) {
            0 => "kms:*",
            n => ACTIONS[usize::try_from(n - 1).unwrap()].0,
        };
        statements.push(json!({"Effect": effect, "Action": action, "Resource": "*"}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[tokio::test]
async fn a_session_never_exceeds_its_issuer() {
    let world = World::new().await;
    let mut seed = 7;
    let (mut allowed, mut cut) = (0, 0);
    for round in 0..60 {
        let name = format!("u{round}");
        let user = world.user(&name, drawn(&mut seed)).await;
        let role = format!("r{round}");
        world.role(&role, trust(ACCOUNT), drawn(&mut seed)).await;
        let own = |answer: Result<Value, _>| Temporary::of(&answer.unwrap());
        let plain = own(world.call_as(&user, "sts", "GetSessionToken", json!({})).await);
        let policy = drawn(&mut seed);
        let body = json!({"Name": "fed", "Policy": policy.to_string()});
        let federated = own(world.call_as(&user, "sts", "GetFederationToken", body).await);
        let whole = world.assume(&user, &role, json!({})).await;
        let less = json!({"Policy": policy.to_string()});
        let narrowed = world.assume(&user, &role, less.clone()).await;
        // One session makes the next, of another role and under a policy again.
        let other = format!("q{round}");
        world.role(&other, trust(ACCOUNT), drawn(&mut seed)).await;
        let next = world.with(&narrowed, "sts", "AssumeRole", assuming(&other, less)).await;
        let chained = own(next);
        let others = world.assume(&user, &other, json!({})).await;
        for (_, action) in ACTIONS {
            let by_user = world.call_as(&user, "kms", action, json!({})).await.is_ok();
            let may = async |session| world.may_with(session, "kms", action, json!({})).await;
            assert_eq!(may(&plain).await, by_user, "{name} {action}");
            let by_role = may(&whole).await;
            let by_other = may(&others).await;
            let limited = [(&federated, by_user), (&narrowed, by_role), (&chained, by_other)];
            for (session, issuer) in limited {
                let got = may(session).await;
                assert!(issuer || !got, "{name} {action}: {policy}");
                allowed += u32::from(got);
                cut += u32::from(issuer && !got);
            }
        }
    }
    // Both happened often, or the test would show nothing.
    assert!(allowed > 20 && cut > 20, "{allowed} {cut}");
}
