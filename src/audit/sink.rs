//! The door the call pipeline writes through. No answer leaves before `record` has returned `Ok`.
use super::{AuditError, Event, Log};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

#[async_trait]
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Returns once all the events are as durable as this sink makes them.
    async fn record(&self, events: &[Event]) -> Result<(), AuditError>;
}

#[async_trait]
impl AuditSink for Log {
    /// The events of one call are queued together, so that they share one sync.
    async fn record(&self, events: &[Event]) -> Result<(), AuditError> {
        match events {
            [event] => self.append(event).await.map(drop),
            // All of them are waited for: one that is under way is not given up for another's error.
            events => {
                let all = join_all(events.iter().map(|event| self.append(event))).await;
                all.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
            }
        }
    }
}

/// Keeps events in memory, for tests; can be told to fail.
#[derive(Debug, Default)]
pub struct MemoryAudit {
    events: Mutex<Vec<Event>>,
    /// While set, nothing can be recorded.
    pub broken: AtomicBool,
}

impl MemoryAudit {
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AuditSink for MemoryAudit {
    async fn record(&self, events: &[Event]) -> Result<(), AuditError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(AuditError::Closed);
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(events);
        Ok(())
    }
}
