//! Work that goes on when nobody waits for it any more.
//!
//! A client that goes away must not leave a call half done. A task for each call would do, at the price
//! of a change of tasks and often of threads for every request; so a call runs in its connection's task,
//! and only what is dropped before its end becomes a task of its own.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use tokio::runtime::Handle;

type Work<T> = Pin<Box<dyn Future<Output = std::thread::Result<T>> + Send>>;

/// The outcome of `work`, or what it panicked with. `work` ends whether or not this is polled to the
/// end, unless the runtime ends first.
pub(super) struct Unbroken<T: Send + 'static>(Option<Work<T>>);

impl<T: Send + 'static> Unbroken<T> {
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(AssertUnwindSafe(work).catch_unwind())))
    }
}

impl<T: Send + 'static> Future for Unbroken<T> {
    type Output = std::thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let outcome = work.as_mut().poll(cx);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Unbroken<T> {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn what_is_dropped_goes_on() {
        let (begun, may_end, ended) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (there, go, done) = (begun.clone(), may_end.clone(), ended.clone());
        let work = Unbroken::new(async move {
            there.notify_one();
            go.notified().await;
            done.notify_one();
        });
        let cut = tokio::time::timeout(Duration::from_millis(10), work).await;
        assert!(cut.is_err(), "it waits to be let go");
        begun.notified().await;
        may_end.notify_one();
        tokio::time::timeout(Duration::from_secs(10), ended.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_never_polled_is_done_too() {
        let ended = Arc::new(Notify::new());
        let done = ended.clone();
        drop(Unbroken::new(async move { done.notify_one() }));
        tokio::time::timeout(Duration::from_secs(10), ended.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        let outcome = Unbroken::new(async { std::panic::panic_any("a test's panic") }).await;
        let said: &str = outcome.map(|()| "").unwrap_or_else(|p| *p.downcast().unwrap());
        assert_eq!(said, "a test's panic");
        assert_eq!(Unbroken::new(async { 7 }).await.unwrap(), 7);
    }
}
