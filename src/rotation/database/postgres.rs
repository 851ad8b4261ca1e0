//! PostgreSQL. Passwords are sent as SCRAM verifiers, so that no log of statements has one.
use super::session::{
    Passwords, Refusal, STATEMENT_DEADLINE, Session, Tls, in_time, refused, too_much,
};
use super::sql::{Account, postgres_name, postgres_text};
use super::wrong;
use crate::outgoing::client_tls;
use crate::rotation::{Failure, FailureKind};
use crate::secrets::database::{Engine, Login};
use crate::types::SecretText;
use async_trait::async_trait;
use futures_util::TryStreamExt;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use tokio::io::{AsyncReadExt, Join, Take, join};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// As AWS's functions, when the secret names none.
const DEFAULT_DATABASE: &str = "postgres";
/// Before version 10 a verifier would have been taken for a password.
const OLDEST_VERSION: u32 = 100_000;
/// Bytes that one session may read, which is far more than ours need: the driver takes messages as
/// long as they say that they are.
const MOST_READ: u64 = 1024 * 1024;
/// Rows of one answer.
const MOST_ROWS: usize = 16;
/// What a role is beside what it was granted: a member of another role has none of it.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("rolsuper", "SUPERUSER"),
    ("rolcreatedb", "CREATEDB"),
    ("rolcreaterole", "CREATEROLE"),
    ("rolreplication", "REPLICATION"),
    ("rolbypassrls", "BYPASSRLS"),
];

/// A connection that ends for us when it was read from for too long.
type Wire = Join<Take<OwnedReadHalf>, OwnedWriteHalf>;

struct Postgres {
    client: Client,
    connection: JoinHandle<()>,
    username: String,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

pub(super) async fn open(
    login: &Login,
    addresses: &[SocketAddr],
    tls: Tls,
    ca_file: Option<&Path>,
) -> Result<Box<dyn Session>, Refusal> {
    let (mode, tls) = match tls {
        Tls::Never => (SslMode::Disable, None),
        Tls::Preferred => (SslMode::Prefer, Some(authorities(ca_file)?)),
        Tls::Required => (SslMode::Require, Some(authorities(ca_file)?)),
    };
    let outcome = connect(login, dial(addresses).await?, mode, tls).await;
    let mut session = outcome.map_err(|error| refusal(&error))?;
    let begun = session.begin().await;
    begun.map_err(Refusal::Other)?;
    Ok(Box::new(session))
}

fn authorities(ca_file: Option<&Path>) -> Result<ClientConfig, Refusal> {
    client_tls(ca_file).map_err(|error| Refusal::Tls(error.to_string()))
}

async fn dial(addresses: &[SocketAddr]) -> Result<Wire, Refusal> {
    let dialled = TcpStream::connect(addresses).await;
    let dialled = dialled.map_err(|error| Refusal::Other(Failure::passing(error.to_string())))?;
    let (read, write) = dialled.into_split();
    Ok(join(read.take(MOST_READ), write))
}

async fn connect(
    login: &Login,
    wire: Wire,
    mode: SslMode,
    tls: Option<ClientConfig>,
) -> Result<Postgres, Error> {
    let mut config = Config::new();
    config
        .user(login.username.as_str())
        .password(login.password.expose())
        .dbname(login.database.as_deref().unwrap_or(DEFAULT_DATABASE))
        .application_name("claviger")
        .ssl_mode(mode);
    let (client, connection) = match tls {
        None => {
            let (client, connection) = config.connect_raw(wire, NoTls).await?;
            (client, drive(connection))
        }
        Some(tls) => {
            let mut tls = MakeRustlsConnect::new(tls);
            let Ok(tls) = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls, &login.host);
            let (client, connection) = config.connect_raw(wire, tls).await?;
            (client, drive(connection))
        }
    };
    Ok(Postgres { client, connection, username: login.username.clone() })
}

/// What breaks a connection breaks the statement that waits for it.
fn drive(connection: impl Future<Output = Result<(), Error>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move { drop(connection.await) })
}

