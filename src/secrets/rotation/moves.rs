//! What a rotation does to its secret by itself, in nobody's name: the pending version is announced
//! when a window begins, and labels, dates and the next window are put right at the end.
use super::history::Outcome;
use super::watch::{Overdue, Watch, expected};
use super::{DueRotation, Purpose, Run, reschedule};
use crate::random::Random;
use crate::secrets::stages::{CURRENT, PENDING};
use crate::secrets::{Secret, SecretError, Version, VersionMeta, mirror};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Region, Timestamp};
use std::sync::Arc;

const SECONDS_PER_DAY: i64 = 86_400;
/// No schedule has more windows in the day behind us and the one before us.
const MOST_WINDOWS: usize = 16;

/// What became of a window that has begun.
#[derive(Debug)]
pub enum Window {
    /// A run takes care of it.
    Begun,
    /// It was over before anybody looked.
    Missed(Arc<Secret>),
    /// Something else must end first: it is found again.
    Waits,
    /// It is no longer wanted.
    Gone,
}

impl Run {
    /// Begins what a window asks for. The next window is put at once: from here on the run and the
    /// watch stand for this one.
    pub async fn at_window(
        tx: &mut Tx<'_>,
        due: &DueRotation,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Window, SecretError> {
        let found = Secret::load(tx, &due.account, &due.region, &due.name).await?;
        let window = |secret: &Secret| {
            let rotation = expected(secret)?;
            rotation.window.filter(|(begin, _)| *begin == due.at && *begin <= now)
        };
        let Some((secret, window)) =
            found.and_then(|secret| Some((secret.clone(), window(&secret)?)))
        else {
            // What stands behind it has another row, or none.
            due.delete(tx)?;
            return Ok(Window::Gone);
        };
        let run = Self::of(tx, &secret).await?;
        // A test is no rotation, and one whose steps are done was not made for this window.
        let other = |run: &Arc<Self>| run.purpose == Purpose::Test || run.finished.is_some();
        if run.as_ref().is_some_and(other) {
            return Ok(Window::Waits);
        }
        let (mut secret, (_, last)) = (Secret::clone(&secret), window);
        if last < now {
            Overdue::put(tx, &secret, last)?;
            skip(tx, &mut secret, last, now)?;
            return Ok(Window::Missed(save(tx, secret, now).await?));
        }
        Watch::of(&secret, window).put(tx)?;
        let run = match run {
            // One that was asked for, and waits for its next attempt perhaps.
            Some(run) => run,
            None => begin(tx, &mut secret, random, now)?,
        };
        let not_before = if run.holder.is_none() { now } else { run.not_before };
        Self { not_before, deadline: Some(last), ..Self::clone(&run) }.put(tx)?;
        reschedule(tx, &mut secret, now)?;
        save(tx, secret, now).await?;
        Ok(Window::Begun)
    }

    /// Tries a rotation again that was not completed, now: with the same pending version.
    pub async fn reattempt(
        tx: &mut Tx<'_>,
        (account, region, name): (&AccountId, &Region, &str),
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        let found = Secret::load(tx, account, region, name).await?;
        let Some(secret) = found.filter(|secret| expected(secret).is_some()) else { return Ok(()) };
        if let Some(run) = Self::of(tx, &secret).await? {
            if run.holder.is_none() && run.not_before > now {
                Self { not_before: now, ..Self::clone(&run) }.put(tx)?;
            }
            return Ok(());
        }
        if secret.versions.unfinished().is_some() {
            begin(tx, &mut Secret::clone(&secret), random, now)?;
        }
        Ok(())
    }

    /// How a run must end before its time, if it must: somebody changed the secret.
    pub fn ended_by(&self, secret: &Secret) -> Option<Outcome> {
        if expected(secret).is_none() {
            return Some(Outcome::Cancelled);
        }
        let labelled = [PENDING, CURRENT].iter().any(|label| is_on(secret, label, &self.token));
        (!labelled).then_some(Outcome::Abandoned)
    }

    /// Whether the version that was to be made is the current one.
    pub fn is_done(&self, secret: &Secret) -> bool {
        is_on(secret, CURRENT, &self.token)
    }

    /// Ends the run and puts its secret right: after a success the new version is no longer pending,
    /// and the next window is counted from its last step on; what a test was made with goes.
    pub async fn conclude(
        &self,
        tx: &mut Tx<'_>,
        secret: &Secret,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        self.close(tx, outcome, now).await?;
        let mut changed = Secret::clone(secret);
        match (self.purpose, outcome) {
            (Purpose::Rotate, Outcome::Succeeded) => {
                changed.versions.unlabel(&self.token, PENDING);
                // A window that came while readers were waited for is still to be used.
                let done = self.finished.unwrap_or(now);
                if let Some(rotation) = &mut changed.rotation {
                    rotation.last = Some(done);
                }
                reschedule(tx, &mut changed, done)?;
            }
            // A function that made it the current one has done more than test.
            (Purpose::Test, _) if !self.is_done(secret) => {
                changed.versions.unlabel(&self.token, PENDING);
                // Who put a value there under a label of their own keeps it.
                let bare = |version: &VersionMeta| version.stages.is_empty();
                if changed.versions.get(&self.token).is_some_and(bare) {
                    changed.versions.withdraw(&self.token);
                    Version::delete(tx, secret, &self.token)?;
                }
            }
            (Purpose::Rotate | Purpose::Test, _) => return Ok(()),
        }
        save(tx, changed, now).await.map(drop)
    }
}

/// Begins a run with the version that is pending already, or with one that is announced now.
fn begin(
    tx: &mut Tx<'_>,
    secret: &mut Secret,
    random: &dyn Random,
    now: Timestamp,
) -> Result<Arc<Run>, StoreError> {
    let function = secret.rotation.as_ref().and_then(|rotation| rotation.function.clone());
    let none = || StoreError::Corrupt(format!("{} is rotated by no function", secret.arn));
    let function = function.ok_or_else(none)?;
    let token = match secret.versions.unfinished() {
        Some((token, _)) => token.to_owned(),
        None => {
            let token = random.uuid().to_string();
            secret.versions.announce(&token, now);
            token
        }
    };
    Run::begin(tx, secret, &function, Purpose::Rotate, &token, random, now)
}

/// The window that ended is skipped: the one that is open now is next, or else the next one.
fn skip(
    tx: &mut Tx<'_>,
    secret: &mut Secret,
    last: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut after = now.plus_secs(-SECONDS_PER_DAY).max(last);
    for _ in 0..MOST_WINDOWS {
        reschedule(tx, secret, after)?;
        match secret.rotation.as_ref().and_then(|rotation| rotation.window) {
            Some((begin, end)) if end < now => after = begin,
            _ => return Ok(()),
        }
    }
    reschedule(tx, secret, now)
}

/// Writes the secret, and its replicas with it.
async fn save(tx: &mut Tx<'_>, secret: Secret, now: Timestamp) -> Result<Arc<Secret>, SecretError> {
    let secret = Secret { changed: now, ..secret }.save(tx)?;
    mirror(tx, &secret, now).await?;
    Ok(secret)
}

fn is_on(secret: &Secret, label: &str, id: &str) -> bool {
    secret.versions.get(id).is_some_and(|version| version.stages.contains(label))
}
