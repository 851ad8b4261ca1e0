//! `[[function]]` of the configuration.
use super::{Code, Function, Functions, Hosts, Python, Strategy, hosts};
use crate::outgoing;
use crate::policy::{Kind, Policy};
use crate::types::Arn;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lambda's own default and limit for a function's time-out, in seconds.
const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
const MOST_TIMEOUT_SECONDS: u64 = 900;
const DEFAULT_MEMORY_MIB: u64 = 256;
/// Lambda's quotas for a function's memory; a Python of ours starts with less.
const LEAST_MEMORY_MIB: u64 = 64;
const MOST_MEMORY_MIB: u64 = 10_240;
/// Lambda's names, of which a role's session has the name: those have two characters at least.
const MIN_NAME_CHARS: usize = 2;
const MAX_NAME_CHARS: usize = 64;
/// Longer than a week nobody waits for the readers of an old password.
const MOST_DRAIN_SECONDS: u64 = 7 * 24 * 3600;
/// Lambda's quota for a function's policy.
const MAX_POLICY_BYTES: usize = 20_480;
/// Bits of a file's mode.
pub(super) const WRITABLE_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o077;

/// One `[[function]]`. Exactly one of `strategy`, `python` and `url` says what it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `arn:aws:lambda:<region>:<account>:function:<name>`: what secrets name it by.
    pub arn: Arn,
    /// The role whose credentials it works with.
    pub role: Arn,
    /// A file with its policy: who may invoke it. Without one: `secretsmanager.amazonaws.com` for
    /// secrets of the function's account and region, and whom their own policies allow it.
    #[serde(default)]
    pub policy: Option<PathBuf>,
    /// One of our own functions.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// The databases that it may connect to. One of our own functions needs them.
    #[serde(default)]
    pub hosts: Option<Hosts>,
    /// A Python file.
    #[serde(default)]
    pub python: Option<PathBuf>,
    /// The handler in it: `lambda_handler` if left out.
    #[serde(default)]
    pub handler: Option<String>,
    /// The Python that runs it, an absolute path: `python3` of the system if left out.
    #[serde(default)]
    pub interpreter: Option<PathBuf>,
    /// The user that it runs as, of `/etc/passwd`: a server that runs as root needs one, and no other
    /// server can have one.
    #[serde(default)]
    pub user: Option<String>,
    /// Further variables of its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// `SECRETS_MANAGER_ENDPOINT` for a Python function: the server's own address if left out, which
    /// with `[tls]` no certificate names.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// An address space, in MiB.
    #[serde(default)]
    pub memory: Option<u64>,
    /// An endpoint: `https://`, or `http://` on loopback.
    #[serde(default)]
    pub url: Option<String>,
    /// Certificate authorities for the database, the endpoint or a Python function's calls of the
    /// server; the system's if left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A file with the bearer token that the endpoint wants.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Seconds that one step may take.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// Seconds that the end of a rotation waits for readers of the old version.
    #[serde(default)]
    pub drain: Option<u64>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("function {arn}: {what}")]
pub struct InvalidFunction {
    pub arn: Arn,
    pub what: String,
}

impl Functions {
    /// Checks what can be checked without reading a file.
    pub fn check(settings: &[Settings]) -> Result<(), InvalidFunction> {
        Self::each(settings, Settings::checked).map(drop)
    }

    /// Every function, with the files that are needed now: those that its steps need later are looked
    /// at, too, so that a wrong path ends the start and not a rotation at night.
    pub fn new(settings: &[Settings]) -> Result<Self, InvalidFunction> {
        Self::each(settings, Settings::with_files)
    }

    fn each(
        settings: &[Settings],
        make: impl Fn(&Settings) -> Result<Function, String>,
    ) -> Result<Self, InvalidFunction> {
        let mut all: Vec<Function> = Vec::new();
        for one in settings {
            let refused = |what: String| InvalidFunction { arn: one.arn.clone(), what };
            if all.iter().any(|other| other.arn == one.arn) {
                return Err(refused("is there twice".into()));
            }
            all.push(make(one).map_err(refused)?);
        }
        Ok(Self(all))
    }
}

impl Settings {
    fn checked(&self) -> Result<Function, String> {
        let bad_arn = || "arn: not arn:aws:lambda:<region>:<account>:function:<name>".to_owned();
        let name = self.arn.resource().strip_prefix("function:").ok_or_else(bad_arn)?;
        let region = self.arn.region().parse().map_err(|_| bad_arn())?;
        let account = self.arn.account().parse().map_err(|_| bad_arn())?;
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let is_name = (MIN_NAME_CHARS..=MAX_NAME_CHARS).contains(&name.len());
        if self.arn.service() != "lambda" || !is_name || !name.bytes().all(letter) {
            return Err(bad_arn());
        }
        if self.role.service() != "iam" || !self.role.resource().starts_with("role/") {
            return Err("role: not the ARN of a role".into());
        }
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
        if !(1..=MOST_TIMEOUT_SECONDS).contains(&timeout) {
            return Err(format!(
                "timeout: between 1 and {MOST_TIMEOUT_SECONDS} seconds are wanted"
            ));
        }
        if self.drain.is_some_and(|seconds| seconds > MOST_DRAIN_SECONDS) {
            return Err(format!("drain: at most {MOST_DRAIN_SECONDS} seconds, a week, are wanted"));
        }
        self.check_urls()?;
        let code = self.code()?;
        self.check_belongs(&code)?;
        Ok(Function {
            arn: self.arn.clone(),
            account,
            region,
            name: name.to_owned(),
            role: self.role.clone(),
            policy: None,
            timeout: Duration::from_secs(timeout),
            drain: self.drain.map(Duration::from_secs),
            endpoint: self.endpoint.clone(),
            code,
        })
    }

