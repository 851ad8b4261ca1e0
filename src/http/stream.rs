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
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    framing::{END_OF_HEAD, Framing},
    progress::{Phase, Progress},
};

/// The most that is read and thrown away after a refusal; a client that sends more sees a reset.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
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
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
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
    /// Our side is shut; bytes thrown away since.
    discarded: Option<usize>,
}

impl Stream {
    pub(super) fn new(transport: Transport, progress: Arc<Progress>) -> Self {
        let framing = Framing::new();
        Stream { transport, progress, framing, held: Bytes::new(), discarded: None }
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
            self.held.advance(admitted);
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
        let before = buf.filled().len();
        let from_held = !this.held.is_empty();
        if from_held {
            let length = this.held.len().min(buf.remaining());
            buf.put_slice(this.held.get(..length).unwrap_or_default());
            if this.framing.is_http2() || this.framing.is_poisoned() {
                this.held.advance(length);
            }
        } else if !this.framing.is_poisoned() {
            ready!(this.transport.poll_read(cx, buf))?;
        }
        this.admit(buf, before, from_held);
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
