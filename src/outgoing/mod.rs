//! The server's own requests to others: issuers' keys, endpoints that rotate secrets, proxies of external
//! key stores. Certificates are checked, a name is looked up once and what it gave is what is connected to,
//! no redirect is followed, and time and size have an end.
mod address;
mod kept;
mod tls;

pub use address::{is_loopback, resolve};
pub use kept::Kept;
pub use tls::{Identity, client_tls, roots_file, trusted_roots};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Refused(&'static str),
    #[error("the answer broke off or is too long")]
    Body,
    #[error("no answer in time")]
    TooLate,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// How requests are sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// None for those that stay on this machine.
    tls: Option<Arc<ClientConfig>>,
    address: Option<SocketAddr>,
    deadline: Duration,
    max_bytes: usize,
}

impl Outgoing {
    /// `url`: where they go; only `https://` needs authorities. `ca_file`: whom to trust instead of the
    /// system's. `deadline`: for the connection, the handshake and the answer together. `max_bytes`: of
    /// the answer.
    pub fn new(
        url: &Uri,
        ca_file: Option<&Path>,
        deadline: Duration,
        max_bytes: usize,
    ) -> Result<Self, OutgoingError> {
        let tls = match is_https(url) {
            true => Some(Arc::new(client_tls(ca_file)?)),
            false => None,
        };
        Ok(Self { tls, address: None, deadline, max_bytes })
    }

    /// The same, with a certificate of ours for whoever asks for one in the handshake.
    pub fn showing(
        url: &Uri,
        ca_file: Option<&Path>,
        identity: &Arc<Identity>,
        (deadline, max_bytes): (Duration, usize),
    ) -> Result<Self, OutgoingError> {
        if !is_https(url) {
            return Err(OutgoingError::Refused("a client's certificate is for https:// only"));
        }
        let tls = Some(Arc::new(identity.client_tls(ca_file)?));
        Ok(Self { tls, address: None, deadline, max_bytes })
    }

    /// Where the operator says that the host is, whatever its name resolves to.
    #[must_use]
    pub fn at(self, address: Option<SocketAddr>) -> Self {
        Self { address, ..self }
    }

