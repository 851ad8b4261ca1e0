//! Receives a request body whole, never holding more than its cap.

use std::{
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::Refusal;

/// The memory that bodies still arriving may use together.
#[derive(Debug)]
pub(super) struct Pool {
    used: AtomicUsize,
    most: usize,
}

/// One body's part of the pool, given back on drop.
struct Share<'a> {
    pool: &'a Pool,
    bytes: usize,
}

impl Pool {
    pub(super) fn new(most: usize) -> Self {
        Pool { used: AtomicUsize::new(0), most }
    }
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let used = self.pool.used.fetch_add(bytes, Relaxed);
        self.bytes += bytes;
        if used.saturating_add(bytes) > self.pool.most { Err(Refusal::Busy) } else { Ok(()) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// The whole body. One that came in a single piece is not copied; trailers are dropped.
pub(super) async fn collect<B>(mut body: B, cap: usize, pool: &Pool) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    // A declared length above the cap is refused before a byte is read.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length <= cap) {
        let Some(first) = next_piece(&mut body).await? else { return Ok(Bytes::new()) };
        if first.len() > cap {
            return Err(Refusal::BodyTooLarge);
        }
        if body.is_end_stream() {
            return Ok(first);
        }
        return collect_rest(body, first, cap, pool).await;
    }
    Err(Refusal::BodyTooLarge)
}

async fn collect_rest<B>(
    mut body: B,
    first: Bytes,
    cap: usize,
    pool: &Pool,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut share = Share { pool, bytes: 0 };
    share.grow(first.len())?;
    // Grown as data arrives, not to the declared length: a lie costs the liar its own bytes.
    let mut whole = BytesMut::from(first);
    while let Some(piece) = next_piece(&mut body).await? {
        if whole.len().saturating_add(piece.len()) > cap {
            return Err(Refusal::BodyTooLarge);
        }
        share.grow(piece.len())?;
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

async fn next_piece<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Runs `work` under a deadline. The timer is made only if `work` has to wait: most bodies have
/// arrived with the head, and a timer costs a lock. `work` is pinned by the caller, as an async
/// function would hold it twice, and hyper copies the future of a request.
pub(super) async fn within<F: Future>(limit: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut timer = pin!(None);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(limit)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// Runs `work` until somebody else says that its time is over, and has it polled.
pub(super) async fn until<F: Future>(
    is_over: impl Fn() -> bool,
    mut work: Pin<&mut F>,
) -> Option<F::Output> {
    std::future::poll_fn(move |cx| match work.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if is_over() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, task::Context};

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let pool = Pool::new(0);
        let got = collect(Full::new(bytes.clone()), 100, &pool).await.unwrap();
        assert_eq!(got.as_ptr(), bytes.as_ptr());
        let refused = collect(Full::new(bytes), 99, &pool).await;
        assert_eq!(refused, Err(Refusal::BodyTooLarge));
    }

    #[tokio::test]
    async fn pieces_are_joined_within_cap_and_pool() {
        let pool = Pool::new(9);
        assert_eq!(collect(Pieces(3), 9, &pool).await.unwrap(), "abcabcabc");
        assert_eq!(collect(Pieces(4), 9, &pool).await, Err(Refusal::BodyTooLarge));
        assert_eq!(collect(Pieces(4), 12, &pool).await, Err(Refusal::Busy));
        assert_eq!(pool.used.load(Relaxed), 0);
    }

    /// A body of so many frames of three bytes and of undeclared length.
    struct Pieces(usize);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(left) = self.0.checked_sub(1) else { return Poll::Ready(None) };
            self.0 = left;
            Poll::Ready(Some(Ok(Frame::data("abc".into()))))
        }
    }
}
