//! Calls that were made, and what is said of their events: the same decision, by the same things.
use super::Data;
use crate::refusals::things::Things;
use crate::sts::{assuming, trust_if};
use crate::support::{delegate, id_of, policy, token, user_arn};
use crate::world::{ACCOUNT, Failed, OTHER_ACCOUNT, Someone, World, allow};
use claviger::api::SERVICES;
use claviger::control::EventReport;
use serde_json::{Value, json};

/// Operations about which an event does not tell what policies were asked.
const UNTOLD: [&str; 5] = [
    "AssumeRoleWithWebIdentity",
    "GetCallerIdentity",
    "GetDelegatedAccessToken",
    "GetSessionToken",
    "RetireGrant",
];

#[tokio::test]
async fn every_operation_is_explained_as_it_was_answered() {
    let world = World::new().await;
    let (data, things) = (Data::new(), Things::new(&world).await);
    let (nobody, everybody) = (world.nobody().await, world.user("all", allow(&["*"])).await);
    let (mut allowed, mut denied, mut wrong) = (0, 0, Vec::new());
    for service in SERVICES {
        for entry in service.operations {
            let body = things.request(&world, service.signing_name, entry.name).await;
            for who in [&nobody, &everybody] {
                let _ = world.call_as(who, service.signing_name, entry.name, body.clone()).await;
                let event = world.last_event();
                assert_eq!(event.event_name, entry.name);
                let report = data.event(&world, &event.event_id).await;
                let has_told = !report.now.starts_with("not asked again");
                let may_be_untold = UNTOLD.contains(&entry.name)
                    || event.error_code.is_some_and(|code| !code.starts_with("AccessDenied"));
                if !has_told && may_be_untold {
                    continue;
                }
                if !has_told || report.same == Some(false) {
                    wrong.push(format!("{} {report:#?}", entry.name));
                }
                match report.then.as_str() {
                    "allowed" => allowed += 1,
                    then if then.starts_with("denied") => denied += 1,
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {}", wrong.len(), wrong.join("\n"));
    let all: usize = SERVICES.iter().map(|service| service.operations.len()).sum();
    // Some requests can be made only once, and some are about what is not there.
    assert!(denied >= all - 12, "{denied} of {all}");
    assert!(allowed >= all * 3 / 4, "{allowed} of {all}");
}

/// Says whether the call was allowed, and that its event is explained so.
struct Told {
    world: World,
    data: Data,
}

impl Told {
    async fn check(&self, outcome: Result<Value, Failed>, expected: bool) -> EventReport {
        let event = self.world.last_event();
        let report = self.data.event(&self.world, &event.event_id).await;
        match &outcome {
            Ok(_) => assert!(expected, "{report:#?}"),
            Err(error) => assert!(!expected, "{error:?} {report:#?}"),
        }
        assert_eq!(report.then == "allowed", expected, "{report:#?}");
        assert_eq!(report.now == "allowed", expected, "{report:#?}");
        assert_eq!(report.same, Some(true));
        report
    }

    async fn call(
        &self,
        who: &Someone,
        service: &str,
        name: &str,
        body: Value,
        expected: bool,
    ) -> EventReport {
        let outcome = self.world.call_as(who, service, name, body).await;
        self.check(outcome, expected).await
    }
}

async fn told() -> Told {
    Told { world: World::new().await, data: Data::new() }
}

fn only_if(actions: &[&str], condition: Value) -> Value {
    let mut policy = allow(actions);
    policy["Statement"][0]["Condition"] = condition;
    policy
}

fn encrypt(key: &str, context: Value) -> Value {
    json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context})
}

#[tokio::test]
async fn conditions_on_what_was_asked() {
    let told = told().await;
    let key = told.world.key().await;
    let body = json!({"AliasName": "alias/a", "TargetKeyId": key});
    told.world.kms("CreateAlias", body).await;
    // The condition of a policy, the operation, a request that meets it and one that does not.
    let rows = [
        (
            json!({"StringEquals": {"kms:EncryptionContext:App": "x"}}),
            "Encrypt",
            encrypt(&key, json!({"App": "x"})),
            encrypt(&key, json!({"App": "y"})),
        ),
        (
            json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["App"]},
                   "Null": {"kms:EncryptionContextKeys": "false"}}),
            "GenerateDataKey",
            json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"App": "x"}}),
            json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {"Other": "x"}}),
        ),
        (
            json!({"StringEquals": {"kms:RequestAlias": "alias/a"}}),
            "Encrypt",
            encrypt("alias/a", json!({})),
            encrypt(&key, json!({})),
        ),
        (
            json!({"StringEquals": {"kms:DataKeyPairSpec": "ECC_NIST_P256"}}),
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P384"}),
        ),
        (
            json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "team"},
                   "StringEquals": {"aws:RequestTag/team": "blue"}}),
            "TagResource",
            json!({"KeyId": key, "Tags": [{"TagKey": "team", "TagValue": "blue"}]}),
            json!({"KeyId": key, "Tags": [{"TagKey": "team", "TagValue": "red"}]}),
        ),
        (
            json!({"StringEquals": {"kms:KeySpec": "RSA_2048"}}),
            "CreateKey",
            json!({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}),
            json!({"KeySpec": "RSA_3072", "KeyUsage": "SIGN_VERIFY"}),
        ),
        (
            json!({"NumericLessThanEquals": {"kms:RotationPeriodInDays": "100"}}),
            "EnableKeyRotation",
            json!({"KeyId": key, "RotationPeriodInDays": 90}),
            json!({"KeyId": key}),
        ),
        (
            json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}),
            "CreateGrant",
            json!({"KeyId": key, "GranteePrincipal": user_arn("u0"), "Operations": ["Decrypt"]}),
            json!({"KeyId": key, "GranteePrincipal": user_arn("u0"), "Operations": ["Encrypt"]}),
        ),
        (
            json!({"IpAddress": {"aws:SourceIp": "127.0.0.1"}}),
            "DescribeKey",
            json!({"KeyId": key}),
            Value::Null,
        ),
        (
            json!({"StringNotEquals": {"aws:UserAgent": "test"}}),
            "DescribeKey",
            Value::Null,
            json!({"KeyId": key}),
        ),
        (
            json!({"DateGreaterThan": {"aws:CurrentTime": "2025-12-31T00:00:00Z"}}),
            "DescribeKey",
            json!({"KeyId": key}),
            Value::Null,
        ),
        (
            json!({"Bool": {"aws:SecureTransport": "true"}}),
            "DescribeKey",
            Value::Null,
            json!({"KeyId": key}),
        ),
    ];
    for (at, (condition, name, good, bad)) in rows.into_iter().enumerate() {
        let who = only_if(&[&format!("kms:{name}")], condition);
        let who = told.world.user(&format!("u{at}"), who).await;
        for (body, expected) in [(good, true), (bad, false)] {
            if !body.is_null() {
                told.call(&who, "kms", name, body, expected).await;
            }
        }
    }
}

