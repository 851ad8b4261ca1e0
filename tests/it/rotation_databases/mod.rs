//! The built-in rotation functions on a real PostgreSQL and a real MariaDB, begun by RotateSecret and
//! done by the scheduler.
mod alternating;
mod attacks;
mod dual;
mod engine;
mod failures;
mod floods;
mod single;
mod tls;

pub use engine::Engine;

use crate::databases::{ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST};
use crate::support::{failed, policy};
use crate::world::{ACCOUNT, REGION, World, allow};
use async_trait::async_trait;
use claviger::functions::Function;
use claviger::rotation::{BuiltIn, Event, Failure, Invoke, Scheduler};
use claviger::secrets::rotation::{Step, runs};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Seconds after which a failed rotation is tried again, whatever the back-off is by then.
const BACK_OFF: i64 = 1800;

pub fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate")
}

/// A step, and what came of it.
#[derive(Debug)]
struct Tried {
    step: Step,
    outcome: Result<Option<String>, Failure>,
}

/// The built-in functions, and what came of each step.
#[derive(Debug)]
struct Watched {
    built_in: BuiltIn,
    outcomes: Mutex<Vec<Tried>>,
    /// Whether each step is done twice.
    twice: AtomicBool,
    /// The answer of so many steps is lost from then on: the step was done, and nobody knows.
    lost: AtomicUsize,
}

#[async_trait]
impl Invoke for Watched {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        let mut outcome = self.built_in.invoke(function, event).await;
        if self.twice.load(Ordering::Relaxed) && outcome.is_ok() {
            outcome = self.built_in.invoke(function, event).await;
        }
        self.outcomes.lock().unwrap().push(Tried { step: event.step, outcome: outcome.clone() });
        let lost = |left: usize| left.checked_sub(1);
        match self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lost) {
            Ok(_) => Err(Failure::passing("the answer was lost")),
            Err(_) => outcome,
        }
    }
}

/// A world with one built-in function.
pub struct Rotating {
    pub world: World,
    invoke: Arc<Watched>,
    scheduler: Scheduler,
}

impl Rotating {
    pub async fn with(strategy: &str) -> Self {
        Self::with_ca(strategy, None).await
    }

    pub async fn with_ca(strategy: &str, ca_file: Option<&Path>) -> Self {
        let line = ca_file.map(|path| format!("ca_file = {:?}", path.display().to_string()));
        Self::with_line(strategy, &line.unwrap_or_default()).await
    }

    /// With one more line in the function's section.
    pub async fn with_line(strategy: &str, line: &str) -> Self {
        let hosts = ["localhost", HOST];
        Self::with_hosts(strategy, &hosts, line).await
    }

    /// With these hosts, and one more line.
    pub async fn with_hosts(strategy: &str, hosts: &[&str], line: &str) -> Self {
        let world = World::with_functions(&format!(
            "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
             strategy = {strategy:?}\nhosts = {hosts:?}\n{line}\n",
            function_arn(),
        ))
        .await;
        let trust = policy(&[json!({
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole"
        })]);
        let body = json!({"RoleName": "rotation", "AssumeRolePolicyDocument": trust.to_string()});
        world.iam("CreateRole", body).await;
        may(&world, &["secretsmanager:*"]).await;
        let invoke = Arc::new(Watched {
            built_in: BuiltIn::new(world.server.clone()),
            outcomes: Mutex::default(),
            twice: AtomicBool::new(false),
            lost: AtomicUsize::new(0),
        });
        let scheduler = Scheduler::new(world.server.clone(), "node".into(), invoke.clone());
        Self { world, invoke, scheduler }
    }

    /// Leaves the function's role with these actions.
    pub async fn may(&self, actions: &[&str]) {
        may(&self.world, actions).await;
    }

    /// A secret with this value; answers its ARN.
    pub async fn secret(&self, name: &str, value: &Value) -> String {
        let body = json!({
            "Name": name,
            "SecretString": value.to_string(),
            "ClientRequestToken": self.token(),
        });
        let made = self.call("CreateSecret", body).await;
        made["ARN"].as_str().unwrap().to_owned()
    }

