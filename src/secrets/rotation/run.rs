//! One rotation of a secret, from its request to its end: a row of its own, so that a crash at any
//! moment leaves what is needed to go on.
use super::history::{Finished, Outcome};
use crate::random::Random;
use crate::seal::Table;
use crate::secrets::Secret;
use crate::secrets::find::id_in;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, SecretText, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The steps of a rotation function, in their order (Secrets Manager user guide, "Lambda rotation
/// functions").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    CreateSecret,
    SetSecret,
    TestSecret,
    FinishSecret,
}

impl Step {
    pub const ALL: [Self; 4] =
        [Self::CreateSecret, Self::SetSecret, Self::TestSecret, Self::FinishSecret];

    /// As the event of a function says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateSecret => "createSecret",
            Self::SetSecret => "setSecret",
            Self::TestSecret => "testSecret",
            Self::FinishSecret => "finishSecret",
        }
    }

    /// The step after this one.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::CreateSecret => Some(Self::SetSecret),
            Self::SetSecret => Some(Self::TestSecret),
            Self::TestSecret => Some(Self::FinishSecret),
            Self::FinishSecret => None,
        }
    }
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Rotate,
    /// `RotateImmediately=false`: only `testSecret`, on a pending version that is removed after it.
    Test,
}

impl Purpose {
    /// The step that a run begins with.
    pub const fn first(self) -> Step {
        match self {
            Self::Rotate => Step::CreateSecret,
            Self::Test => Step::TestSecret,
        }
    }
}

/// A run under way. At most one for each secret, filed under account, region and the name with its
/// suffix.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub account: AccountId,
    pub region: Region,
    /// The secret's name: what its row is found by.
    pub name: String,
    pub arn: Arn,
    pub function: Arn,
    pub purpose: Purpose,
    /// The id of the version that is to be made: the request's token.
    pub token: String,
    /// What a function shows with PutSecretValue so that it is known for this run's.
    pub rotation_token: SecretText,
    pub started: Timestamp,
    /// The end of the window that it belongs to: after it nothing is tried again.
    pub deadline: Option<Timestamp>,
    /// The step that is next, or under way.
    pub step: Step,
    /// All steps are done, since then. Readers of the old version are waited for, if that is wanted.
    pub finished: Option<Timestamp>,
    /// Attempts of the whole that failed.
    pub failures: u32,
    /// No sooner than this.
    pub not_before: Timestamp,
    /// Which node works on it, until when, and the number of the lease: whoever holds an older number
    /// may write nothing more.
    pub holder: Option<String>,
    pub until: Timestamp,
    pub fence: u64,
    /// Every step that was tried, in this run.
    pub attempts: Vec<Attempt>,
}

impl Record for Run {
    const TABLE: Table = Table::new("rotation-run");
    const CACHED: bool = false;
}

/// One step, tried once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub step: Step,
    pub started: Timestamp,
    pub milliseconds: i64,
    /// None if it went well. Of a function's failure, the error's type and message, cut short.
    pub error: Option<String>,
    /// The end of what the function logged.
    pub log: Option<String>,
}

/// Rows that are read at a time.
const PAGE: usize = 500;
/// More than the longest time-out of a function, a lease's margin, and what clocks may differ by.
const MOST_LEASE_SECS: i64 = 1200;

/// Of a step's error, and of its log: the first and the last so many bytes are kept.
const MAX_ERROR_BYTES: usize = 1024;
const MAX_LOG_BYTES: usize = 4096;
/// A run's row is written anew at each step: the logs in it are no more than this, the oldest go.
const MAX_LOGS_BYTES: usize = 32 * 1024;

