//! The two servers, each a process of its own on the server's core: claviger as it is shipped, and
//! the floor, an axum that does nothing.
use crate::Outcome;
use crate::wire::{Signer, Target};
use axum::serve::{Listener, ListenerExt};
use bytes::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The argument by which the bench starts itself as the floor.
pub const FLOOR: &str = "--floor";
/// What the tables call it.
pub const FIXED: &str = "axum floor";
/// What a Decrypt answers is about as long.
const ANSWER_BYTES: usize = 300;

/// By then a server that was told to stop has.
const LONGEST_END: Duration = Duration::from_secs(10);

/// SoftHSM's binding calls every mechanism it does not know an error.
pub const LOG: &str = "warn,cryptoki=off";

/// Who runs where.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Whether the servers have core 0 and the generator core 1 for themselves.
    pub pinned: bool,
}

impl Cores {
    /// Pins this process to core 1. Without a second core or `taskset` nobody is pinned.
    pub fn take() -> Self {
        let two = std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
        let taskset = Command::new("taskset").arg("--version").output().is_ok();
        let mut generator = rustix::thread::CpuSet::new();
        generator.set(1);
        let pinned = two && taskset && rustix::thread::sched_setaffinity(None, &generator).is_ok();
        Self { pinned }
    }

    /// Does `work` on the servers' core.
    pub fn on_the_servers<T: Send>(self, work: impl FnOnce() -> T + Send) -> Outcome<T> {
        let pinned = || {
            let mut servers = rustix::thread::CpuSet::new();
            servers.set(0);
            // This thread only, which ends with the work.
            if self.pinned {
                rustix::thread::sched_setaffinity(None, &servers)?;
            }
            Ok::<_, io::Error>(work())
        };
        let done = std::thread::scope(|scope| scope.spawn(pinned).join());
        Ok(done.map_err(|_| "the work panicked")??)
    }

    /// A program on the servers' core.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        if !self.pinned {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program.as_ref());
        command
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.pinned { "server on core 0, load on core 1" } else { "not pinned" })
    }
}

/// A server process; it ends with this value.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pub address: SocketAddr,
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; its data are temporary. A build that counts what runs writes its
        // counts when it ends.
        let id = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        for _ in 0..LONGEST_END.as_millis() / 20 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    /// As a power failure ends it.
    pub fn kill(mut self) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts a program that says on standard output where it listens.
    pub fn start(mut command: Command) -> Outcome<Self> {
        let mut process = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn()?;
        let stdout = process.stdout.take().ok_or("no standard output")?;
        let mut child = Self { process, address: (Ipv4Addr::UNSPECIFIED, 0).into() };
        for line in BufReader::new(stdout).lines() {
            if let Some((_, address)) = line?.split_once(" at http://") {
                child.address = address.trim().parse()?;
                return Ok(child);
            }
        }
        Err("the server ended before it listened".into())
    }

    /// The processor time that it and its threads have used.
    pub fn cpu(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name, in parentheses, may hold blanks; user and system time are the 12th and 13th
        // fields behind it.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no process statistics")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(ticks * 1000 / per_second))
    }

    /// Its memory that is in the machine's, in MiB.
    pub fn resident_mib(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

/// The floor, and whom it shows its certificate to.
pub fn floor(cores: Cores, certificate: Option<&Certificate>) -> Outcome<Child> {
    let mut command = cores.command(std::env::current_exe()?);
    command.arg(FLOOR);
    if let Some(certificate) = certificate {
        command.arg(&certificate.chain).arg(&certificate.key);
    }
    Child::start(command)
}

pub fn fixed_answer() -> String {
    format!("{{\"Plaintext\":\"{}\"}}", "x".repeat(ANSWER_BYTES - 16))
}

/// The floor's own process: the runtime is made as claviger makes its own.
pub fn run_floor(tls: Option<(PathBuf, PathBuf)>) -> Outcome<()> {
    let body = Bytes::from(fixed_answer());
    let answer = move |_: Bytes| {
        let body = body.clone();
        async move { ([("content-type", "application/x-amz-json-1.1")], body) }
    };
    let app = axum::Router::new().route("/", axum::routing::post(answer));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("floor at http://{}", tcp.local_addr()?);
        match tls {
            None => {
                let tcp = tcp.tap_io(|tcp| drop(tcp.set_nodelay(true)));
                axum::serve(tcp, app).await?;
            }
            Some((chain, key)) => {
                let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
                let config = rustls::ServerConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()?
                    .with_no_client_auth()
                    .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
                let acceptor = TlsAcceptor::from(Arc::new(config));
                axum::serve(TlsListener { tcp, acceptor }, app).await?;
            }
        }
        Ok(())
    })
}

