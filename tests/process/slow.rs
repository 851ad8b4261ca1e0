//! Slow and idle clients against the program with its own limits.
use crate::client::{Client, connect, get};
use crate::harness::{Port, Process, machine, now};
use crate::setup::Deployment;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The limits of `claviger::http::Limits`, in words for people: hard-coded here on purpose.
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(5);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(3);

const IDLE_CONNECTIONS: usize = 10_000;
const AT_ONCE: usize = 250;
const CALLS: usize = 400;
/// The clock's grain, and the scheduler's, on a machine with two cores.
const LATENCY_SLACK: Duration = Duration::from_millis(2);

/// Sends `bytes`, slowly more of `drip`, and waits until the server ends the connection: how long
/// that took, and what it said.
fn until_cut(address: SocketAddr, bytes: &[u8], drip: &[u8]) -> (Duration, String) {
    let mut tcp = connect(address).unwrap();
    let began = now();
    tcp.write_all(bytes).unwrap();
    tcp.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let (mut said, mut piece, mut drops) = (Vec::new(), [0; 4096], drip.iter());
    loop {
        match tcp.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => said.extend_from_slice(&piece[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        assert!(
            began.elapsed() < BODY + 2 * SLACK,
            "not cut: {:?}",
            String::from_utf8_lossy(bytes)
        );
        if let Some(drop) = drops.next()
            && tcp.write_all(&[*drop]).is_err()
        {
            break;
        }
    }
    (began.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn each_phase_is_cut_at_its_deadline() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let address = process.address;
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{";
    let get = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    let drip = [b'a'; 200];
    let phases: [(&str, &str, &[u8], Duration); 7] = [
        ("nothing sent", "", b"", HEAD),
        ("half a request line", "POST / HT", b"", HEAD),
        ("half a head", "POST / HTTP/1.1\r\nhost: a\r\nx-", b"", HEAD),
        ("a dripping head", "POST / HTTP/1.1\r\nhost: a\r\nx-", &drip, HEAD),
        ("a stalled body", post, b"", BODY),
        ("a dripping body", post, &drip, BODY),
        ("idle after an answer", get, b"", IDLE),
    ];
    std::thread::scope(|scope| {
        let cut = |(name, bytes, drip, deadline): (&'static str, &'static str, &[u8], Duration)| {
            let (took, said) = until_cut(address, bytes.as_bytes(), drip);
            eprintln!("{name}: ended after {took:?}: {:?}", said.lines().next());
            let early = Duration::from_millis(200);
            assert!(
                took + early >= deadline && took < deadline + SLACK,
                "{name}: {took:?}: {said}"
            );
            // A request that was whole is answered; one that was not, with 408 or not at all.
            let status = said.split(' ').nth(1);
            match name {
                "idle after an answer" => assert_eq!(status, Some("200"), "{name}: {said}"),
                _ => assert!(said.is_empty() || status == Some("408"), "{name}: {said}"),
            }
        };
        for phase in phases {
            let name = phase.0;
            let named = std::thread::Builder::new().name(name.to_owned());
            named.spawn_scoped(scope, move || cut(phase)).unwrap();
        }
        // Meanwhile it serves.
        scope.spawn(|| {
            let began = now();
            let mut client = deployment.client(&process);
            while began.elapsed() < BODY {
                client.kms("ListKeys", json!({})).unwrap();
                std::thread::sleep(Duration::from_millis(250));
            }
        });
    });
    assert_eq!(process.stop().status.code(), Some(0));
}

/// The median and the 90th percentile of signed requests.
fn latency(client: &mut Client) -> [Duration; 2] {
    let mut took: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let began = now();
            client.kms("GenerateRandom", json!({"NumberOfBytes": 32})).unwrap();
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    [took[CALLS / 2], took[CALLS * 9 / 10]]
}

/// What the admin listener says of the API's.
fn open_connections(process: &Process) -> usize {
    let metrics = get(process.address, "/metrics").unwrap().text();
    let line = metrics.lines().find(|line| line.starts_with("claviger_connections_open "));
    let line = line.unwrap_or_else(|| panic!("no count of open connections in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Idle connections of all kinds: nothing sent, half a head, an HTTP/2 preface.
fn idle(address: SocketAddr, n: usize) -> TcpStream {
    let mut tcp = connect(address).unwrap();
    let bytes: &[u8] = match n % 3 {
        0 => b"",
        1 => b"POST / HTTP/1.1\r\nhost: a\r\n",
        _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    };
    tcp.write_all(bytes).unwrap();
    tcp
}

#[test]
fn ten_thousand_idle_connections_change_little() {
    let wanted = IDLE_CONNECTIONS as u64 + 500;
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|most| most >= wanted);
    assert!(enough, "this test needs {wanted} open files, the hard limit is {limit:?}: raise it");
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let _alone = machine(true);

    let mut deployment = Deployment::blank(true);
    let api = Port::free();
    deployment.more =
        format!("[listen]\napi = \"127.0.0.1:{}\"\nadmin = \"127.0.0.1:PORT\"\n", api.number);
    deployment.init();
    // The server inherits the limit.
    let process = deployment.serve();
    let address = SocketAddr::from(([127, 0, 0, 1], api.number));
    let mut client = Client::new(address, &deployment.admin.0, &deployment.admin.1);
    latency(&mut client);
    let before = latency(&mut client);
    let began: Instant = now();
    let mut connections: Vec<TcpStream> = Vec::with_capacity(IDLE_CONNECTIONS);
    while connections.len() < IDLE_CONNECTIONS {
        let n = connections.len();
        connections.extend((n..n + AT_ONCE).map(|n| idle(address, n)));
        // Accepted, not only queued by the kernel.
        while open_connections(&process) < n {
            assert!(began.elapsed() < HEAD, "only {n} connections in {HEAD:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let opened = began.elapsed();
    let during = latency(&mut client);
    let (lasted, open) = (began.elapsed(), open_connections(&process));
    let slow =
        format!("{open} are open after {lasted:?} (opened in {opened:?}): too slow to measure");
    assert!(open >= IDLE_CONNECTIONS, "{slow}");
    drop(connections);
    let after = latency(&mut client);
    eprintln!(
        "median and p90 without: {before:?}, with {open} idle connections (opened in {opened:?}): \
         {during:?}, after: {after:?}"
    );
    for (i, name) in ["median", "90th percentile"].into_iter().enumerate() {
        let most = 2 * before[i].max(after[i]) + LATENCY_SLACK;
        assert!(during[i] <= most, "the {name} rose to {:?}, at most {most:?}", during[i]);
    }
}
