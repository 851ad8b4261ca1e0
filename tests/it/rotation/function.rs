//! A rotation function for tests: it does its steps as AWS's templates do, on a database that is a map,
//! and fails as it is told.
use claviger::call::Server;
use claviger::functions::Function;
use claviger::rotation::{Event, Failure, Invoke, SecretsClient};
use claviger::secrets::rotation::Step;
use claviger::types::SecretText;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// What goes wrong in a step.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails before it has done anything.
    Fails(Failure),
    /// It does what it is for, and its answer is lost.
    Lost,
    /// It breaks off.
    Panics,
    /// It never ends, and has done nothing.
    HangsBefore,
    /// It never ends, and has done what it is for.
    HangsAfter,
    /// It does what it is for and then waits until it is let go.
    Waits(Arc<Notify>),
    /// It says that it has done it, and has not.
    Lies,
}

#[derive(Debug)]
pub struct TestFunction {
    server: Arc<Server>,
    /// The password that the database has for each secret's user.
    passwords: Mutex<BTreeMap<String, String>>,
    faults: Mutex<VecDeque<(Step, Fault)>>,
    calls: Mutex<Vec<(String, Step)>>,
    /// Told whenever a step is about to hang or wait.
    pub stuck: Notify,
    client: tokio::sync::OnceCell<SecretsClient>,
}

impl TestFunction {
    pub fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            passwords: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            stuck: Notify::new(),
            client: tokio::sync::OnceCell::new(),
        }
    }

    /// The next time that the step is done, this goes wrong.
    pub fn fault(&self, step: Step, fault: Fault) {
        self.faults.lock().unwrap().push_back((step, fault));
    }

    pub fn set_password(&self, secret: &str, password: &str) {
        self.passwords.lock().unwrap().insert(secret.into(), password.into());
    }

    pub fn password(&self, secret: &str) -> String {
        self.passwords.lock().unwrap()[secret].clone()
    }

    /// The steps that were asked for, of all secrets.
    pub fn calls(&self) -> Vec<(String, Step)> {
        self.calls.lock().unwrap().clone()
    }

    /// Those of one secret, by their first letters: `cstf` is a whole rotation.
    pub fn steps(&self, secret: &str) -> String {
        let calls = self.calls();
        let own = calls.iter().filter(|(of, _)| of == secret);
        own.map(|(_, step)| step.name().chars().next().unwrap()).collect()
    }

    fn take_fault(&self, step: Step) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(of, _)| *of == step)?;
        faults.remove(at).map(|(_, fault)| fault)
    }

    async fn perform(&self, function: &Function, event: &Event) -> Result<(), Failure> {
        // One session serves the whole test: the clock stands still most of the time.
        let made = SecretsClient::of(&self.server, function, &function.region);
        let client = match self.client.get() {
            Some(client) if self.calls.lock().unwrap().len() > 100 => client,
            _ => {
                let client = made.await?;
                drop(self.client.set(client));
                self.client.get().unwrap()
            }
        };
        let (secret, token) = (event.secret.as_str(), Some(event.token.as_str()));
        let pending = client.value(secret, token, None).await?;
        match event.step {
            Step::CreateSecret if pending.is_some() => Ok(()),
            Step::CreateSecret => {
                let text = SecretText::new(self.server.random.uuid().to_string());
                client.put_pending(secret, &event.token, &event.rotation_token, &text).await
            }
            Step::SetSecret => {
                let pending = pending.ok_or_else(|| Failure::passing("no pending value"))?;
                self.set_password(secret, pending.text.expose());
                Ok(())
            }
            Step::TestSecret => {
                let pending = pending.ok_or_else(|| Failure::passing("no pending value"))?;
                match self.password(secret) == pending.text.expose() {
                    true => Ok(()),
                    false => Err(Failure::passing("the database refuses the login")),
                }
            }
            Step::FinishSecret => client.finish(secret, &event.token).await,
        }
    }
}

#[async_trait::async_trait]
impl Invoke for TestFunction {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        let step = event.step;
        self.calls.lock().unwrap().push((event.secret.as_str().to_owned(), step));
        let fault = self.take_fault(step);
        match &fault {
            Some(Fault::Fails(failure)) => return Err(failure.clone()),
            Some(Fault::Panics) => panic!("the function of the test breaks off"),
            Some(Fault::Lies) => return Ok(None),
            Some(Fault::HangsBefore) => {
                self.stuck.notify_one();
                return std::future::pending().await;
            }
            _ => {}
        }
        self.perform(function, event).await?;
        match fault {
            Some(Fault::Lost) => return Err(Failure::passing("the answer was lost")),
            Some(Fault::HangsAfter) => {
                self.stuck.notify_one();
                return std::future::pending().await;
            }
            Some(Fault::Waits(go)) => {
                self.stuck.notify_one();
                go.notified().await;
            }
            _ => {}
        }
        Ok(Some(format!("{} of {}", step.name(), event.token)))
    }
}