/// Shakes hands one connection after the other: all of them are there before anything is measured.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((tcp, address)) = self.tcp.accept().await else { continue };
            let nodelay = tcp.set_nodelay(true);
            if let (Ok(()), Ok(tls)) = (nodelay, self.acceptor.accept(tcp).await) {
                return (tls, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// A claviger with an administrator.
#[derive(Debug)]
pub struct Claviger {
    pub child: Child,
    pub administrator: Signer,
    /// What keeps the root key.
    pub root: &'static str,
}

/// The program that was built with this bench, or another one: `make pgo` measures its own.
pub fn program() -> PathBuf {
    let other = std::env::var_os("CLAVIGER_BENCH_PROGRAM").map(PathBuf::from);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_claviger").into())
}

/// `claviger dev` with a SoftHSM token, or with a software root where there is no SoftHSM.
pub fn dev(cores: Cores, dir: &Path) -> Outcome<Claviger> {
    let start = |root: &'static str, insecure: bool| -> Outcome<Claviger> {
        let data = dir.join(if insecure { "software" } else { "softhsm" });
        let mut command = cores.command(program());
        command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        command.args(insecure.then_some("--insecure-software-root")).env("CLAVIGER_LOG", LOG);
        let child = Child::start(command)?;
        let exports = std::fs::read_to_string(data.join("env"))?;
        Ok(Claviger { child, administrator: administrator(&exports)?, root })
    };
    start("a SoftHSM token", false).or_else(|error| {
        eprintln!("no SoftHSM ({error}): a software root instead");
        start("a software root", true)
    })
}

/// `claviger serve` over TLS. The root key is a file: no call of the benchmark asks it anything.
pub fn serve(cores: Cores, dir: &Path, certificate: &Certificate) -> Outcome<Claviger> {
    let address = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let config = dir.join("claviger.toml");
    let text = format!(
        "data = {:?}\nregions = [\"us-east-1\"]\naccount = \"123456789012\"\n\
         [listen]\napi = \"{address}\"\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        dir.join("data"),
        certificate.chain,
        certificate.key
    );
    std::fs::write(&config, text)?;
    let command = |words: &[&str]| {
        let mut command = cores.command(program());
        command.args(words).args(["--insecure-software-root", "--config"]).arg(&config);
        command.env("CLAVIGER_LOG", LOG);
        command
    };
    start(command, address, "a software root")
}

/// `claviger init`, then `claviger serve`, which will listen at `address`.
pub fn start(
    command: impl Fn(&[&str]) -> Command,
    address: SocketAddr,
    root: &'static str,
) -> Outcome<Claviger> {
    let made = command(&["init"]).stderr(Stdio::inherit()).output()?;
    let administrator = administrator(&String::from_utf8(made.stdout)?)?;
    let child = Child { process: command(&["serve"]).stdin(Stdio::null()).spawn()?, address };
    for _ in 0..100 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(Claviger { child, administrator, root });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("claviger serve does not listen".into())
}

/// The administrator's access key out of `NAME=value` lines.
fn administrator(text: &str) -> Outcome<Signer> {
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.split_once(name));
        values.next().map(|(_, value)| value.trim().to_owned())
    };
    let access_key_id = value("AWS_ACCESS_KEY_ID=").ok_or("no access key")?;
    Ok(Signer { access_key_id, secret: value("AWS_SECRET_ACCESS_KEY=").ok_or("no secret")? })
}

/// A certificate for 127.0.0.1, in files, and the trust in it.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    trust: Arc<rustls::ClientConfig>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Certificate {
    pub fn make(dir: &Path) -> Outcome<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let (chain, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
        std::fs::write(&chain, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let trust = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { chain, key, trust: Arc::new(trust) })
    }
}

pub fn target(child: &Child, certificate: Option<&Certificate>) -> Target {
    Target { address: child.address, tls: certificate.map(|made| made.trust.clone()) }
}
