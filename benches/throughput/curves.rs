//! How the server scales: with connections, with the statements of the caller's policies, with the secrets
//! in its store. Tables on standard output, and a picture of them.
use crate::load::{Load, Measured};
use crate::server::{self, Claviger, Cores};
use crate::wire::{Ask, Connection, Signer, Target};
use crate::workload::{Client, target_of};
use crate::{Bench, Options, Outcome, chart};
use bytes::Bytes;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CONNECTIONS: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// As many as may reach one user: ten policies of hers, and ten of each of her ten groups.
const STATEMENTS: [usize; 4] = [1, 10, 100, 1000];
const STATEMENTS_OF_A_POLICY: usize = 10;
const POLICIES_OF_A_GROUP: usize = 10;
const SECRETS: [usize; 3] = [10, 10_000, 1_000_000];
const QUICK_SECRETS: [usize; 2] = [10, 10_000];
/// A million secrets, and a hundred thousand keys beside them.
const SECRETS_OF_A_KEY: usize = 10;
/// How many more are created to see how fast that goes.
const MORE: usize = 5000;
/// Of a point, if nobody says.
const SECONDS: f64 = 2.0;
/// Distinct reads: of a few secrets, which every cache holds, and of secrets all over the store.
const HOT: usize = 8;
const SPREAD: usize = 8192;
const WRITERS: usize = 64;

/// One line of a chart: what it is of, and its points.
#[derive(Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(usize, Measured)>,
}

/// What is asked a second, and how long an answer takes, by something that grows.
#[derive(Debug)]
pub struct Curve {
    pub title: &'static str,
    pub x: &'static str,
    pub lines: Vec<Line>,
}

impl Curve {
    fn new(title: &'static str, x: &'static str, names: &[&str]) -> Self {
        let line = |name: &&str| Line { name: (*name).to_owned(), points: Vec::new() };
        Self { title, x, lines: names.iter().map(line).collect() }
    }

    fn add(&mut self, line: usize, x: usize, measured: Measured) {
        if let Some(line) = self.lines.get_mut(line) {
            line.points.push((x, measured));
        }
    }

    fn print(&self) {
        println!(
            "\n{}\n\n| {} | of | req/s | p50 ms | p99 ms | CPU µs | sent away |",
            self.title, self.x
        );
        println!("|---|---|---|---|---|---|---|");
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        for line in &self.lines {
            for (x, measured) in &line.points {
                let [p50, p99] = [measured.p50, measured.p99].map(millis);
                let (rate, cpu) = (measured.rate, millis(measured.cpu) * 1000.0);
                let (name, away) = (&line.name, measured.throttled);
                println!("| {x} | {name} | {rate:.0} | {p50:.2} | {p99:.2} | {cpu:.1} | {away} |");
            }
        }
    }

    fn errors(&self) -> impl Iterator<Item = &Measured> {
        self.lines.iter().flat_map(|line| line.points.iter().map(|(_, measured)| measured))
    }
}

/// All three. Answers how many requests failed.
pub async fn run(options: &Options, cores: Cores, dir: &Path) -> Outcome<usize> {
    let plain = dir.join("plain");
    std::fs::create_dir(&plain)?;
    let bench = Bench::new(options, cores, plain, None).await?;
    let mut curves = vec![connections(options, &bench).await?, statements(options, &bench).await?];
    drop(bench);
    curves.push(secrets(options, cores, dir).await?);
    curves.iter().for_each(Curve::print);
    if let Some(file) = &options.svg {
        chart::draw(file, &curves)?;
    }
    for error in curves.iter().flat_map(Curve::errors).filter_map(|one| one.first_error.as_ref()) {
        eprintln!("an answer was {error}");
    }
    Ok(curves.iter().flat_map(Curve::errors).map(|one| one.errors).sum())
}

async fn connections(options: &Options, bench: &Bench) -> Outcome<Curve> {
    let names = [server::FIXED, "Encrypt", "GetSecretValue"];
    let mut curve = Curve::new("Requests a second by connections", "connections", &names);
    for count in CONNECTIONS {
        let load = Load { overloads: true, ..options.load(count, SECONDS) };
        for (line, case) in [(1, "Encrypt"), (2, "GetSecretValue")] {
            let requests = bench.workload.requests(case)?;
            let measured = load.run(&bench.claviger.child, &bench.target, &requests).await?;
            curve.add(line, count, measured);
        }
        let requests = bench.workload.requests("Encrypt")?;
        curve.add(0, count, load.run(&bench.floor, &bench.floor_target, &requests).await?);
    }
    Ok(curve)
}