    /// The secret of an administrator of the engine.
    pub async fn administrator(&self, engine: Engine) -> String {
        let value = engine.value(ADMINISTRATOR, ADMINISTRATOR_PASSWORD);
        self.secret("administrator", &value).await
    }

    /// Rotates until it has ended. Answers what the steps said.
    pub async fn rotate(&self, secret: &str) -> Result<Vec<Step>, Failure> {
        self.begin(secret).await;
        self.work().await
    }

    /// RotateSecret. Answers the token.
    pub async fn begin(&self, secret: &str) -> String {
        let token = self.token();
        let body = json!({
            "SecretId": secret,
            "RotationLambdaARN": function_arn(),
            "RotationRules": {"AutomaticallyAfterDays": 30},
            "ClientRequestToken": token,
        });
        self.call("RotateSecret", body).await;
        token
    }

    /// Gives the version of the rotation under way a value, with the rotation's own token.
    pub async fn put_pending(&self, secret: &str, token: &str, value: &Value) {
        let server = &self.world.server;
        let (runs, _) = runs(&server.store.begin(), None, 10).await.unwrap();
        let run = runs.iter().find(|run| run.token == token).expect("a rotation under way");
        let body = json!({
            "SecretId": secret,
            "SecretString": value.to_string(),
            "ClientRequestToken": token,
            "VersionStages": ["AWSPENDING"],
            "RotationToken": run.rotation_token.expose(),
        });
        self.call("PutSecretValue", body).await;
    }

    /// What the scheduler does at one look. Answers the steps that were done, or the first failure.
    pub async fn work(&self) -> Result<Vec<Step>, Failure> {
        self.invoke.outcomes.lock().unwrap().clear();
        self.scheduler.sweep().await;
        let outcomes = std::mem::take(&mut *self.invoke.outcomes.lock().unwrap());
        outcomes.into_iter().map(|tried| tried.outcome.map(|_| tried.step)).collect()
    }

    /// The next attempt after a failed one.
    pub async fn work_again(&self) -> Result<Vec<Step>, Failure> {
        self.world.clock.advance(BACK_OFF);
        self.work().await
    }

    /// Another rotation after one that has failed for good: RotateSecret is refused, and has that one
    /// made again.
    pub async fn rotate_again(&self, secret: &str) -> Result<Vec<Step>, Failure> {
        let body = json!({"SecretId": secret, "ClientRequestToken": self.token()});
        let error = self.world.call("secretsmanager", "RotateSecret", body).await.unwrap_err();
        let text = "A previous rotation isn't complete. That rotation will be reattempted.";
        assert_eq!(error, failed("InvalidRequestException", text));
        self.work().await
    }

    /// Does each step twice from now on.
    pub fn twice(&self) {
        self.invoke.twice.store(true, Ordering::Relaxed);
    }

    /// Loses the answers of so many steps.
    pub fn lose(&self, answers: usize) {
        self.invoke.lost.store(answers, Ordering::Relaxed);
    }

    /// The value with this label.
    pub async fn value(&self, secret: &str, label: &str) -> Value {
        let body = json!({"SecretId": secret, "VersionStage": label});
        let value = self.call("GetSecretValue", body).await;
        serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap()
    }

    /// User and password of the value with this label.
    pub async fn login(&self, secret: &str, label: &str) -> (String, String) {
        let value = self.value(secret, label).await;
        let member = |name: &str| value[name].as_str().unwrap().to_owned();
        (member("username"), member("password"))
    }

    /// Which version has which labels.
    pub async fn labels(&self, secret: &str) -> Value {
        self.call("DescribeSecret", json!({"SecretId": secret})).await["VersionIdsToStages"].clone()
    }

    pub async fn call(&self, operation: &str, body: Value) -> Value {
        let outcome = self.world.call("secretsmanager", operation, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{operation} {body}: {error:?}"))
    }

    pub fn token(&self) -> String {
        self.world.server.random.uuid().to_string()
    }
}

async fn may(world: &World, actions: &[&str]) {
    let body = json!({
        "RoleName": "rotation", "PolicyName": "p", "PolicyDocument": allow(actions).to_string(),
    });
    world.iam("PutRolePolicy", body).await;
}
