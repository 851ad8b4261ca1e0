//! What a service may do for its user, what policies know of it, and what the log says.
use crate::support::{delegate, policy, user_arn};
use crate::world::{ACCOUNT, NOW_SECS, OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

const VIA: &str = "payroll.eu-west-1.example";

fn allow_if(actions: &[&str], condition: &Value) -> Value {
    policy(&[
        json!({"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}),
    ])
}

fn data_key(key: &str) -> Value {
    json!({"KeyId": key, "KeySpec": "AES_256"})
}

#[tokio::test]
async fn a_service_acts_as_its_user_and_the_log_says_through_whom() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    // The key knows ann only where payroll acts for her.
    let for_ann = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:*", "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": VIA}}});
    let key = world.key_with_policy(policy(&[delegate(), for_ann])).await;
    let blob = world.hello(&key).await;
    let body = json!({"CiphertextBlob": blob});

    let from = world.events().len();
    let request = world.sent(&ann, None, "payroll");
    let answer = world.hand_over(&payroll, &request).await.unwrap();
    assert_eq!(answer["AssumedPrincipal"], user_arn("ann"));
    assert_eq!(answer["Credentials"]["Expiration"], NOW_SECS + 900);
    let events = world.events().split_off(from);
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event.event_name, "GetDelegatedAccessToken");
    assert_eq!(event.user_identity.user_name.as_deref(), Some("payroll"));
    assert_eq!(event.user_identity.invoked_by, None);
    assert_eq!(event.request_parameters, None);
    let expected = json!({"service": "payroll.example", "userAccessKeyId": ann.access_key_id});
    assert_eq!(event.additional_event_data, Some(expected));
    let shown = event.response_elements.as_ref().unwrap();
    assert_eq!(shown["assumedPrincipal"], user_arn("ann"));
    let session = super::Temporary::of(&answer);
    let text = serde_json::to_string(event).unwrap();
    for secret in [&session.who.secret, &session.token, request.header("authorization")] {
        assert!(!text.contains(secret), "{text}");
    }

    let plain = world.with(&session, "kms", "Decrypt", body.clone()).await.unwrap();
    assert_eq!(plain["Plaintext"], "aGVsbG8=");
    let event = world.last_event();
    assert_eq!(event.event_name, "Decrypt");
    assert_eq!(event.user_identity.arn.as_deref(), Some(&*user_arn("ann")));
    assert_eq!(event.user_identity.user_name.as_deref(), Some("ann"));
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("payroll.example"));
    assert_eq!(event.user_identity.access_key_id.as_deref(), Some(&*session.who.access_key_id));
    assert_eq!(event.recipient_account_id, ACCOUNT);

    // Neither ann herself nor another service of the same principal opens it.
    let error = world.call_as(&ann, "kms", "Decrypt", body.clone()).await.unwrap_err();
    assert_eq!(error.code, "AccessDeniedException");
    let other = world.through(&payroll, &ann, "everything").await;
    assert!(!world.may_with(&other, "kms", "Decrypt", body).await);
    let event = world.last_event();
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("everything.example"));
}

