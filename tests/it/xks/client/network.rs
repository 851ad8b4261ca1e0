//! Proxies that are slow, long-winded, or send us elsewhere.
#![expect(clippy::disallowed_methods, reason = "these tests are about elapsed time")]

use claviger::external::{Client, Failure, RequestMetadata, Settings, Way};
use claviger::sigv4::Credentials;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers every connection with these bytes, a piece at a time, and keeps it open.
async fn says(pieces: Vec<Vec<u8>>, pause: Duration) -> Way {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let pieces = pieces.clone();
            tokio::spawn(async move {
                let mut read = vec![0; 4096];
                let _ = stream.read(&mut read).await;
                for piece in pieces {
                    let _ = stream.write_all(&piece).await;
                    tokio::time::sleep(pause).await;
                }
                let _ = stream.read(&mut [0; 1]).await;
            });
        }
    });
    let settings: Settings = serde_json::from_value(json!({"endpoint": endpoint})).unwrap();
    Way::new(&settings).unwrap()
}

async fn asks(way: &Way) -> Failure {
    let credential = Credentials { access_key_id: "a", secret: "b", session_token: None };
    let client = Client {
        way,
        path: "/kms/xks/v1",
        credential,
        region: "us-west-2",
        now_secs: 1_767_225_600,
    };
    client.metadata("k", RequestMetadata::default()).await.unwrap_err()
}

pub fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub const KEY: &str =
    r#"{"keySpec":"AES_256","keyUsage":["ENCRYPT","DECRYPT"],"keyStatus":"ENABLED"}"#;

#[tokio::test]
async fn a_quarter_of_a_second_and_no_longer() {
    let whole = answer("200 OK", KEY);
    let dripped: Vec<Vec<u8>> = whole.iter().map(|byte| vec![*byte]).collect();
    for pieces in [Vec::new(), vec![whole[..20].to_vec()], dripped] {
        let way = says(pieces, Duration::from_millis(40)).await;
        let began = Instant::now();
        assert_eq!(asks(&way).await, Failure::TooLate);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn too_long_an_answer_is_not_read_to_its_end() {
    let long = format!("{KEY}{}", " ".repeat(100_000));
    let way = says(vec![answer("200 OK", &long)], Duration::ZERO).await;
    assert!(matches!(asks(&way).await, Failure::Malformed(_)));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let head = format!("{status}\r\nLocation: http://127.0.0.1:1/kms/xks/v1/keys/k/metadata");
        let way = says(vec![answer(&head, KEY)], Duration::ZERO).await;
        assert!(matches!(asks(&way).await, Failure::Malformed(_)), "{status}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings: Settings = serde_json::from_value(json!({"endpoint": endpoint})).unwrap();
    assert_eq!(asks(&Way::new(&settings).unwrap()).await, Failure::Unreachable);
}

#[test]
fn only_endpoints_without_anything_after_them_are_registered() {
    for (endpoint, good) in [
        ("https://xks.example.org", true),
        ("https://xks.example.org:8443", true),
        ("https://xks.example.org/", false),
        ("https://xks.example.org/path", false),
        ("https://xks.example.org?query", false),
        ("http://xks.example.org", false),
        ("xks.example.org", false),
    ] {
        let settings: Settings = serde_json::from_value(json!({"endpoint": endpoint})).unwrap();
        assert_eq!(Way::new(&settings).is_ok(), good, "{endpoint}");
    }
    for (deadline, good) in [(9, false), (10, true), (10_000, true), (10_001, false)] {
        let settings = json!({"endpoint": "https://a.example", "deadline_ms": deadline});
        let settings: Settings = serde_json::from_value(settings).unwrap();
        assert_eq!(Way::new(&settings).is_ok(), good, "{deadline}");
    }
}