#[tokio::test]
async fn key_policies_grants_and_other_accounts() {
    let told = told().await;
    let world = &told.world;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let zoe = world.user_of(OTHER_ACCOUNT, "zoe", allow(&["kms:*"])).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:Encrypt", "Resource": "*", "Sid": "Ann"});
    let key = world.key_with_policy(policy(&[delegate(), statement])).await;
    let report = told.call(&ann, "kms", "Encrypt", encrypt(&key, json!({})), true).await;
    assert!(report.questions[0].because[0].contains("(Ann)"), "{report:#?}");
    told.call(
        &ann,
        "kms",
        "GenerateMac",
        json!({"KeyId": key, "Message": "YQ==",
        "MacAlgorithm": "HMAC_SHA_256"}),
        false,
    )
    .await;
    told.call(&zoe, "kms", "Encrypt", encrypt(&key, json!({})), false).await;
    // A grant, with a constraint.
    let body = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"),
        "Operations": ["GenerateDataKey"],
        "Constraints": {"EncryptionContextSubset": {"a": "b"}}});
    let grant = world.kms("CreateGrant", body).await["GrantId"].clone();
    let ask = |context: Value| {
        json!({"KeyId": key, "KeySpec": "AES_256",
        "EncryptionContext": context})
    };
    let report =
        told.call(&ann, "kms", "GenerateDataKey", ask(json!({"a": "b", "c": "d"})), true).await;
    let named = report.questions[0].grant.as_ref().unwrap();
    assert_eq!(json!(named.id), grant);
    assert_eq!(named.operations, ["GenerateDataKey"]);
    let report = told.call(&ann, "kms", "GenerateDataKey", ask(json!({"a": "c"})), false).await;
    assert!(report.questions[0].grant.is_none());
    // ReEncrypt asks twice.
    let blob = world.kms("Encrypt", encrypt(&key, json!({"a": "b"}))).await;
    let other = world.key().await;
    let bob = allow(&["kms:ReEncryptFrom"]);
    let bob = world.user("bob", bob).await;
    let body = json!({"CiphertextBlob": blob["CiphertextBlob"], "DestinationKeyId": other,
        "SourceEncryptionContext": {"a": "b"}});
    let report = told.call(&bob, "kms", "ReEncrypt", body.clone(), false).await;
    let decisions: Vec<bool> = report.questions.iter().map(|q| q.allowed).collect();
    assert_eq!(decisions, [true, false]);
    let eve = world.user("eve", allow(&["kms:ReEncrypt*"])).await;
    told.call(&eve, "kms", "ReEncrypt", body, true).await;
    // A Deny stands in the key policy, whatever else allows.
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:GenerateRandom",
        "Resource": "*"});
    let deny_all = json!({"Effect": "Deny", "Principal": {"AWS": user_arn("eve")},
        "Action": "kms:Encrypt", "Resource": "*", "Sid": "NotEve"});
    let key = world.key_with_policy(policy(&[delegate(), deny, deny_all])).await;
    let eve2 = world.user("eve2", allow(&["kms:*"])).await;
    told.call(&eve2, "kms", "Encrypt", encrypt(&key, json!({})), true).await;
    world
        .iam(
            "PutUserPolicy",
            json!({"UserName": "eve", "PolicyName": "all",
        "PolicyDocument": allow(&["kms:*"]).to_string()}),
        )
        .await;
    let report = told.call(&eve, "kms", "Encrypt", encrypt(&key, json!({})), false).await;
    assert_eq!(report.questions[0].decision, "explicitDeny");
    assert!(report.then.ends_with("with an explicit deny in a resource-based policy"));
    assert!(
        report.questions[0].sentence.ends_with("with an explicit deny in a resource-based policy")
    );
}