#[tokio::test]
async fn each_condition_holds_for_the_service_and_for_nobody_else() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let key = world.key().await;
    let elsewhere = format!("payroll.{OTHER_REGION}.example");
    for (at, (condition, through, direct)) in [
        (json!({"StringEquals": {"kms:ViaService": VIA}}), true, false),
        (json!({"StringLike": {"kms:ViaService": "payroll.*.example"}}), true, false),
        (json!({"StringEquals": {"kms:ViaService": elsewhere}}), false, false),
        (json!({"StringEquals": {"kms:ViaService": "payroll.example"}}), false, false),
        (json!({"StringLike": {"kms:ViaService": "*.amazonaws.com"}}), false, false),
        (json!({"Null": {"kms:ViaService": "true"}}), false, true),
        (json!({"StringEquals": {"aws:CalledViaFirst": "payroll.example"}}), true, false),
        (json!({"StringEquals": {"aws:CalledViaLast": "payroll.example"}}), true, false),
        (json!({"StringEquals": {"aws:CalledViaLast": "reader.example"}}), false, false),
        (json!({"ForAnyValue:StringEquals": {"aws:CalledVia": "payroll.example"}}), true, false),
        (json!({"ForAnyValue:StringEquals": {"aws:CalledVia": "other.example"}}), false, false),
        (json!({"Null": {"aws:CalledVia": "true"}}), false, true),
        // It is none of AWS's.
        (json!({"Bool": {"aws:ViaAWSService": "true"}}), false, false),
        (json!({"Bool": {"aws:ViaAWSService": "false"}}), true, true),
        (json!({"Bool": {"aws:PrincipalIsAWSService": "true"}}), false, false),
        (json!({"StringEquals": {"aws:username": "u18"}}), false, false),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"}}), true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let user =
            world.user(&format!("u{at}"), allow_if(&["kms:GenerateDataKey"], &condition)).await;
        let session = world.through(&payroll, &user, "payroll").await;
        let got = world.may_with(&session, "kms", "GenerateDataKey", data_key(&key)).await;
        assert_eq!(got, through, "{condition}");
        let got = world.call_as(&user, "kms", "GenerateDataKey", data_key(&key)).await;
        assert_eq!(got.is_ok(), direct, "{condition}");
        // A Deny on the same condition takes away what the service would have.
        let deny =
            json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition});
        let rest = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let user = world.user(&format!("d{at}"), policy(&[deny, rest])).await;
        let session = world.through(&payroll, &user, "payroll").await;
        let got = world.may_with(&session, "kms", "GenerateDataKey", data_key(&key)).await;
        assert_eq!(got, !through, "{condition}");
    }
    // A grant that a registered service makes is not one of an AWS service.
    let body = json!({"KeyId": key, "GranteePrincipal": user_arn("u0"), "Operations": ["Decrypt"]});
    for (name, holds) in [("true", false), ("false", true)] {
        let condition = json!({"Bool": {"kms:GrantIsForAWSResource": name}});
        let user =
            world.user(&format!("g{name}"), allow_if(&["kms:CreateGrant"], &condition)).await;
        let session = world.through(&payroll, &user, "payroll").await;
        assert_eq!(world.may_with(&session, "kms", "CreateGrant", body.clone()).await, holds);
    }
}

#[tokio::test]
async fn through_a_service_and_secrets_manager_both_are_in_the_chain() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let key = world.key().await;
    let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": crate::support::token(1)});
    world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let read = json!({"SecretId": "s"});
    let secrets_manager = "secretsmanager.amazonaws.com";
    let via = format!("secretsmanager.{REGION}.amazonaws.com");
    for (at, (condition, holds)) in [
        (
            json!({"StringEquals": {"aws:CalledViaFirst": "payroll.example",
            "aws:CalledViaLast": secrets_manager, "kms:ViaService": via},
            "Bool": {"aws:ViaAWSService": "true"}}),
            true,
        ),
        (
            json!({"ForAllValues:StringEquals":
            {"aws:CalledVia": ["payroll.example", secrets_manager]}}),
            true,
        ),
        (json!({"ForAnyValue:StringEquals": {"aws:CalledVia": "payroll.example"}}), true),
        (json!({"ForAnyValue:StringEquals": {"aws:CalledVia": secrets_manager}}), true),
        (json!({"ForAllValues:StringEquals": {"aws:CalledVia": secrets_manager}}), false),
        (json!({"StringEquals": {"kms:ViaService": VIA}}), false),
        (json!({"StringEquals": {"aws:CalledViaFirst": secrets_manager}}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let statements = [
            json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
                "Condition": condition}),
            json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}),
        ];
        let user = world.user(&format!("u{at}"), policy(&statements)).await;
        let session = world.through(&payroll, &user, "payroll").await;
        let from = world.events().len();
        let got = world.with(&session, "secretsmanager", "GetSecretValue", read.clone()).await;
        assert_eq!(got.is_ok(), holds, "{condition}: {got:?}");
        let by: Vec<_> = world
            .events()
            .split_off(from)
            .into_iter()
            .map(|event| (event.event_name, event.user_identity.invoked_by.clone().unwrap()))
            .collect();
        let expected = [("Decrypt", secrets_manager), ("GetSecretValue", "payroll.example")];
        assert_eq!(by, expected.map(|(name, by)| (name.into(), by.into())), "{condition}");
        // What the service may not ask of KMS itself, Secrets Manager does not ask for it either.
        let session = world.through(&payroll, &user, "reader").await;
        assert!(!world.may_with(&session, "secretsmanager", "GetSecretValue", read.clone()).await);
    }
}

