//! The rotation functions that are built in: they give users of PostgreSQL, MySQL and MariaDB other
//! passwords, in the four steps and by the strategies of AWS's own functions. (Secrets Manager user
//! guide, "Lambda function rotation strategies" and "AWS Secrets Manager rotation function templates".)
mod mysql;
mod postgres;
mod session;
mod sql;
mod strategy;

use super::{Event, Failure, Invoke, SecretsClient};
use crate::call::Server;
use crate::functions::{Code, Function, Strategy};
use crate::secrets::database::Login;
use crate::secrets::rotation::Step;
use crate::types::{Arn, SecretText};
use async_trait::async_trait;
use futures_util::FutureExt;
use session::Connector;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use strategy::Rotation;

/// Does the steps of functions with a `strategy`.
#[derive(Debug)]
pub struct BuiltIn {
    server: Arc<Server>,
}

impl BuiltIn {
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    async fn step(&self, function: &Function, event: &Event) -> Result<String, Failure> {
        let (strategy, connector) = built_in(function)?;
        let rotation = Rotation {
            client: client(&self.server, function, &event.secret).await?,
            connector,
            strategy,
            secret: event.secret.as_str(),
            token: &event.token,
            rotation_token: &event.rotation_token,
        };
        if let Some(done) = rotation.staged().await? {
            return Ok(done);
        }
        match event.step {
            Step::CreateSecret => rotation.create_secret().await,
            Step::SetSecret => rotation.set_secret().await,
            Step::TestSecret => rotation.test_secret().await,
            Step::FinishSecret => rotation.finish_secret().await,
        }
    }
}

#[async_trait]
impl Invoke for BuiltIn {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        in_time(function, self.step(function, event)).await.map(Some)
    }

    /// Of a user with two passwords, takes the older one away. Does nothing where there is none.
    async fn discard_old(
        &self,
        function: &Function,
        secret: &Arn,
        token: &str,
    ) -> Result<(), Failure> {
        if !matches!(function.code, Code::BuiltIn { strategy: Strategy::DualPasswords, .. }) {
            return Ok(());
        }
        let discarding = async {
            let (_, connector) = built_in(function)?;
            let client = client(&self.server, function, secret).await?;
            strategy::discard_old(&client, &connector, secret.as_str(), token).await
        };
        in_time(function, discarding).await
    }
}

/// A database that answers nonsense may break its driver, which must not break more than the step.
async fn in_time<T>(
    function: &Function,
    work: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let work = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(function.timeout, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failure::passing("the database answered what no database answers")),
        Err(_) => Err(Failure::timed_out(function.timeout)),
    }
}

fn built_in(function: &Function) -> Result<(Strategy, Connector), Failure> {
    match &function.code {
        Code::BuiltIn { strategy, ca_file, hosts } => {
            let (ca_file, hosts) = (ca_file.clone(), hosts.clone());
            Ok((*strategy, Connector { ca_file, hosts }))
        }
        _ => Err(Failure::lasting("the function is none of the built-in ones")),
    }
}

async fn client(
    server: &Arc<Server>,
    function: &Function,
    secret: &Arn,
) -> Result<SecretsClient, Failure> {
    let region = secret.region().parse();
    let region = region.map_err(|_| Failure::lasting("the secret is of no region"))?;
    SecretsClient::of(server, function, &region).await
}

/// Reads a value. `which` says in an error whose it is; nothing of the value is in it.
fn parse(text: &SecretText, which: &str) -> Result<Login, Failure> {
    Login::parse(text).map_err(|what| wrong(which, what))
}

fn wrong(which: &str, what: &str) -> Failure {
    Failure::lasting(format!("the {which} value {what}"))
}

/// A value, and what is in it.
struct Known {
    text: SecretText,
    login: Login,
}
