//! One connection: how it is made, what it is told first, and what is checked before it is used.
use super::hosts::Hosts;
use super::schema;
use super::trouble::Trouble;
use crate::store::StoreError;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// For the checks of a new connection.
const CHECK_DEADLINE: Duration = Duration::from_secs(3);

/// The server ends on its own what lost its client: a transaction that holds the head's lock must not
/// hold up the other nodes.
/// Statements are planned once, perhaps while the tables are small, and kept when they have grown. What
/// has no index then counts as so dear that it would be compiled, which takes longer than all the rest.
const SETTINGS: &str = "SET enable_seqscan = off; SET jit = off; \
    SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '3s'; SET client_min_messages = warning; \
    SET default_transaction_isolation = 'read committed'; SET standard_conforming_strings = on; ";

/// What a deployment needs to know of its database.
#[derive(Clone)]
pub struct Settings {
    /// `postgresql://user:password@host[:port][,host[:port]]/database?…`
    pub url: String,
    pub schema: String,
    /// Whose certificates are believed. Without it only a database on this machine is spoken to.
    pub tls: Option<rustls::ClientConfig>,
    /// Connections for reads. One more commits.
    pub connections: usize,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("Settings").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Makes connections, all alike.
pub(super) struct Connector {
    hosts: Hosts,
    tls: Option<MakeRustlsConnect>,
    schema: String,
    cluster: [u8; 16],
    /// Told when a connection that listens hears that something was committed.
    pub(super) changed: Arc<Notify>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A connection with its driver.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    driver: AbortHandle,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connector {
    pub(super) fn new(settings: &Settings, cluster: [u8; 16]) -> Result<Self, StoreError> {
        let wrong = |what: String| StoreError::Settings(format!("store.url: {what}"));
        schema::check_name(&settings.schema)?;
        let mut config: Config = settings.url.parse().map_err(|e: tokio_postgres::Error| {
            // Both name the part that is wrong, and not what stands there.
            let why = std::error::Error::source(&e).map_or(String::new(), |why| format!(": {why}"));
            wrong(format!("{e}{why}"))
        })?;
        let tls = match (config.get_ssl_mode(), &settings.tls) {
            // PostgreSQL speaks no TLS over them.
            _ if is_unix(&config) => None,
            (SslMode::Disable, _) | (SslMode::Prefer, None) if is_local(&config) => None,
            // What is there may be one end of a tunnel.
            (mode, None) if mode != SslMode::Disable && is_local(&config) => {
                return Err(wrong(
                    "it asks for TLS, and there are no authorities to verify it".into(),
                ));
            }
            (SslMode::Disable, _) | (_, None) => {
                return Err(wrong("only a database on this machine may be without TLS".into()));
            }
            (_, Some(tls)) => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(tls.clone()))
            }
        };
        if tls.is_none() {
            config.ssl_mode(SslMode::Disable);
        }
        let hosts = Hosts::new(&config).map_err(|what| wrong(what.into()))?;
        let schema = settings.schema.clone();
        Ok(Self { hosts, tls, schema, cluster, changed: Arc::default() })
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// A connection that is ready for use: to a server that takes writes, with this deployment's tables.
    pub(super) async fn connect(&self) -> Result<Session, Trouble> {
        let session = self.open().await?;
        let check = async {
            schema::check(&session.client).await?;
            self.check_cluster(&session.client).await
        };
        let checked = timeout(CHECK_DEADLINE, check).await;
        checked.unwrap_or_else(|_| Err(Trouble::late("checking a connection")))?;
        Ok(session)
    }

    /// The first one of a start: makes the tables, and takes them for this deployment if it is new.
    pub(super) async fn prepare_database(&self, new: bool) -> Result<(), Trouble> {
        let session = self.open().await?;
        schema::create(&session.client, &self.schema).await?;
        schema::check(&session.client).await?;
        if new {
            let claim = "UPDATE head SET cluster = $1 WHERE cluster IS NULL";
            session.client.execute(claim, &[&self.cluster.as_slice()]).await?;
        }
        self.check_cluster(&session.client).await
    }

    /// A connection to look at tables that may be anybody's. None if there are none.
    pub(super) async fn look(&self) -> Result<Option<Session>, Trouble> {
        let session = self.open().await?;
        let there = "SELECT to_regclass($1) IS NOT NULL";
        let marker = format!("{}.schema_version", self.schema);
        if !session.client.query_one(there, &[&marker]).await?.get::<_, bool>(0) {
            return Ok(None);
        }
        schema::check(&session.client).await?;
        Ok(Some(session))
    }

    /// To whichever of the hosts takes writes.
    async fn open(&self) -> Result<Session, Trouble> {
        let mut last = Trouble::late("connecting");
        for (at, config) in self.hosts.in_order() {
            match timeout(self.hosts.patience(), self.open_one(config)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(trouble)) => last = trouble,
                Err(_) => last = Trouble::late("connecting"),
            }
            self.hosts.failed(at);
        }
        Err(last)
    }

    async fn open_one(&self, config: &Config) -> Result<Session, Trouble> {
        let session = match &self.tls {
            None => self.dial(config, NoTls).await?,
            Some(tls) => self.dial(config, tls.clone()).await?,
        };
        let path = format!("SET search_path = pg_catalog, {}", self.schema);
        // What a commit's `Ok` promises is that it is on disk.
        let durable = "SELECT set_config('synchronous_commit', 'on', false) \
            WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";
        session.client.batch_execute(&format!("{SETTINGS}{path}; {durable}")).await?;
        Ok(session)
    }

    async fn dial<T>(&self, config: &Config, tls: T) -> Result<Session, Trouble>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, mut connection) = config.connect(tls).await?;
        let changed = self.changed.clone();
        let driver = tokio::spawn(async move {
            // What ends the connection fails the statements that wait for it.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notification(_) = message {
                    changed.notify_one();
                }
            }
        });
        Ok(Session { client, driver: driver.abort_handle() })
    }

    async fn check_cluster(&self, client: &Client) -> Result<(), Trouble> {
        let row = client
            .query_opt("SELECT cluster FROM head ORDER BY sequence DESC LIMIT 1", &[])
            .await?;
        let gone = || StoreError::Corrupt("the database's head is gone".into());
        let found: Option<Vec<u8>> = row.ok_or_else(gone)?.get(0);
        let why = match found.as_deref() {
            Some(found) if found == self.cluster => return Ok(()),
            Some(_) => "the database belongs to another deployment",
            None => "the database is empty, but deployment.json says that there was a store",
        };
        Err(Trouble::Refused(StoreError::ReadOnly(why.into())))
    }
}

/// Whether only Unix sockets are spoken to.
fn is_unix(config: &Config) -> bool {
    let unix = |host: &Host| matches!(host, Host::Unix(_));
    // An address goes before a host.
    let hosts = config.get_hosts();
    config.get_hostaddrs().is_empty() && !hosts.is_empty() && hosts.iter().all(unix)
}

/// Whether nothing leaves this machine.
fn is_local(config: &Config) -> bool {
    let mut addresses = config.get_hostaddrs().iter();
    let addressed = !config.get_hostaddrs().is_empty();
    addresses.all(std::net::IpAddr::is_loopback)
        && config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                let address: Option<std::net::IpAddr> = name.parse().ok();
                addressed || name == "localhost" || address.is_some_and(|a| a.is_loopback())
            }
        })
}
