//! How many requests a second one core serves, beside the floor: a bare axum that answers 300 bytes
//! to the same requests, under the same load, in the same run.
//!
//! ```text
//! cargo bench --bench throughput                   3 seconds a case, 64 connections
//! cargo bench --bench throughput -- --quick        half a second: does it work
//! cargo bench --bench throughput -- --rounds 5     the round with the median ratio of each case
//! cargo bench --bench throughput -- --only encrypt of the cases, what has this in its name
//! cargo bench --bench throughput -- --tls          a second table, over TLS
//! cargo bench --bench throughput -- --operations   instead: every kind of cryptographic operation
//!     --only "decrypt rsa_2048"                    of those, what has this in its name
//! cargo bench --bench throughput -- --device       instead: Encrypt with a key in a device
//!     --only helper                                of the ways to a device, likewise
//! cargo bench --bench throughput -- --curves       instead: by connections, statements and secrets
//!     --svg FILE --secrets 10000                   drawn; measured up to so many secrets (1 000 000)
//! cargo bench --bench throughput -- --steps        instead: the floor with one part of the work after the other
//! ```
//!
//! The server is the release binary as a process of its own on core 0, the load generator has
//! core 1. Every request is signed, authorised by an IAM user's policy, and its answer waits for a
//! durable audit record, in a store and a log on disk. The floor is measured before and after each
//! case; a ratio is that of a case to the mean of its two neighbours. "CPU" is the server process's
//! time for one request and "busy" how much of its core that took: a floor that is far from 100 % was
//! held back by the generator or by somebody else on the machine, and the ratio flatters.
mod chart;
mod curves;
mod device;
mod load;
#[path = "../operations/mod.rs"]
mod operations;
mod server;
mod steps;
mod table;
mod wire;
mod workload;

use load::{Load, Measured};
use server::{Certificate, Child, Claviger, Cores, FIXED, FLOOR};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use wire::Target;
use workload::{CASES, Workload};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug)]
struct Options {
    /// Of a case; each table has its own idea.
    seconds: Option<f64>,
    connections: usize,
    rounds: usize,
    tls: bool,
    operations: bool,
    device: bool,
    curves: bool,
    steps: bool,
    svg: Option<PathBuf>,
    secrets: usize,
    only: Option<String>,
}

/// How long a case of the calls takes, if nobody says.
const SECONDS: f64 = 3.0;
const MOST_SECRETS: usize = 1_000_000;
/// The goal for the ratio of a call's rate to the floor's, and the connections that it is set for.
const RATIO: f64 = 0.60;
const GOALS_AT: usize = 64;

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            seconds: None,
            connections: 64,
            rounds: 1,
            tls: false,
            operations: false,
            device: false,
            curves: false,
            steps: false,
            svg: None,
            secrets: MOST_SECRETS,
            only: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--seconds" => options.seconds = Some(value()?.parse()?),
                "--connections" => options.connections = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--quick" => options.seconds = Some(0.5),
                "--tls" => options.tls = true,
                "--operations" => options.operations = true,
                "--device" => options.device = true,
                "--curves" => options.curves = true,
                "--steps" => options.steps = true,
                "--svg" => options.svg = Some(value()?.into()),
                "--secrets" => options.secrets = value()?.parse()?,
                "--only" => options.only = Some(value()?),
                // What cargo adds.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        // Signatures are good for five minutes.
        let sound = (0.1..=120.0).contains(&options.seconds.unwrap_or(SECONDS))
            && (1..=256).contains(&options.connections)
            && options.rounds > 0
            && (1..=MOST_SECRETS).contains(&options.secrets)
            && [options.operations, options.device, options.tls, options.curves, options.steps]
                .iter()
                .filter(|one| **one)
                .count()
                <= 1;
        if sound { Ok(options) } else { Err("an argument is out of range".into()) }
    }

    /// Whether `--only` leaves something of this name.
    fn wants(&self, name: &str) -> bool {
        let only = self.only.as_deref().unwrap_or_default().to_lowercase();
        name.to_lowercase().contains(&only)
    }

    fn load(&self, connections: usize, seconds: f64) -> Load {
        let measured = Duration::from_secs_f64(self.seconds.unwrap_or(seconds));
        Load { connections, warm_up: measured / 6, measured, overloads: false }
    }
}