impl Run {
    /// Begins a run: whoever looks for work finds it from now on.
    pub fn begin(
        tx: &mut Tx<'_>,
        secret: &Secret,
        function: &Arn,
        purpose: Purpose,
        token: &str,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, StoreError> {
        Self {
            account: secret.account.clone(),
            region: secret.region.clone(),
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            function: function.clone(),
            purpose,
            token: token.to_owned(),
            rotation_token: SecretText::new(random.uuid().to_string()),
            started: now,
            deadline: None,
            step: purpose.first(),
            finished: None,
            failures: 0,
            not_before: now,
            holder: None,
            until: now,
            fence: 0,
            attempts: Vec::new(),
        }
        .put(tx)
    }

    /// The run of a secret that is under way.
    pub async fn of(tx: &mut Tx<'_>, secret: &Secret) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[secret.account.as_str(), secret.region.as_str(), secret.resource_id()])
            .await
    }

    /// The run as it is stored now.
    pub async fn again(&self, tx: &mut Tx<'_>) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&self.key()).await
    }

    pub fn put(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let (account, region, arn) = (self.account.clone(), self.region.clone(), self.arn.clone());
        tx.put(&[account.as_str(), region.as_str(), resource_id(&arn)], self)
    }

    /// Ends the run of a secret, if there is one, and files it in the history. Whoever works on it
    /// notices by the missing row.
    pub async fn end(
        tx: &mut Tx<'_>,
        secret: &Secret,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let Some(run) = Self::of(tx, secret).await? else { return Ok(None) };
        run.close(tx, outcome, now).await?;
        Ok(Some(run))
    }

    /// Takes this run's row away and files it in the history.
    pub async fn close(
        &self,
        tx: &mut Tx<'_>,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        tx.delete::<Self>(&self.key())?;
        Finished::of(self, outcome, now).file(tx, self).await
    }

    /// Takes this run's row away as if it had never been: its secret is gone.
    pub fn drop_row(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.delete::<Self>(&self.key())
    }

    /// Adds what became of a step.
    pub fn tried(&mut self, mut attempt: Attempt) {
        attempt.error = attempt.error.map(|text| head(&text, MAX_ERROR_BYTES).to_owned());
        attempt.log = attempt.log.map(|text| tail(&text, MAX_LOG_BYTES).to_owned());
        self.attempts.push(attempt);
        let mut room = MAX_LOGS_BYTES;
        for attempt in self.attempts.iter_mut().rev() {
            let size = attempt.log.as_ref().map_or(0, String::len);
            match room.checked_sub(size) {
                Some(left) => room = left,
                None => attempt.log = None,
            }
        }
    }

    /// Whether a node may take it now.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        let is_over = self.until <= now;
        // Written by a clock that was far ahead: nobody could wait for its end.
        let is_absurd = self.until > now.plus_secs(MOST_LEASE_SECS);
        self.not_before <= now && (self.holder.is_none() || is_over || is_absurd)
    }

    /// Whether anybody ever took it.
    pub const fn has_begun(&self) -> bool {
        self.fence > 0
    }

    /// From its request to its end.
    pub fn took(&self, end: Timestamp) -> Duration {
        Duration::from_millis(end.0.saturating_sub(self.started.0).max(0).unsigned_abs())
    }

    pub(super) fn key(&self) -> [&str; 3] {
        [self.account.as_str(), self.region.as_str(), resource_id(&self.arn)]
    }
}

fn resource_id(arn: &Arn) -> &str {
    id_in(arn).unwrap_or_default()
}

fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

fn tail(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    text.get(text.ceil_char_boundary(from)..).unwrap_or_default()
}

/// Up to `limit` runs after the one that the key `after` belongs to, in the order of their keys, and
/// whether there are more.
pub async fn runs(
    tx: &Tx<'_>,
    after: Option<&Run>,
    limit: usize,
) -> Result<(Vec<Arc<Run>>, bool), StoreError> {
    let after = after.map(Run::key);
    let after = after.as_ref().map_or(&[][..], |key| &key[..]);
    let page = tx.list_deep::<Run>(&[], after, limit).await?;
    Ok((page.records.into_iter().map(|(_, run)| run).collect(), page.more))
}

