//! HTTP/1.1 as far as a closed loop needs it: requests are made and signed before the run, answers
//! are read by their `content-length`.
use crate::Outcome;
use bytes::Bytes;
use claviger::clock::{Clock, SystemClock};
use claviger::sigv4::{Credentials, sign};
use http::{HeaderValue, Request};
use memchr::memmem;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub const REGION: &str = "us-east-1";
/// Longer answers than this are none of ours.
const BUFFER_BYTES: usize = 32 * 1024;
/// What an SDK sends beside the signature, in its usual length.
const USER_AGENT: &str = "aws-sdk-rust/1.3.10 ua/2.1 api/kms/1.90.0 os/linux lang/rust/1.91.0 m/E";

/// Where a server listens and how it is spoken to.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// The trust in its certificate, if it has one.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct Signer {
    pub access_key_id: String,
    pub secret: String,
}

/// What is asked, before it is signed.
#[derive(Debug)]
pub enum Ask<'a> {
    /// AWS JSON 1.1: the value of `x-amz-target`.
    Json { service: &'a str, target: &'a str },
    /// awsQuery.
    Form { service: &'a str },
}

impl Signer {
    /// The whole request as it goes over the wire, signed now: good for five minutes.
    pub fn request(&self, host: SocketAddr, ask: &Ask<'_>, body: &[u8]) -> Outcome<Bytes> {
        let builder = Request::post("/")
            .header("host", host.to_string())
            .header("content-length", body.len())
            .header("user-agent", USER_AGENT)
            .header("amz-sdk-invocation-id", "9a3c1f0e-5d9b-4a27-8a57-0c1f5b1c7d11")
            .header("amz-sdk-request", "attempt=1; max=3")
            .header("accept", "*/*");
        let (builder, service) = match ask {
            Ask::Json { service, target } => {
                let builder = builder.header("content-type", "application/x-amz-json-1.1");
                (builder.header("x-amz-target", *target), *service)
            }
            Ask::Form { service } => {
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                (builder.header("content-type", form), *service)
            }
        };
        let (mut head, ()) = builder.body(())?.into_parts();
        let credentials = Credentials {
            access_key_id: &self.access_key_id,
            secret: &self.secret,
            session_token: None,
        };
        sign(&mut head, body, &credentials, (REGION, service), SystemClock.wall().secs())?;
        let mut wire = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in &head.headers {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(body);
        Ok(wire.into())
    }
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A keep-alive connection with one request under way at most.
pub struct Connection {
    socket: Box<dyn Socket>,
    buffer: Box<[u8]>,
}

/// An answer, still in the connection's buffer.
#[derive(Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(target: &Target) -> io::Result<Self> {
        let tcp = TcpStream::connect(target.address).await?;
        tcp.set_nodelay(true)?;
        let socket: Box<dyn Socket> = match &target.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::from(target.address.ip());
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await?)
            }
        };
        Ok(Self { socket, buffer: vec![0; BUFFER_BYTES].into() })
    }

    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.socket.write_all(request).await?;
        self.socket.flush().await?;
        let mut filled = 0;
        let (status, body_at, end) = loop {
            let free = self.buffer.get_mut(filled..).filter(|free| !free.is_empty());
            let free = free.ok_or_else(|| broken("an answer is too long"))?;
            match self.socket.read(free).await? {
                0 => return Err(broken("the server closed the connection")),
                read => filled += read,
            }
            let so_far = self.buffer.get(..filled).unwrap_or_default();
            if let Some(head) = parse_head(so_far)?
                && filled >= head.2
            {
                break head;
            }
        };
        if filled > end {
            return Err(broken("more than one answer came"));
        }
        Ok(Answer { status, body: self.buffer.get(body_at..end).unwrap_or_default() })
    }
}

/// Status, where the body begins and where it ends; nothing while the head is incomplete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head_bytes) = memmem::find(bytes, END) else { return Ok(None) };
    let head = bytes.get(..head_bytes).unwrap_or_default();
    let status = number(head.get(b"HTTP/1.1 ".len()..).unwrap_or_default());
    // Both servers are hyper, which writes names in lower case.
    let length_at = memmem::find(head, LENGTH).ok_or_else(|| broken("no content-length"))?;
    let length = number(head.get(length_at + LENGTH.len()..).unwrap_or_default());
    let body_at = head_bytes + END.len();
    Ok(Some((u16::try_from(status).unwrap_or(0), body_at, body_at + length)))
}

fn number(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

fn broken(what: &'static str) -> io::Error {
    io::Error::other(what)
}