#[tokio::test]
async fn boundaries_groups_sessions_and_roles() {
    let told = told().await;
    let world = &told.world;
    let key = world.key().await;
    // A boundary.
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let text = allow(&["kms:DescribeKey"]).to_string();
    world.iam("CreatePolicy", json!({"PolicyName": "limit", "PolicyDocument": text})).await;
    let limit = format!("arn:aws:iam::{ACCOUNT}:policy/limit");
    world
        .iam("PutUserPermissionsBoundary", json!({"UserName": "ann", "PermissionsBoundary": limit}))
        .await;
    told.call(&ann, "kms", "DescribeKey", json!({"KeyId": key}), true).await;
    let report = told.call(&ann, "kms", "Encrypt", encrypt(&key, json!({})), false).await;
    assert_eq!(report.questions[0].because, ["no permissions boundary allows it"]);
    // A group.
    let bob = world.nobody().await;
    let name = world.caller(&bob).await.principal.user_name.unwrap();
    world.iam("CreateGroup", json!({"GroupName": "crew"})).await;
    world.iam("AddUserToGroup", json!({"GroupName": "crew", "UserName": name})).await;
    told.call(&bob, "kms", "DescribeKey", json!({"KeyId": key}), false).await;
    world
        .iam(
            "PutGroupPolicy",
            json!({"GroupName": "crew", "PolicyName": "p",
        "PolicyDocument": text}),
        )
        .await;
    told.call(&bob, "kms", "DescribeKey", json!({"KeyId": key}), true).await;
    // What was answered then is not what would be answered now.
    let denied = world.events().into_iter().rfind(|e| e.error_code.is_some()).unwrap();
    let report = told.data.event(world, &denied.event_id).await;
    assert_eq!((report.now.as_str(), report.same), ("allowed", Some(false)));
}

