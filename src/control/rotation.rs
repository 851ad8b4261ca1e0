//! How a secret's rotation stands, and what became of its last ones. Never a value, nor what a function
//! shows to put one.
use super::{ControlError, WhichSecret};
use crate::call::Server;
use crate::secrets::rotation::{Attempt, Finished, Outcome, Purpose, Run};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationReport {
    pub secret: Arn,
    pub enabled: bool,
    pub function: Option<Arn>,
    pub last_rotated: Option<String>,
    /// The first and the last second of the next window, or of the one that is open.
    pub window: Option<(String, String)>,
    pub under_way: Option<RunReport>,
    /// The oldest first.
    pub history: Vec<RunReport>,
}

/// A run, under way or over.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Whether it was to try the function only.
    pub test: bool,
    pub function: Arn,
    pub version: String,
    pub started: String,
    /// How and when it ended.
    pub outcome: Option<Outcome>,
    pub ended: Option<String>,
    /// Of one under way: the step that is next, and when it is tried at the earliest.
    pub step: Option<String>,
    pub not_before: Option<String>,
    pub attempts: Vec<AttemptReport>,
}

/// A step, tried once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptReport {
    pub step: String,
    pub started: String,
    pub milliseconds: i64,
    pub error: Option<String>,
    pub log: Option<String>,
}

pub(super) async fn of(
    server: &Server,
    which: &WhichSecret,
) -> Result<RotationReport, ControlError> {
    let mut tx = server.store.begin();
    let secret = which.find(server, &mut tx).await?;
    let rotation = secret.rotation.clone().unwrap_or_default();
    let run = Run::of(&mut tx, &secret).await?;
    let history = Finished::list(&tx, &secret).await?;
    Ok(RotationReport {
        secret: secret.arn.clone(),
        enabled: rotation.is_on(),
        function: rotation.function,
        last_rotated: rotation.last.map(text),
        window: rotation.window.map(|(begin, end)| (text(begin), text(end))),
        under_way: run.as_deref().map(RunReport::of_run),
        history: history.iter().map(|run| RunReport::of_finished(run)).collect(),
    })
}

fn text(at: Timestamp) -> String {
    at.to_string()
}

impl RunReport {
    fn of_run(run: &Run) -> Self {
        Self {
            test: run.purpose == Purpose::Test,
            function: run.function.clone(),
            version: run.token.clone(),
            started: text(run.started),
            outcome: None,
            ended: None,
            step: Some(run.step.name().to_owned()),
            not_before: Some(text(run.not_before)),
            attempts: attempts(&run.attempts),
        }
    }

    fn of_finished(run: &Finished) -> Self {
        Self {
            test: run.purpose == Purpose::Test,
            function: run.function.clone(),
            version: run.token.clone(),
            started: text(run.started),
            outcome: Some(run.outcome),
            ended: Some(text(run.ended)),
            step: None,
            not_before: None,
            attempts: attempts(&run.attempts),
        }
    }
}

fn attempts(all: &[Attempt]) -> Vec<AttemptReport> {
    all.iter()
        .map(|attempt| AttemptReport {
            step: attempt.step.name().to_owned(),
            started: text(attempt.started),
            milliseconds: attempt.milliseconds,
            error: attempt.error.clone(),
            log: attempt.log.clone(),
        })
        .collect()
}

/// As `claviger secret rotation` shows it.
impl fmt::Display for RotationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function.as_ref().map_or("none", |function| function.as_str());
        writeln!(f, "{}", self.secret)?;
        writeln!(f, "rotation      {}", if self.enabled { "on" } else { "off" })?;
        writeln!(f, "function      {function}")?;
        writeln!(f, "last rotated  {}", self.last_rotated.as_deref().unwrap_or("never"))?;
        match &self.window {
            Some((begin, end)) => writeln!(f, "window        {begin} to {end}")?,
            None => writeln!(f, "window        none")?,
        }
        self.history.iter().chain(&self.under_way).try_for_each(|run| write!(f, "\n{run}"))
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.test { "test" } else { "rotation" };
        write!(f, "{}  {what}, version {}: ", self.started, self.version)?;
        match (self.outcome, &self.step, &self.not_before) {
            (Some(outcome), _, _) => writeln!(f, "{}", outcome.name())?,
            (None, Some(step), Some(at)) => writeln!(f, "under way, {step} not before {at}")?,
            (None, _, _) => writeln!(f, "under way")?,
        }
        for AttemptReport { step, started, milliseconds, error, log } in &self.attempts {
            let outcome = shown(error.as_deref().unwrap_or("ok"));
            writeln!(f, "  {started}  {step:<12}  {milliseconds:>6} ms  {outcome}")?;
            for line in log.iter().flat_map(|log| log.lines()) {
                writeln!(f, "      | {}", shown(line))?;
            }
        }
        Ok(())
    }
}

/// Without what would make a terminal do something: functions may say anything, and labels may be
/// anything.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
