//! Connections to a proxy are kept, bounded, and replaced when they turn out to be closed.
use super::network::{KEY, answer};
use claviger::external::{Client, Failure, KeyMetadata, RequestMetadata, Settings, Way};
use claviger::sigv4::Credentials;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with the request of this number on the connection of that one, both from 0.
#[derive(Clone, Debug)]
enum Does {
    Says(Vec<u8>),
    /// And then closes.
    SaysLast(Vec<u8>),
    /// Closes without a word.
    Closes,
    Hangs,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Counts {
    fn seen(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
    }
}

/// Reads a whole request; none if the client has closed.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut read = Vec::new();
    let head = loop {
        let mut some = [0; 2048];
        let n = stream.read(&mut some).await.ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&some[..n]);
        if let Some(at) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
    let length = text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut rest = vec![0; (head + length.parse::<usize>().unwrap()) - read.len()];
    stream.read_exact(&mut rest).await.ok().map(drop)
}

async fn server(does: impl Fn(usize, usize) -> Does + Send + Sync + 'static) -> (Way, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (counts, does) = (Arc::new(Counts::default()), Arc::new(does));
    let counted = counts.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let at = counted.connections.fetch_add(1, Ordering::SeqCst);
            let (counted, does) = (counted.clone(), does.clone());
            tokio::spawn(async move { serve(stream, &counted, |n| does(at, n)).await });
        }
    });
    (way(&endpoint, 250), counts)
}

async fn serve(mut stream: TcpStream, counts: &Counts, does: impl Fn(usize) -> Does) {
    let mut n = 0;
    while request(&mut stream).await.is_some() {
        counts.requests.fetch_add(1, Ordering::SeqCst);
        match does(n) {
            Does::Says(bytes) => stream.write_all(&bytes).await.unwrap(),
            Does::SaysLast(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return;
            }
            Does::Closes => return,
            Does::Hangs => {}
        }
        n += 1;
    }
}

fn way(endpoint: &str, deadline_ms: u64) -> Way {
    let settings = json!({"endpoint": endpoint, "deadline_ms": deadline_ms});
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Way::new(&settings).unwrap()
}

async fn asks(way: &Way) -> Result<KeyMetadata, Failure> {
    let credential = Credentials { access_key_id: "a", secret: "b", session_token: None };
    let (path, region, now_secs) = ("/kms/xks/v1", "us-west-2", 1_767_225_600);
    let client = Client { way, path, credential, region, now_secs };
    client.metadata("k", RequestMetadata::default()).await
}

fn good() -> Vec<u8> {
    answer("200 OK", KEY)
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (way, counts) = server(|_, _| Does::Says(good())).await;
    for _ in 0..20 {
        asks(&way).await.unwrap();
    }
    assert_eq!(counts.seen(), (1, 20));
    // Those at the same time need one each, and it is these that are kept.
    for _ in 0..3 {
        let all = futures_util::future::join_all((0..8).map(|_| asks(&way))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }
    let (connections, requests) = counts.seen();
    assert!(connections <= 8 && requests == 44, "{connections} connections, {requests} requests");
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_as_it_was() {
    let refusal = answer("429 Too Many", r#"{"errorName":"ThrottlingException"}"#);
    let (way, counts) =
        server(move |_, n| Does::Says(if n == 0 { refusal.clone() } else { good() })).await;
    assert!(matches!(asks(&way).await, Err(Failure::Refused(_))));
    asks(&way).await.unwrap();
    assert_eq!(counts.seen(), (1, 2));
}

#[tokio::test]
async fn what_the_server_closes_is_made_anew() {
    let close = "200 OK\r\nConnection: close".to_owned();
    let says_so = answer(&close, KEY);
    // With and without saying so.
    for last in [says_so, good()] {
        let (way, counts) = server(move |_, _| Does::SaysLast(last.clone())).await;
        for _ in 0..10 {
            asks(&way).await.unwrap();
        }
        assert_eq!(counts.seen(), (10, 10));
    }
}

/// The server closes at the moment when the next request is on its way.
#[tokio::test]
async fn a_request_that_got_no_answer_is_made_once_more_and_only_on_a_new_connection() {
    let (way, counts) = server(|_, n| if n == 0 { Does::Says(good()) } else { Does::Closes }).await;
    for _ in 0..5 {
        asks(&way).await.unwrap();
    }
    // Each but the first one was sent twice.
    assert_eq!(counts.seen(), (5, 9));
    // Nobody answers at all: a new connection is not tried again.
    let (way, counts) = server(|_, _| Does::Closes).await;
    assert_eq!(asks(&way).await.unwrap_err(), Failure::Unreachable);
    assert_eq!(counts.seen(), (1, 1));
    let (way, counts) = server(|at, n| match (at, n) {
        (0, 0) => Does::Says(good()),
        _ => Does::Closes,
    })
    .await;
    asks(&way).await.unwrap();
    assert_eq!(asks(&way).await.unwrap_err(), Failure::Unreachable);
    assert_eq!(counts.seen(), (2, 3));
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_asked_for_again() {
    let whole = good();
    let cut = whole[..whole.len() - 1].to_vec();
    let (way, counts) =
        server(move |_, n| if n == 0 { Does::Says(good()) } else { Does::SaysLast(cut.clone()) })
            .await;
    asks(&way).await.unwrap();
    assert!(matches!(asks(&way).await, Err(Failure::Malformed(_))));
    assert_eq!(counts.seen(), (1, 2));
    // What is no HTTP is an answer, too.
    let (way, counts) = server(|_, n| {
        Does::Says(if n == 0 { good() } else { b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec() })
    })
    .await;
    asks(&way).await.unwrap();
    assert!(asks(&way).await.is_err());
    assert_eq!(counts.seen(), (1, 2));
}

/// A second answer to one request must not become the answer to the next one.
#[tokio::test]
async fn what_was_not_asked_for_is_nobodys_answer() {
    let other = answer("200 OK", r#"{"keySpec":"STALE","keyUsage":[],"keyStatus":"DISABLED"}"#);
    let twice = [good(), other].concat();
    let (way, _) = server(move |_, _| Does::Says(twice.clone())).await;
    for _ in 0..20 {
        if let Ok(answer) = asks(&way).await {
            assert_eq!(answer.key_spec, "AES_256");
        }
    }
}

/// A connection whose packets are swallowed costs one request, and no other connection.
#[tokio::test]
async fn after_a_silence_a_connection_is_gone() {
    let (way, counts) = server(|at, n| match (at, n) {
        (..4, 1..) => Does::Hangs,
        _ => Does::Says(good()),
    })
    .await;
    let all = futures_util::future::join_all((0..4).map(|_| asks(&way))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(counts.seen().0, 4);
    for _ in 0..4 {
        assert_eq!(asks(&way).await.unwrap_err(), Failure::TooLate);
    }
    for _ in 0..3 {
        asks(&way).await.unwrap();
    }
    assert_eq!(counts.seen().0, 5);
}

/// A proxy that does not answer takes so many connections and no more.
#[tokio::test]
async fn connections_have_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let way = way(&format!("http://{}", listener.local_addr().unwrap()), 10_000);
    let asking: Vec<_> = (0..300)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move { asks(&way).await })
        })
        .collect();
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(listener.accept().await.unwrap());
    }
    // The others wait for one of these to end.
    let more = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
    assert!(more.is_err(), "a connection too many");
    drop(open.pop());
    listener.accept().await.unwrap();
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}
