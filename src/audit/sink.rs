//! The door the call pipeline writes through. No answer leaves before `record` has returned `Ok`.
use super::{AuditError, Event, Log};
use async_trait::async_trait;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::RwLock;

#[async_trait]
pub trait AuditSink: fmt::Debug + Send + Sync {
    /// Returns once the event is as durable as this sink makes it. Those of several calls at the same time
    /// share the work, and one of them tells the others: whoever polls this polls it to its end or drops it,
    /// and awaits nothing in between.
    async fn record(&self, event: &Event) -> Result<(), AuditError>;

    /// The number of the last durable record, 0 if there is none.
    fn last_number(&self) -> u64;
}

#[async_trait]
impl AuditSink for Log {
    async fn record(&self, event: &Event) -> Result<(), AuditError> {
        self.append(event).await.map(drop)
    }

    fn last_number(&self) -> u64 {
        self.head().n
    }
}

/// Keeps events in memory, for tests; can be told to fail.
#[derive(Debug, Default)]
pub struct MemoryAudit {
    events: Mutex<Vec<Event>>,
    /// While set, nothing can be recorded.
    pub broken: AtomicBool,
    /// Likewise no event of this name.
    pub refused_name: Mutex<Option<&'static str>>,
    /// While a test holds this for itself, recording waits, as for a disk.
    pub gate: RwLock<()>,
}

impl MemoryAudit {
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AuditSink for MemoryAudit {
    async fn record(&self, event: &Event) -> Result<(), AuditError> {
        let _open = self.gate.read().await;
        let name = *self.refused_name.lock().unwrap_or_else(PoisonError::into_inner);
        if self.broken.load(Ordering::SeqCst) || name.is_some_and(|name| event.event_name == name) {
            return Err(AuditError::Closed);
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        Ok(())
    }
    fn last_number(&self) -> u64 {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}