    /// Sends a request, whose URI is whole, and answers what came back, whatever its status.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let sent = tokio::time::timeout(self.deadline, self.send_whole(request)).await;
        sent.map_err(|_| OutgoingError::TooLate)?
    }

    async fn send_whole(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let mut connection = self.connect(request.uri()).await?;
        let sent = connection.send(relative(request)?).await?;
        self.whole(sent).await
    }

    /// A new connection to the host of a URL.
    async fn connect(&self, url: &Uri) -> Result<Connection, OutgoingError> {
        let url = checked(url)?;
        let secure = is_https(url);
        if secure && self.tls.is_none() {
            return Err(OutgoingError::Refused("https:// where http:// was meant"));
        }
        let host = host_of(url).ok_or(OutgoingError::Refused("no host"))?;
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = match self.address {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect(resolve(host, port).await?.as_slice()).await?,
        };
        // A request is one small write that waits for its answer.
        tcp.set_nodelay(true)?;
        let Some(tls) = self.tls.as_ref().filter(|_| secure) else {
            return Connection::over(tcp).await;
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| OutgoingError::Refused("the host is no name"))?;
        let stream = TlsConnector::from(tls.clone()).connect(name, tcp).await?;
        Connection::over(stream).await
    }

    async fn whole(&self, answer: http::Response<Incoming>) -> Result<Answer, OutgoingError> {
        let (head, body) = answer.into_parts();
        let body = Limited::<Incoming>::new(body, self.max_bytes).collect().await;
        let body = body.map_err(|_| OutgoingError::Body)?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

/// One HTTP/1.1 connection. It ends when this is dropped, also when a deadline does that.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Connection {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, OutgoingError> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, task: tokio::spawn(connection) })
    }

    /// Sends a request as [`relative`] makes it.
    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, OutgoingError> {
        let error = match self.sender.send_request(request).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        // Why a connection broke, it knows itself: a server that does not take our certificate says so
        // after the handshake.
        match (&mut self.task).await {
            Ok(Err(cause)) => Err(cause.into()),
            Ok(Ok(())) | Err(_) => Err(error.into()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A URL that somebody wrote down, if it may be asked.
pub fn url(text: &str) -> Result<Uri, OutgoingError> {
    // What follows it is never sent.
    if text.contains('#') {
        return Err(OutgoingError::Refused("a URL with a fragment"));
    }
    let url = text.parse().map_err(|_| OutgoingError::Refused("not a URL"))?;
    checked(&url)?;
    Ok(url)
}

/// A URL that may be asked: `https://` and a host, or `http://` where nothing leaves the machine.
pub fn checked(url: &Uri) -> Result<&Uri, OutgoingError> {
    let refused = OutgoingError::Refused;
    let authority = url.authority().ok_or(refused("not a URL with a host"))?;
    if authority.as_str().contains('@') {
        return Err(refused("a URL with a user name"));
    }
    if authority.host().is_empty() {
        return Err(refused("a URL without a host"));
    }
    if authority.host() != authority.as_str() && authority.port_u16().is_none() {
        return Err(refused("a URL with a port that is none"));
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if host_of(url).is_some_and(is_loopback) => Ok(url),
        Some("http") => Err(refused("plain HTTP does not leave the machine: use https://")),
        _ => Err(refused("not an https:// URL")),
    }
}

/// Whether certificates are wanted.
pub fn is_https(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// An IPv6 address has brackets in a URL, and none elsewhere.
fn host_of(url: &Uri) -> Option<&str> {
    let host = url.host()?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

/// The request as HTTP/1.1 has it on the wire: the host in a header, the rest in the line.
fn relative(mut request: Request<Full<Bytes>>) -> Result<Request<Full<Bytes>>, OutgoingError> {
    let refused = |_| OutgoingError::Refused("the URL cannot be asked for");
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority)
        .map_err(|_| OutgoingError::Refused("the URL cannot be asked for"))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(refused)?;
    *request.uri_mut() = path;
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn outgoing(deadline_ms: u64, max_bytes: usize) -> Outgoing {
        let here = Uri::from_static("http://127.0.0.1/");
        Outgoing::new(&here, None, Duration::from_millis(deadline_ms), max_bytes).unwrap()
    }

    fn get(url: &str) -> Request<Full<Bytes>> {
        Request::get(url).body(Full::default()).unwrap()
    }

    /// A server that answers one connection with these bytes and keeps it open; its address, and what
    /// it read.
    async fn says(bytes: Vec<u8>) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let n = stream.read(&mut read).await.unwrap();
            read.truncate(n);
            let _ = stream.write_all(&bytes).await;
            // Until the other side closes.
            let _ = stream.read(&mut [0; 1]).await;
            read
        });
        (address, task)
    }

    #[test]
    fn only_https_or_loopback() {
        for good in [
            "https://a.example/x?y",
            "https://a.example:65535/",
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]:1/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
            "HTTP://LOCALHOST/",
        ] {
            url(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [
            "http://a.example/",
            "http://10.0.0.1/",
            "http://127.0.0.1.a.example/",
            "http://localhost.a.example/",
            "https://user@a.example/",
            "https://127.0.0.1@a.example/",
            "ftp://a.example/",
            "/path",
            "//a.example",
            "a.example",
            "https://",
            "https:///path",
            "https://:443/",
            "https://a.example:65536/",
            "https://a.example:/",
            "https://a.example:4 3/",
            "https://a.example\\b",
            "https://a.example/#b",
            "https://a b",
            "",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_and_a_redirect_is_not_followed() {
        let answer =
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nhi";
        let (address, read) = says(answer.to_vec()).await;
        let got = outgoing(5000, 10).send(get(&format!("http://{address}/a/b?c"))).await.unwrap();
        assert_eq!((got.status.as_u16(), &got.body[..]), (302, &b"hi"[..]));
        let read = String::from_utf8(read.await.unwrap()).unwrap();
        assert!(read.starts_with("GET /a/b?c HTTP/1.1\r\n"), "{read}");
        assert!(read.to_lowercase().contains(&format!("host: {address}\r\n")), "{read}");
    }

    #[expect(clippy::disallowed_methods, reason = "the test is about elapsed time")]
    #[tokio::test]
    async fn size_and_time_have_an_end() {
        let long = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890";
        let (address, _) = says(long.to_vec()).await;
        let error = outgoing(5000, 10).send(get(&format!("http://{address}/"))).await.unwrap_err();
        assert!(matches!(error, OutgoingError::Body), "{error}");
        // A body that does not come, and none at all.
        for slow in [&b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0"[..], b""] {
            let (address, task) = says(slow.to_vec()).await;
            let before = Instant::now();
            let sent = outgoing(200, 100).send(get(&format!("http://{address}/"))).await;
            assert!(matches!(sent, Err(OutgoingError::TooLate)), "{sent:?}");
            assert!(before.elapsed() < Duration::from_secs(3));
            // The connection does not outlive the request.
            tokio::time::timeout(Duration::from_secs(3), task).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_certificate_is_wanted_that_the_authorities_signed() {
        let (address, _) = says(Vec::new()).await;
        let files = tempfile::tempdir().unwrap();
        let other = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let ca_file = files.path().join("ca.pem");
        std::fs::write(&ca_file, other.cert.pem()).unwrap();
        let to = |url: &str, ca_file| {
            Outgoing::new(&url.parse().unwrap(), Some(ca_file), Duration::from_secs(5), 10)
        };
        let outgoing = to("https://a.example/", &ca_file).unwrap();
        let sent = outgoing.at(Some(address)).send(get("https://a.example/")).await;
        assert!(matches!(sent, Err(OutgoingError::Io(_) | OutgoingError::TooLate)), "{sent:?}");
        let nowhere = Path::new("/nowhere");
        assert!(matches!(to("https://a.example/", nowhere), Err(OutgoingError::Refused(_))));
        // Plain HTTP asks for no authorities, and turns into nothing else.
        let plain = to("http://127.0.0.1/", nowhere).unwrap();
        let sent = plain.at(Some(address)).send(get("https://a.example/")).await;
        assert!(matches!(sent, Err(OutgoingError::Refused(_))), "{sent:?}");
    }
}