#[tokio::test]
async fn roles_and_their_sessions() {
    let told = told().await;
    let world = &told.world;
    let key = world.key().await;
    let carl = world.user("carl", allow(&["sts:AssumeRole"])).await;
    let when = json!({"StringEquals": {"sts:ExternalId": "42"}});
    world.role("r", trust_if(&user_arn("carl"), when), allow(&["kms:DescribeKey"])).await;
    let body = assuming("r", json!({"ExternalId": "42"}));
    told.call(&carl, "sts", "AssumeRole", body, true).await;
    told.call(&carl, "sts", "AssumeRole", assuming("r", json!({})), false).await;
    let session = world.assume(&carl, "r", json!({"ExternalId": "42"})).await;
    let outcome = world.with(&session, "kms", "DescribeKey", json!({"KeyId": key})).await;
    let report = told.check(outcome, true).await;
    assert!(report.notes.iter().any(|note| note.contains("session's own policies")));
    let outcome = world.with(&session, "kms", "Encrypt", encrypt(&key, json!({}))).await;
    told.check(outcome, false).await;
    // A session policy is not in the event: so the report differs, and says what it could not know.
    let policy = json!({"ExternalId": "42", "Policy": allow(&["s3:*"]).to_string()});
    let narrow = world.assume(&carl, "r", policy).await;
    world.with(&narrow, "kms", "DescribeKey", json!({"KeyId": key})).await.unwrap_err();
    let report = told.data.event(world, &world.last_event().event_id).await;
    assert_eq!((report.now.as_str(), report.same), ("allowed", Some(false)));
    assert!(report.notes.iter().any(|note| note.contains("session's own policies")));
    // Once the role is gone, nobody can say.
    world.delete_role("r").await;
    let report = told.data.event(world, &world.last_event().event_id).await;
    assert!(report.now.starts_with("not asked again: whoever called"), "{report:#?}");
}

#[tokio::test]
async fn a_secret_and_the_key_behind_it() {
    let told = told().await;
    let world = &told.world;
    let via = |service: &str| json!({"StringEquals": {"kms:ViaService": service}});
    let mut statement = delegate();
    statement["Condition"] = via("secretsmanager.eu-west-1.amazonaws.com");
    let key = world.key_with_policy(policy(&[statement])).await;
    let ann = world.user("ann", allow(&["secretsmanager:*", "kms:*"])).await;
    let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": token(1)});
    told.call(&ann, "secretsmanager", "CreateSecret", body, true).await;
    told.call(&ann, "secretsmanager", "GetSecretValue", json!({"SecretId": "s"}), true).await;
    let inner = world.events().into_iter().rfind(|e| e.event_name == "Decrypt").unwrap();
    let report = told.data.event(world, &inner.event_id).await;
    assert_eq!((report.now.as_str(), report.same), ("allowed", Some(true)), "{report:#?}");
    let facts = &report.questions[0].facts;
    assert_eq!(facts["kms:viaservice"], ["secretsmanager.eu-west-1.amazonaws.com"]);
    // Directly it does not hold.
    told.call(&ann, "kms", "Encrypt", encrypt(id_of(&key), json!({})), false).await;
    let bob = world.user("bob", allow(&["secretsmanager:Describe*"])).await;
    told.call(&bob, "secretsmanager", "GetSecretValue", json!({"SecretId": "s"}), false).await;
    told.call(&bob, "secretsmanager", "DescribeSecret", json!({"SecretId": "s"}), true).await;
}

