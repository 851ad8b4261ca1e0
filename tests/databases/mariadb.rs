//! A MariaDB.
use super::{
    ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, certificates, free_port, guard, program, text_of,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use std::path::PathBuf;
use std::process::Child;

/// Of a hundred megabytes otherwise, which each server's directory would have.
const LOG_FILE_SIZE: &str = "--innodb-log-file-size=8M";

#[derive(Debug)]
pub struct MariaDb {
    pub port: u16,
    /// Whose certificate the server has.
    pub ca_file: PathBuf,
    log: PathBuf,
    statements: PathBuf,
    _guard: Child,
}

impl MariaDb {
    /// A server of its own. Most tests share [`super::mariadb`].
    pub fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("a free port")
    }

    fn try_start() -> Option<Self> {
        let directory = guard::directory();
        let file = |name: &str| directory.join(name);
        let text = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let settings = [
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
            LOG_FILE_SIZE,
        ];
        let server = program("mariadbd");
        super::filled(&server, &settings, &file("data"), || {
            let data = format!("--datadir={}", text("data"));
            let mut arguments = vec!["--no-defaults".to_owned(), data];
            arguments.extend(settings.map(str::to_owned));
            guard::run(&program("mariadb-install-db"), &arguments, &file("install.log"));
        });
        std::fs::write(
            file("first.sql"),
            format!(
                "CREATE USER '{ADMINISTRATOR}'@'%' IDENTIFIED BY '{}';\n\
                 GRANT ALL PRIVILEGES ON *.* TO '{ADMINISTRATOR}'@'%' WITH GRANT OPTION;\n",
                ADMINISTRATOR_PASSWORD.replace('\'', "''")
            ),
        )
        .unwrap();
        guard::give(&file("first.sql"));

        let files = certificates::write(&directory);
        let port = free_port();
        let arguments = [
            "--no-defaults".to_owned(),
            format!("--datadir={}", text("data")),
            format!("--bind-address={HOST}"),
            format!("--port={port}"),
            format!("--socket={}", text("socket")),
            format!("--pid-file={}", text("pid")),
            format!("--init-file={}", text("first.sql")),
            format!("--ssl-ca={}", files.ca.display()),
            format!("--ssl-cert={}", files.certificate.display()),
            format!("--ssl-key={}", files.key.display()),
            "--skip-name-resolve".into(),
            "--innodb-flush-log-at-trx-commit=0".into(),
            LOG_FILE_SIZE.into(),
            "--innodb-buffer-pool-size=16M".into(),
            "--innodb-fast-shutdown=2".into(),
            "--max-connections=100".into(),
            // So that tests can look for passwords in it.
            "--general-log=1".into(),
            format!("--general-log-file={}", text("statements.log")),
        ];
        let (log, statements) = (file("server.log"), file("statements.log"));
        let ready = "ready for connections";
        let guard = guard::start(&directory, "KILL", &server, &arguments, &log, ready)?;
        Some(Self { port, ca_file: files.ca, log, statements, _guard: guard })
    }

    /// All that the server logged, every statement among it.
    pub fn log(&self) -> String {
        format!("{}{}", text_of(&self.log), text_of(&self.statements))
    }

    /// A connection of this user. Its error is the server's.
    pub async fn login(&self, user: &str, password: &str) -> Result<Conn, mysql_async::Error> {
        let options = OptsBuilder::default()
            .ip_or_hostname(HOST)
            .tcp_port(self.port)
            .prefer_socket(false)
            .user(Some(user))
            .pass(Some(password));
        Conn::new(options).await
    }

    pub async fn administrator(&self) -> Conn {
        self.login(ADMINISTRATOR, ADMINISTRATOR_PASSWORD).await.unwrap()
    }

    /// Statements of the administrator, one by one, all of which must succeed.
    pub async fn execute(&self, statements: &[&str]) {
        let mut connection = self.administrator().await;
        for statement in statements {
            connection.query_drop(*statement).await.unwrap();
        }
    }
}
