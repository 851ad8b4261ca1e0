//! The socket of one connection, plain or TLS, as hyper sees it: what is read passes `framing`, and
//! what happens is told to `progress`.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    framing::{END_OF_HEAD, Framing},
    progress::{Phase, Progress},
};

/// The most that is read and thrown away after a refusal; a client that sends more sees a reset.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// The most that one read gives hyper. Its buffer has 8 KiB, and it takes a larger one, which is given from its
/// start again less often, after a read that fills it.
const MOST_READ: u64 = 8 * 1024 - 1;
/// Read at a time while throwing away; on the stack.
const LINGER_BUFFER: usize = 4 * 1024;

#[derive(Debug)]
pub(super) enum Transport {
    Plain(TcpStream),
    /// Boxed: its state takes a kilobyte, and most of an idle plain connection would be empty.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    fn tcp(&self) -> &TcpStream {
        match self {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_ref().0,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Plain(tcp) => Pin::new(&mut tcp.take(MOST_READ)).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(&mut tls.take(MOST_READ)).poll_read(cx, buf),
        }
    }
}

#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    progress: Arc<Progress>,
    framing: Framing,
    /// Received, but not yet hyper's: what followed the end of a head or of a body.
    held: Bytes,
    /// Of the buffer that hyper reads into: at most so much of it has been written since it was wiped, and so
    /// much space was left in it.
    written: usize,
    space: usize,
    /// Our side is shut; bytes thrown away since.
    discarded: Option<usize>,
}

impl Stream {
    pub(super) fn new(transport: Transport, progress: Arc<Progress>) -> Self {
        let (framing, held) = (Framing::new(), Bytes::new());
        Stream { transport, progress, framing, held, written: 0, space: 0, discarded: None }
    }

    /// Between two requests hyper is about to read into a buffer that it gives from its start again, once it
    /// has nothing of the request before any more: what that left there, a plaintext perhaps, is wiped. hyper
    /// asks for the next request as soon as an answer is out, and so this does not wait for that.
    fn wipe(&mut self, buf: &mut ReadBuf<'_>) {
        if !self.framing.is_between() || !self.held.is_empty() {
            return;
        }
        let space = buf.remaining();
        if space > self.space {
            buf.initialize_unfilled_to(self.written.min(space)).fill(0);
            self.written = 0;
        }
        self.space = space;
    }

    /// So much of what was held is hyper's now. Its memory goes with the last of it, not with the connection.
    fn hand_over(&mut self, bytes: usize) {
        self.held.advance(bytes);
        if self.held.is_empty() {
            self.held = Bytes::new();
        }
    }

