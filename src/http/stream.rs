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
        let space = buf.remaining();
        if space > self.space && self.framing.is_between() && self.held.is_empty() {
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
