//! RotateSecret and CancelRotateSecret, and what a rotation under way means for values. Nothing is
//! rotated here: there is no scheduler.
use super::{creation, not_found, scheduled, token, version};
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World, allow};
use claviger::secrets::Secret;
use claviger::secrets::rotation::{Finished, Outcome, Run};
use serde_json::{Value, json};
use std::sync::Arc;

/// `arn:aws:lambda:…`
pub fn function(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate-{name}")
}

/// A section of the configuration.
pub fn registered(name: &str, what: &str) -> String {
    let arn = function(name);
    format!("[[function]]\narn = '{arn}'\nrole = 'arn:aws:iam::{ACCOUNT}:role/f'\n{what}\n")
}

/// A world with functions, and with the role that they have.
pub async fn world_with(sections: &str) -> World {
    let world = World::with_functions(sections).await;
    let trust = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"}})]);
    let body = json!({"RoleName": "f", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", body).await;
    let may = allow(&["secretsmanager:GetSecretValue", "kms:Decrypt"]).to_string();
    let body = json!({"RoleName": "f", "PolicyName": "p", "PolicyDocument": may});
    world.iam("PutRolePolicy", body).await;
    world
}

pub async fn world() -> World {
    world_with(&registered("a", "url = 'http://127.0.0.1:1'")).await
}

pub fn rotation(secret: &str, n: usize, more: Value) -> Value {
    let mut body = json!({"SecretId": secret, "ClientRequestToken": token(n),
        "RotationLambdaARN": function("a")});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn incomplete() -> crate::world::Failed {
    let text = "A previous rotation isn't complete. That rotation will be reattempted.";
    failed("InvalidRequestException", text)
}

fn cannot_invoke() -> crate::world::Failed {
    failed(
        "AccessDeniedException",
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy \
         grants access to the principal secretsmanager.amazonaws.com.",
    )
}

impl World {
    async fn rotate_secret(&self, secret: &str, n: usize) -> Value {
        self.sm("RotateSecret", rotation(secret, n, json!({}))).await
    }

    pub async fn run_of(&self, name: &str) -> Option<Arc<Run>> {
        let mut tx = self.server.store.begin();
        let secret = self.stored_secret(name).await;
        Run::of(&mut tx, &secret).await.unwrap()
    }

    pub async fn stored_secret(&self, name: &str) -> Arc<Secret> {
        let mut tx = self.server.store.begin();
        let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
        Secret::load(&mut tx, &account, &region, name).await.unwrap().unwrap()
    }

    async fn outcomes_of(&self, name: &str) -> Vec<Outcome> {
        let secret = self.stored_secret(name).await;
        let finished = Finished::list(&self.server.store.begin(), &secret).await.unwrap();
        finished.iter().map(|run| run.outcome).collect()
    }

    /// The labels that DescribeSecret shows: also those of a version without a value.
    async fn stages_of(&self, name: &str) -> Value {
        self.describe(name).await["VersionIdsToStages"].clone()
    }
}

#[tokio::test]
async fn a_rotation_is_announced() {
    let world = world().await;
    let arn = world.secret("s", "one").await;
    let rules = json!({"RotationRules": {"AutomaticallyAfterDays": 30}});
    let answer = world.sm("RotateSecret", rotation("s", 2, rules)).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "s", "VersionId": token(2)}));
    let event = world.last_event();
    let said = event.request_parameters.unwrap();
    assert_eq!(said["rotationLambdaARN"], function("a"), "{said}");
    assert_eq!(event.response_elements.unwrap()["versionId"], token(2));
    let described = world.describe("s").await;
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described["RotationLambdaARN"], function("a"));
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 30}));
    assert_eq!(described.get("LastRotatedDate"), None);
    let stages = json!({token(1): ["AWSCURRENT"], token(2): ["AWSPENDING"]});
    assert_eq!(described["VersionIdsToStages"], stages);
    // Until the function has put it, there is nothing to read.
    assert_eq!(world.labels("s").await, "1:AWSCURRENT");
    let body = json!({"SecretId": "s", "VersionStage": "AWSPENDING"});
    let refused = world.sm_fails("GetSecretValue", body).await;
    assert_eq!(refused, super::no_version("staging label: AWSPENDING"));
    let run = world.run_of("s").await.unwrap();
    assert_eq!((run.token.clone(), run.function.as_str()), (token(2), &*function("a")));
    // The request again is the same request.
    assert_eq!(world.rotate_secret("s", 2).await, answer);
    assert_eq!(
        world.run_of("s").await.unwrap().rotation_token.expose(),
        run.rotation_token.expose()
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_changed() {
    let world = world().await;
    world.secret("s", "one").await;
    let before = world.describe("s").await;
    let fails = async |body: Value| world.sm_fails("RotateSecret", body).await;
    let text = "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
    let refused = fails(json!({"SecretId": "s", "RotationLambdaARN": function("a")})).await;
    assert_eq!(refused, failed("InvalidParameterException", text));
    let text = "No Lambda rotation function ARN is associated with this secret.";
    let refused = fails(json!({"SecretId": "s", "ClientRequestToken": token(2)})).await;
    assert_eq!(refused, failed("InvalidRequestException", text));
    let with = |more: Value| rotation("s", 2, more);
    assert_eq!(fails(with(json!({"RotationLambdaARN": function("b")}))).await, cannot_invoke());
    for arn in ["", "f", "arn:aws:lambda"] {
        let refused = fails(with(json!({"RotationLambdaARN": arn}))).await;
        assert_eq!(refused.code, "InvalidParameterException", "{arn}");
    }
    let mut body = rotation("t", 2, json!({}));
    assert_eq!(fails(body.clone()).await, not_found());
    body["SecretId"] = json!("s");
    body["ClientRequestToken"] = json!(format!("{}\u{1}", token(1)));
    assert_eq!(fails(body).await.code, "InvalidParameterException");
    for rules in [
        json!({}),
        json!({"Duration": "3h"}),
        json!({"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}),
        json!({"ScheduleExpression": "rate(3 hours)"}),
        json!({"ScheduleExpression": "cron(0 8 30 2 ? *)"}),
        json!({"ScheduleExpression": "rate(1 day)", "Duration": "25h"}),
    ] {
        let refused = fails(with(json!({"RotationRules": rules}))).await;
        assert_eq!(refused.code, "InvalidParameterException", "{rules}");
    }
    for more in [
        json!({"ExternalSecretRotationRoleArn": "arn:aws:iam::111122223333:role/partner"}),
        json!({"ExternalSecretRotationMetadata": [{"Key": "k", "Value": "v"}]}),
    ] {
        let refused = fails(with(more)).await;
        assert!(refused.message.contains("managed external secrets only"), "{refused:?}");
    }
    assert_eq!(world.describe("s").await, before);
    assert!(world.run_of("s").await.is_none());
}

#[tokio::test]
async fn one_that_is_not_complete_is_tried_again() {
    let world = world().await;
    world.secret("s", "one").await;
    world.rotate_secret("s", 2).await;
    assert_eq!(world.sm_fails("RotateSecret", rotation("s", 3, json!({}))).await, incomplete());
    let noted = world.server.reattempts.take();
    assert_eq!(noted.iter().map(|(_, _, name)| name.as_str()).collect::<Vec<_>>(), ["s"]);
    assert_eq!(world.stages_of("s").await[token(2)], json!(["AWSPENDING"]));
    // AWS asks for nothing but the label.
    world.secret("by-hand", "one").await;
    let mut body = version("by-hand", 2, "two");
    body["VersionStages"] = json!(["AWSPENDING"]);
    world.sm("PutSecretValue", body).await;
    let refused = world.sm_fails("RotateSecret", rotation("by-hand", 3, json!({}))).await;
    assert_eq!(refused, incomplete());
    let body = json!({"SecretId": "by-hand", "VersionStage": "AWSPENDING",
        "RemoveFromVersionId": token(2)});
    world.sm("UpdateSecretVersionStage", body).await;
    world.rotate_secret("by-hand", 3).await;
}

#[tokio::test]
async fn who_may_rotate() {
    let world = world().await;
    let arn = world.secret("s", "one").await;
    let nobody = world.nobody().await;
    let refused = world.sm_fails_as(&nobody, "RotateSecret", rotation(&arn, 2, json!({}))).await;
    assert!(refused.message.contains("secretsmanager:RotateSecret"), "{refused:?}");
    // Whoever may not invoke it does not learn whether there is such a function.
    let half = world.user("half", allow(&["secretsmanager:*"])).await;
    for name in ["a", "b"] {
        let body = rotation("s", 2, json!({"RotationLambdaARN": function(name)}));
        let refused = world.sm_fails_as(&half, "RotateSecret", body).await;
        let wanted = format!(
            "is not authorized to perform: lambda:InvokeFunction on resource: {} because no \
             identity-based policy allows the lambda:InvokeFunction action",
            function(name)
        );
        assert!(refused.message.ends_with(&wanted), "{refused:?}");
    }
    let both = ["secretsmanager:RotateSecret", "lambda:InvokeFunction"];
    let one = world.user("one", allow(&both)).await;
    world.sm_as(&one, "RotateSecret", rotation("s", 2, json!({}))).await;
    // To turn it off is another permission.
    let refused = world.sm_fails_as(&one, "CancelRotateSecret", json!({"SecretId": "s"})).await;
    assert!(refused.message.contains("secretsmanager:CancelRotateSecret"), "{refused:?}");
}

fn with_policy(dir: &tempfile::TempDir, name: &str, statement: Value) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, policy(&[statement]).to_string()).unwrap();
    registered(name, &format!("url = 'http://127.0.0.1:1'\npolicy = '{}'", path.display()))
}

#[tokio::test]
async fn a_functions_policy_says_for_which_secrets_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let service = |more: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "lambda:InvokeFunction",
            "Resource": "*", "Principal": {"Service": "secretsmanager.amazonaws.com"}});
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        statement
    };
    let account = |id: &str| json!({"StringEquals": {"aws:SourceAccount": id}});
    let named = json!({"ArnLike": {"aws:SourceArn": "arn:aws:secretsmanager:*:*:secret:named-*"}});
    let everybody = json!({"Principal": "*"});
    let sections = [
        with_policy(&dir, "own", service(json!({"Condition": account(ACCOUNT)}))),
        with_policy(&dir, "foreign", service(json!({"Condition": account(OTHER_ACCOUNT)}))),
        with_policy(&dir, "named", service(json!({"Condition": named}))),
        with_policy(&dir, "nobody", service(json!({"Effect": "Deny"}))),
        with_policy(&dir, "open", service(everybody)),
        registered("plain", "url = 'http://127.0.0.1:1'"),
    ];
    let world = world_with(&sections.join("\n")).await;
    for (name, secret, allowed) in [
        ("own", "s1", true),
        ("foreign", "s2", false),
        ("named", "s3", false),
        ("named", "named-1", true),
        ("open", "s4", true),
        ("plain", "s5", true),
    ] {
        world.secret(secret, "one").await;
        let body = rotation(secret, 2, json!({"RotationLambdaARN": function(name)}));
        let outcome = world.call("secretsmanager", "RotateSecret", body).await;
        assert_eq!(outcome.err(), (!allowed).then(cannot_invoke), "{name} for {secret}");
    }
    // A Deny for the service: the root itself may invoke it.
    world.secret("s6", "one").await;
    let body = rotation("s6", 2, json!({"RotationLambdaARN": function("nobody")}));
    assert_eq!(world.sm_fails("RotateSecret", body).await, cannot_invoke());
    // Another account's secret, and another region's: without a policy that says so, no.
    let (other, service) = (world.other_root(), "secretsmanager");
    world.call_as(&other, service, "CreateSecret", creation("theirs", "x")).await.unwrap();
    for (name, code) in [("plain", "AccessDeniedException"), ("own", "AccessDeniedException")] {
        let body = rotation("theirs", 2, json!({"RotationLambdaARN": function(name)}));
        let refused = world.fails(&other, service, "RotateSecret", body).await;
        assert_eq!(refused.code, code, "{name}");
    }
    let body = rotation("theirs", 2, json!({"RotationLambdaARN": function("open")}));
    world.call_as(&other, service, "RotateSecret", body).await.unwrap();
    let root = &world.root;
    world.call_in(root, OTHER_REGION, service, "CreateSecret", creation("far", "x")).await.unwrap();
    let body = rotation("far", 2, json!({"RotationLambdaARN": function("plain")}));
    let refused = world.call_in(root, OTHER_REGION, service, "RotateSecret", body).await;
    assert_eq!(refused.unwrap_err(), cannot_invoke());
}

