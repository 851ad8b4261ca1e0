//! Every kind of cryptographic operation over HTTP, beside what it cannot cost less than: the same
//! cryptography alone, and a request to the floor.
use crate::load::{Load, Measured};
use crate::operations::{Bare, Case, Keys, Sampler, Work, now, raw_rsa_2048_decrypt};
use crate::server::{self, Child, Claviger, Cores};
use crate::wire::{Ask, Signer, Target};
use crate::workload::{Client, target_of};
use crate::{Options, Outcome};
use bytes::Bytes;
use claviger::primitives::KeySpec;
use serde_json::{Value, json};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One of each kind.
const SPECS: [KeySpec; 9] = [
    KeySpec::SymmetricDefault,
    KeySpec::Rsa2048,
    KeySpec::EccNistP256,
    KeySpec::EccSecgP256K1,
    KeySpec::EccNistEdwards25519,
    KeySpec::MlDsa65,
    KeySpec::Hmac256,
    KeySpec::MlKem768,
    // For its private operations, the slowest there are.
    KeySpec::Rsa4096,
];
/// How many times the sum of both a request may take.
const BOUND: f64 = 1.5;
const BOUND_CASE: Case = Case { work: Work::Decrypt, spec: KeySpec::Rsa2048 };
/// Distinct requests of a case.
const POOL: u8 = 16;
/// Who makes key pairs may have so many requests at work or waiting for each processor (`call/heavy.rs`), and the
/// server has one.
const MOST_PAIRS: usize = 8;
/// About as long as an audit record is.
const RECORD: [u8; 1024] = [b'x'; 1024];
const SYNCS: usize = 201;
const RAW_BATCHES: usize = 21;
const RAW_BATCH: Duration = Duration::from_millis(8);

/// A case, ready to be asked and to be done without asking.
struct Prepared {
    case: Case,
    bodies: Vec<Vec<u8>>,
    bare: Option<Bare>,
}

/// One measurement. All times are of one request, in microseconds.
#[derive(Clone, Debug)]
struct Row {
    case: Case,
    measured: Measured,
    bare: f64,
    floor: f64,
    whole: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.whole / (self.bare + self.floor)
    }
}

struct Table<'a> {
    options: &'a Options,
    cores: Cores,
    floor: Child,
    floor_target: Target,
    claviger: Claviger,
    target: Target,
    user: Signer,
    cases: Vec<Prepared>,
    /// For a file on the disk that the server writes to.
    dir: &'a Path,
}

/// Prints both tables and answers how many requests failed.
pub async fn run(options: &Options, cores: Cores, dir: &Path) -> Outcome<usize> {
    let floor = server::floor(cores, None)?;
    let claviger = server::dev(cores, dir)?;
    let (target, floor_target) =
        (server::target(&claviger.child, None), server::target(&floor, None));
    let mut administrator = Client::open(&target, claviger.administrator.clone()).await?;
    let user = administrator.user("application", &policy()).await?;
    let mut cases = Vec::new();
    let mut keys = Keys::default();
    for case in wanted(options)? {
        let mut call = async |operation: &'static str, body: Value| {
            administrator.json("kms", operation, &body).await
        };
        let mut bodies = Vec::new();
        for n in 0..POOL {
            bodies.push(serde_json::to_vec(&keys.body(case, n, &mut call).await?)?);
        }
        let bare = if case == BOUND_CASE { Some(raw_rsa_2048_decrypt()?) } else { case.bare()? };
        cases.push(Prepared { case, bodies, bare });
    }
    let table = Table { options, cores, floor, floor_target, claviger, target, user, cases, dir };
    let mut failed = 0;
    for connections in [1, options.connections] {
        failed += table.print(connections).await?;
    }
    Ok(failed)
}

fn wanted(options: &Options) -> Outcome<Vec<Case>> {
    let wanted = |case: &Case| {
        let private = matches!(case.work, Work::Decrypt | Work::Sign);
        SPECS.contains(&case.spec)
            && (case.spec != KeySpec::Rsa4096 || private)
            && options.wants(&case.to_string())
    };
    let cases: Vec<Case> = Case::all().into_iter().filter(wanted).collect();
    if cases.is_empty() { Err("no case has this in its name".into()) } else { Ok(cases) }
}

