//! How a secret is rotated: its settings, when it is due, and the run that is under way. What is done
//! in a run is not here: see `crate::rotation`. (Secrets Manager user guide, "Rotate AWS Secrets
//! Manager secrets".)
mod cron;
mod due;
mod history;
mod moves;
mod run;
mod schedule;
mod watch;

pub(super) use due::keep;
pub use due::{DueRotation, due};
pub(super) use history::forget;
pub use history::{Finished, Outcome};
pub use moves::Window;
pub use run::{Attempt, Purpose, Run, Step, runs, runs_round};
pub use schedule::{Schedule, Since};
pub use watch::{Overdue, Watch};

use super::{CURRENT, Edit, PENDING, Secret, SecretError, Version};
use crate::random::Random;
use crate::store::{StoreError, Tx};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The model sets no bound on how many items describe an external secret. A secret's row does.
const MOST_METADATA: usize = 50;

/// A secret's rotation settings. A secret that was never asked to rotate has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// `RotationLambdaARN`.
    pub function: Option<Arn>,
    pub rules: Option<Rules>,
    /// False after CancelRotateSecret: the rules stay.
    pub enabled: bool,
    /// When the rules were given: what windows are counted from at first.
    pub since: Option<Timestamp>,
    /// `LastRotatedDate`: when a rotation last succeeded.
    pub last: Option<Timestamp>,
    /// The first and the last second of the next window. The last one is `NextRotationDate`.
    pub window: Option<(Timestamp, Timestamp)>,
    /// What the row begins with by which the scheduler finds the secret, if it has one. Nobody but
    /// `due` writes it.
    pub indexed: Option<Timestamp>,
    /// `ExternalSecretRotationMetadata`, and the role beside it: kept for managed external secrets.
    pub external_metadata: Vec<(String, String)>,
    pub external_role: Option<String>,
}

/// `RotationRules`, as the caller gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Days.
    pub after_days: Option<i64>,
    /// Such as `3h`.
    pub duration: Option<String>,
    /// `rate(…)` or `cron(…)`.
    pub schedule: Option<String>,
}

impl Rotation {
    /// Whether rotation is set up: by a function and not turned off.
    pub fn is_on(&self) -> bool {
        self.enabled && self.function.is_some()
    }

    /// Puts the window where the rules have it next. `change` is when somebody put a value last.
    fn reschedule(&mut self, change: Option<Timestamp>, now: Timestamp) {
        let since = Since { rules: self.since.unwrap_or(now), rotation: self.last, change };
        // What was accepted is understood; should it ever not be, there is no window.
        let schedule = self.rules.as_ref().and_then(|rules| Schedule::parse(rules).ok());
        let next = schedule.and_then(|schedule| schedule.next_window(since, now));
        self.window = next.filter(|_| self.is_on());
    }

    fn counts_changes(&self) -> bool {
        let schedule = self.rules.as_ref().and_then(|rules| Schedule::parse(rules).ok());
        schedule.is_some_and(|schedule| schedule.counts_changes())
    }
}

impl Edit {
    /// What RotateSecret sets: a function, and rules if some are given. The window is put anew.
    pub fn set_rotation(&mut self, function: Arn, rules: Option<Rules>, now: Timestamp) {
        let change = last_change(self);
        let rotation = self.change().rotation.get_or_insert_default();
        rotation.function = Some(function);
        rotation.enabled = true;
        if let Some(rules) = rules {
            rotation.rules = Some(rules);
            rotation.since = Some(now);
        }
        rotation.reschedule(change, now);
    }

    /// What CancelRotateSecret does: the function and the rules stay.
    pub fn stop_rotation(&mut self) {
        if self.rotation.as_ref().is_some_and(|rotation| rotation.enabled)
            && let Some(rotation) = &mut self.change().rotation
        {
            rotation.enabled = false;
            rotation.window = None;
        }
    }

