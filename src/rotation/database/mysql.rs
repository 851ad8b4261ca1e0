//! MySQL and MariaDB. MariaDB is sent passwords as hashes, so that no log of statements has one; MySQL
//! takes them out of its logs by itself.
use super::session::{
    Passwords, Refusal, STATEMENT_DEADLINE, Session, Tls, in_time, refused, too_much,
};
use super::sql::{Account, Rights, grant_for, mysql_text, plugins};
use crate::outgoing::roots_file;
use crate::rotation::{Failure, FailureKind};
use crate::secrets::database::Login;
use crate::types::SecretText;
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Row, SslOpts};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Handle;

/// What the driver would otherwise ask the server, each time.
const MAX_PACKET: usize = 1024 * 1024;
const WAIT_SECONDS: usize = 3600;

/// Rows of one answer, and the bytes in them.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: u64 = 1024 * 1024;
/// For the end of a connection.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

struct MySql {
    /// None while it is dropped only.
    connection: Option<Conn>,
    is_mariadb: bool,
}

/// Left to itself, the driver would read an unfinished answer to its end, however long that is.
impl Drop for MySql {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let (Some(connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(GOODBYE_DEADLINE, connection.disconnect()));
        }
    }
}

pub(super) async fn open(
    login: &Login,
    addresses: &[SocketAddr],
    tls: Tls,
    ca_file: Option<&Path>,
) -> Result<Box<dyn Session>, Refusal> {
    let ips: Vec<_> = addresses.iter().map(SocketAddr::ip).collect();
    let ssl = match tls {
        Tls::Never => None,
        Tls::Required | Tls::Preferred => {
            let file = roots_file(ca_file).map_err(|error| Refusal::Tls(error.to_string()))?;
            let roots = vec![file.to_owned().into()];
            Some(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
        }
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(login.host.as_str())
        .resolved_ips(Some(ips))
        .tcp_port(login.port)
        .prefer_socket(false)
        .user(Some(login.username.as_str()))
        .pass(Some(login.password.expose()))
        .db_name(login.database.as_deref())
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(WAIT_SECONDS))
        .stmt_cache_size(0)
        .ssl_opts(ssl);
    let connection = Conn::new(options).await.map_err(|error| refusal(&error))?;
    let mut session = MySql { connection: Some(connection), is_mariadb: false };
    session.begin().await.map_err(Refusal::Other)?;
    Ok(Box::new(session))
}

impl MySql {
    /// Makes the session one whose quotes are known.
    async fn begin(&mut self) -> Result<(), Failure> {
        self.run(&format!(
            "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES', \
             SESSION sql_quote_show_create = 1, SESSION lock_wait_timeout = {}",
            STATEMENT_DEADLINE.as_secs()
        ))
        .await?;
        let version: Vec<String> = self.rows("SELECT VERSION()").await?;
        self.is_mariadb = version.iter().any(|version| version.contains("MariaDB"));
        Ok(())
    }

    async fn run(&mut self, statement: &str) -> Result<(), Failure> {
        let connection = self.connection()?;
        in_time(async { connection.query_drop(statement).await.map_err(|e| failed(&e)) }).await
    }

    async fn rows<T: FromRow + Send + 'static>(&mut self, query: &str) -> Result<Vec<T>, Failure> {
        let connection = self.connection()?;
        let asked = async {
            let mut result = connection.query_iter(query).await.map_err(|e| failed(&e))?;
            let (mut rows, mut bytes) = (Vec::new(), 0_u64);
            while let Some(row) = result.next().await.map_err(|e| failed(&e))? {
                bytes = bytes.saturating_add(size(&row));
                if rows.len() == MOST_ROWS || bytes > MOST_BYTES {
                    return Err(too_much());
                }
                let strange = |_| Failure::passing("the database answered in another form");
                rows.push(T::from_row_opt(row).map_err(strange)?);
            }
            Ok(rows)
        };
        in_time(asked).await
    }

    fn connection(&mut self) -> Result<&mut Conn, Failure> {
        self.connection.as_mut().ok_or_else(|| Failure::passing("the connection was closed"))
    }

    /// What stands behind `SET PASSWORD … =`.
    fn password(&self, password: &SecretText) -> String {
        match self.is_mariadb {
            true => mysql_text(&hash(password)),
            false => mysql_text(password.expose()),
        }
    }

    /// As AWS's function: requirements of TLS, and beyond it the limits, which are no grants either.
    async fn copy_options(&mut self, from: &Account, to: &Account) -> Result<(), Failure> {
        let of = format!(
            "FROM mysql.user WHERE User = {} AND Host = {}",
            mysql_text(&from.user),
            mysql_text(&from.host)
        );
        let columns = ["ssl_type", "ssl_cipher", "x509_issuer", "x509_subject"];
        let texts = columns.map(|column| format!("CONVERT({column} USING utf8mb4)")).join(", ");
        let tls: Vec<(String, String, String, String)> =
            self.rows(&format!("SELECT {texts} {of}")).await?;
        let limits: Vec<(i64, i64, i64, i64)> = self
            .rows(&format!(
                "SELECT max_questions, max_updates, max_connections, max_user_connections {of}"
            ))
            .await?;
        let (Some(tls), Some(limits)) = (tls.first(), limits.first()) else {
            return Err(Failure::lasting("the user to be copied is not there"));
        };
        self.run(&format!(
            "ALTER USER {} REQUIRE {} WITH MAX_QUERIES_PER_HOUR {} MAX_UPDATES_PER_HOUR {} \
             MAX_CONNECTIONS_PER_HOUR {} MAX_USER_CONNECTIONS {}",
            to.sql(),
            requirement(tls),
            limits.0,
            limits.1,
            limits.2,
            limits.3
        ))
        .await
    }

    async fn copy_grants(&mut self, from: &Account, to: &Account) -> Result<(), Failure> {
        let rows: Vec<String> = self.rows(&format!("SHOW GRANTS FOR {}", from.sql())).await?;
        for row in rows {
            let strange = |_| Failure::lasting("a grant of the user is not understood");
            if let Some(statement) = grant_for(&row, from, to).map_err(strange)? {
                self.run(&statement).await?;
            }
        }
        if self.is_mariadb {
            return Ok(());
        }
        // MySQL shows them nowhere among the grants.
        let rows: Vec<(String, String)> = self
            .rows(&format!(
                "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles \
                 WHERE USER = {} AND HOST = {}",
                mysql_text(&from.user),
                mysql_text(&from.host)
            ))
            .await?;
        if rows.is_empty() {
            return Ok(());
        }
        let role = |(user, host)| Account { user, host }.sql();
        let roles: Vec<String> = rows.into_iter().map(role).collect();
        self.run(&format!("SET DEFAULT ROLE {} TO {}", roles.join(", "), to.sql())).await
    }

    /// Refuses an account that is there and may do what the other may not.
    async fn check_rights(&mut self, from: &Account, to: &Account) -> Result<(), Failure> {
        let query = format!(
            "SELECT 1 FROM mysql.user WHERE User = {} AND Host = {}",
            mysql_text(&to.user),
            mysql_text(&to.host)
        );
        let there: Vec<i64> = self.rows(&query).await?;
        if there.is_empty() || self.rights(to).await?.within(&self.rights(from).await?) {
            return Ok(());
        }
        Err(Failure::lasting(format!(
            "{} has privileges that {} lacks: either may have what both have",
            to.user, from.user
        )))
    }

    async fn rights(&mut self, account: &Account) -> Result<Rights, Failure> {
        let rows: Vec<String> = self.rows(&format!("SHOW GRANTS FOR {}", account.sql())).await?;
        let strange = |_| Failure::lasting("a grant of the user is not understood");
        Rights::of(&rows, account).map_err(strange)
    }

    /// MariaDB's accounts can have several ways to log in, of which two passwords are one case.
    async fn only_passwords(&mut self, account: &Account) -> Result<(), Failure> {
        let rows: Vec<String> = self.rows(&format!("SHOW CREATE USER {}", account.sql())).await?;
        let ways = rows.first().and_then(|row| plugins(row));
        match ways {
            Some(ways) if ways.iter().all(|way| way == "mysql_native_password") => Ok(()),
            _ => {
                Err(Failure::lasting("the user logs in otherwise than with mysql_native_password"))
            }
        }
    }
}