impl Table<'_> {
    /// All rounds with so many connections.
    async fn print(&self, connections: usize) -> Outcome<usize> {
        let load = self.options.load(connections, 1.0);
        let mut rows = Vec::new();
        for _ in 0..self.options.rounds {
            for prepared in &self.cases {
                rows.push(self.measure(prepared, &load).await?);
            }
        }
        println!(
            "\n{connections} connection(s), for key pairs at most {MOST_PAIRS}, {} s a case, {} round(s), {}, root key in {}\n",
            load.measured.as_secs_f64(),
            self.options.rounds,
            self.cores,
            self.claviger.root
        );
        println!(
            "| operation | req/s | p99 ms | request µs | floor µs | bare µs | ratio | CPU µs | errors |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for Prepared { case, .. } in &self.cases {
            let mut of_case: Vec<&Row> = rows.iter().filter(|row| row.case == *case).collect();
            of_case.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
            if let Some(row) = of_case.get(of_case.len() / 2) {
                print_row(row);
            }
        }
        let synced = if connections == 1 { Some(self.synced_write()?) } else { None };
        print_bound(&rows, synced);
        for error in rows.iter().filter_map(|row| row.measured.first_error.as_ref()).take(3) {
            eprintln!("an answer was {error}");
        }
        Ok(rows.iter().map(|row| row.measured.errors).sum())
    }

    /// The cryptography alone on the server's core, the floor, the case; one after the other.
    async fn measure(&self, prepared: &Prepared, load: &Load) -> Outcome<Row> {
        let bare = match &prepared.bare {
            None => 0.0,
            Some(bare) => self.cores.on_the_servers(|| median(bare))? / 1000.0,
        };
        let requests = self.requests(prepared)?;
        let most = if prepared.case.makes_pairs() { MOST_PAIRS } else { usize::MAX };
        let load = Load { connections: load.connections.min(most), ..*load };
        let floor = load.run(&self.floor, &self.floor_target, &requests).await?;
        let measured = load.run(&self.claviger.child, &self.target, &requests).await?;
        if floor.errors > 0 {
            return Err("the floor answers with errors".into());
        }
        // One connection waits for its answer: the time is the median answer's. Many keep the core
        // busy: the time is what one answer takes of it.
        let micros = |of: &Measured| {
            if load.connections == 1 { of.p50.as_secs_f64() * 1e6 } else { 1e6 / of.rate.max(1e-9) }
        };
        let (floor, whole) = (micros(&floor), micros(&measured));
        Ok(Row { case: prepared.case, measured, bare, floor, whole })
    }

    /// What the disk alone takes for an audit record: written into space that is there already, and
    /// synced. Microseconds.
    fn synced_write(&self) -> Outcome<f64> {
        let file = std::fs::File::create(self.dir.join("synced"))?;
        file.write_all_at(&vec![0; RECORD.len() * (SYNCS + 1)], 0)?;
        file.sync_all()?;
        let times = self.cores.on_the_servers(|| {
            let mut times = Vec::new();
            for n in 1..=SYNCS {
                let began = now();
                file.write_all_at(&RECORD, (n * RECORD.len()) as u64)?;
                file.sync_data()?;
                times.push(began.elapsed());
            }
            times.sort_unstable();
            Ok::<_, std::io::Error>(times)
        })??;
        Ok(times.get(SYNCS / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6))
    }

    /// Signed now.
    fn requests(&self, prepared: &Prepared) -> Outcome<Arc<[Bytes]>> {
        let target = target_of("kms", &prepared.case.operation());
        let ask = Ask::Json { service: "kms", target: &target };
        let bodies = prepared.bodies.iter();
        bodies.map(|body| self.user.request(self.target.address, &ask, body)).collect()
    }
}

/// Nanoseconds.
fn median(bare: &Bare) -> f64 {
    let mut work = || bare.run();
    let mut sampler = Sampler::new(RAW_BATCH, &mut work);
    for _ in 0..RAW_BATCHES {
        sampler.sample(&mut work);
    }
    let (_, median) = sampler.min_and_median();
    median as f64
}

fn print_row(row: &Row) {
    let Row { case, measured, bare, floor, whole } = row;
    let none = || "—".to_owned();
    let (alone, ratio) = (format!("{bare:.1}"), format!("{:.2}", row.ratio()));
    // Where nothing is calculated there is nothing to compare with.
    let alone = if *bare == 0.0 { none() } else { alone };
    let ratio = if *bare == 0.0 || case.is_luck() { none() } else { ratio };
    println!(
        "| {case} | {:.0} | {:.2} | {whole:.0} | {floor:.0} | {alone} | {ratio} | {:.0} | {} |",
        measured.rate,
        measured.p99.as_secs_f64() * 1000.0,
        measured.cpu.as_secs_f64() * 1e6,
        measured.errors
    );
}

/// Other work on the machine slows down now one part, now another, and a ratio of one round may be too
/// small for it as well as too large: of each part the fastest round counts.
fn print_bound(rows: &[Row], synced: Option<f64>) {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.case == BOUND_CASE).collect();
    if rows.is_empty() {
        return;
    }
    let best = |of: fn(&Row) -> f64| rows.iter().map(|row| of(row)).fold(f64::INFINITY, f64::min);
    let (whole, bare, floor) = (best(|row| row.whole), best(|row| row.bare), best(|row| row.floor));
    let ratio = whole / (bare + floor);
    let verdict = if ratio <= BOUND { "ok" } else { "exceeded" };
    let all: Vec<String> = rows.iter().map(|row| format!("{:.2}", row.ratio())).collect();
    println!(
        "\n{BOUND_CASE}, the fastest of {} round(s) of each: {whole:.0} µs / (raw aws-lc-rs {bare:.0} µs \
         + floor {floor:.0} µs) = {ratio:.2}, bound {BOUND}: {verdict}. By round: {}.",
        rows.len(),
        all.join(", ")
    );
    if let Some(synced) = synced {
        println!(
            "The answer waits for a durable record: a write that is synced to this disk takes \
             {synced:.0} µs by itself; with it in the sum the ratio is {:.2}.",
            whole / (bare + floor + synced)
        );
    }
}

/// As an application has it: what it may do with keys, and what nobody may.
pub fn policy() -> String {
    let uses = [
        "Encrypt",
        "Decrypt",
        "GenerateDataKey*",
        "DescribeKey",
        "Sign",
        "Verify",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
        "Encapsulate",
        "Decapsulate",
        "GetPublicKey",
    ];
    let uses = uses.map(|name| format!("kms:{name}"));
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "UseKeys",
                "Effect": "Allow",
                "Action": uses,
                "Resource": "arn:aws:kms:us-east-1:123456789012:key/*",
                "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
            },
            {
                "Sid": "NothingIsDeleted",
                "Effect": "Deny",
                "Action": ["kms:ScheduleKeyDeletion", "secretsmanager:DeleteSecret"],
                "Resource": "*"
            },
            {
                "Sid": "OnlyFromHere",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}}
            }
        ]
    })
    .to_string()
}