/// One measurement of a case, and of the floor around it.
#[derive(Clone, Debug)]
struct Row {
    case: &'static str,
    measured: Measured,
    floor_rate: f64,
    floor_cpu: f64,
}

impl Row {
    fn between(
        case: &'static str,
        measured: Measured,
        before: &Measured,
        after: &Measured,
    ) -> Self {
        let mean = |of: fn(&Measured) -> f64| (of(before) + of(after)) / 2.0;
        let floor_cpu = mean(|floor| floor.cpu.as_secs_f64());
        Self { case, measured, floor_rate: mean(|floor| floor.rate), floor_cpu }
    }

    fn ratio(&self) -> f64 {
        self.measured.rate / self.floor_rate
    }
}

/// One kind of connection: the two servers and what they are asked.
struct Bench {
    floor: Child,
    floor_target: Target,
    claviger: Claviger,
    target: Target,
    workload: Workload,
    load: Load,
}

impl Bench {
    async fn new(
        options: &Options,
        cores: Cores,
        dir: PathBuf,
        certificate: Option<&Certificate>,
    ) -> Outcome<Self> {
        let floor = server::floor(cores, certificate)?;
        let claviger = match certificate {
            None => server::dev(cores, &dir)?,
            Some(certificate) => server::serve(cores, &dir, certificate)?,
        };
        let target = server::target(&claviger.child, certificate);
        let floor_target = server::target(&floor, certificate);
        let workload = Workload::prepare(&target, &claviger.administrator).await?;
        Ok(Self {
            floor,
            floor_target,
            claviger,
            target,
            workload,
            load: options.load(options.connections, SECONDS),
        })
    }

    async fn floor(&self, case: &str) -> Outcome<Measured> {
        let requests = self.workload.requests(case)?;
        self.load.run(&self.floor, &self.floor_target, &requests).await
    }

    /// Floor, case, floor, case, …, floor.
    async fn round(&self, options: &Options, floors: &mut Vec<Measured>) -> Outcome<Vec<Row>> {
        let mut rows = Vec::new();
        let mut before = self.floor("Encrypt").await?;
        for case in CASES.into_iter().filter(|case| options.wants(case)) {
            let requests = self.workload.requests(case)?;
            let measured = self.load.run(&self.claviger.child, &self.target, &requests).await?;
            let after = self.floor(case).await?;
            rows.push(Row::between(case, measured, &before, &after));
            floors.push(std::mem::replace(&mut before, after));
        }
        floors.push(before);
        Ok(rows)
    }

    /// All rounds; prints the table and answers how many requests failed.
    async fn run(&self, options: &Options, cores: Cores) -> Outcome<usize> {
        let (mut floors, mut rows) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            rows.extend(self.round(options, &mut floors).await?);
        }
        let tls = if self.target.tls.is_some() { ", TLS 1.3" } else { "" };
        println!(
            "\n{} connections{tls}, {} s a case, {} round(s), {cores}, root key in {}\n",
            options.connections,
            self.load.measured.as_secs_f64(),
            options.rounds,
            self.claviger.root
        );
        let failed = report(&CASES, &mut floors, &rows);
        if options.connections == GOALS_AT {
            verdict(&floors, &rows);
        }
        Ok(failed)
    }
}