#[tokio::test]
async fn secrets_that_do_not_rotate() {
    let world = world().await;
    world.secret("s", "one").await;
    world.sm("DeleteSecret", json!({"SecretId": "s"})).await;
    assert_eq!(world.sm_fails("RotateSecret", rotation("s", 2, json!({}))).await, scheduled());
    let refused = world.sm_fails("CancelRotateSecret", json!({"SecretId": "s"})).await;
    assert_eq!(refused, scheduled());
    let mut body = creation("replicated", "one");
    body["AddReplicaRegions"] = json!([{"Region": OTHER_REGION}]);
    world.sm("CreateSecret", body).await;
    for name in ["RotateSecret", "CancelRotateSecret"] {
        let body = match name {
            "RotateSecret" => rotation("replicated", 2, json!({})),
            _ => json!({"SecretId": "replicated"}),
        };
        let outcome = world.call_in(&world.root, OTHER_REGION, "secretsmanager", name, body).await;
        let refused = outcome.unwrap_err();
        assert!(refused.message.starts_with("Operation not permitted on a replica"), "{refused:?}");
    }
}

#[tokio::test]
async fn cancelling_leaves_the_labels() {
    let world = world().await;
    let arn = world.secret("s", "one").await;
    let answer = world.sm("CancelRotateSecret", json!({"SecretId": "s"})).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "s"}));
    assert_eq!(world.describe("s").await.get("RotationEnabled"), None);
    let rules = json!({"RotationRules": {"ScheduleExpression": "rate(1 day)"}});
    world.sm("RotateSecret", rotation("s", 2, rules)).await;
    let answer = world.sm("CancelRotateSecret", json!({"SecretId": "s"})).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "s", "VersionId": token(2)}));
    let described = world.describe("s").await;
    assert_eq!(described["RotationEnabled"], false);
    assert_eq!(described["RotationRules"], json!({"ScheduleExpression": "rate(1 day)"}));
    assert_eq!(described.get("NextRotationDate"), None);
    assert_eq!(described["VersionIdsToStages"][token(2)], json!(["AWSPENDING"]));
    assert!(world.run_of("s").await.is_none());
    assert_eq!(world.outcomes_of("s").await, [Outcome::Cancelled]);
    // Nothing rotates it any more: a new value is a new value.
    let from = world.events().len();
    world.put("s", 3, "three").await;
    assert!(!world.event_names(from).contains(&"RotationAbandoned".to_owned()));
    assert_eq!(world.stages_of("s").await[token(2)], json!(["AWSPENDING"]));
    let refused = world.sm_fails("RotateSecret", rotation("s", 4, json!({}))).await;
    assert_eq!(refused, incomplete());
    let body =
        json!({"SecretId": "s", "VersionStage": "AWSPENDING", "RemoveFromVersionId": token(2)});
    world.sm("UpdateSecretVersionStage", body).await;
    // The function is remembered.
    let body = json!({"SecretId": "s", "ClientRequestToken": token(4)});
    world.sm("RotateSecret", body).await;
    assert_eq!(world.describe("s").await["RotationEnabled"], true);
}