    /// What RotateSecret says of a managed external secret. It is kept, and means nothing here.
    pub fn set_external_rotation(
        &mut self,
        metadata: Option<Vec<(String, String)>>,
        role: Option<String>,
    ) -> Result<(), SecretError> {
        if metadata.is_none() && role.is_none() {
            return Ok(());
        }
        let invalid = |text: &str| Err(SecretError::InvalidParameter(text.into()));
        if self.kind.is_none() {
            return invalid(
                "ExternalSecretRotationMetadata and ExternalSecretRotationRoleArn are for managed \
                 external secrets only: those with a Type.",
            );
        }
        let is_role = |arn: Arn| arn.service() == "iam" && arn.resource().starts_with("role/");
        if role.as_ref().is_some_and(|role| !role.parse().is_ok_and(is_role)) {
            return invalid("The ExternalSecretRotationRoleArn is not the ARN of a role.");
        }
        let pairs = metadata.as_deref().unwrap_or_default();
        let names: BTreeSet<&String> = pairs.iter().map(|(name, _)| name).collect();
        if names.len() < pairs.len() {
            return invalid("Duplicate keys found in ExternalSecretRotationMetadata.");
        }
        if pairs.len() > MOST_METADATA {
            return invalid("ExternalSecretRotationMetadata has too many items.");
        }
        let rotation = self.change().rotation.get_or_insert_default();
        if let Some(metadata) = metadata {
            rotation.external_metadata = metadata;
        }
        rotation.external_role = role.or_else(|| rotation.external_role.take());
        Ok(())
    }

    /// Begins a run, and announces the version that it is to make; one that an earlier run left behind
    /// is gone on with. Whoever looks for work finds the run once the transaction is committed.
    pub fn begin_rotation(
        &mut self,
        tx: &mut Tx<'_>,
        purpose: Purpose,
        token: &str,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Run>, SecretError> {
        let function = self.rotation.as_ref().and_then(|rotation| rotation.function.clone());
        let function = function.ok_or(SecretError::InvalidRequest(NO_FUNCTION))?;
        if self.versions.holder(PENDING).is_none_or(|(id, _)| id != token) {
            self.change().versions.announce(token, now);
        }
        Ok(Run::begin(tx, self, &function, purpose, token, random, now)?)
    }

    /// Somebody put a value: `AutomaticallyAfterDays` counts from then.
    pub(super) fn value_changed(&mut self, now: Timestamp) {
        let change = last_change(self);
        let counts = |rotation: &Rotation| rotation.is_on() && rotation.counts_changes();
        if self.rotation.as_ref().is_some_and(counts)
            && let Some(rotation) = &mut self.change().rotation
        {
            rotation.reschedule(change, now);
        }
    }

    /// Takes `AWSPENDING` off the version that a rotation was to make, since version `id` gets a value
    /// now. A version that has none by then goes. Answers whether there was anything to abandon.
    pub fn abandon_rotation(
        &mut self,
        tx: &mut Tx<'_>,
        id: &str,
        under_way: bool,
    ) -> Result<bool, SecretError> {
        // Also what a failed rotation left behind; but a label that somebody put, who does not have the
        // secret rotated, is theirs.
        let cleans = under_way || self.rotation.as_ref().is_some_and(Rotation::is_on);
        let left = self.versions.unfinished().filter(|(pending, _)| cleans && *pending != id);
        let Some((pending, version)) = left else { return Ok(under_way) };
        let (pending, has_value) = (pending.to_owned(), version.has_value);
        let secret = self.change();
        secret.versions.unlabel(&pending, PENDING);
        let unused = secret.versions.get(&pending).is_some_and(|left| left.stages.is_empty());
        if !has_value && unused {
            secret.versions.withdraw(&pending);
            Version::delete(tx, secret, &pending)?;
        }
        Ok(true)
    }
}

/// When somebody put the current value.
fn last_change(secret: &Secret) -> Option<Timestamp> {
    secret.versions.holder(CURRENT).map(|(_, version)| version.created)
}

/// Puts a secret's window where its rules have it next after `now`.
fn reschedule(tx: &mut Tx<'_>, secret: &mut Secret, now: Timestamp) -> Result<(), StoreError> {
    let change = last_change(secret);
    if let Some(rotation) = &mut secret.rotation {
        rotation.reschedule(change, now);
    }
    due::keep(tx, secret)
}

/// AWS's words for a secret that nothing rotates.
pub const NO_FUNCTION: &str = "No Lambda rotation function ARN is associated with this secret.";