/// Prints the floor, and of each case the round with the median ratio. Answers how many requests failed.
fn report(cases: &[&'static str], floors: &mut [Measured], rows: &[Row]) -> usize {
    println!("| case | req/s | p50 ms | p99 ms | ratio | CPU µs | floor's CPU | busy | errors |");
    println!("|---|---|---|---|---|---|---|---|---|");
    floors.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let floor = floors.get(floors.len() / 2).cloned().unwrap_or_default();
    print_row(FIXED, &floor, 1.0, floor.cpu.as_secs_f64());
    for row in medians(cases, rows) {
        print_row(row.case, &row.measured, row.ratio(), row.floor_cpu);
    }
    let measured = floors.iter().chain(rows.iter().map(|row| &row.measured));
    for error in measured.clone().filter_map(|measured| measured.first_error.as_ref()).take(3) {
        eprintln!("an answer was {error}");
    }
    measured.map(|measured| measured.errors).sum()
}

/// Of each case the round with the median ratio.
fn medians<'r>(cases: &[&str], rows: &'r [Row]) -> impl Iterator<Item = &'r Row> {
    cases.iter().filter_map(|case| {
        let mut of_case: Vec<&Row> = rows.iter().filter(|row| row.case == *case).collect();
        of_case.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        of_case.get(of_case.len() / 2).copied()
    })
}

/// Says of each case whether it reaches the goals. `floors` by their rates. No failure of the bench: how fast a
/// machine is beside itself is to be read, not to be passed.
fn verdict(floors: &[Measured], rows: &[Row]) {
    let floor = floors.get(floors.len() / 2).cloned().unwrap_or_default();
    let most = floor.p99 * 2 + Duration::from_millis(1);
    let said = |met: bool| if met { "met" } else { "missed" };
    println!(
        "\nGoals: {RATIO:.2} of the floor's rate; p99 at most {:.1} ms, twice the floor's and 1 ms",
        millis(most)
    );
    for row in medians(&CASES, rows) {
        let (ratio, p99) = (row.ratio(), row.measured.p99);
        println!(
            "* {}: {ratio:.2}, {}; {:.1} ms, {}",
            row.case,
            said(ratio >= RATIO),
            millis(p99),
            said(p99 <= most)
        );
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn print_row(case: &str, measured: &Measured, ratio: f64, floor_cpu: f64) {
    println!(
        "| {case} | {:.0} | {:.2} | {:.2} | {ratio:.2} | {:.1} | {:.1} | {:.0} % | {} |",
        measured.rate,
        millis(measured.p50),
        millis(measured.p99),
        millis(measured.cpu) * 1000.0,
        floor_cpu * 1_000_000.0,
        measured.rate * measured.cpu.as_secs_f64() * 100.0,
        measured.errors
    );
}

async fn run(options: &Options, cores: Cores) -> Outcome<usize> {
    // Beside the build and not in /tmp, which may be memory: a sync must reach a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    if options.operations {
        return table::run(options, cores, dir.path()).await;
    }
    if options.device {
        return device::run(options, cores, dir.path()).await;
    }
    if options.curves {
        return curves::run(options, cores, dir.path()).await;
    }
    if options.steps {
        return steps::run(options, cores, dir.path()).await;
    }
    let mut failed = {
        let plain = dir.path().join("plain");
        std::fs::create_dir(&plain)?;
        Bench::new(options, cores, plain, None).await?.run(options, cores).await?
    };
    if options.tls {
        let tls = dir.path().join("tls");
        std::fs::create_dir(&tls)?;
        let certificate = Certificate::make(&tls)?;
        let bench = Bench::new(options, cores, tls, Some(&certificate)).await?;
        failed += bench.run(options, cores).await?;
    }
    Ok(failed)
}

fn try_main() -> Outcome<usize> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == FLOOR).is_some() {
        let tls = arguments.next().map(PathBuf::from).zip(arguments.next().map(PathBuf::from));
        return server::run_floor(tls).map(|()| 0);
    }
    if arguments.next_if(|argument| argument == steps::STEP).is_some() {
        return steps::serve(arguments).map(|()| 0);
    }
    let options = Options::parse(arguments)?;
    let cores = Cores::take();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(&options, cores))
}

fn main() -> ExitCode {
    match try_main() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} requests failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("throughput: {error}");
            ExitCode::FAILURE
        }
    }
}
