//! A store with many secrets: how long its backup, the checks and the restore take, how large the file is, and
//! what callers see of it. A few hundred, unless CLAVIGER_BACKUP_SECRETS says otherwise: docs/backup.md.
use super::support::{TOKEN, back_up, command, text, verify};
use crate::client::Client;
use crate::harness::{Exit, Numbers, Process, machine, now};
use crate::setup::Deployment;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const SECRETS: u64 = 400;
const CLIENTS: usize = 16;
/// Of each secret.
const BYTES: usize = 100;
/// How long calls are measured without a backup.
const ALONE: Duration = Duration::from_secs(2);
/// No call waits for a backup. It may wait for a machine that does other things besides.
const LONGEST: Duration = Duration::from_secs(5);

fn secrets() -> u64 {
    let given = std::env::var("CLAVIGER_BACKUP_SECRETS").ok();
    given.map_or(SECRETS, |text| text.parse().expect("CLAVIGER_BACKUP_SECRETS is a number"))
}

fn name(n: u64) -> String {
    format!("large/{n:07}")
}

fn fill(deployment: &Deployment, process: &Process, count: u64) {
    let next = AtomicU64::new(0);
    let write = |mut client: Client| {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                break;
            }
            let value = format!("{n:0BYTES$}");
            let body = json!({"Name": name(n), "SecretString": value, "ClientRequestToken": TOKEN});
            client.secrets("CreateSecret", body).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = deployment.client(process);
            scope.spawn(|| write(client));
        }
    });
}

/// What calls took while `work` was done: reads, and writes.
fn during(deployment: &Deployment, process: &Process, count: u64, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let call = |seed: u64, writes: bool| {
        let (mut client, mut numbers) = (deployment.client(process), Numbers(seed));
        let (mut times, tags) = (Vec::new(), json!([{"Key": "k", "Value": "v"}]));
        while !stop.load(Ordering::Relaxed) {
            let secret = name(numbers.below(count));
            let began = now();
            let answer = match writes {
                true => client.secrets("TagResource", json!({"SecretId": secret, "Tags": tags})),
                false => client.secrets("GetSecretValue", json!({"SecretId": secret})),
            };
            answer.unwrap();
            times.push(began.elapsed());
        }
        times
    };
    std::thread::scope(|scope| {
        let threads = [(1, false), (2, false), (3, true), (4, true)]
            .map(|(seed, writes)| (writes, scope.spawn(move || call(seed, writes))));
        work();
        stop.store(true, Ordering::Relaxed);
        let (mut reads, mut written) = (Vec::new(), Vec::new());
        for (writes, thread) in threads {
            let times = thread.join().unwrap();
            if writes { written.extend(times) } else { reads.extend(times) }
        }
        tell("GetSecretValue", reads);
        tell("TagResource", written);
    });
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 1000];
    let longest = *times.last().expect("there was a call");
    let (p50, p99) = (at(500), at(990));
    eprintln!("  {what}: {} calls, p50 {p50:.1?}, p99 {p99:.1?}, max {longest:.1?}", times.len());
    assert!(longest < LONGEST, "a call took {longest:?}");
}

fn timed(what: &str, work: impl FnOnce() -> Exit) -> Exit {
    let began = now();
    let exit = work();
    eprintln!("{what}: {:.2?}", began.elapsed());
    assert!(exit.status.success(), "{exit:#?}");
    exit
}

fn megabytes(path: &Path) -> u64 {
    path.metadata().unwrap().len() >> 20
}

#[test]
fn calls_are_answered_while_a_large_store_is_backed_up_and_all_of_it_comes_back() {
    let _machine = machine(true);
    let count = secrets();
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("large.backup");
    let process = deployment.serve();
    let began = now();
    fill(&deployment, &process, count);
    let store = megabytes(&deployment.store_file());
    eprintln!("{count} secrets made in {:.1?}; the store has {store} MB", began.elapsed());
    eprintln!("without a backup:");
    during(&deployment, &process, count, || std::thread::sleep(ALONE));
    eprintln!("during a backup:");
    let mut rows = 0;
    during(&deployment, &process, count, || {
        let began = now();
        rows = back_up(&deployment, &file)["rows"].as_u64().unwrap();
        eprintln!("backup: {:.2?}", began.elapsed());
    });
    assert!(rows > count, "{rows} rows");
    let store = megabytes(&deployment.store_file());
    eprintln!("{rows} rows, {} MB; the store has {store} MB", megabytes(&file));
    assert_eq!(process.stop().status.code(), Some(0));

    timed("verify", || verify(&file));
    let keyed = timed("verify with keys", || command(&deployment, "verify", &[text(&file)]));
    assert!(keyed.stdout.contains("Every row opens"), "{keyed:#?}");
    let restore = ["--replace", "--accept-older", text(&file)];
    timed("restore", || command(&deployment, "restore", &restore));
    eprintln!("the store has {} MB", megabytes(&deployment.store_file()));
    let process = deployment.serve();
    eprintln!("start: {:.2?}", process.took);
    let mut client = deployment.client(&process);
    let mut numbers = Numbers(5);
    for n in (0..200).map(|_| numbers.below(count)).chain([0, count - 1]) {
        let got = client.secrets("GetSecretValue", json!({"SecretId": name(n)})).unwrap();
        assert_eq!(got["SecretString"], format!("{n:0BYTES$}"));
    }
    assert_eq!(process.stop().status.code(), Some(0));
}
