//! A connection to a database with somebody logged in: what the strategies need of it.
use super::sql::Account;
use super::{mysql, postgres};
use crate::functions::Hosts;
use crate::outgoing::{OutgoingError, resolve};
use crate::rotation::{Failure, FailureKind};
use crate::secrets::database::{Engine, Login, Ssl};
use crate::types::SecretText;
use async_trait::async_trait;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the connection, the handshakes and the login together. AWS's functions wait 5 seconds for the
/// connection alone.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// For one statement. None of ours reads or writes more than a row or two.
pub(super) const STATEMENT_DEADLINE: Duration = Duration::from_secs(10);

/// What a user can be told to do, by itself or by an administrator.
#[async_trait]
pub(super) trait Session: Send {
    /// Whether the login is of any use: reads something.
    async fn probe(&mut self) -> Result<(), Failure>;
    /// Who is logged in. PostgreSQL's users have no host.
    async fn account(&mut self) -> Result<Account, Failure>;
    /// Another password for whoever is logged in.
    async fn change_own(&mut self, password: &SecretText) -> Result<(), Failure>;
    /// Another password for an account, by an administrator.
    async fn change(&mut self, account: &Account, password: &SecretText) -> Result<(), Failure>;
    /// Makes `to` if it is not there, lets it do what `from` may do, and gives it this password, which
    /// it does not have before it may do everything. An account that is there already is left alone if
    /// its password would let somebody do more than `from` may, unless the password is `known`: anybody
    /// may be called what a clone is called.
    async fn copy(
        &mut self,
        from: &Account,
        to: &Account,
        passwords: &Passwords<'_>,
        known: bool,
    ) -> Result<(), Failure>;
    /// Another password for an account, beside the one that it has.
    async fn add(
        &mut self,
        account: &Account,
        new: &SecretText,
        old: &SecretText,
    ) -> Result<(), Failure>;
    /// Leaves an account with this password only.
    async fn keep_only(&mut self, account: &Account, password: &SecretText) -> Result<(), Failure>;
}

/// What [`Session::copy`] gives an account: the first password while the account is not yet complete.
pub(super) struct Passwords<'a> {
    pub throwaway: &'a SecretText,
    pub last: &'a SecretText,
}

/// How connections are made.
#[derive(Debug)]
pub(super) struct Connector {
    pub ca_file: Option<PathBuf>,
    pub hosts: Hosts,
}

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    Required,
    /// If the server offers it.
    Preferred,
    Never,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server knows no such user with this password.
    Login,
    /// The certificate is not one to be believed, or there is no TLS where it must be.
    Tls(String),
    Other(Failure),
}

impl Connector {
    /// Logs in. None if the server refuses this user and password.
    pub async fn log_in(&self, login: &Login) -> Result<Option<Box<dyn Session>>, Failure> {
        let place = format!("{}:{}", login.host, login.port);
        if !self.hosts.allow(&login.host) {
            return Err(Failure::lasting(format!("{place}: not among the function's hosts")));
        }
        let opened = tokio::time::timeout(CONNECT_DEADLINE, self.open(login)).await;
        match opened {
            Ok(Ok(session)) => Ok(Some(session)),
            Ok(Err(Refusal::Login)) => Ok(None),
            Ok(Err(Refusal::Tls(why))) => Err(Failure::lasting(format!("TLS with {place}: {why}"))),
            Ok(Err(Refusal::Other(failure))) => {
                Err(Failure { message: format!("{place}: {}", failure.message), ..failure })
            }
            Err(_) => Err(Failure::passing(format!("{place}: no answer in time"))),
        }
    }

    async fn open(&self, login: &Login) -> Result<Box<dyn Session>, Refusal> {
        let addresses = resolve(&login.host, login.port).await.map_err(|error| {
            Refusal::Other(match error {
                OutgoingError::Refused(why) => Failure::lasting(why),
                error => Failure::passing(error.to_string()),
            })
        })?;
        let ca_file = self.ca_file.as_deref();
        let tls = wanted(login.ssl, ca_file);
        match open(login, &addresses, tls, ca_file).await {
            // AWS's functions go on without TLS whatever is wrong with it, if the secret does not say.
            Err(Refusal::Tls(_)) if tls == Tls::Preferred => {
                open(login, &addresses, Tls::Never, ca_file).await
            }
            outcome => outcome,
        }
    }
}

/// An operator who says whom to trust wants TLS, unless the secret says that there is none.
const fn wanted(ssl: Ssl, ca_file: Option<&Path>) -> Tls {
    match (ssl, ca_file) {
        (Ssl::Never, _) => Tls::Never,
        (Ssl::Unsaid, None) => Tls::Preferred,
        (Ssl::Required, _) | (Ssl::Unsaid, Some(_)) => Tls::Required,
    }
}

async fn open(
    login: &Login,
    addresses: &[SocketAddr],
    tls: Tls,
    ca_file: Option<&Path>,
) -> Result<Box<dyn Session>, Refusal> {
    match login.engine {
        Engine::Postgres => postgres::open(login, addresses, tls, ca_file).await,
        Engine::MySql => mysql::open(login, addresses, tls, ca_file).await,
    }
}

/// A statement's outcome, or that there was none in time.
pub(super) async fn in_time<T>(
    statement: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let late = |_| Failure::passing("the database did not answer a statement in time");
    tokio::time::timeout(STATEMENT_DEADLINE, statement).await.map_err(late)?
}

/// Of a database that sends on and on, so that nobody has to hold it.
pub(super) fn too_much() -> Failure {
    Failure::passing("the database answered more than it was asked for")
}

/// What a database's refusal is called here: its code, and never its text, which may quote the
/// statement.
pub(super) fn refused(code: &str, kind: FailureKind) -> Failure {
    let message = format!("the database refused with {code}");
    Failure { kind, message, log: None }
}