/// A statement that has to be looked at and does not apply.
fn other_statement(n: usize) -> Value {
    let key = format!("arn:aws:kms:us-east-1:123456789012:key/0000aaaa-0000-0000-0000-{n:012}");
    json!({"Effect": "Deny", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": key})
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A user whom so many statements concern, the last of which allows what she asks.
async fn user_of(admin: &mut Client, count: usize) -> Outcome<Signer> {
    let name = format!("statements-{count}");
    let allow = json!({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"});
    let signer = admin.user(&name, &document(&[allow])).await?;
    let others: Vec<Value> = (1..count).map(other_statement).collect();
    for (n, statements) in others.chunks(STATEMENTS_OF_A_POLICY).enumerate() {
        let arn = admin.policy(&format!("{name}-{n}"), &document(statements)).await?;
        let group = format!("{name}-{}", n / POLICIES_OF_A_GROUP);
        if n % POLICIES_OF_A_GROUP == 0 {
            admin.group(&group, &name).await?;
        }
        admin.attach(&group, &arn).await?;
    }
    Ok(signer)
}

async fn statements(options: &Options, bench: &Bench) -> Outcome<Curve> {
    let title = "Encrypt, requests a second by statements that concern the caller";
    let mut curve = Curve::new(title, "statements", &["Encrypt"]);
    let mut admin = Client::open(&bench.target, bench.claviger.administrator.clone()).await?;
    for count in STATEMENTS {
        let user = user_of(&mut admin, count).await?;
        let requests = bench.workload.requests_of(&user, "Encrypt")?;
        let load = options.load(options.connections, SECONDS);
        curve.add(0, count, load.run(&bench.claviger.child, &bench.target, &requests).await?);
    }
    Ok(curve)
}

fn name(n: usize) -> String {
    format!("prod/tenant-{:03}/database-{n:07}", n % 1000)
}

/// Makes so many of something, from connections of their own; answers how long it took, and what `id` finds in the
/// answers.
async fn create(
    (target, admin): (&Target, &Signer),
    (service, operation): (&'static str, &'static str),
    range: std::ops::Range<usize>,
    body: fn(usize) -> Value,
    id: Option<&'static str>,
) -> Outcome<(Duration, Vec<String>)> {
    let began = crate::operations::now();
    let next = Arc::new(AtomicUsize::new(range.start));
    let writers = (0..WRITERS).map(|_| {
        let (next, target, admin, end) = (next.clone(), target.clone(), admin.clone(), range.end);
        tokio::spawn(async move {
            let mut connection = Connection::open(&target).await?;
            let name = target_of(service, operation);
            let ask = Ask::Json { service, target: &name };
            let mut ids = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= end {
                    return Outcome::Ok(ids);
                }
                let body = body(n).to_string();
                let request = admin.request(target.address, &ask, body.as_bytes())?;
                let answer = connection.exchange(&request).await?;
                if answer.status != 200 {
                    let text = String::from_utf8_lossy(answer.body);
                    return Err(format!("{operation}: {} {text}", answer.status).into());
                }
                if let Some(id) = id {
                    let answer: Value = serde_json::from_slice(answer.body)?;
                    ids.extend(answer.pointer(id).and_then(Value::as_str).map(str::to_owned));
                }
            }
        })
    });
    let mut ids = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        ids.extend(writer.await??);
    }
    Ok((began.elapsed(), ids))
}

/// Secrets by these numbers; answers how many a second.
async fn create_secrets(claviger: &Claviger, range: std::ops::Range<usize>) -> Outcome<f64> {
    let target = server::target(&claviger.child, None);
    let whose = (&target, &claviger.administrator);
    let count = range.len();
    let body = |n| {
        json!({"Name": name(n), "ClientRequestToken": format!("{n:032}"),
            "SecretString": format!("{{\"username\":\"app\",\"password\":\"{n:024x}\"}}")})
    };
    let (took, _) = create(whose, ("secretsmanager", "CreateSecret"), range, body, None).await?;
    Ok(count as f64 / took.as_secs_f64())
}

async fn create_keys(claviger: &Claviger, range: std::ops::Range<usize>) -> Outcome<Vec<String>> {
    let target = server::target(&claviger.child, None);
    let whose = (&target, &claviger.administrator);
    let id = Some("/KeyMetadata/KeyId");
    Ok(create(whose, ("kms", "CreateKey"), range, |_| json!({}), id).await?.1)
}

fn asked(
    user: &Signer,
    target: &Target,
    (service, operation): (&str, &str),
    bodies: &[Value],
) -> Outcome<Arc<[Bytes]>> {
    let operation = target_of(service, operation);
    let ask = Ask::Json { service, target: &operation };
    let sign = |body: &Value| user.request(target.address, &ask, body.to_string().as_bytes());
    bodies.iter().map(sign).collect()
}

async fn secrets(options: &Options, cores: Cores, dir: &Path) -> Outcome<Curve> {
    let names = [
        "GetSecretValue, the same few",
        "GetSecretValue, all over",
        "ListSecrets, 20 a page",
        "Encrypt, with a tenth as many keys",
    ];
    let title = "Requests a second by secrets in the store";
    let mut curve = Curve::new(title, "secrets", &names);
    let dir = dir.join("secrets");
    std::fs::create_dir(&dir)?;
    let mut claviger = server::dev(cores, &dir)?;
    let quick = options.seconds.is_some_and(|seconds| seconds < 1.0);
    let counts: &[usize] = if quick { &QUICK_SECRETS } else { &SECRETS };
    println!(
        "| secrets | keys | start s | resident MiB, started | … after reads | secrets created a second |"
    );
    println!("|---|---|---|---|---|---|");
    let (mut there, mut keys) = (0, Vec::new());
    for count in counts.iter().copied().filter(|count| *count <= options.secrets) {
        create_secrets(&claviger, there..count).await?;
        let wanted = count.div_ceil(SECRETS_OF_A_KEY);
        keys.extend(create_keys(&claviger, keys.len()..wanted).await?);
        // Killed, and started anew: what a start reads is on disk, and no cache is warm.
        claviger.child.kill()?;
        let began = crate::operations::now();
        claviger = server::dev(cores, &dir)?;
        let start = began.elapsed().as_secs_f64();
        let before = claviger.child.resident_mib()?;
        let measured = reads(options, &claviger, count, &keys).await?;
        for (line, measured) in measured.into_iter().enumerate() {
            curve.add(line, count, measured);
        }
        let after = claviger.child.resident_mib()?;
        there = count + MORE;
        let rate = create_secrets(&claviger, count..there).await?;
        println!(
            "| {count} | {} | {start:.2} | {before:.0} | {after:.0} | {rate:.0} |",
            keys.len()
        );
    }
    Ok(curve)
}

async fn reads(
    options: &Options,
    claviger: &Claviger,
    count: usize,
    keys: &[String],
) -> Outcome<[Measured; 4]> {
    let target = server::target(&claviger.child, None);
    let load = options.load(options.connections, SECONDS);
    let measure = async |operation: (&str, &str), bodies: Vec<Value>| {
        let requests = asked(&claviger.administrator, &target, operation, &bodies)?;
        load.run(&claviger.child, &target, &requests).await
    };
    let read = |n: usize| json!({"SecretId": name(n)});
    let hot = (0..HOT.min(count)).map(read).collect();
    // A stride that has no divisor with the count but one goes over all of them.
    let spread = (0..SPREAD.min(count)).map(|n| read(n * 7919 % count)).collect();
    let encrypt = |key| json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let some = keys.len().div_ceil(SPREAD);
    let encrypt = keys.iter().step_by(some).map(encrypt).collect();
    let get = ("secretsmanager", "GetSecretValue");
    Ok([
        measure(get, hot).await?,
        measure(get, spread).await?,
        measure(("secretsmanager", "ListSecrets"), vec![json!({"MaxResults": 20})]).await?,
        measure(("kms", "Encrypt"), encrypt).await?,
    ])
}