#[async_trait]
impl Session for MySql {
    async fn probe(&mut self) -> Result<(), Failure> {
        self.run("SELECT NOW()").await
    }

    async fn account(&mut self) -> Result<Account, Failure> {
        let rows: Vec<String> = self.rows("SELECT CURRENT_USER()").await?;
        let account = rows.first().and_then(|text| Account::parse(text));
        account.ok_or_else(|| Failure::lasting("the database does not say who is logged in"))
    }

    async fn change_own(&mut self, password: &SecretText) -> Result<(), Failure> {
        self.run(&format!("SET PASSWORD = {}", self.password(password))).await
    }

    async fn change(&mut self, account: &Account, password: &SecretText) -> Result<(), Failure> {
        let (account, password) = (account.sql(), self.password(password));
        self.run(&format!("SET PASSWORD FOR {account} = {password}")).await
    }

    async fn copy(
        &mut self,
        from: &Account,
        to: &Account,
        passwords: &Passwords<'_>,
        known: bool,
    ) -> Result<(), Failure> {
        if !known {
            self.check_rights(from, to).await?;
        }
        // Its password comes last. Statements about users are no transaction: were it first, a user
        // without grants could log in after a crash, and would pass for finished.
        let identified = match self.is_mariadb {
            true => format!("BY PASSWORD {}", mysql_text(&hash(passwords.throwaway))),
            false => format!("BY {}", mysql_text(passwords.throwaway.expose())),
        };
        self.run(&format!("CREATE USER IF NOT EXISTS {} IDENTIFIED {identified}", to.sql()))
            .await?;
        self.copy_grants(from, to).await?;
        self.copy_options(from, to).await?;
        self.change(to, passwords.last).await
    }

