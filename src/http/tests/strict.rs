//! What is refused, and that what is right passes.

use super::*;

/// The answer to one request on a connection of its own.
async fn answer(request: impl AsRef<[u8]>) -> String {
    let server = Server::start(quick()).await;
    server.connect().await.last_exchange(request).await
}

async fn status_of(request: impl AsRef<[u8]>) -> u16 {
    status(&answer(request).await)
}

fn with_headers(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[tokio::test]
async fn hosts() {
    assert_eq!(status_of("GET / HTTP/1.1\r\n\r\n").await, 400);
    assert_eq!(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n").await, 400);
    assert_eq!(status_of(with_headers("Host: a\r\n")).await, 400);
    assert_eq!(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").await, 400);
    assert_eq!(status_of("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n").await, 400);
    assert_eq!(status_of("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n").await, 200);
    assert_eq!(status_of("GET / HTTP/1.0\r\n\r\n").await, 200);
    assert_eq!(status_of(with_headers("")).await, 200);
}

#[tokio::test]
async fn heads_too_large() {
    assert_eq!(status_of(with_headers(&"X-A: b\r\n".repeat(63))).await, 200);
    assert_eq!(status_of(with_headers(&"X-A: b\r\n".repeat(64))).await, 431);
    let long = |length| with_headers(&format!("X-A: {}\r\n", "b".repeat(length)));
    assert_eq!(status_of(long(31 * 1024)).await, 200);
    assert_eq!(status_of(long(33 * 1024)).await, 431);
    assert_eq!(status_of(long(400 * 1024)).await, 431);
}

#[tokio::test]
async fn malformed_heads() {
    assert_eq!(status_of("GET / HTTP/1.1\nHost: a\r\n\r\n").await, 400);
    assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a\n\r\n").await, 400);
    assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a\r\n\n").await, 400);
    assert_eq!(status_of("GET / HTTP/1.1\r\nHost: a\n\n").await, 400);
    assert_eq!(status_of(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \xff\r\n\r\n").await, 400);
    assert_eq!(status_of(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n").await, 400);
    assert_eq!(status_of(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \x7f\r\n\r\n").await, 400);
    assert_eq!(status_of(with_headers("X-A: b\r\n folded\r\n")).await, 400);
    assert_eq!(status_of(with_headers("X-A : b\r\n")).await, 400);
    assert_eq!(status_of(with_headers("X-A: b\rc\r\n")).await, 400);
    assert_eq!(status_of(with_headers("Content-Length: 1\r\nContent-Length: 2\r\n")).await, 400);
    assert_eq!(status_of(with_headers("Content-Length: -1\r\n")).await, 400);
    assert_eq!(status_of(with_headers("Transfer-Encoding: gzip\r\n")).await, 400);
    assert_eq!(status_of("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await, 400);
    // Behind a request that is right, in the same packet: each gets its answer, and nothing comes after.
    let wrong = b"GET / HTTP/1.1\nHost: a\r\n\r\n";
    let three = [with_headers("").as_bytes(), wrong, with_headers("").as_bytes()].concat();
    let answers = answer(three).await;
    let lines: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).collect();
    let [right, refused] = lines.as_slice() else { panic!("{answers}") };
    assert!(right.starts_with("200 OK"), "{answers}");
    assert!(refused.starts_with("400 ") && refused.contains("connection: close"), "{answers}");
}

#[tokio::test]
async fn both_framings_end_the_connection() {
    let smuggled = with_headers(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n",
    );
    let answers = answer(smuggled).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    assert!(answers.contains("connection: close"));
}

#[tokio::test]
async fn bodies_too_large() {
    let server = Server::start(Limits { max_body_bytes: 1000, ..quick() }).await;
    let mut client = server.connect().await;
    let head =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.send(head(1000) + &"b".repeat(1000)).await;
    assert!(client.response().await.contains("body=1000"));
    // Refused on the head alone.
    let began = Instant::now();
    let response = client.last_exchange(head(1001)).await;
    assert_eq!(status(&response), 413);
    assert!(began.elapsed() < quick().body);

    let mut client = server.connect().await;
    let expect = head(1001).replace("Host", "Expect: 100-continue\r\nHost");
    let response = client.last_exchange(expect).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");

    // The refusal reaches a client that goes on sending.
    let mut client = server.connect().await;
    let response = client.last_exchange(head(2_000_000) + &"b".repeat(2_000_000)).await;
    assert_eq!(status(&response), 413);

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let chunk = format!("64\r\n{}\r\n", "b".repeat(100));
    let mut client = server.connect().await;
    let response = client.last_exchange(chunked.clone() + &chunk.repeat(10) + "0\r\n\r\n").await;
    assert!(response.contains("body=1000") && response.contains("connection: close"));
    let mut client = server.connect().await;
    let response = client.last_exchange(chunked + &chunk.repeat(11)).await;
    assert_eq!(status(&response), 413);
}

#[tokio::test]
async fn bodies_together_too_large() {
    let limits = Limits { max_buffered_bytes: 1500, max_body_bytes: 1000, ..quick() };
    let server = Server::start(limits).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    let mut stalled = server.connect().await;
    stalled.send(head).await;
    for _ in 0..9 {
        stalled.send("b".repeat(100)).await;
        sleep(ms(5)).await;
    }
    let mut client = server.connect().await;
    client.send(head).await;
    sleep(ms(20)).await;
    client.send("b".repeat(500)).await;
    sleep(ms(20)).await;
    assert_eq!(status(&client.last_exchange("b".repeat(200)).await), 503);
    // What comes in one piece needs no room.
    let mut client = server.connect().await;
    client.send(head.to_owned() + &"b".repeat(1000)).await;
    assert_eq!(status(&client.response().await), 200);
}

#[tokio::test]
async fn kept_alive_and_pipelined() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    for n in 0..20 {
        client.send(format!("PUT /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")).await;
        let response = client.response().await;
        assert!(response.contains(&format!("PUT /{n} Some(\"a\") body=3")), "{response}");
        assert!(response.contains("\r\ndate: "));
    }
    let mut pipeline = String::new();
    for n in 0..50 {
        pipeline += &format!("PUT /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / HTT");
        pipeline += &format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    pipeline += "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let responses = client.last_exchange(pipeline).await;
    for n in 0..50 {
        let put = format!("PUT /{n} Some(\"a\") body=9");
        assert!(responses.contains(&put), "{n}: {responses}");
        assert!(responses.contains(&format!("GET /{n} Some(\"a\") body=0")));
    }
    assert_eq!(responses.matches("200 OK").count(), 101);
    assert_eq!(server.timed_out(), 0);
}

#[tokio::test]
async fn a_request_in_single_bytes() {
    let server = Server::start(Limits { head: ms(3000), body: ms(3000), ..quick() }).await;
    let mut client = server.connect().await;
    client.0.set_nodelay(true).unwrap();
    let request = "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".repeat(2);
    for byte in request.bytes() {
        client.send([byte]).await;
        sleep(ms(1)).await;
    }
    let responses = client.read_to_end().await;
    assert_eq!(responses.matches("200 OK").count(), 2);
}
