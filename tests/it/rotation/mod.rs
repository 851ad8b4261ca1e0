//! The scheduler of rotations, with functions that the tests write: what they do to secrets goes through
//! the API in the name of the function's role, as for any function.
mod crashes;
mod failures;
mod function;
mod many;
mod meanwhile;
mod order;
mod replicas;
mod report;
mod runs;
mod trials;
mod windows;

use crate::support::{policy, token};
use crate::world::{ACCOUNT, REGION, World, allow};
use claviger::audit::Event;
use claviger::nodes::ThisNode;
use claviger::rotation::Scheduler;
use claviger::secrets::Secret;
use claviger::secrets::rotation::{Finished, Run};
use function::{Fault, TestFunction};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate")
}

/// A world with one function, which does as the test says.
pub struct Stage {
    pub world: World,
    pub function: Arc<TestFunction>,
    pub scheduler: Scheduler,
}

impl Stage {
    pub async fn new() -> Self {
        Self::of(None).await
    }

    /// Of one of several nodes.
    pub async fn of(node: Option<ThisNode>) -> Self {
        let mut world = Self::world().await;
        Arc::get_mut(&mut world.server).expect("nobody else has it yet").node = node;
        Self::over(world).await
    }

    /// One that knows the function.
    pub async fn world() -> World {
        let function = format!(
            "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
             url = 'http://127.0.0.1:1'\ntimeout = 1\n",
            function_arn()
        );
        World::with_functions(&function).await
    }

    pub async fn over(world: World) -> Self {
        let trust = policy(&[json!({
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole"
        })]);
        let body = json!({"RoleName": "rotation", "AssumeRolePolicyDocument": trust.to_string()});
        world.iam("CreateRole", body).await;
        let may = allow(&["secretsmanager:*", "kms:*"]).to_string();
        let body = json!({"RoleName": "rotation", "PolicyName": "p", "PolicyDocument": may});
        world.iam("PutRolePolicy", body).await;
        let function = Arc::new(TestFunction::new(world.server.clone()));
        let scheduler = Scheduler::new(world.server.clone(), "one".into(), function.clone());
        Self { world, function, scheduler }
    }

    /// Another scheduler on the same store, with the same function.
    pub fn node(&self, name: &str) -> Scheduler {
        Scheduler::new(self.world.server.clone(), name.into(), self.function.clone())
    }

    pub async fn call(&self, name: &str, body: Value) -> Value {
        let outcome = self.world.call("secretsmanager", name, body.clone()).await;
        outcome.unwrap_or_else(|error| panic!("{name} {body}: {error:?}"))
    }

    /// A secret whose password the database has.
    pub async fn secret(&self, name: &str) -> String {
        let body = json!({"Name": name, "SecretString": "first", "ClientRequestToken": token(0)});
        let arn = self.call("CreateSecret", body).await["ARN"].as_str().unwrap().to_owned();
        self.function.set_password(&arn, "first");
        arn
    }

    /// RotateSecret, with more members.
    pub async fn rotate_with(&self, secret: &str, n: usize, more: Value) -> Value {
        let mut body = json!({
            "SecretId": secret,
            "ClientRequestToken": token(n),
            "RotationLambdaARN": function_arn(),
            "RotationRules": {"AutomaticallyAfterDays": 30},
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("RotateSecret", body).await
    }

    pub async fn rotate(&self, secret: &str, n: usize) {
        self.rotate_with(secret, n, json!({})).await;
    }

    pub async fn describe(&self, secret: &str) -> Value {
        self.call("DescribeSecret", json!({"SecretId": secret})).await
    }

    /// The value of a version with this label; none if there is none.
    pub async fn value(&self, secret: &str, label: &str) -> Option<String> {
        let body = json!({"SecretId": secret, "VersionStage": label});
        let value = self.world.call("secretsmanager", "GetSecretValue", body).await.ok()?;
        Some(value["SecretString"].as_str().unwrap().to_owned())
    }

    async fn stored(&self, secret: &str) -> Arc<Secret> {
        let described = self.describe(secret).await;
        let name = described["Name"].as_str().unwrap();
        let mut tx = self.world.server.store.begin();
        let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
        Secret::load(&mut tx, &account, &region, name).await.unwrap().unwrap()
    }

    pub async fn run(&self, secret: &str) -> Option<Arc<Run>> {
        let stored = self.stored(secret).await;
        Run::of(&mut self.world.server.store.begin(), &stored).await.unwrap()
    }

    pub async fn history(&self, secret: &str) -> Vec<Arc<Finished>> {
        let stored = self.stored(secret).await;
        Finished::list(&self.world.server.store.begin(), &stored).await.unwrap()
    }

    /// The services' own events of this name.
    pub fn events(&self, name: &str) -> Vec<Event> {
        self.world.events().into_iter().filter(|event| event.event_name == name).collect()
    }

    /// The rotations' events, in their order.
    pub fn rotation_events(&self) -> Vec<String> {
        let names = self.world.events().into_iter().map(|event| event.event_name.to_string());
        names.filter(|name| name.contains("Rotation") && name != "CancelRotateSecret").collect()
    }

    /// Moves the clock and has the scheduler look.
    pub async fn after(&self, seconds: i64) {
        self.world.advance(seconds).await;
        self.scheduler.sweep().await;
    }

    /// The rotation to version `n` is done, and the database has the current password.
    pub async fn assert_rotated(&self, secret: &str, n: usize) {
        let described = self.describe(secret).await;
        let labels = &described["VersionIdsToStages"][token(n)];
        assert_eq!(*labels, json!(["AWSCURRENT"]), "{described}");
        let current = self.value(secret, "AWSCURRENT").await.unwrap();
        assert_eq!(self.function.password(secret), current);
        assert!(self.run(secret).await.is_none());
    }
}
