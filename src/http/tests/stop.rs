//! Caps on connections, and the end of a server.

use super::*;

#[tokio::test]
async fn above_the_cap_connections_close_at_once() {
    let server = Server::start(Limits { connections: 3, head: ms(1000), ..quick() }).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(server.connect().await);
    }
    for _ in 0..2 {
        let began = Instant::now();
        assert_eq!(server.connect().await.read_to_end().await, "");
        assert!(began.elapsed() < ms(900));
    }
    assert_eq!(server.connections.refused.load(Relaxed), 2);
    assert_eq!(server.connections.open.load(Relaxed), 3);
    drop(inside.pop());
    sleep(ms(100)).await;
    let mut client = server.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&client.response().await), 200);
}

#[tokio::test]
async fn a_request_in_flight_ends_and_idle_connections_close() {
    let mut server = Server::start(Limits { idle: ms(5000), head: ms(5000), ..quick() }).await;
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    half.send("GET / HTTP").await;
    let mut idle = server.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.response().await;
    let mut busy = server.connect().await;
    busy.send("GET /wait/500 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sleep(ms(100)).await;

    let began = Instant::now();
    server.ask_stop();
    for (n, client) in [&mut silent, &mut half, &mut idle].into_iter().enumerate() {
        assert_eq!(client.read_to_end().await, "");
        assert!(began.elapsed() < ms(350), "{n} idle for {:?} after the stop", began.elapsed());
    }
    assert!(TcpStream::connect(server.address).await.is_err());
    let response = busy.read_to_end().await;
    assert!(response.contains("200 OK") && response.contains("connection: close"), "{response}");
    let stats = server.ended().await;
    assert_eq!((stats.accepted, stats.cut_at_stop, stats.timed_out), (4, 0, 0));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut() {
    let mut server = Server::start(quick()).await;
    let mut busy = server.connect().await;
    busy.send("GET /wait/4000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sleep(ms(100)).await;
    server.ask_stop();
    let began = Instant::now();
    assert_eq!(busy.read_to_end().await, "");
    assert_cut(began.elapsed() + ms(20), quick().stop);
    assert_eq!(server.ended().await.cut_at_stop, 1);
}

#[tokio::test]
async fn plain_http_stays_on_the_machine() {
    let allowed = |text: &str| crate::http::check_plain_allowed(text.parse().unwrap()).is_ok();
    assert!(allowed("127.0.0.1:80") && allowed("[::1]:80") && allowed("[::ffff:127.0.0.1]:80"));
    assert!(!allowed("0.0.0.0:80") && !allowed("[::]:80") && !allowed("192.0.2.1:80"));
    let tcp = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(Listener::new(tcp, None, Arc::new(Echo), quick()).is_err());
}