/// Runs that are `wanted`, from the one after `from` on and round to it: all of them, or `most` and what
/// a page has beyond that. Also where the next search goes on, so that none is always the last.
pub async fn runs_round(
    tx: &Tx<'_>,
    from: Option<Arc<Run>>,
    most: usize,
    wanted: impl Fn(&Run) -> bool + Send,
) -> Result<(Vec<Arc<Run>>, Option<Arc<Run>>), StoreError> {
    let mut found = Vec::new();
    let rest = from.clone().map(|last| (None, Some(last)));
    for (mut after, last) in std::iter::once((from, None)).chain(rest) {
        let seen = |run: &Run| last.as_ref().is_some_and(|last| run.key() > last.key());
        loop {
            let (page, more) = runs(tx, after.as_deref(), PAGE).await?;
            let over = !more || page.last().is_some_and(|run| seen(run));
            after = page.last().cloned();
            found.extend(page.into_iter().filter(|run| !seen(run) && wanted(run)));
            if found.len() >= most {
                return Ok((found, after));
            }
            if over {
                break;
            }
        }
    }
    Ok((found, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::secret::tests::secret;

    fn run() -> Run {
        let secret = secret("db");
        Run {
            account: secret.account.clone(),
            region: secret.region.clone(),
            name: secret.name.clone(),
            arn: secret.arn.clone(),
            function: "arn:aws:lambda:eu-west-1:111122223333:function:f".parse().unwrap(),
            purpose: Purpose::Rotate,
            token: "t".into(),
            rotation_token: SecretText::new("r".into()),
            started: Timestamp(0),
            deadline: None,
            step: Step::CreateSecret,
            finished: None,
            failures: 0,
            not_before: Timestamp(5),
            holder: None,
            until: Timestamp(0),
            fence: 0,
            attempts: Vec::new(),
        }
    }

    fn attempt(log: &str) -> Attempt {
        Attempt {
            step: Step::CreateSecret,
            started: Timestamp(0),
            milliseconds: 1,
            error: Some("é".repeat(1000)),
            log: Some(log.into()),
        }
    }

    #[test]
    fn steps_follow_each_other() {
        let mut step = Some(Step::CreateSecret);
        let mut all = Vec::new();
        while let Some(one) = step {
            all.push(one);
            step = one.next();
        }
        assert_eq!(all, Step::ALL);
        assert_eq!(Purpose::Test.first(), Step::TestSecret);
    }

    #[test]
    fn a_lease_keeps_others_away_until_it_runs_out() {
        let mut run = run();
        assert!(!run.is_ready(Timestamp(4)) && run.is_ready(Timestamp(5)));
        (run.holder, run.until) = (Some("a".into()), Timestamp(10));
        assert!(!run.is_ready(Timestamp(9)) && run.is_ready(Timestamp(10)));
        // The longest of a clock that is right, and one of a clock that was far ahead.
        run.until = Timestamp(9).plus_secs(MOST_LEASE_SECS);
        assert!(!run.is_ready(Timestamp(9)) && run.is_ready(Timestamp(8)));
    }

    #[test]
    fn what_is_kept_of_errors_and_logs_is_bounded() {
        let mut run = run();
        for n in 0..40 {
            run.tried(attempt(&format!("{}é{n}", "x".repeat(5000))));
        }
        let last = run.attempts.last().unwrap();
        assert!(last.error.as_ref().unwrap().len() <= MAX_ERROR_BYTES);
        let log = last.log.as_ref().unwrap();
        assert!(log.len() <= MAX_LOG_BYTES && log.ends_with("é39"));
        let logs: usize = run.attempts.iter().filter_map(|a| a.log.as_ref()).map(String::len).sum();
        assert!(logs <= MAX_LOGS_BYTES && logs > MAX_LOGS_BYTES / 2);
        assert_eq!((run.attempts.len(), &run.attempts[0].log), (40, &None));
        assert_eq!(tail("aéb", 2), "b");
        assert_eq!(head("aéb", 2), "a");
    }
}
