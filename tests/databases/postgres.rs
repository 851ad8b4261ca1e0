//! A PostgreSQL.
use super::{
    ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, certificates, free_port, guard, program, text_of,
};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls};

/// What a server logs that takes writes.
const READY: &str = "database system is ready to accept connections";

/// The connections of our servers.
const OURS: &str = "pg_stat_activity WHERE application_name = 'claviger'";

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

/// The files of a server, copied while it ran.
#[derive(Debug)]
pub struct BaseBackup(PathBuf);

impl BaseBackup {
    /// A second server, with these files.
    pub fn serve(self) -> Postgres {
        Postgres::serve(self.0, READY).expect("a free port")
    }

    /// A standby, which follows the server that these files are of.
    pub fn follow(self, primary: &Postgres) -> Postgres {
        let file = |name: &str| self.0.join("data").join(name);
        std::fs::write(file("standby.signal"), "").unwrap();
        guard::give(&file("standby.signal"));
        let settings = file("postgresql.auto.conf");
        let before = std::fs::read_to_string(&settings).unwrap();
        let primary = format!("primary_conninfo = '{}?sslmode=disable'", primary.url("postgres"));
        std::fs::write(&settings, format!("{before}\n{primary}\n")).unwrap();
        let ready = "database system is ready to accept read-only connections";
        Postgres::serve(self.0, ready).expect("a free port")
    }
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

        Self::serve(directory, READY)
    }

    /// Of a directory whose `data` is filled. `ready`: what the server logs then.
    fn serve(directory: PathBuf, ready: &str) -> Option<Self> {
        let file = |name: &str| directory.join(name);
        let text = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let server = program("postgres");
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
        let guard = guard::start(&directory, "QUIT", &server, &arguments, &log, ready)?;
        let guards = vec![guard];
        Some(Self { port, ca_file: files.ca, log, directory, arguments, guards })
    }

    pub fn url(&self, database: &str) -> String {
        super::url(self.port, database)
    }

    /// What `pg_basebackup` makes of it while it runs.
    pub fn base_backup(&self) -> BaseBackup {
        let directory = guard::directory();
        let arguments = [
            format!("--dbname={}?sslmode=disable", self.url("postgres")),
            format!("--pgdata={}", directory.join("data").display()),
            "--wal-method=stream".into(),
            "--checkpoint=fast".into(),
            "--no-sync".into(),
        ];
        guard::run(&program("pg_basebackup"), &arguments, &directory.join("base_backup.log"));
        BaseBackup(directory)
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
            std::thread::sleep(Duration::from_millis(50));
        }
        // The guard still waits for the one before, so that its number is not free; the server would
        // take it for alive. There is none after an orderly end.
        let _ = std::fs::remove_file(data.join("postmaster.pid"));
        let server = program("postgres");
        let started =
            guard::start(&self.directory, "QUIT", &server, &self.arguments, &self.log, READY);
        self.guards.push(started.expect("the port is its own"));
    }

    /// Ends all its processes together and for good, as when its machine is lost. Left alone for a moment,
    /// those that wait for a standby would go on without it.
    pub fn kill(&self) {
        let data = self.directory.join("data");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let here = processes
            .filter(|one| one.path().join("cwd").read_link().is_ok_and(|place| place == data));
        let here: Vec<u32> =
            here.filter_map(|one| one.file_name().to_str()?.parse().ok()).collect();
        for how in [Signal::STOP, Signal::KILL] {
            here.iter().for_each(|process| signal(*process, how));
        }
    }

    /// Ends it by this signal (KILL, QUIT for an immediate and INT for a fast end), and starts it again after
    /// half a second.
    pub fn bounce(&mut self, how: Signal) {
        signal(self.process(), how);
        std::thread::sleep(Duration::from_millis(500));
        self.restart();
    }

    /// Stands still for so long, with all that serve our servers.
    pub async fn pause(&self, time: Duration) {
        let client = self.administrator().await;
        let ours = client.query(&format!("SELECT pid FROM {OURS}"), &[]).await.unwrap();
        let ours = ours.iter().map(|row| u32::try_from(row.get::<_, i32>(0)).unwrap());
        let all: Vec<u32> = std::iter::once(self.process()).chain(ours).collect();
        all.iter().for_each(|process| signal(*process, Signal::STOP));
        tokio::time::sleep(time).await;
        all.iter().for_each(|process| signal(*process, Signal::CONT));
    }

    /// Has somebody else hold all its connections for so long, also those that our servers had.
    pub async fn use_up(&self, time: Duration) {
        let client = self.administrator().await;
        let mut taken = Vec::new();
        let end = format!("SELECT pg_terminate_backend(pid) FROM {OURS}");
        // One of ours may be quicker, and one that is told to end takes a moment.
        for _ in 0..200 {
            let ours = client.query(&end, &[]).await.unwrap().len();
            let before = taken.len();
            while let Ok(connection) =
                self.login(ADMINISTRATOR, ADMINISTRATOR_PASSWORD, "postgres").await
            {
                taken.push(connection);
            }
            if ours == 0 && taken.len() == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(taken.len() > 50, "{} connections were taken", taken.len());
        tokio::time::sleep(time).await;
        let left = client.query(&format!("SELECT 1 FROM {OURS}"), &[]).await.unwrap();
        assert!(left.is_empty(), "one of ours has a connection");
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

/// A process that has ended in the meantime cannot be told anything.
fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    let _ = kill_process(process, signal);
}
