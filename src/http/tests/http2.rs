//! HTTP/2, with prior knowledge over plain TCP: the same deadlines and caps.

use h2::{
    Reason,
    client::{Builder, SendRequest},
};
use http::{Method, Request, StatusCode};

use super::*;

type Sender = SendRequest<Bytes>;

/// A client whose connection runs in a task that ends with the connection.
async fn connect(
    server: &Server,
    builder: &Builder,
) -> (Sender, JoinHandle<Result<(), h2::Error>>) {
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = builder.handshake(tcp).await.unwrap();
    (sender.ready().await.unwrap(), tokio::spawn(connection))
}

fn request(method: Method, path: &str) -> Request<()> {
    let uri = format!("http://a{path}");
    Request::builder().method(method).uri(uri).version(http::Version::HTTP_2).body(()).unwrap()
}

async fn get(sender: &mut Sender, path: &str) -> Result<(StatusCode, String), h2::Error> {
    exchange(sender, request(Method::GET, path), None).await
}

async fn exchange(
    sender: &mut Sender,
    request: Request<()>,
    body: Option<Bytes>,
) -> Result<(StatusCode, String), h2::Error> {
    let (response, mut stream) = sender.send_request(request, body.is_none())?;
    if let Some(body) = body {
        stream.send_data(body, true)?;
    }
    let (head, mut body) = timeout(Duration::from_secs(5), response).await.unwrap()?.into_parts();
    let mut text = String::new();
    while let Some(data) = body.data().await {
        let data = data?;
        text += std::str::from_utf8(&data).unwrap();
        body.flow_control().release_capacity(data.len())?;
    }
    Ok((head.status, text))
}

#[tokio::test]
async fn requests_are_answered() {
    let server = Server::start(quick()).await;
    let (mut sender, _connection) = connect(&server, &Builder::new()).await;
    let (status, text) = get(&mut sender, "/x").await.unwrap();
    assert_eq!((status, text.as_str()), (StatusCode::OK, "GET /x Some(\"a\") body=0 None"));
    let body = Bytes::from(vec![b'b'; 200_000]);
    let (status, text) =
        exchange(&mut sender, request(Method::POST, "/y"), Some(body)).await.unwrap();
    assert_eq!((status, text.as_str()), (StatusCode::OK, "POST /y Some(\"a\") body=200000 None"));
    let (_, text) = get(&mut sender, "/big/300000").await.unwrap();
    assert_eq!(text.len(), 300_000);
}

#[tokio::test]
async fn idle_connections_are_ended_with_goaway() {
    let server = Server::start(quick()).await;
    let (mut sender, connection) = connect(&server, &Builder::new()).await;
    for _ in 0..3 {
        get(&mut sender, "/").await.unwrap();
        sleep(ms(150)).await;
    }
    get(&mut sender, "/wait/600").await.unwrap();
    let began = Instant::now();
    timeout(SLACK, connection).await.unwrap().unwrap().unwrap();
    assert_cut(began.elapsed() + ms(20), quick().http2_idle);
    server.emptied(began).await;
    assert_eq!((server.timed_out(), server.connections.idle_closed.load(Relaxed)), (0, 1));
}

#[tokio::test]
async fn a_connection_without_requests_is_ended_even_if_it_pings() {
    let server = Server::start(quick()).await;
    let mut client = server.connect().await;
    let began = Instant::now();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let (mut reader, mut writer) = client.0.into_split();
    let pinging = tokio::spawn(async move {
        while writer.write_all(b"\0\0\x08\x06\0\0\0\0\0abcdefgh").await.is_ok() {
            sleep(ms(50)).await;
        }
    });
    let mut got = Vec::new();
    let _ = timeout(Duration::from_secs(10), reader.read_to_end(&mut got)).await.unwrap();
    // GOAWAY, whose PING is never answered, and the time to say goodbye.
    assert_cut(began.elapsed(), quick().http2_idle + quick().linger);
    server.emptied(began).await;
    pinging.abort();
}

#[tokio::test]
async fn a_stalled_body_is_refused_and_other_streams_live() {
    let server = Server::start(quick()).await;
    let (mut sender, _connection) = connect(&server, &Builder::new()).await;
    let began = Instant::now();
    let (response, mut stream) = sender.send_request(request(Method::POST, "/"), false).unwrap();
    stream.send_data("abc".into(), false).unwrap();
    get(&mut sender, "/").await.unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    assert_cut(began.elapsed(), quick().body);
    get(&mut sender, "/").await.unwrap();
    assert_eq!(server.timed_out(), 1);
}

