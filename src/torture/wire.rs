//! HTTP/1.1 on a blocking socket, with nothing between a caller and the wire: for the torture and the tests of
//! processes. It reads what a server here sends: bodies with a length, no chunks.
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No call takes as long; a server that hangs fails whoever asked it.
const ANSWER: Duration = Duration::from_secs(20);
/// The server closes idle connections after five seconds.
pub const STALE: Duration = Duration::from_secs(3);
/// What is asked for here has a few kilobytes.
const MAX_BODY_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why a call has no result.
#[derive(Debug)]
pub enum Failed {
    /// No answer: the connection broke. The call may have been carried out.
    Lost(io::Error),
    Fault {
        status: u16,
        code: String,
        message: String,
        request_id: String,
    },
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "no answer: {error}"),
            Self::Fault { status, code, message, request_id } => {
                write!(f, "{status} {code} ({message}) to request {request_id}")
            }
        }
    }
}

impl Failed {
    pub fn code(&self) -> &str {
        match self {
            Self::Lost(_) => "lost",
            Self::Fault { code, .. } => code,
        }
    }
}

/// The result of an acknowledged call.
#[derive(Debug)]
pub struct Done<T> {
    pub value: T,
    pub request_id: String,
}

/// A connection that gives an answer up after 20 s.
///
/// # Errors
/// Those of the system: nobody listens, or nobody answers in that time.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect_timeout(&address, ANSWER)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(ANSWER))?;
    Ok(tcp)
}

/// An unsigned request on a connection of its own.
///
/// # Errors
/// As those of [`connect`] and [`read_answer`]; and where method and path are no request's.
pub fn plain(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
    let mut tcp = connect(address)?;
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("host", address.to_string()).header("connection", "close");
    let request = request.body(()).map_err(io::Error::other)?;
    write_request(&mut tcp, &request.into_parts().0, body)?;
    read_answer(&mut BufReader::new(tcp))
}

/// Sends a request with the length of its body.
///
/// # Errors
/// Those of the connection.
pub fn write_request(
    to: &mut dyn Write,
    head: &http::request::Parts,
    body: &[u8],
) -> io::Result<()> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads a whole answer.
///
/// # Errors
/// When it is cut off, is none, or is larger than 16 MiB.
pub fn read_answer(from: &mut dyn BufRead) -> io::Result<Answer> {
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(ended)?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(ended());
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.trim_end().split_once(':').ok_or_else(ended)?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    if length > MAX_BODY_BYTES {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Answer { status, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_off_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        let answer = read_answer(&mut &whole[..]).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ab"[..]));
        for cut in 0..whole.len() {
            assert!(read_answer(&mut &whole[..cut]).is_err(), "cut at {cut}");
        }
    }
}
