//! Clients that stop or drip in each phase of HTTP/1.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends `first`, then one byte of `drip` every 50 ms, and expects the cut after `deadline`.
async fn cut_after(first: &str, drip: &str, deadline: Duration) -> String {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let began = Instant::now();
    client.send(first).await;
    let (mut reader, mut writer) = client.0.into_split();
    let drip = drip.to_owned();
    let dripping = tokio::spawn(async move {
        for byte in drip.bytes() {
            sleep(ms(50)).await;
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    let mut got = Vec::new();
    let _ = timeout(Duration::from_secs(10), reader.read_to_end(&mut got)).await.unwrap();
    assert_cut(began.elapsed(), deadline);
    dripping.abort();
    server.emptied(began).await;
    assert_eq!(server.timed_out(), 1);
    String::from_utf8(got).unwrap()
}

#[tokio::test]
async fn nothing_sent() {
    assert_eq!(cut_after("", "", quick().head).await, "");
}

#[tokio::test]
async fn half_a_request_line() {
    assert_eq!(cut_after("GET / HT", "", quick().head).await, "");
}

#[tokio::test]
async fn half_the_preface_of_http2() {
    assert_eq!(cut_after("PRI * HTTP/2", "", quick().head).await, "");
}

#[tokio::test]
async fn half_the_headers() {
    assert_eq!(cut_after("GET / HTTP/1.1\r\nHost: a\r\nX-A: ", "", quick().head).await, "");
}

#[tokio::test]
async fn dripping_headers() {
    let drip = "b".repeat(100);
    assert_eq!(cut_after("GET / HTTP/1.1\r\nX-A: ", &drip, quick().head).await, "");
}

#[tokio::test]
async fn empty_lines_forever() {
    assert_eq!(cut_after("", &"\r\n".repeat(50), quick().head).await, "");
}

#[tokio::test]
async fn a_stalled_body() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";
    let response = cut_after(head, "", quick().body).await;
    assert_eq!(status(&response), 408);
    assert!(response.contains("connection: close"));
}

#[tokio::test]
async fn a_stalled_body_after_expect() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let response = cut_after(head, "", quick().body).await;
    assert!(response.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408"), "{response}");
}

#[tokio::test]
async fn dripping_bodies() {
    let drip = "b".repeat(100);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n";
    assert_eq!(status(&cut_after(head, &drip, quick().body).await), 408);
    let drip = "1\r\nb\r\n".repeat(50);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(&cut_after(head, &drip, quick().body).await), 408);
}

#[tokio::test]
async fn idle_between_requests() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        // Each request starts the idle time anew.
        client.send(GET).await;
        client.response().await;
        sleep(quick().idle * 2 / 3).await;
    }
    client.send(GET).await;
    client.response().await;
    let began = Instant::now();
    assert_eq!(client.read_to_end().await, "");
    assert_cut(began.elapsed() + ms(20), quick().idle);
    server.emptied(began).await;
    assert_eq!((server.timed_out(), server.connections.idle_closed.load(Relaxed)), (0, 1));
}

#[tokio::test]
async fn a_later_head_has_the_deadline_of_heads() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    client.response().await;
    sleep(ms(100)).await;
    let began = Instant::now();
    client.send("GET / HTTP/1.1\r\nHo").await;
    assert_eq!(client.read_to_end().await, "");
    assert_cut(began.elapsed() + ms(20), quick().head);
    assert_eq!(server.timed_out(), 1);
}

#[tokio::test]
async fn a_head_begun_behind_a_request_has_the_deadline_of_heads() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send([GET, "GET / HT"].concat()).await;
    client.response().await;
    let began = Instant::now();
    assert_eq!(client.read_to_end().await, "");
    assert_cut(began.elapsed() + ms(20), quick().head);
}

#[tokio::test]
async fn a_slow_handler_is_not_cut_and_a_hanging_one_is() {
    let limits = Limits { handling: ms(900), ..quick() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send("GET /wait/700 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&client.response().await), 200);
    let began = Instant::now();
    let response = client.last_exchange("GET /wait/9000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&response), 503);
    assert_cut(began.elapsed() + ms(20), ms(900));
}

#[tokio::test]
async fn not_taking_the_response() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send("GET /big/64000000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let began = Instant::now();
    let elapsed = server.emptied(began).await;
    assert_cut(elapsed + ms(50), quick().write);
    assert_eq!(server.timed_out(), 1);
    // The kernel does not keep what was not taken.
    let mut rest = Vec::new();
    assert!(client.0.read_to_end(&mut rest).await.is_err());
}

#[tokio::test]
async fn dripping_the_response() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    client.send("GET /big/64000000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let began = Instant::now();
    let dripping = tokio::spawn(async move {
        let mut buffer = vec![0; 128 * 1024];
        while client.0.read(&mut buffer).await.is_ok() {
            sleep(ms(20)).await;
        }
    });
    assert_cut(server.emptied(began).await + ms(50), quick().write);
    assert_eq!(server.timed_out(), 1);
    dripping.abort();
}

/// A client may say that it sends nothing more, and wait for its answer.
#[tokio::test]
async fn half_closed_after_a_request() {
    let server = Server::start(quick()).await;
    for request in ["GET /wait/100 HTTP/1.1\r\nHost: a\r\n\r\n", GET] {
        let mut client = server.connect().await;
        client.send(request).await;
        client.0.shutdown().await.unwrap();
        let began = Instant::now();
        let answer = client.read_to_end().await;
        assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (200, 1), "{answer}");
        assert!(began.elapsed() < SLACK);
    }
    server.emptied(Instant::now()).await;
    assert_eq!(server.timed_out(), 0);
}

#[tokio::test]
async fn half_closed_within_a_request() {
    let server = Server::start(quick()).await;
    let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";
    for (request, expected) in [(body, 400), ("GET / HTTP/1.1\r\nHo", 0)] {
        let mut client = server.connect().await;
        client.send(request).await;
        client.0.shutdown().await.unwrap();
        let answer = client.read_to_end().await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    server.emptied(Instant::now()).await;
    assert_eq!(server.timed_out(), 0, "it is known at once");
}
