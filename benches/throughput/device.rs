//! Encrypt over HTTP with a key in a device, beside what `claviger bench device` measures of the same
//! device with as many threads as there are connections: on the same core, one after the other.
//!
//! SoftHSM answers in some microseconds, as no HSM does. So it is also measured with a shim before it
//! that lets each call wait some milliseconds, as a network does.
use crate::load::Measured;
use crate::server::{self, Claviger, Cores};
use crate::table::policy;
use crate::wire::{Ask, Signer, Target};
use crate::workload::{Client, encryption, target_of};
use crate::{Options, Outcome};
use bytes::Bytes;
use claviger_pkcs11_shim as shim;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Threads of the one, connections of the other.
const CONCURRENCY: [usize; 5] = [1, 4, 8, 16, 64];
/// Sessions of the pool: as many as the table's last but one row keeps busy.
const SESSIONS: usize = 16;
/// Distinct requests.
const POOL: usize = 64;
const LABEL: &str = "throughput";
const CLUSTER: &str = "cluster-2a23b4cdefg";
/// The calls that wait: those that a network HSM is asked for each message.
const SLOW_CALLS: [&str; 2] = ["C_Encrypt", "C_Decrypt"];

/// A way to reach the device.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    /// Whether the module runs in a helper process.
    helper: bool,
    /// By how many milliseconds the device is slower.
    slower: Option<u64>,
}

const WAYS: [Way; 4] = [
    Way { name: "SoftHSM in the server's process", helper: false, slower: None },
    Way { name: "SoftHSM in a helper process", helper: true, slower: None },
    Way { name: "SoftHSM, each call 1 ms slower", helper: false, slower: Some(1) },
    Way { name: "SoftHSM, each call 5 ms slower", helper: false, slower: Some(5) },
];

/// One pair of measurements.
#[derive(Clone, Debug)]
struct Row {
    concurrency: usize,
    /// Calls a second, and the median call in microseconds.
    alone: (f64, f64),
    served: Measured,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.served.rate / self.alone.0
    }
}

/// Prints a table for each way and answers how many requests failed.
pub async fn run(options: &Options, cores: Cores, dir: &Path) -> Outcome<usize> {
    let mut failed = 0;
    for (n, way) in WAYS.into_iter().filter(|way| options.wants(way.name)).enumerate() {
        let dir = dir.join(n.to_string());
        std::fs::create_dir(&dir)?;
        failed += Bench::new(way, cores, dir).await?.print(options).await?;
    }
    Ok(failed)
}

/// A device, a server that has it, and a user with a key in it.
struct Bench {
    way: Way,
    cores: Cores,
    dir: PathBuf,
    claviger: Claviger,
    target: Target,
    user: Signer,
    bodies: Vec<Vec<u8>>,
}

impl Bench {
    async fn new(way: Way, cores: Cores, dir: PathBuf) -> Outcome<Self> {
        let token = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/softhsm-setup/token.sh"))
            .arg(dir.join("softhsm"))
            .arg(LABEL)
            .stdout(Stdio::null())
            .status()?;
        if !token.success() {
            return Err("no SoftHSM: softhsm-setup/install.sh".into());
        }
        let address = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        std::fs::write(dir.join("claviger.toml"), configuration(way, &dir, address)?)?;
        let rules = way.slower.map(|ms| SLOW_CALLS.map(|call| format!("{call} * sleep {ms}\n")));
        shim::set_rules(&dir.join("rules"), &rules.unwrap_or_default().concat())?;
        let command = |words: &[&str]| command(cores, &dir, words);
        let claviger = server::start(command, address, "a SoftHSM token")?;
        let target = server::target(&claviger.child, None);
        let mut administrator = Client::open(&target, claviger.administrator.clone()).await?;
        let user = administrator.user("application", &policy()).await?;
        let key = key(&mut administrator).await?;
        let body = |n| Ok(serde_json::to_vec(&encryption(n, &key)?)?);
        let bodies = (0..POOL).map(body).collect::<Outcome<_>>()?;
        Ok(Self { way, cores, dir, claviger, target, user, bodies })
    }

    /// All rounds.
    async fn print(&self, options: &Options) -> Outcome<usize> {
        let mut rows = Vec::new();
        for _ in 0..options.rounds {
            for concurrency in CONCURRENCY {
                let alone = self.alone(options, concurrency)?;
                let load = options.load(concurrency, 1.0);
                let requests = self.requests()?;
                let served = load.run(&self.claviger.child, &self.target, &requests).await?;
                rows.push(Row { concurrency, alone, served });
            }
        }
        println!(
            "\n{}: Encrypt of 100 bytes, {SESSIONS} sessions, {} s a figure, {} round(s), {}\n",
            self.way.name,
            options.load(1, 1.0).measured.as_secs_f64(),
            options.rounds,
            self.cores
        );
        println!(
            "| threads, connections | bench device: calls/s | p50 µs | HTTP: req/s | p50 µs | p99 µs \
             | CPU µs | ratio | errors |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for concurrency in CONCURRENCY {
            let mut rows: Vec<&Row> =
                rows.iter().filter(|row| row.concurrency == concurrency).collect();
            rows.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
            if let Some(row) = rows.get(rows.len() / 2) {
                print_row(row);
            }
        }
        for error in rows.iter().filter_map(|row| row.served.first_error.as_ref()).take(3) {
            eprintln!("an answer was {error}");
        }
        Ok(rows.iter().map(|row| row.served.errors).sum())
    }

