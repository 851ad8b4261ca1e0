//! GetKeyPolicy and PutKeyPolicy. What key policies mean is in `authorization.rs`.
use crate::iam::mfa;
use crate::sts::Temporary;
use crate::support::{delegate, denied, failed, policy, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, REGION, World, allow};
use serde_json::{Value, json};

#[tokio::test]
async fn the_default_policy_is_aws_own_text() {
    let world = World::new().await;
    let key = world.key().await;
    let expected = format!(
        "{{\n  \"Version\" : \"2012-10-17\",\n  \"Id\" : \"key-default-1\",\n  \"Statement\" : [ \
         {{\n    \"Sid\" : \"Enable IAM User Permissions\",\n    \"Effect\" : \"Allow\",\n    \
         \"Principal\" : {{\n      \"AWS\" : \"arn:aws:iam::{ACCOUNT}:root\"\n    }},\n    \
         \"Action\" : \"kms:*\",\n    \"Resource\" : \"*\"\n  }} ]\n}}"
    );
    for body in [json!({"KeyId": key}), json!({"KeyId": key, "PolicyName": "default"})] {
        let answer = world.kms("GetKeyPolicy", body).await;
        assert_eq!(answer, json!({"Policy": expected, "PolicyName": "default"}));
    }
}

#[tokio::test]
async fn a_policy_comes_back_byte_for_byte() {
    let world = World::new().await;
    let key = world.key().await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let statement = format!(
        r#"{{"Sid":"","Effect":"Allow","Principal":{{"AWS":["{root}"]}},"Action":["kms:*"],"Resource":"*"}}"#
    );
    for text in [
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#),
        format!("\n\t {{ \"Version\" : \"2008-10-17\",\r\n \"Statement\": {statement} }} \n\n"),
        format!(r#"{{"Statement":{statement},"Id":"Caf\u00e9 é","Version":"2012-10-17"}}"#),
    ] {
        world.kms("PutKeyPolicy", json!({"KeyId": key, "Policy": text})).await;
        let answer = world.kms("GetKeyPolicy", json!({"KeyId": key})).await;
        assert_eq!(answer["Policy"], text);
    }
}

#[tokio::test]
async fn there_is_one_policy_name() {
    let world = World::new().await;
    let key = world.key().await;
    let body = json!({"KeyId": key, "PolicyName": "other"});
    let refused = world.kms_fails("GetKeyPolicy", body).await;
    assert_eq!(refused, failed("NotFoundException", "No such policy exists"));
    let body = json!({"KeyId": key, "PolicyName": "other",
        "Policy": policy(&[delegate()]).to_string()});
    assert_eq!(world.kms_fails("PutKeyPolicy", body).await.code, "ValidationException");
    let body = json!({"KeyId": key, "PolicyName": "AWS_RAM",
        "Policy": policy(&[delegate()]).to_string()});
    let of_ram = "The AWS_RAM policy can only be managed by the RAM service.";
    let refused = world.kms_fails("PutKeyPolicy", body).await;
    assert_eq!(refused, failed("ValidationException", of_ram));
}

#[tokio::test]
async fn a_put_policy_is_checked_like_a_new_one() {
    let world = World::new().await;
    let key = world.key().await;
    let before = world.kms("GetKeyPolicy", json!({"KeyId": key})).await;
    let lockout = policy(&[json!({"Effect": "Allow", "Principal": {"AWS": ACCOUNT},
        "Action": "kms:Describe*", "Resource": "*"})])
    .to_string();
    let stranger = policy(&[
        delegate(),
        json!({"Effect": "Deny", "Principal": {"AWS": user_arn("nobody-here")}, "Action": "kms:*",
            "Resource": "*"}),
    ])
    .to_string();
    let big = policy(&[delegate()]).to_string() + &" ".repeat(32_768);
    let malformed = "MalformedPolicyDocumentException";
    for (text, code) in [
        (lockout.as_str(), malformed),
        (&stranger, malformed),
        ("{", malformed),
        (&big, "LimitExceededException"),
    ] {
        let refused = world.kms_fails("PutKeyPolicy", json!({"KeyId": key, "Policy": text})).await;
        assert_eq!(refused.code, code, "{text}");
    }
    assert_eq!(world.kms("GetKeyPolicy", json!({"KeyId": key})).await, before);
    let bypass = json!({"KeyId": key, "Policy": lockout, "BypassPolicyLockoutSafetyCheck": true});
    world.kms("PutKeyPolicy", bypass.clone()).await;
    // It holds at once: nobody can change this key's policy any more.
    let refused = world.kms_fails("PutKeyPolicy", bypass).await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let why = "because no resource-based policy allows the kms:PutKeyPolicy action";
    assert_eq!(refused, denied(&root, "kms:PutKeyPolicy", &format!("resource: {key} {why}")));
}

/// The lock-out check asks about this key and this caller, as the next PutKeyPolicy would.
#[tokio::test]
async fn the_lock_out_check_knows_the_key_and_the_caller() {
    let world = World::new().await;
    let key = world.key().await;
    let on = |resource: &str, condition: Value| {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        policy(&[json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*",
            "Resource": resource, "Condition": condition})])
    };
    let caller = |account: &str| json!({"StringEquals": {"kms:CallerAccount": account}});
    let tagged = |value: &str| json!({"StringEquals": {"aws:ResourceTag/team": value}});
    let tags = json!([{"TagKey": "team", "TagValue": "blue"}]);
    for (policy, accepted) in [
        (on(&key, json!({})), true),
        (on(&world.key().await, json!({})), false),
        (on("*", caller(ACCOUNT)), true),
        (on("*", caller(OTHER_ACCOUNT)), false),
        (on("*", tagged("blue")), true),
        (on("*", tagged("red")), false),
        (on("*", json!({"IpAddress": {"aws:SourceIp": "127.0.0.1"}})), true),
        (on("*", json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), false),
    ] {
        let own = policy.to_string().contains(&key);
        let put = if own { key.clone() } else { world.key().await };
        world.kms("TagResource", json!({"KeyId": put, "Tags": tags})).await;
        let body = json!({"KeyId": put, "Policy": policy.to_string()});
        let outcome = world.call("kms", "PutKeyPolicy", body).await;
        let refusal = "MalformedPolicyDocumentException";
        let expected = (!accepted).then(|| refusal.to_owned());
        assert_eq!(outcome.err().map(|e| e.code), expected, "{policy}");
        if !policy.to_string().contains(":key/") {
            let body = json!({"Policy": policy.to_string(), "Tags": tags});
            let outcome = world.call("kms", "CreateKey", body).await;
            assert_eq!(outcome.err().map(|e| e.code), expected, "{policy}");
        }
    }
}