impl Postgres {
    /// The database's owner chooses what sessions begin with. So no name is looked up before they have
    /// search paths of our own: an operator of the owner's would run with the rights of whoever logged
    /// in, an administrator too.
    async fn begin(&mut self) -> Result<(), Failure> {
        let milliseconds = STATEMENT_DEADLINE.as_millis();
        self.run(&format!(
            "SET search_path = pg_catalog, pg_temp; SET ROLE NONE;
             SET statement_timeout = {milliseconds}; SET lock_timeout = {milliseconds};
             SET standard_conforming_strings = on"
        ))
        .await?;
        let version = self.value("SHOW server_version_num").await?;
        match version.and_then(|version| version.parse::<u32>().ok()) {
            Some(version) if version >= OLDEST_VERSION => Ok(()),
            _ => Err(Failure::lasting("the database is older than PostgreSQL 10")),
        }
    }

    async fn run(&mut self, statements: &str) -> Result<(), Failure> {
        let run = async { self.client.batch_execute(statements).await.map_err(|e| failed(&e)) };
        in_time(run).await
    }

    /// The first column of the first row.
    async fn value(&mut self, query: &str) -> Result<Option<String>, Failure> {
        let rows = self.rows(query).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    async fn rows(&mut self, query: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let asked = async {
            let answers = self.client.simple_query_raw(query).await.map_err(|e| failed(&e))?;
            let mut answers = pin!(answers);
            let mut rows = Vec::new();
            while let Some(answer) = answers.try_next().await.map_err(|e| failed(&e))? {
                let SimpleQueryMessage::Row(row) = answer else { continue };
                if rows.len() == MOST_ROWS {
                    return Err(too_much());
                }
                rows.push((0..row.len()).map(|n| row.get(n).map(ToOwned::to_owned)).collect());
            }
            Ok(rows)
        };
        in_time(asked).await
    }

    /// Refuses two users of which the one with the longer name is no clone of the other: a member of
    /// it, as [`Self::create`] makes them, and nothing more.
    async fn check_clone(&mut self, one: &Account, other: &Account) -> Result<(), Failure> {
        let (original, clone) = match one.user.len() < other.user.len() {
            true => (&one.user, &other.user),
            false => (&other.user, &one.user),
        };
        let no_more: String = ATTRIBUTES
            .iter()
            .map(|(column, _)| format!(" AND (o.{column} OR NOT c.{column})"))
            .collect();
        let query = format!(
            "SELECT 1 FROM pg_catalog.pg_auth_members m \
             JOIN pg_catalog.pg_roles o ON o.oid = m.roleid \
             JOIN pg_catalog.pg_roles c ON c.oid = m.member \
             WHERE o.rolname = {} AND c.rolname = {}{no_more} AND NOT EXISTS ( \
                SELECT 1 FROM pg_catalog.pg_auth_members x \
                WHERE x.member = c.oid AND x.roleid <> o.oid AND NOT EXISTS ( \
                    SELECT 1 FROM pg_catalog.pg_auth_members y \
                    WHERE y.member = o.oid AND y.roleid = x.roleid)) \
             LIMIT 1",
            postgres_text(original),
            postgres_text(clone)
        );
        if self.value(&query).await?.is_some() {
            return Ok(());
        }
        Err(Failure::lasting(format!(
            "{clone} is no clone of {original}: it must be a member of it, and have no other role and \
             no attribute that {original} lacks"
        )))
    }

    /// `CREATE ROLE … LOGIN` as the other role is.
    async fn create(
        &mut self,
        from: &Account,
        to: &Account,
        password: &SecretText,
    ) -> Result<(), Failure> {
        let columns: Vec<&str> = ATTRIBUTES.iter().map(|(column, _)| *column).collect();
        let query = format!(
            "SELECT rolconnlimit, {} FROM pg_catalog.pg_roles WHERE rolname = {}",
            columns.join(", "),
            postgres_text(&from.user)
        );
        let row = self.rows(&query).await?.into_iter().next();
        let row = row.ok_or_else(|| Failure::lasting("the user to be copied is not there"))?;
        let mut values = row.into_iter().flatten();
        let limit: i32 = values.next().and_then(|limit| limit.parse().ok()).unwrap_or(-1);
        let has: String = ATTRIBUTES
            .iter()
            .zip(values)
            .filter(|(_, value)| value == "t")
            .map(|((_, attribute), _)| format!(" {attribute}"))
            .collect();
        // In one transaction: a user that could log in and could do nothing would pass for finished.
        self.run(&format!(
            "BEGIN; CREATE ROLE {to} LOGIN{has} CONNECTION LIMIT {limit} PASSWORD '{}'; \
             GRANT {from} TO {to}; COMMIT",
            verifier(password),
            from = postgres_name(&from.user),
            to = postgres_name(&to.user),
        ))
        .await
    }
}

#[async_trait]
impl Session for Postgres {
    async fn probe(&mut self) -> Result<(), Failure> {
        self.value("SELECT now()").await.map(drop)
    }