    /// What `claviger bench device` says: calls a second, and the median call in microseconds.
    fn alone(&self, options: &Options, threads: usize) -> Outcome<(f64, f64)> {
        let report = self.dir.join("report.json");
        let seconds = options.load(1, 1.0).measured.as_secs_f64().to_string();
        let words = ["bench", "device", "--device", "pkcs11", "--only", "aes-gcm-encrypt"];
        let mut command = command(self.cores, &self.dir, &words);
        command.args(["--sizes", "100", "--seconds", &seconds, "--threads", &threads.to_string()]);
        let output = command.arg("--json").arg(&report).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let report: Value = match output.status.success() {
            true => serde_json::from_slice(&std::fs::read(report)?)?,
            false => return Err(format!("claviger bench device: {said}").into()),
        };
        let figures = report.pointer("/devices/0/cases/0/points/0/measured/Ok");
        let figure = |name: &str| figures?.get(name)?.as_f64();
        figure("ops_per_s")
            .zip(figure("p50_us"))
            .ok_or_else(|| format!("claviger bench device measured nothing: {report}").into())
    }

    /// Signed now.
    fn requests(&self) -> Outcome<Arc<[Bytes]>> {
        let target = target_of("kms", "Encrypt");
        let ask = Ask::Json { service: "kms", target: &target };
        let bodies = self.bodies.iter();
        bodies.map(|body| self.user.request(self.target.address, &ask, body)).collect()
    }
}

fn print_row(row: &Row) {
    let Row { concurrency, alone: (rate, p50), served } = row;
    let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6;
    println!(
        "| {concurrency} | {rate:.0} | {p50:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {} |",
        served.rate,
        micros(served.p50),
        micros(served.p99),
        micros(served.cpu),
        row.ratio(),
        served.errors
    );
}

/// `claviger WORDS --config …`, on the servers' core.
fn command(cores: Cores, dir: &Path, words: &[&str]) -> Command {
    let mut command = cores.command(server::program());
    command.args(words).arg("--config").arg(dir.join("claviger.toml"));
    command
        .env("SOFTHSM2_CONF", dir.join("softhsm/softhsm2.conf"))
        .env("CLAVIGER_LOG", server::LOG);
    command.env(shim::CONTROL, dir.join("rules"));
    if let Ok(module) = softhsm() {
        command.env(shim::MODULE, module);
    }
    command
}

fn configuration(way: Way, dir: &Path, address: SocketAddr) -> Outcome<String> {
    let module = if way.slower.is_some() { shim::path() } else { softhsm()? };
    Ok(format!(
        "data = {:?}\nregions = [\"us-east-1\"]\naccount = \"123456789012\"\n\
         [listen]\napi = \"{address}\"\n\
         [pkcs11]\nmodule = {module:?}\nprofile = \"softhsm\"\ntoken = {LABEL:?}\npin_file = {:?}\n\
         cluster = {CLUSTER:?}\nhelper = {}\nsessions = {SESSIONS}\n",
        dir.join("data"),
        dir.join("softhsm/pin"),
        way.helper
    ))
}

fn softhsm() -> Outcome<PathBuf> {
    let named = std::env::var_os("CLAVIGER_SOFTHSM_MODULE").map(PathBuf::from);
    let usual = ["lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "local/lib"]
        .map(|dir| Path::new("/usr").join(dir).join("softhsm/libsofthsm2.so"));
    let found = named.into_iter().chain(usual).find(|path| path.exists());
    found.ok_or_else(|| "no SoftHSM: softhsm-setup/install.sh".into())
}

/// A key in the device, by way of a custom key store.
async fn key(administrator: &mut Client) -> Outcome<String> {
    let body = json!({"CustomKeyStoreName": "device", "CloudHsmClusterId": CLUSTER,
        "TrustAnchorCertificate": "certificate", "KeyStorePassword": "is-not-used"});
    let made = administrator.json("kms", "CreateCustomKeyStore", &body).await?;
    let store = made.get("CustomKeyStoreId").ok_or("no custom key store")?;
    let named = json!({"CustomKeyStoreId": store});
    administrator.json("kms", "ConnectCustomKeyStore", &named).await?;
    let body = json!({"CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM"});
    let made = administrator.json("kms", "CreateKey", &body).await?;
    let arn = made.pointer("/KeyMetadata/Arn").and_then(Value::as_str);
    Ok(arn.ok_or("no ARN")?.to_owned())
}