    async fn add(
        &mut self,
        account: &Account,
        new: &SecretText,
        old: &SecretText,
    ) -> Result<(), Failure> {
        let name = account.sql();
        if !self.is_mariadb {
            let new = mysql_text(new.expose());
            let statement =
                format!("ALTER USER {name} IDENTIFIED BY {new} RETAIN CURRENT PASSWORD");
            return self.run(&statement).await;
        }
        self.only_passwords(account).await?;
        let way = |password| format!("mysql_native_password USING {}", mysql_text(&hash(password)));
        let (new, old) = (way(new), way(old));
        self.run(&format!("ALTER USER {name} IDENTIFIED VIA {new} OR {old}")).await
    }

    async fn keep_only(&mut self, account: &Account, password: &SecretText) -> Result<(), Failure> {
        let name = account.sql();
        if !self.is_mariadb {
            return self.run(&format!("ALTER USER {name} DISCARD OLD PASSWORD")).await;
        }
        self.only_passwords(account).await?;
        let hash = mysql_text(&hash(password));
        self.run(&format!("ALTER USER {name} IDENTIFIED VIA mysql_native_password USING {hash}"))
            .await
    }
}

fn size(row: &Row) -> u64 {
    (0..row.len()).filter_map(|n| row.as_ref(n)).map(mysql_async::Value::bin_len).sum()
}

/// What follows `REQUIRE`.
fn requirement((kind, cipher, issuer, subject): &(String, String, String, String)) -> String {
    match kind.as_str() {
        "" => "NONE".into(),
        "ANY" => "SSL".into(),
        "X509" => "X509".into(),
        _ => {
            let parts = [("CIPHER", cipher), ("ISSUER", issuer), ("SUBJECT", subject)];
            let parts = parts.iter().filter(|(_, text)| !text.is_empty());
            let parts: Vec<String> =
                parts.map(|(what, text)| format!("{what} {}", mysql_text(text))).collect();
            parts.join(" AND ")
        }
    }
}

/// `PASSWORD()` of `mysql_native_password`: SHA-1 of SHA-1.
fn hash(password: &SecretText) -> String {
    let once = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes());
    let twice = digest(&SHA1_FOR_LEGACY_USE_ONLY, once.as_ref());
    format!("*{}", hex::encode_upper(twice.as_ref()))
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::Io(IoError::Tls(error)) => Refusal::Tls(error.to_string()),
        Error::Io(IoError::Io(io)) => {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            tls.map_or_else(|| Refusal::Other(failed(error)), |tls| Refusal::Tls(tls.to_string()))
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Refusal::Tls("the server does not offer it".into())
        }
        // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR.
        Error::Server(server) if matches!(server.code, 1045 | 1698) => Refusal::Login,
        _ => Refusal::Other(failed(error)),
    }
}

fn failed(error: &Error) -> Failure {
    let code = match error {
        Error::Server(server) => server.code,
        Error::Driver(DriverError::UnknownAuthPlugin { .. }) => {
            return Failure::lasting("the user logs in with a plugin that is not known here");
        }
        Error::Io(IoError::Io(io)) => return Failure::passing(io.kind().to_string()),
        _ => return Failure::passing("the connection to the database failed or broke"),
    };
    // Connections, shutdown, memory, locks, limits that pass, a server that is read-only until it has
    // taken over. (MySQL, "Server Error Message Reference".)
    let passing = matches!(
        code,
        1037 | 1038 | 1040 | 1041 | 1053 | 1152 | 1158
            ..=1161 | 1203 | 1205 | 1213 | 1226 | 1290 | 1792 | 1836 | 3024
    );
    let kind = if passing { FailureKind::Passing } else { FailureKind::Lasting };
    refused(&format!("error {code}{}", meaning(code)), kind)
}

fn meaning(code: u16) -> &'static str {
    match code {
        1044 | 1142 | 1227 => " (the user may not do this)",
        1049 => " (there is no such database)",
        1040 | 1203 | 1226 => " (too many connections)",
        1205 => " (not in time)",
        1290 | 1836 => " (it is read-only)",
        1819 => " (its policy does not take the password)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_servers() {
        // SELECT PASSWORD('password')
        let hash = hash(&SecretText::new("password".into()));
        assert_eq!(hash, "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }

    #[test]
    fn requirements_are_said_again() {
        let of = |kind: &str, cipher: &str, issuer: &str, subject: &str| {
            requirement(&(kind.into(), cipher.into(), issuer.into(), subject.into()))
        };
        assert_eq!(of("", "", "", ""), "NONE");
        assert_eq!(of("ANY", "", "", ""), "SSL");
        assert_eq!(of("X509", "", "", ""), "X509");
        let subject = "/CN=it's' WITH GRANT OPTION";
        assert_eq!(
            of("SPECIFIED", "", "/CN=ca", subject),
            "ISSUER '/CN=ca' AND SUBJECT '/CN=it''s'' WITH GRANT OPTION'"
        );
    }
}