    fn note_write<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.progress.write_blocked(),
            Poll::Ready(_) => self.progress.write_went_on(),
        }
        outcome
    }

    /// Passes what was read since `before` through the framing.
    fn admit(&mut self, buf: &mut ReadBuf<'_>, before: usize, from_held: bool) {
        let Some(fresh) = buf.filled_mut().get_mut(before..) else { return };
        if fresh.is_empty() || self.framing.is_http2() || self.framing.is_poisoned() {
            return;
        }
        self.progress.head_began();
        let admitted = self.framing.admit(fresh, || self.progress.take_body_length());
        if self.framing.is_poisoned() {
            self.held = Bytes::from_static(END_OF_HEAD);
        } else if from_held {
            self.hand_over(admitted);
        } else if let Some(rest) = fresh.get(admitted..).filter(|rest| !rest.is_empty()) {
            self.held = Bytes::copy_from_slice(rest);
        }
        buf.set_filled(before + admitted);
        self.progress.body_given(self.framing.given());
        if self.framing.is_http2() {
            self.progress.http2_began();
        } else if !self.framing.is_exact() {
            self.progress.framing_lost();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.wipe(buf);
        let before = buf.filled().len();
        let from_held = !this.held.is_empty();
        if from_held {
            let length = this.held.len().min(buf.remaining());
            buf.put_slice(this.held.get(..length).unwrap_or_default());
            if this.framing.is_http2() || this.framing.is_poisoned() {
                this.hand_over(length);
            }
        } else if !this.framing.is_poisoned() {
            ready!(this.transport.poll_read(cx, buf))?;
        }
        this.written = this.written.saturating_add(buf.filled().len() - before);
        this.admit(buf, before, from_held);
        this.space = buf.remaining();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        self.note_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        };
        self.note_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        // hyper flushes the socket only when its own buffer is empty, so the response is out.
        if outcome.is_ready() && self.progress.is(Phase::Writing) {
            let this = &mut *self;
            this.framing.settle(|| this.progress.take_body_length());
            this.progress.flushed(!this.held.is_empty() || !this.framing.is_between());
        }
        self.note_write(outcome)
    }

    /// Shuts our side; if the client may still be sending what nobody will read, throws that away
    /// until it stops, or `progress` says that it is enough.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut discarded = match this.discarded {
            Some(discarded) => discarded,
            None => {
                ready!(match &mut this.transport {
                    Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
                    Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
                })?;
                0
            }
        };
        this.discarded = Some(discarded);
        this.framing.settle(|| this.progress.take_body_length());
        if this.framing.is_http2() || this.framing.is_between() {
            return Poll::Ready(Ok(()));
        }
        this.progress.lingers();
        let mut buffer = [0; LINGER_BUFFER];
        while discarded < LINGER_BYTES {
            let mut buf = ReadBuf::new(&mut buffer);
            match ready!(this.transport.poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => discarded += buf.filled().len(),
                _ => break,
            }
            this.discarded = Some(discarded);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.progress.is_cut() {
            // A peer that takes nothing would make the kernel keep our data, and retry, for minutes.
            let _ = self.transport.tcp().set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Limits,
        body::{Pool, collect},
    };
    use super::*;
    use http_body_util::Empty;
    use hyper::{Request, Response, body::Body as _, body::Incoming, service::service_fn};
    use hyper_util::{
        rt::{TokioExecutor, TokioIo},
        server::conn::auto::Builder,
    };
    use std::{convert::Infallible, future::poll_fn, mem::MaybeUninit, sync::Mutex};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// What hyper gives to be read into.
    const BUFFER: usize = 8 * 1024;

    async fn pair() -> (TcpStream, Stream, Arc<Progress>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let progress = Arc::new(Progress::new(&Limits::default()));
        let stream = Stream::new(Transport::Plain(server), progress.clone());
        (client, stream, progress)
    }

    fn request(length: usize) -> Vec<u8> {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b's'; length]].concat()
    }

    /// What comes, read into this memory.
    async fn read(stream: &mut Stream, memory: &mut [MaybeUninit<u8>]) -> Vec<u8> {
        poll_fn(|cx| {
            let mut buf = ReadBuf::uninit(memory);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf)).unwrap();
            Poll::Ready(buf.filled().to_vec())
        })
        .await
    }

    /// How much of this memory is wiped where nothing comes.
    async fn wiped(stream: &mut Stream, memory: &mut [MaybeUninit<u8>]) -> usize {
        poll_fn(|cx| {
            let mut buf = ReadBuf::uninit(memory);
            assert!(Pin::new(&mut *stream).poll_read(cx, &mut buf).is_pending());
            assert!(buf.initialized().iter().all(|byte| *byte == 0));
            Poll::Ready(buf.initialized().len())
        })
        .await
    }

    #[tokio::test]
    async fn what_requests_left_is_wiped_when_their_memory_is_given_again() {
        let (mut client, mut stream, progress) = pair().await;
        let mut memory = vec![MaybeUninit::uninit(); 2 * BUFFER];
        let mut at = 0;
        for length in [5000, 10, 0] {
            let sent = request(length);
            client.write_all(&sent).await.unwrap();
            assert_eq!(read(&mut stream, &mut memory[at..]).await, sent);
            assert_eq!(wiped(&mut stream, &mut memory).await, 0, "its call is under way");
            progress.request_began(Some(length as u64));
            progress.response_ready();
            stream.flush().await.unwrap();
            at += sent.len();
            assert_eq!(wiped(&mut stream, &mut memory[at..]).await, 0, "it goes on behind it");
        }
        assert_eq!(wiped(&mut stream, &mut memory).await, at, "from its start: all three");
        assert_eq!(wiped(&mut stream, &mut memory).await, 0, "once");
    }

    #[tokio::test]
    async fn what_was_held_is_freed_with_its_last_byte() {
        let (mut client, mut stream, progress) = pair().await;
        let mut memory = vec![MaybeUninit::uninit(); BUFFER];
        let sent = request(100);
        client.write_all(&sent[..20]).await.unwrap();
        assert_eq!(read(&mut stream, &mut memory).await, &sent[..20]);
        // The rest of the head with the body, which waits until hyper has told its length.
        client.write_all(&sent[20..]).await.unwrap();
        assert_eq!(read(&mut stream, &mut memory).await, &sent[20..sent.len() - 100]);
        assert_eq!((stream.held.len(), stream.held.is_unique()), (100, true));
        progress.request_began(Some(100));
        assert_eq!(read(&mut stream, &mut memory).await, &sent[sent.len() - 100..]);
        // What is on the heap has an owner; what is empty and static has none.
        assert_eq!((stream.held.len(), stream.held.is_unique()), (0, false));
    }

    /// Where hyper reads to, how much came, and how much was wiped.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Seen {
        address: usize,
        came: Option<usize>,
        wiped: usize,
    }

    struct Watched(Stream, Arc<Mutex<Vec<Seen>>>);

    impl AsyncRead for Watched {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let address = buf.filled().as_ptr().addr();
            let outcome = Pin::new(&mut self.0).poll_read(cx, buf);
            let came = outcome.is_ready().then(|| buf.filled().len());
            let wiped = if came.is_none() { buf.initialized().len() } else { 0 };
            assert!(came.is_some() || buf.initialized().iter().all(|byte| *byte == 0));
            self.1.lock().unwrap().push(Seen { address, came, wiped });
            outcome
        }
    }

    impl AsyncWrite for Watched {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }
        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// That hyper keeps the buffer, and asks to read into it as soon as an answer is out, is hyper's own
    /// business: a release that does otherwise must be noticed.
    #[tokio::test]
    async fn hyper_gives_the_same_memory_again_and_it_is_wiped() {
        use tokio::io::AsyncReadExt;
        let (mut client, stream, progress) = pair().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let watched = Watched(stream, seen.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let mut body = request.into_body();
                progress.request_began(body.size_hint().exact());
                let progress = progress.clone();
                async move {
                    collect(&mut body, 1 << 20, &Pool::new(1 << 20)).await.unwrap();
                    progress.response_ready();
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            let mut builder = Builder::new(TokioExecutor::new()).http1_only();
            builder.http1().half_close(true);
            builder.serve_connection(TokioIo::new(watched), service).await.unwrap();
        });
        for length in [5000, 10, 400_000, 3000, 10] {
            seen.lock().unwrap().clear();
            let sent = request(length);
            client.write_all(&sent).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(client.read_u8().await.unwrap());
            }
            let seen = seen.lock().unwrap().clone();
            assert!(seen.iter().all(|one| one.came.is_none_or(|came| came < BUFFER)), "{seen:?}");
            let came: usize = seen.iter().filter_map(|one| one.came).sum();
            assert_eq!(came, sent.len());
            // At the first look for the next request.
            let last = seen.iter().rposition(|one| one.came.is_some()).unwrap();
            let wiped: Vec<&Seen> = seen[last..].iter().filter(|one| one.wiped > 0).collect();
            let [wiped] = wiped.as_slice() else { panic!("{seen:?}") };
            assert_eq!(wiped.wiped, came.min(BUFFER));
            if length < BUFFER {
                assert_eq!(wiped.address, seen[last].address);
            }
        }
    }
}