    async fn account(&mut self) -> Result<Account, Failure> {
        Ok(Account { user: self.username.clone(), host: String::new() })
    }

    async fn change_own(&mut self, password: &SecretText) -> Result<(), Failure> {
        self.run(&format!("ALTER ROLE SESSION_USER PASSWORD '{}'", verifier(password))).await
    }

    async fn change(&mut self, account: &Account, password: &SecretText) -> Result<(), Failure> {
        let (name, verifier) = (postgres_name(&account.user), verifier(password));
        self.run(&format!("ALTER ROLE {name} PASSWORD '{verifier}'")).await
    }

    async fn copy(
        &mut self,
        from: &Account,
        to: &Account,
        passwords: &Passwords<'_>,
        known: bool,
    ) -> Result<(), Failure> {
        let name = postgres_text(&to.user);
        let query = format!("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {name}");
        if self.value(&query).await?.is_none() {
            return self.create(from, to, passwords.last).await;
        }
        if !known {
            self.check_clone(from, to).await?;
        }
        self.change(to, passwords.last).await
    }

    async fn add(&mut self, _: &Account, _: &SecretText, _: &SecretText) -> Result<(), Failure> {
        Engine::Postgres.has_two_passwords().map_err(|what| wrong("current", what))
    }

    async fn keep_only(&mut self, _: &Account, _: &SecretText) -> Result<(), Failure> {
        Ok(())
    }
}

/// Has letters, digits and `$:+/=-` only.
fn verifier(password: &SecretText) -> String {
    postgres_protocol::password::scram_sha_256(password.expose().as_bytes())
}

fn code(error: &Error) -> &str {
    error.code().map_or("", |state| state.code())
}

fn refusal(error: &Error) -> Refusal {
    if let Some(why) = tls_error(error) {
        return Refusal::Tls(why);
    }
    match code(error) {
        // No such user, a wrong password, or no rule that lets the user in.
        "28P01" | "28000" => Refusal::Login,
        _ => Refusal::Other(failed(error)),
    }
}

/// Why TLS was not to be had, if that is it.
fn tls_error(error: &Error) -> Option<String> {
    let source = std::error::Error::source(error)?;
    if let Some(io) = source.downcast_ref::<std::io::Error>() {
        let inner = io.get_ref()?.downcast_ref::<rustls::Error>()?;
        return Some(inner.to_string());
    }
    // The driver's own kinds of errors cannot be told apart but by their texts.
    let text = error.to_string();
    text.starts_with("error performing TLS handshake")
        .then(|| "the server does not offer it, or the host is no name for it".to_owned())
}

fn failed(error: &Error) -> Failure {
    let code = code(error);
    if code.is_empty() {
        return Failure::passing("the connection to the database failed or broke");
    }
    // Connections, rollbacks, resources, operators and the system itself; a lock that was not to be
    // had; a server that is read-only until it has taken over. (PostgreSQL, appendix A.)
    let passing = ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "25006");
    let kind = if passing { FailureKind::Passing } else { FailureKind::Lasting };
    refused(&format!("SQLSTATE {code}{}", meaning(code)), kind)
}

fn meaning(code: &str) -> &'static str {
    match code {
        "42501" => " (the user may not do this)",
        "3D000" => " (there is no such database)",
        "53300" => " (too many connections)",
        "55P03" | "57014" => " (not in time)",
        "25006" => " (it is read-only)",
        _ => "",
    }
}