    fn with_files(&self) -> Result<Function, String> {
        let function = self.checked()?;
        let policy = self.policy.as_deref().map(read_policy).transpose()?;
        if let Some(file) = &self.python {
            check_file("python", file, WRITABLE_BY_OTHERS)?;
        }
        if let Code::Python(python) = &function.code {
            python.program()?;
            python.runs_as()?;
        }
        if let Some(file) = &self.token_file {
            check_file("token_file", file, OPEN_TO_OTHERS)?;
        }
        if let Some(file) = &self.ca_file {
            check_file("ca_file", file, WRITABLE_BY_OTHERS)?;
        }
        let secure = |url: &String| outgoing::url(url).is_ok_and(|url| outgoing::is_https(&url));
        if self.ca_file.is_some() || self.url.as_ref().is_some_and(secure) {
            outgoing::trusted_roots(self.ca_file.as_deref()).map_err(|e| e.to_string())?;
        }
        Ok(Function { policy, ..function })
    }

    fn check_urls(&self) -> Result<(), String> {
        for (name, url) in [("endpoint", &self.endpoint), ("url", &self.url)] {
            if let Some(url) = url {
                outgoing::url(url).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(())
    }

    fn code(&self) -> Result<Code, String> {
        match (self.strategy, &self.python, &self.url) {
            (Some(strategy), None, None) => {
                let hosts = self.hosts.clone().ok_or(hosts::WANTED)?;
                hosts.check()?;
                Ok(Code::BuiltIn { strategy, ca_file: self.ca_file.clone(), hosts })
            }
            (None, Some(file), None) => Ok(Code::Python(Python {
                file: file.clone(),
                handler: self.handler.clone().unwrap_or_else(|| "lambda_handler".into()),
                memory_mib: self.memory.unwrap_or(DEFAULT_MEMORY_MIB),
                interpreter: self.interpreter.clone(),
                user: self.user.clone(),
                environment: self.environment.clone(),
                ca_file: self.ca_file.clone(),
            })),
            (None, None, Some(url)) => Ok(Code::Endpoint {
                url: url.clone(),
                ca_file: self.ca_file.clone(),
                token_file: self.token_file.clone(),
            }),
            _ => Err("exactly one of strategy, python and url is wanted".into()),
        }
    }

    /// What a function of another kind would have is a mistake, and maybe one that matters.
    fn check_belongs(&self, code: &Code) -> Result<(), String> {
        let python = [
            ("handler", self.handler.is_some()),
            ("interpreter", self.interpreter.is_some()),
            ("user", self.user.is_some()),
            ("environment", !self.environment.is_empty()),
            ("endpoint", self.endpoint.is_some()),
            ("memory", self.memory.is_some()),
        ];
        let (is_python, is_url) =
            (matches!(code, Code::Python(_)), matches!(code, Code::Endpoint { .. }));
        if self.hosts.is_some() && (is_python || is_url) {
            return Err("hosts: only for one of our own functions, with a strategy".into());
        }
        if let Some((name, _)) = python.iter().find(|(_, there)| *there && !is_python) {
            return Err(format!("{name}: only for a function in Python"));
        }
        if self.token_file.is_some() && !is_url {
            return Err("token_file: only for a function behind a url".into());
        }
        if self.memory.is_some_and(|mib| !(LEAST_MEMORY_MIB..=MOST_MEMORY_MIB).contains(&mib)) {
            return Err(format!(
                "memory: between {LEAST_MEMORY_MIB} and {MOST_MEMORY_MIB} MiB are wanted"
            ));
        }
        if self.interpreter.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err("interpreter: must be an absolute path".into());
        }
        let identifier = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
        if self.handler.as_ref().is_some_and(|name| !name.bytes().all(identifier)) {
            return Err("handler: not the name of a Python function".into());
        }
        let variable = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let held = |(name, value): (&String, &String)| variable(name) && !value.contains('\0');
        if !self.environment.iter().all(held) {
            return Err("environment: names have letters, digits and underscores".into());
        }
        Ok(())
    }
}

fn read_policy(path: &Path) -> Result<Policy, String> {
    let bad = |what: String| format!("policy: {}: {what}", path.display());
    check_file("policy", path, WRITABLE_BY_OTHERS)?;
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    if text.len() > MAX_POLICY_BYTES {
        return Err(bad(format!("has more than {MAX_POLICY_BYTES} bytes")));
    }
    Policy::parse(&text, Kind::Resource).map_err(|e| bad(e.to_string()))
}

/// A file that the server trusts must not be others' to change, nor a secret theirs to read.
pub(super) fn check_file(name: &str, path: &Path, forbidden: u32) -> Result<(), String> {
    let bad = |what: String| format!("{name}: {}: {what}", path.display());
    let metadata = std::fs::metadata(path).map_err(|e| bad(e.to_string()))?;
    if !metadata.is_file() {
        return Err(bad("is no file".into()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(bad(format!("has mode {mode:o}, which lets others in")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
