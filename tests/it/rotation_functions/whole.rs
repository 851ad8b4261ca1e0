//! Whole rotations by functions of one's own: from RotateSecret to the history.
use super::endpoint::LambdaServer;
use super::{FUNCTION, MISBEHAVING, Stage, function_arn};
use crate::support::token;
use crate::world::{ACCOUNT, REGION};
use claviger::rotation::{Dispatch, Scheduler};
use claviger::secrets;
use claviger::secrets::rotation::{Finished, Outcome, Run, Step};
use serde_json::json;
use std::sync::Arc;

const SECRET: &str = "database";

impl Stage {
    pub async fn scheduler(&self) -> Scheduler {
        let own = Some(self.world.serve().await);
        let invoke = Dispatch::new(self.world.server.clone(), own);
        Scheduler::new(self.world.server.clone(), "node".into(), Arc::new(invoke))
    }

    pub async fn begin(&self) {
        let body = json!({"Name": SECRET, "SecretString": "first", "ClientRequestToken": token(1)});
        self.world.call("secretsmanager", "CreateSecret", body).await.unwrap();
        let body = json!({
            "SecretId": SECRET,
            "ClientRequestToken": token(2),
            "RotationLambdaARN": function_arn(),
            "RotationRules": {"AutomaticallyAfterDays": 30},
        });
        self.world.call("secretsmanager", "RotateSecret", body).await.unwrap();
    }

    pub async fn current(&self) -> (String, String) {
        let body = json!({"SecretId": SECRET});
        let value = self.world.call("secretsmanager", "GetSecretValue", body).await.unwrap();
        let of = |name: &str| value[name].as_str().unwrap().to_owned();
        (of("VersionId"), of("SecretString"))
    }

    /// What is kept of the secret's rotations, and the run under way.
    pub async fn record(&self) -> (Vec<Arc<Finished>>, Option<Arc<Run>>) {
        let mut tx = self.world.server.store.begin();
        let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
        let secret = secrets::find(&mut tx, &account, &region, SECRET).await.unwrap();
        let run = Run::of(&mut tx, &secret).await.unwrap();
        (Finished::list(&tx, &secret).await.unwrap(), run)
    }

    /// That the secret was rotated, by steps whose logs are kept.
    async fn rotated(&self) {
        let (version, password) = self.current().await;
        assert_eq!(version, token(2));
        assert_ne!(password, "first");
        assert_eq!(std::fs::read_to_string(self.place("database")).unwrap(), password);
        let (finished, run) = self.record().await;
        assert!(run.is_none());
        assert_eq!(finished.len(), 1);
        assert!(matches!(finished[0].outcome, Outcome::Succeeded), "{:?}", finished[0]);
        let steps: Vec<Step> = finished[0].attempts.iter().map(|attempt| attempt.step).collect();
        assert_eq!(steps, Step::ALL);
        for attempt in &finished[0].attempts {
            let log = attempt.log.as_deref().unwrap();
            assert!(log.starts_with(&format!("{} of ", attempt.step.name())), "{log}");
            assert!(!log.contains(&password));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_function_rotates_a_secret() {
    let stage = Stage::python(FUNCTION, &[], "timeout = 60").await;
    let scheduler = stage.scheduler().await;
    stage.begin().await;
    scheduler.sweep().await;
    stage.rotated().await;
    // It worked as its role, and its calls are in the log as such.
    let put = stage.world.events().into_iter().rfind(|event| event.event_name == "PutSecretValue");
    let who = serde_json::to_value(put.unwrap().user_identity).unwrap();
    assert_eq!(who["type"], "AssumedRole");
    assert_eq!(who["arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/rotator/rotator"));
    let assumed = stage.world.events().into_iter().find(|event| event.event_name == "AssumeRole");
    let assumed = assumed.unwrap();
    let who = serde_json::to_value(&assumed.user_identity).unwrap();
    assert_eq!(
        (&who["type"], &who["invokedBy"]),
        (&"AWSService".into(), &"lambda.amazonaws.com".into())
    );
    assert_eq!(assumed.source_ip_address, "lambda.amazonaws.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_function_rotates_it_over_http() {
    let mut stage = Stage::new(|_| "url = \"http://127.0.0.1:1\"".into()).await;
    let server = LambdaServer::start(&stage).await;
    stage.register(&server.section());
    LambdaServer::secrets_are_at(&stage, &stage.world.serve().await);
    let scheduler = stage.scheduler().await;
    stage.begin().await;
    scheduler.sweep().await;
    stage.rotated().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_in_the_history() {
    for (behaviour, message, logged) in [
        ("raise", "ValueError: no  [31mand no", "before\n"),
        ("loop", "Task timed out after 2.00 seconds", "before\n"),
        ("_exit", "the function's process ended: exit status: 9", "before\n"),
        ("garbage", "the function's process answered something unreadable", "before\n"),
    ] {
        let variables = [("BEHAVIOUR", behaviour)];
        let stage = Stage::python(MISBEHAVING, &variables, "timeout = 2").await;
        let scheduler = stage.scheduler().await;
        stage.begin().await;
        scheduler.sweep().await;
        let (_, run) = stage.record().await;
        let run = run.unwrap_or_else(|| panic!("{behaviour}: it is to be tried again"));
        let attempt = run.attempts.last().unwrap();
        assert_eq!(attempt.error.as_deref(), Some(message));
        assert!(attempt.log.as_deref().unwrap().starts_with(logged), "{behaviour}");
        assert_eq!(stage.current().await, (token(1), "first".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_do_what_its_role_may() {
    let stage = Stage::python(FUNCTION, &[], "timeout = 60").await;
    let actions = ["secretsmanager:Describe*", "secretsmanager:Get*"];
    let policy = crate::world::allow(&actions).to_string();
    let body = json!({"RoleName": "rotator", "PolicyName": "p", "PolicyDocument": policy});
    stage.world.iam("PutRolePolicy", body).await;
    let scheduler = stage.scheduler().await;
    stage.begin().await;
    scheduler.sweep().await;
    let (_, run) = stage.record().await;
    let attempt = run.unwrap().attempts.last().unwrap().clone();
    let error = attempt.error.unwrap();
    assert!(
        error.contains("is not authorized to perform: secretsmanager:PutSecretValue"),
        "{error}"
    );
    assert_eq!(stage.current().await.0, token(1));
}
