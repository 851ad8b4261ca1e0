//! Rotation functions: which ones the operator registered, by their ARNs, and what each is. A secret's
//! `RotationLambdaARN` names one of them.
mod hosts;
mod python;
mod settings;

pub use hosts::Hosts;
pub use python::{PROGRAMS, RunsAs};
pub use settings::{InvalidFunction, Settings};

use crate::policy::Policy;
use crate::types::{AccountId, Arn, Region};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A registered function.
#[derive(Clone, Debug)]
pub struct Function {
    /// `arn:aws:lambda:<region>:<account>:function:<name>`.
    pub arn: Arn,
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    /// Whose credentials it works with. The role must trust `lambda.amazonaws.com`.
    pub role: Arn,
    /// Who may invoke it. Without one: `secretsmanager.amazonaws.com` for secrets of the function's
    /// account, and whom their own policies allow it.
    pub policy: Option<Policy>,
    /// How long one step may take.
    pub timeout: Duration,
    /// How long the end of a rotation waits for readers of the old version.
    pub drain: Option<Duration>,
    /// What a Python function gets as `SECRETS_MANAGER_ENDPOINT`, if not the server's own address.
    pub endpoint: Option<String>,
    pub code: Code,
}

/// What a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// One of ours.
    BuiltIn { strategy: Strategy, ca_file: Option<PathBuf>, hosts: Hosts },
    /// A Python file with a Lambda handler.
    Python(Python),
    /// Somebody's endpoint, with Lambda's Invoke API or one that takes the event.
    Endpoint { url: String, ca_file: Option<PathBuf>, token_file: Option<PathBuf> },
}

/// A Python function, and what it runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    pub file: PathBuf,
    /// The name of the handler in the file.
    pub handler: String,
    pub memory_mib: u64,
    /// An absolute path; `python3` of the system if left out.
    pub interpreter: Option<PathBuf>,
    /// The user it runs as, if the server is root; else it runs as the server does.
    pub user: Option<String>,
    /// Further variables, as AWS's templates take their settings from.
    pub environment: BTreeMap<String, String>,
    /// Certificate authorities for its calls of the server.
    pub ca_file: Option<PathBuf>,
}

/// How a built-in function gives a database user another password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The user changes its own password.
    SingleUser,
    /// Another secret's user, named by `masterarn`, changes it.
    SingleUserWithAdministrator,
    /// Two users take turns; an administrator makes the second one a copy of the first.
    AlternatingUsers,
    /// The user's old password stays good until the end of the rotation.
    DualPasswords,
}

impl Strategy {
    /// Whether secrets need `masterarn`.
    pub const fn needs_administrator(self) -> bool {
        matches!(self, Self::SingleUserWithAdministrator | Self::AlternatingUsers)
    }
}

/// Every registered function.
#[derive(Clone, Debug, Default)]
pub struct Functions(Vec<Function>);

impl Functions {
    pub fn find(&self, arn: &Arn) -> Option<&Function> {
        self.0.iter().find(|function| function.arn == *arn)
    }
}