#[tokio::test]
async fn only_what_is_registered_is_done_whoever_allows_more() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    // The key policy names ann, which no session policy of AWS's limits, and a grant does, too.
    let named = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:*", "Resource": "*"});
    let key = world.key_with_policy(policy(&[delegate(), named])).await;
    let granted = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"),
        "Operations": ["Encrypt", "DescribeKey", "RetireGrant"]});
    let grant = world.kms("CreateGrant", granted).await;
    let encrypt = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let retire = json!({"KeyId": key, "GrantId": grant["GrantId"]});
    for who in [&ann, &world.root] {
        let session = world.through(&payroll, who, "payroll").await;
        assert!(world.may_with(&session, "kms", "GenerateDataKey", data_key(&key)).await);
        for (name, body) in [
            ("Encrypt", encrypt.clone()),
            ("DescribeKey", json!({"KeyId": key})),
            ("RetireGrant", retire.clone()),
            ("ListKeys", json!({})),
            ("PutKeyPolicy", json!({"KeyId": key, "Policy": policy(&[delegate()]).to_string()})),
        ] {
            let error = world.with(&session, "kms", name, body).await.unwrap_err();
            assert_eq!(error.code, "AccessDeniedException", "{name}");
            let because = format!("because no session policy allows the kms:{name} action");
            assert!(error.message.ends_with(&because), "{name}: {error:?}");
        }
    }
    // A Deny stays what it is.
    let deny = json!({"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"});
    let bob = world.user("bob", policy(&[deny, allow(&["*"])["Statement"][0].clone()])).await;
    let session = world.through(&payroll, &bob, "everything").await;
    let body = json!({"CiphertextBlob": world.hello(&key).await});
    let error = world.with(&session, "kms", "Decrypt", body).await.unwrap_err();
    assert!(error.message.contains("explicit deny"), "{error:?}");
}

#[tokio::test]
async fn no_service_calls_iam_or_sts_for_its_user() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    world.role("r", super::super::trust(ACCOUNT), allow(&["*"])).await;
    let session = world.through(&payroll, &ann, "everything").await;
    let who = world.with(&session, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!(who["Arn"], user_arn("ann"));
    let request = world.sent(&ann, None, "payroll");
    let token = super::encoded(&super::described(&request));
    for (service, name, body, code) in [
        ("sts", "AssumeRole", super::super::assuming("r", json!({})), "AccessDenied"),
        ("sts", "GetSessionToken", json!({}), "AccessDenied"),
        ("sts", "GetFederationToken", json!({"Name": "fed"}), "AccessDenied"),
        ("sts", "GetDelegatedAccessToken", json!({"TradeInToken": token}), "AccessDenied"),
        ("iam", "ListUsers", json!({}), "InvalidClientTokenId"),
        ("iam", "CreateAccessKey", json!({"UserName": "ann"}), "InvalidClientTokenId"),
    ] {
        let error = world.with(&session, service, name, body).await.unwrap_err();
        assert_eq!(error.code, code, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn the_limits_of_the_users_own_session_stay() {
    let world = World::new().await;
    let payroll = world.payroll().await;
    let ann = world.user("ann", allow(&["*"])).await;
    world.role("r", super::super::trust(ACCOUNT), allow(&["kms:*"])).await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let only = json!({"Policy": allow(&["kms:Decrypt"]).to_string(), "SourceIdentity": "ann",
        "Tags": [{"Key": "team", "Value": "blue"}]});
    let role = world.assume(&ann, "r", only).await;
    let request = world.sent(&role.who, Some(&role.token), "payroll");
    let answer = world.hand_over(&payroll, &request).await.unwrap();
    let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s1");
    assert_eq!(answer["AssumedPrincipal"], arn);
    let session = super::Temporary::of(&answer);
    let body = json!({"CiphertextBlob": blob});
    assert!(world.may_with(&session, "kms", "Decrypt", body.clone()).await);
    // Payroll may, and so may the role; the session that asked may not.
    assert!(!world.may_with(&session, "kms", "GenerateDataKey", data_key(&key)).await);
    let caller = world.caller_of(&session).await.unwrap();
    assert_eq!(caller.tags.0["team"], "blue");
    let facts = caller.session.unwrap();
    assert_eq!(facts.source_identity.as_deref(), Some("ann"));
    assert_eq!(facts.issuer_key.as_ref(), Some(&ann.access_key_id));

    // A federated user acts within its policies, too.
    let body = json!({"Name": "fed", "Policy": allow(&["kms:Decrypt"]).to_string()});
    let answer = world.call_as(&ann, "sts", "GetFederationToken", body).await.unwrap();
    let federated = super::Temporary::of(&answer);
    let request = world.sent(&federated.who, Some(&federated.token), "payroll");
    let session = super::Temporary::of(&world.hand_over(&payroll, &request).await.unwrap());
    assert!(!world.may_with(&session, "kms", "GenerateDataKey", data_key(&key)).await);
    assert!(world.may_with(&session, "kms", "Decrypt", json!({"CiphertextBlob": blob})).await);
}
