//! The part of the reference that is about rotation, and the function that the server rotates with.
use super::op::{Id, Of};
use super::reference::Answer::{Fails, Says};
use super::reference::{Answer, Reference, Rotation, Run, Secret, Version, day};
use crate::support::token;
use claviger::call::Server;
use claviger::functions::Function;
use claviger::rotation::{Event, Failure, Invoke, SecretsClient};
use claviger::secrets::rotation::Step;
use claviger::types::SecretText;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The value that every rotation makes.
const ROTATED: &str = "rotated";

impl Secret {
    /// The version that a rotation is to make, or left behind.
    fn unfinished(&self) -> Option<u16> {
        self.holder("AWSPENDING").filter(|token| self.holder("AWSCURRENT") != Some(*token))
    }

    fn rotates(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.enabled)
    }

    /// Somebody puts another value: what a rotation was to make is not wanted any more.
    pub fn abandon(&mut self, put: u16) {
        let under_way = self.run.as_ref().is_some_and(|run| run.token != put);
        let left = self.unfinished().filter(|left| *left != put);
        let Some(left) = left.filter(|_| under_way || self.rotates()) else {
            if under_way {
                self.run = None;
            }
            return;
        };
        self.run = None;
        let version = self.versions.get_mut(&left).unwrap();
        version.labels.remove("AWSPENDING");
        if version.value.is_none() && version.labels.is_empty() {
            self.versions.remove(&left);
        }
    }

    fn read(&mut self, version: u16, now: i64) {
        self.accessed = day(now);
        self.versions.get_mut(&version).unwrap().accessed = day(now);
    }

    /// What a function asks for first: the current value, if it is text.
    fn current_text(&mut self, now: i64) -> Option<&'static str> {
        let current = self.holder("AWSCURRENT")?;
        self.read(current, now);
        match self.versions[&current].value? {
            Of::Text(text) => Some(text),
            Of::Bytes(_) => None,
        }
    }

    /// `RotateImmediately=false`: the version that the test is made with is there for the test only, unless somebody labels it.
    fn try_out(&mut self, run: &Run, now: i64) {
        if self.deletion.is_none()
            && let Some(text) = self.current_text(now)
            && self.versions.get(&run.token).is_some_and(|version| version.value.is_none())
        {
            // One too many is a failure of the test.
            let _ = self.add(run.token, Of::Text(text), Some(&["AWSPENDING"]), now);
        }
        if self.holder("AWSCURRENT") != Some(run.token) {
            if let Some(version) = self.versions.get_mut(&run.token) {
                version.labels.remove("AWSPENDING");
                if version.labels.is_empty() {
                    self.versions.remove(&run.token);
                }
            }
            self.changed = now;
        }
    }

    fn turn(&mut self, run: &Run, now: i64) {
        let on = |secret: &Self, label| secret.holder(label) == Some(run.token);
        if self.deletion.is_some() || !(on(self, "AWSPENDING") || on(self, "AWSCURRENT")) {
            return;
        }
        if !on(self, "AWSCURRENT") {
            if self.current_text(now).is_none() {
                return;
            }
            if self.versions[&run.token].value.is_some() {
                self.read(run.token, now);
                if matches!(self.versions[&run.token].value, Some(Of::Bytes(_))) {
                    return;
                }
            } else if self.add(run.token, Of::Text(ROTATED), Some(&["AWSPENDING"]), now).is_err() {
                return;
            }
            self.attach("AWSCURRENT", run.token);
        }
        self.versions.get_mut(&run.token).unwrap().labels.remove("AWSPENDING");
        self.rotation.as_mut().unwrap().last = Some(now);
        self.changed = now;
    }
}

impl Reference {
    pub fn rotate(
        &mut self,
        id: Id,
        version: u16,
        function: bool,
        immediately: bool,
    ) -> Result<Answer, Answer> {
        let now = self.now;
        let secret = self.alive(id)?;
        if !function && secret.rotation.is_none() {
            let text = "No Lambda rotation function ARN is associated with this secret.";
            return Err(Fails("InvalidRequestException", Some(text.into())));
        }
        let mut said = secret.said();
        said.insert("VersionId".into(), json!(token(version.into())));
        let made = secret.versions.get(&version).is_some_and(|version| version.value.is_some());
        let under_way = secret.run.as_ref().is_some_and(|run| run.token == version);
        if under_way || made && secret.unfinished() != Some(version) {
            return Ok(Says(said.into()));
        }
        if secret.run.is_some() || secret.unfinished().is_some() {
            self.again.insert(id.number());
            let text = "A previous rotation isn't complete. That rotation will be reattempted.";
            return Err(Fails("InvalidRequestException", Some(text.into())));
        }
        let mut next = secret.clone();
        let empty = Version { value: None, labels: BTreeSet::new(), created: now, accessed: None };
        next.versions.insert(version, empty);
        next.attach("AWSPENDING", version);
        let last = next.rotation.and_then(|rotation| rotation.last);
        next.rotation = Some(Rotation { enabled: true, last });
        next.run = Some(Run { token: version, trial: !immediately });
        next.changed = now;
        *secret = next;
        Ok(Says(said.into()))
    }

    pub fn cancel(&mut self, id: Id) -> Result<Answer, Answer> {
        let now = self.now;
        let secret = self.alive(id)?;
        secret.run = None;
        if let Some(rotation) = secret.rotation.as_mut().filter(|rotation| rotation.enabled) {
            rotation.enabled = false;
            secret.changed = now;
        }
        let mut said = secret.said();
        if let Some(left) = secret.unfinished() {
            said.insert("VersionId".into(), json!(token(left.into())));
        }
        Ok(Says(said.into()))
    }

    /// What the scheduler does at one look.
    pub fn rotate_what_is_due(&mut self) {
        let now = self.now;
        for number in std::mem::take(&mut self.again) {
            let Some(secret) = self.secrets.get_mut(&number) else { continue };
            let left = secret.unfinished().filter(|_| secret.run.is_none() && secret.rotates());
            if let Some(token) = left.filter(|_| secret.deletion.is_none()) {
                secret.run = Some(Run { token, trial: false });
            }
        }
        for secret in self.secrets.values_mut() {
            match secret.run.take() {
                Some(run) if run.trial => secret.try_out(&run, now),
                Some(run) => secret.turn(&run, now),
                None => {}
            }
        }
    }
}

/// A rotation function as AWS's templates are, for something that takes every password.
#[derive(Debug)]
pub struct Turn(pub Arc<Server>);

#[async_trait::async_trait]
impl Invoke for Turn {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        let client = SecretsClient::of(&self.0, function, &function.region).await?;
        let (secret, token) = (event.secret.as_str(), event.token.as_str());
        let described = client.describe(secret).await?;
        if !described.rotation_enabled {
            return Err(Failure::lasting("the secret is not rotated"));
        }
        let current = described.version("AWSCURRENT");
        if current == Some(token) {
            return Ok(None);
        }
        if described.version("AWSPENDING") != Some(token) {
            return Err(Failure::lasting("the version is not pending"));
        }
        match event.step {
            Step::CreateSecret => {
                let none = || Failure::lasting("there is no current value");
                client.value(secret, None, None).await?.ok_or_else(none)?;
                if client.value(secret, Some(token), Some("AWSPENDING")).await?.is_none() {
                    let value = SecretText::new(ROTATED.into());
                    client.put_pending(secret, token, &event.rotation_token, &value).await?;
                }
            }
            Step::SetSecret | Step::TestSecret => {}
            Step::FinishSecret => {
                client.move_stage(secret, "AWSCURRENT", Some(token), current).await?;
            }
        }
        Ok(None)
    }
}