#[tokio::test]
async fn the_function_gives_its_version_one_value() {
    let world = world().await;
    let arn = world.secret("s", "one").await;
    world.rotate_secret("s", 2).await;
    let shown = world.run_of("s").await.unwrap().rotation_token.expose().to_owned();
    let put = |n: usize, value: &str, rotation_token: &str| {
        let mut body = version("s", n, value);
        body["VersionStages"] = json!(["AWSPENDING"]);
        body["RotationToken"] = json!(rotation_token);
        body
    };
    let invalid = failed("InvalidParameterException", "The RotationToken is invalid.");
    for body in [put(2, "two", &token(9)), put(3, "two", &shown)] {
        assert_eq!(world.sm_fails("PutSecretValue", body).await, invalid);
    }
    assert_eq!(world.stages_of("s").await[token(2)], json!(["AWSPENDING"]));
    let answer = world.sm("PutSecretValue", put(2, "two", &shown)).await;
    assert_eq!(answer["VersionStages"], json!(["AWSPENDING"]));
    assert!(world.run_of("s").await.is_some());
    assert_eq!(world.labels("s").await, "1:AWSCURRENT 2:AWSPENDING");
    assert_eq!(world.value_at("s", 2).await, "two");
    // Once more the same, never another.
    assert_eq!(world.sm("PutSecretValue", put(2, "two", &shown)).await, answer);
    let refused = world.sm_fails("PutSecretValue", put(2, "three", &shown)).await;
    assert_eq!(refused, super::token_in_use(&token(2), &arn));
    // Functions of before 2024 show no token.
    world.secret("t", "one").await;
    world.rotate_secret("t", 2).await;
    let mut body = version("t", 2, "two");
    body["VersionStages"] = json!(["AWSPENDING"]);
    world.sm("PutSecretValue", body).await;
    let body = json!({"SecretId": "t", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(2),
        "RemoveFromVersionId": token(1)});
    world.sm("UpdateSecretVersionStage", body).await;
    assert_eq!(world.labels("t").await, "1:AWSPREVIOUS 2:AWSCURRENT,AWSPENDING");
    let text = serde_json::to_string(&world.events()).unwrap();
    assert!(!text.contains(&shown), "the token of a rotation is a secret");
}

