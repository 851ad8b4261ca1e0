//! What the operator of the machine may ask of a deployment, beside the API and without credentials:
//! whoever can read the data directory can do all of it anyway. A running server answers over the
//! socket `control.sock` in that directory; otherwise the command opens the deployment itself and runs
//! the same [`execute`].
mod accounts;
mod attest;
mod backup;
mod client;
mod drain;
mod explain;
mod nodes;
mod root;
mod rotation;
mod secret;
mod socket;

pub use accounts::AccountEntry;
pub use attest::{Attest, WhichKey};
pub use client::{AskError, ask};
pub use drain::{Drain, DrainReader, DrainVersion};
pub use explain::{Attach, Changed, EventReport, Grouped, Question, Report, Span, WhatIf};
pub use nodes::{NodeEntry, NodesCommand};
pub use root::{RootCommand, RootOutput, conclude_interrupted};
pub use rotation::{AttemptReport, RotationReport, RunReport};
pub use secret::WhichSecret;
pub use socket::Socket;

use crate::audit::AuditError;
use crate::backup::{BackupError, Made};
use crate::call::{ReplayError, Server};
use crate::identity::IdentityError;
use crate::root_of_trust::RootError;
use crate::store::StoreError;
use crate::types::{AccountId, SecretText};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Its administrator gets this access key, which the asker made: so the secret is not lost with
    /// the answer.
    CreateAccount {
        id: AccountId,
        alias: Option<String>,
        access_key_id: String,
        secret: SecretText,
    },
    ListAccounts,
    Explain(Question),
    ExplainEvent {
        id: String,
    },
    WhatIf(WhatIf),
    SecretRotation(WhichSecret),
    DrainSecret {
        which: WhichSecret,
        idle_seconds: i64,
    },
    Root(RootCommand),
    Nodes(NodesCommand),
    Attest(Attest),
    /// To a new file of this name.
    Backup {
        to: PathBuf,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Output {
    AccountCreated,
    Accounts(Vec<AccountEntry>),
    Explained(Report),
    Event(EventReport),
    WhatIf(Changed),
    SecretRotation(RotationReport),
    Drain(Drain),
    Root(RootOutput),
    Nodes(Vec<NodeEntry>),
    NodeRemoved,
    /// The bundle's text.
    Attested(String),
    BackedUp(Made),
}

/// Why a command failed, for the operator's eyes: nothing of it needs hiding.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Root(#[from] RootError),
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("audit log: {0}")]
    Audit(#[from] AuditError),
    #[error("{0}")]
    Backup(#[from] BackupError),
    #[error("{0}")]
    Commit(#[from] ReplayError),
}

/// Told how many audit events were looked at, or rows written, from time to time.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// Whoever stands behind the socket.
pub trait Obeys: Send + Sync + 'static {
    fn obey(
        &self,
        data: &Path,
        command: Command,
        progress: Progress<'_>,
    ) -> impl Future<Output = Result<Output, ControlError>> + Send;
}

impl Obeys for Server {
    async fn obey(
        &self,
        data: &Path,
        command: Command,
        progress: Progress<'_>,
    ) -> Result<Output, ControlError> {
        execute(self, data, command, progress).await
    }
}

/// Does what a command says to the deployment in `data` that `server` has open.
pub async fn execute(
    server: &Server,
    data: &Path,
    command: Command,
    progress: Progress<'_>,
) -> Result<Output, ControlError> {
    let log = data.join("audit");
    Ok(match command {
        Command::CreateAccount { id, alias, access_key_id, secret } => {
            accounts::create(server, &id, alias, (access_key_id, secret)).await?;
            Output::AccountCreated
        }
        Command::ListAccounts => Output::Accounts(accounts::list(server).await?),
        Command::Explain(question) => Output::Explained(question.answer(server).await?),
        Command::ExplainEvent { id } => Output::Event(explain::of_event(server, &log, &id).await?),
        Command::SecretRotation(which) => {
            Output::SecretRotation(rotation::of(server, &which).await?)
        }
        Command::DrainSecret { which, idle_seconds } => {
            Output::Drain(drain::of(server, &which, idle_seconds).await?)
        }
        Command::Backup { to } => Output::BackedUp(backup::create(server, to, progress).await?),
        Command::Attest(asked) => Output::Attested(attest::of(server, asked).await?),
        Command::Nodes(command) => nodes::execute(server, command).await?,
        Command::Root(command) => Output::Root(root::execute(server, command).await?),
        Command::WhatIf(what_if) => Output::WhatIf(what_if.replay(server, &log, progress).await?),
    })
}
