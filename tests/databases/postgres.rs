//! A PostgreSQL.
use super::{
    ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, certificates, free_port, guard, program, text_of,
};
use std::path::PathBuf;
use std::process::Child;
use tokio_postgres::{Client, Config, NoTls};

#[derive(Debug)]
pub struct Postgres {
    pub port: u16,
    /// Whose certificate the server has.
    pub ca_file: PathBuf,
    log: PathBuf,
    directory: PathBuf,
    arguments: Vec<String>,
    guards: Vec<Child>,
}

impl Postgres {
    /// A server of its own. Most tests share [`super::postgres`].
    pub fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("a free port")
    }

    fn try_start() -> Option<Self> {
        let directory = guard::directory();
        let file = |name: &str| directory.join(name);
        let text = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let settings = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--wal-segsize=1"];
        let server = program("postgres");
        super::filled(&server, &settings, &file("data"), || {
            std::fs::write(file("password"), ADMINISTRATOR_PASSWORD).unwrap();
            guard::give(&file("password"));
            let mut arguments = vec![
                format!("--pgdata={}", text("data")),
                format!("--username={ADMINISTRATOR}"),
                format!("--pwfile={}", text("password")),
                "--no-sync".into(),
            ];
            arguments.extend(settings.map(str::to_owned));
            guard::run(&program("initdb"), &arguments, &file("initdb.log"));
        });
        // Members of `tls_only` come in over TLS only.
        let hba = file("data").join("pg_hba.conf");
        let rest = std::fs::read_to_string(&hba).unwrap();
        let rule = "hostnossl all +tls_only all reject\n";
        std::fs::write(&hba, format!("{rule}{rest}")).unwrap();

        let files = certificates::write(&directory);
        let port = free_port();
        let mut arguments = vec!["-D".to_owned(), text("data")];
        for setting in [
            format!("listen_addresses={HOST}"),
            format!("port={port}"),
            "unix_socket_directories=".into(),
            "ssl=on".into(),
            format!("ssl_cert_file={}", files.certificate.display()),
            format!("ssl_key_file={}", files.key.display()),
            "fsync=off".into(),
            "synchronous_commit=off".into(),
            "full_page_writes=off".into(),
            "shared_buffers=16MB".into(),
            "max_connections=100".into(),
            "autovacuum=off".into(),
            // So that tests can look for passwords in it.
            "log_statement=all".into(),
            "lc_messages=C".into(),
        ] {
            arguments.extend(["-c".to_owned(), setting]);
        }
        let log = file("server.log");
        let ready = "database system is ready to accept connections";
        let guard = guard::start(&directory, "QUIT", &server, &arguments, &log, ready)?;
        let guards = vec![guard];
        Some(Self { port, ca_file: files.ca, log, directory, arguments, guards })
    }

    /// The server's process, the parent of all others of it.
    pub fn process(&self) -> u32 {
        let file = std::fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// Starts it again once it has ended. The guards of earlier starts stay: each would remove the
    /// directory.
    pub fn restart(&mut self) {
        let data = self.directory.join("data");
        let lives = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let mut places = processes.filter_map(|one| one.path().join("cwd").read_link().ok());
            places.any(|place| place == data)
        };
        while lives() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // The guard still waits for the one before, so that its number is not free; the server would
        // take it for alive. There is none after an orderly end.
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        let ready = "database system is ready to accept connections";
        let server = program("postgres");
        let started =
            guard::start(&self.directory, "QUIT", &server, &self.arguments, &self.log, ready);
        self.guards.push(started.expect("the port is its own"));
    }

    /// All that the server logged, every statement among it.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }

    /// A connection of this user. Its error is the server's.
    pub async fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host(HOST).port(self.port).user(user).password(password).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub async fn administrator(&self) -> Client {
        self.login(ADMINISTRATOR, ADMINISTRATOR_PASSWORD, "postgres").await.unwrap()
    }

    /// Statements of the administrator, all of which must succeed.
    pub async fn execute(&self, statements: &str) {
        self.administrator().await.batch_execute(statements).await.unwrap();
    }
}