/// The next PutKeyPolicy of a session shows its second factor and its service as well.
#[tokio::test]
async fn the_lock_out_check_knows_the_second_factor_and_the_service() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let (serial, seed) = mfa::device(&world, "phone").await;
    world.iam("EnableMFADevice", mfa::enabling(&world, "ann", &serial, &seed)).await;
    let proof = json!({"SerialNumber": serial, "TokenCode": mfa::code(&world, &seed, 1)});
    let session = async |proof| {
        Temporary::of(&world.call_as(&ann, "sts", "GetSessionToken", proof).await.unwrap())
    };
    let (proved, plain) = (session(proof).await, session(json!({})).await);
    let through = world.through(&payroll, &ann, "everything").await;
    let via = format!("everything.{REGION}.example");
    for (condition, good, bad) in [
        (json!({"NumericLessThan": {"aws:MultiFactorAuthAge": "60"}}), &proved, &plain),
        (json!({"StringEquals": {"kms:ViaService": via}}), &through, &plain),
        (json!({"StringEquals": {"aws:CalledViaLast": "everything.example"}}), &through, &proved),
        (json!({"Null": {"aws:CalledVia": "true"}}), &plain, &through),
    ] {
        let mut owner = delegate();
        owner["Condition"] = condition.clone();
        let text = policy(&[owner]).to_string();
        let body = json!({"KeyId": world.key().await, "Policy": text});
        let refused = world.with(bad, "kms", "PutKeyPolicy", body.clone()).await.unwrap_err();
        assert_eq!(refused.code, "MalformedPolicyDocumentException", "{condition}");
        let done = world.with(good, "kms", "PutKeyPolicy", body.clone()).await;
        assert!(done.is_ok(), "{condition}: {done:?}");
        // And so it is: whoever passed the check can change the policy again.
        let again = world.with(good, "kms", "PutKeyPolicy", body).await;
        assert!(again.is_ok(), "{condition}: {again:?}");
    }
}

#[tokio::test]
async fn whose_iam_policy_names_keys_can_give_them_policies() {
    let world = World::new().await;
    let keys = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/*");
    let create = json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"});
    let put = json!({"Effect": "Allow", "Action": "kms:PutKeyPolicy", "Resource": keys});
    let ann = world.user("ann", policy(&[create, put])).await;
    let text = policy(&[delegate()]).to_string();
    let made = world.kms_as(&ann, "CreateKey", json!({"Policy": text})).await;
    let body = json!({"KeyId": made["KeyMetadata"]["KeyId"], "Policy": text});
    world.kms_as(&ann, "PutKeyPolicy", body).await;
}

#[tokio::test]
async fn each_needs_its_permission_and_the_bypass_can_be_forbidden() {
    let world = World::new().await;
    let key = world.key().await;
    let text = policy(&[delegate()]).to_string();
    let ann = world.user("ann", allow(&["kms:GetKeyPolicy"])).await;
    world.kms_as(&ann, "GetKeyPolicy", json!({"KeyId": key})).await;
    let body = json!({"KeyId": key, "Policy": text});
    let refused = world.kms_fails_as(&ann, "PutKeyPolicy", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let bob = world.user("bob", policy(&[
        json!({"Effect": "Allow", "Action": ["kms:PutKeyPolicy", "kms:CreateKey"], "Resource": "*",
            "Condition": {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}}),
    ]));
    let bob = bob.await;
    world.kms_as(&bob, "CreateKey", json!({})).await;
    let refused = world.kms_fails_as(&bob, "GetKeyPolicy", json!({"KeyId": key})).await;
    assert_eq!(refused.code, "AccessDeniedException");
    for (name, body) in [("PutKeyPolicy", body), ("CreateKey", json!({"Policy": text}))] {
        let mut bypass = body.clone();
        bypass["BypassPolicyLockoutSafetyCheck"] = json!(true);
        let refused = world.kms_fails_as(&bob, name, bypass).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
    }
}