#[tokio::test]
async fn bodies_and_headers_have_caps() {
    let server = Server::start(Limits { max_body_bytes: 1000, ..quick() }).await;
    let (mut sender, _connection) = connect(&server, &Builder::new()).await;
    let body = Bytes::from(vec![b'b'; 1001]);
    let (status, _) = exchange(&mut sender, request(Method::POST, "/"), Some(body)).await.unwrap();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let with_headers = |count: usize, length: usize| {
        let mut request = request(Method::GET, "/");
        for n in 0..count {
            let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
            request.headers_mut().insert(name, "b".repeat(length).parse().unwrap());
        }
        request
    };
    let mut status_of = async |request| exchange(&mut sender, request, None).await.map(|r| r.0);
    assert_eq!(status_of(with_headers(63, 1)).await.unwrap(), StatusCode::OK);
    let too_many = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    assert_eq!(status_of(with_headers(65, 1)).await.unwrap(), too_many);
    // h2 itself answers, or resets the stream.
    let too_large = status_of(with_headers(33, 1024)).await;
    assert!(too_large.as_ref().map_or(true, |&status| status == too_many), "{too_large:?}");
    let mut hosts = request(Method::GET, "/");
    hosts.headers_mut().insert("host", "b".parse().unwrap());
    assert_eq!(status_of(hosts).await.unwrap(), StatusCode::BAD_REQUEST);
    let mut bytes = request(Method::GET, "/");
    bytes.headers_mut().insert("x-a", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(status_of(bytes).await.unwrap(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn streams_have_a_cap() {
    let server = Server::start(Limits { http2_streams: 2, ..quick() }).await;
    // The client believes that it may open a hundred.
    let mut builder = Builder::new();
    builder.initial_max_send_streams(100);
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = builder.handshake::<_, Bytes>(tcp).await.unwrap();
    let sent: Vec<_> = (0..5)
        .map(|_| sender.send_request(request(Method::GET, "/wait/100"), true).unwrap().0)
        .collect();
    let _connection = tokio::spawn(connection);
    let mut refused = 0;
    for response in sent {
        match response.await {
            Ok(response) => assert_eq!(response.status(), StatusCode::OK),
            Err(error) => {
                assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 3);
}

#[tokio::test]
async fn a_closed_window_does_not_hold_a_stream() {
    let limits = Limits { handling: ms(300), ..quick() };
    let lifetime = limits.stream_lifetime();
    let server = Server::start(limits).await;
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let (mut sender, _connection) = connect(&server, &builder).await;
    let began = Instant::now();
    let (response, _) = sender.send_request(request(Method::GET, "/big/1000"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert!(timeout(Duration::from_secs(5), body.data()).await.unwrap().unwrap().is_err());
    assert_cut(began.elapsed(), lifetime);
    assert_eq!(server.timed_out(), 1);
    server.emptied(began).await;
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_cut() {
    let server = Server::start(Limits { http2_send_buffer: 64_000_000, ..quick() }).await;
    let mut builder = Builder::new();
    builder.initial_window_size(100_000_000).initial_connection_window_size(100_000_000);
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, mut connection) = builder.handshake::<_, Bytes>(tcp).await.unwrap();
    let (response, _) = sender.send_request(request(Method::GET, "/big/60000000"), true).unwrap();
    // Run the connection until the response begins, and never again.
    tokio::select! {
        _ = &mut connection => panic!("closed"),
        response = response => assert!(response.is_ok()),
    }
    let began = Instant::now();
    assert_cut(server.emptied(began).await + ms(50), quick().http2_idle);
    drop((sender, connection));
}

#[tokio::test]
async fn a_stop_lets_streams_end() {
    let mut server = Server::start(quick()).await;
    let (mut idle, idle_connection) = connect(&server, &Builder::new()).await;
    get(&mut idle, "/").await.unwrap();
    let (mut sender, connection) = connect(&server, &Builder::new()).await;
    let (response, _) = sender.send_request(request(Method::GET, "/wait/500"), true).unwrap();
    sleep(ms(100)).await;
    let began = Instant::now();
    server.ask_stop();
    idle_connection.await.unwrap().unwrap();
    assert!(began.elapsed() < ms(350));
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    connection.await.unwrap().unwrap();
    assert_eq!(server.ended().await.cut_at_stop, 0);
}