#[tokio::test]
async fn another_value_ends_the_rotation() {
    let world = world().await;
    for (name, operation) in [("p", "PutSecretValue"), ("u", "UpdateSecret")] {
        let arn = world.secret(name, "one").await;
        world.rotate_secret(name, 2).await;
        let from = world.events().len();
        world.sm(operation, version(name, 3, "three")).await;
        let events = world.events();
        let event = events[from..].iter().find(|e| e.event_name == "RotationAbandoned").unwrap();
        assert_eq!(event.additional_event_data, Some(json!({"SecretId": arn})));
        assert!(world.run_of(name).await.is_none());
        assert_eq!(world.outcomes_of(name).await, [Outcome::Abandoned]);
        // What never had a value is gone.
        let stages = json!({token(1): ["AWSPREVIOUS"], token(3): ["AWSCURRENT"]});
        assert_eq!(world.stages_of(name).await, stages);
        assert_eq!(world.describe(name).await["RotationEnabled"], true);
        world.rotate_secret(name, 4).await;
        // What has one stays, without a label.
        let mut body = version(name, 4, "four");
        body["VersionStages"] = json!(["AWSPENDING"]);
        world.sm("PutSecretValue", body).await;
        world.sm(operation, version(name, 5, "five")).await;
        assert_eq!(world.labels(name).await, "1: 3:AWSPREVIOUS 4: 5:AWSCURRENT");
        // A value that is there already ends nothing.
        world.rotate_secret(name, 6).await;
        world.sm(operation, version(name, 5, "five")).await;
        assert!(world.run_of(name).await.is_some());
    }
    // A description is no value.
    let body = json!({"SecretId": "u", "Description": "d", "ClientRequestToken": token(7)});
    world.sm("UpdateSecret", body).await;
    assert!(world.run_of("u").await.is_some());
}