#[tokio::test]
async fn a_secrets_own_policy() {
    let told = told().await;
    let world = &told.world;
    let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token(1)});
    let arn = world.call("secretsmanager", "CreateSecret", body).await.unwrap()["ARN"].clone();
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let read = json!({"SecretId": "s"});
    told.call(&ann, "secretsmanager", "DescribeSecret", read.clone(), false).await;
    let of_ann = |effect: &str, action: &str| {
        json!({"Effect": effect, "Principal": {"AWS": user_arn("ann")}, "Action": action,
            "Resource": "*"})
    };
    let put = async |statements: &[Value]| {
        let text = policy(statements).to_string();
        let body = json!({"SecretId": "s", "ResourcePolicy": text});
        world.call("secretsmanager", "PutResourcePolicy", body).await.unwrap();
    };
    put(&[of_ann("Allow", "secretsmanager:DescribeSecret")]).await;
    let report = told.call(&ann, "secretsmanager", "DescribeSecret", read.clone(), true).await;
    let named: Vec<&str> =
        report.questions[0].policies.iter().map(|policy| policy.name.as_str()).collect();
    assert!(named.contains(&"resource policy"), "{named:?}");
    put(&[of_ann("Deny", "*"), of_ann("Allow", "secretsmanager:DescribeSecret")]).await;
    told.call(&ann, "secretsmanager", "DescribeSecret", read, false).await;
    // So says IAM's simulation of one's own secrets.
    let may = json!({"PolicySourceArn": user_arn("ann"), "ResourceArns": [arn],
        "ActionNames": ["secretsmanager:DescribeSecret"]});
    let results = world.iam("SimulatePrincipalPolicy", may.clone()).await;
    assert_eq!(results["EvaluationResults"][0]["EvalDecision"], "explicitDeny");
    put(&[of_ann("Allow", "secretsmanager:DescribeSecret")]).await;
    let results = world.iam("SimulatePrincipalPolicy", may).await;
    assert_eq!(results["EvaluationResults"][0]["EvalDecision"], "allowed");
}

#[tokio::test]
async fn a_registered_service_that_acts_for_its_user() {
    let told = told().await;
    let world = &told.world;
    let via = json!({"StringEquals": {"kms:ViaService": "payroll.eu-west-1.example"}});
    let payroll = world.payroll().await;
    let ann = world.user("ann", only_if(&["kms:*"], via)).await;
    let key = world.key().await;
    let session = world.through(&payroll, &ann, "payroll").await;
    let outcome = world
        .with(
            &session,
            "kms",
            "Decrypt",
            json!({"CiphertextBlob":
        world.kms("Encrypt", encrypt(&key, json!({}))).await["CiphertextBlob"]}),
        )
        .await;
    told.check(outcome, true).await;
    // Allowed to Ann through the service, but not registered.
    let outcome = world.with(&session, "kms", "ScheduleKeyDeletion", json!({"KeyId": key})).await;
    let report = told.check(outcome, false).await;
    assert!(report.notes.iter().any(|note| note.contains("registered for")), "{report:#?}");
    // By herself Ann has nothing of it.
    told.call(&ann, "kms", "DescribeKey", json!({"KeyId": key}), false).await;
}

#[tokio::test]
async fn events_that_are_not_there_or_tell_nothing() {
    let world = World::new().await;
    let data = Data::new();
    for id in ["", "no", "00000000-0000-4000-8000-000000000000", "\" or \"\"=\""] {
        let command = claviger::control::Command::ExplainEvent { id: id.into() };
        let error = data.execute(&world, command).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the audit log has no event {id}"));
    }
    world.call("sts", "GetCallerIdentity", json!({})).await.unwrap();
    let report = data.event(&world, &world.last_event().event_id).await;
    assert_eq!(report.now, "not asked again: it needs no permission");
    assert_eq!(report.same, None);
}

/// A user called root has not what the account's root has.
#[tokio::test]
async fn whoever_is_called_root_is_asked_about_as_a_user() {
    let (world, data) = (World::new().await, Data::new());
    let user = world.user("root", allow(&["sts:*"])).await;
    for (who, now) in [(&user, "denied"), (&world.root, "allowed")] {
        let body = json!({"Name": "fed", "Policy": allow(&["kms:*"]).to_string()});
        let answer = world.call_as(who, "sts", "GetFederationToken", body).await.unwrap();
        let session = crate::sts::Temporary::of(&answer);
        let may = world.may_with(&session, "kms", "ListAliases", json!({})).await;
        assert_eq!(may, now == "allowed");
        let report = data.event(&world, &world.last_event().event_id).await;
        assert_eq!((report.now.as_str(), report.same), (now, Some(true)), "{report:#?}");
    }
}
