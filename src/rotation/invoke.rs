//! What the scheduler asks of a rotation function, whatever it is: one step.
use crate::functions::Function;
use crate::secrets::rotation::Step;
use crate::types::{Arn, SecretText};
use std::fmt::Debug;
use std::time::Duration;

/// What a function is told: Lambda's event of a rotation (Secrets Manager user guide, "Lambda rotation
/// functions").
#[derive(Clone, Debug)]
pub struct Event {
    pub step: Step,
    pub secret: Arn,
    /// The id of the pending version.
    pub token: String,
    pub rotation_token: SecretText,
}

/// Whether it is any use to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The network, a database that is not there, a time-out, a crash.
    Passing,
    /// Settings, permissions, a secret of the wrong shape: until somebody changes something.
    Lasting,
}

/// Why a step failed, in words without any value of a secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// The end of what the function logged.
    pub log: Option<String>,
}

impl Failure {
    pub fn passing(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Passing, message: message.into(), log: None }
    }
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Lasting, message: message.into(), log: None }
    }

    /// In Lambda's words.
    pub fn timed_out(timeout: Duration) -> Self {
        Self::passing(format!("Task timed out after {:.2} seconds", timeout.as_secs_f32()))
    }
}

/// Something that does the steps of functions. Answers the end of the function's log, if it has one.
/// Ends within the function's time-out.
#[async_trait::async_trait]
pub trait Invoke: Debug + Send + Sync {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure>;

    /// Nobody needs the version before `token` any more, or nobody waits any longer: whatever the
    /// function keeps alive for it may go, as long as `token` is the current version.
    async fn discard_old(
        &self,
        _function: &Function,
        _secret: &Arn,
        _token: &str,
    ) -> Result<(), Failure> {
        Ok(())
    }
}