/// Another value that is refused ends nothing, and nothing says that it did.
#[tokio::test]
async fn a_value_that_is_refused_ends_no_rotation() {
    let world = world().await;
    world.secret("s", "one").await;
    world.rotate_secret("s", 2).await;
    let from = world.events().len();
    let mut body = version("s", 3, "three");
    body["VersionStages"] = (0..20).map(|n| json!(format!("l{n}"))).collect();
    let refused = world.sm_fails("PutSecretValue", body).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert!(world.run_of("s").await.is_some());
    // What KMS did was done.
    assert_eq!(world.event_names(from), ["GenerateDataKey", "PutSecretValue"]);
}

#[tokio::test]
async fn a_secret_without_a_value_gets_its_first_one() {
    let world = world().await;
    world.sm("CreateSecret", json!({"Name": "s", "ClientRequestToken": token(1)})).await;
    // Also with the token that made the secret.
    world.rotate_secret("s", 1).await;
    assert_eq!(world.stages_of("s").await, json!({token(1): ["AWSPENDING"]}));
    let refused = world.sm_fails("GetSecretValue", json!({"SecretId": "s"})).await;
    assert_eq!(refused, super::no_version("staging label: AWSCURRENT"));
    let refused = world.sm_fails("CreateSecret", creation("s", "x")).await;
    assert_eq!(refused.code, "ResourceNotFoundException");
    let mut body = version("s", 1, "first");
    body["VersionStages"] = json!(["AWSPENDING"]);
    world.sm("PutSecretValue", body).await;
    assert_eq!(world.labels("s").await, "1:AWSCURRENT,AWSPENDING");
}
