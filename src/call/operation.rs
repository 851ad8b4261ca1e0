//! What an operation and a service are, and the table that lists them.
use super::{Arrival, Call, Server, Unlogged};
use crate::authorize::Caller;
use crate::quotas::Throttled;
use crate::store::{Freshness, StoreError};
use crate::wire::{Fault, Model, ServiceError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// An AWS service: how events call it, its error type, its model.
pub trait Service: 'static {
    /// CloudTrail's `eventSource`.
    const SOURCE: &'static str;
    /// How old what its operations read may be.
    const FRESHNESS: Freshness = Freshness::Latest;
    type Error: OperationError;
    fn table() -> &'static ServiceTable;
    fn model() -> &'static Model;
}

/// A service's errors: each has its fault, the pipeline must see a conflict of transactions, and each
/// service says in its own words that a caller is too fast.
pub trait OperationError: ServiceError + From<StoreError> + From<Throttled> {
    fn is_conflict(&self) -> bool;
}

/// An API operation. `Self` is its request: the members the AWS model gives it, and no others.
pub trait Operation: DeserializeOwned + Serialize + Debug + Send + 'static {
    type Service: Service;
    type Response: DeserializeOwned + Serialize + Send + Sync;
    const NAME: &'static str;
    /// CloudTrail's `readOnly`.
    const READ_ONLY: bool;
    /// Whether nobody signs it: what it brings speaks for the caller.
    const UNSIGNED: bool = false;
    /// The members of the request that the audit event shows. Whatever is not named here never
    /// reaches the log. A name that ends in `=` is a map whose keys are the caller's.
    const RECORDED: &'static [&'static str];
    /// The members of the answer that it shows.
    const ANSWER_RECORDED: &'static [&'static str] = &[];

    fn execute(
        self,
        call: &mut Call<'_>,
    ) -> impl Future<Output = Result<Self::Response, <Self::Service as Service>::Error>> + Send;
}

/// The response of an operation that says nothing.
#[derive(Debug, Deserialize, Serialize)]
pub struct Empty;

/// An answer in JSON, or the fault. The front turns both into what the service's protocol wants.
pub type Reply = Result<Vec<u8>, Fault>;

type Run = for<'a> fn(
    &'a Server,
    &'a Caller,
    &'a Arrival,
    &'a [u8],
) -> Pin<Box<dyn Future<Output = Unlogged> + Send + 'a>>;

/// One row of a service's table.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub read_only: bool,
    pub unsigned: bool,
    run: Run,
    #[cfg(test)]
    pub(crate) probe: super::conformance::Probe,
}

impl Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Entry {
    pub const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            read_only: O::READ_ONLY,
            unsigned: O::UNSIGNED,
            run: |server, caller, arrival, body| {
                Box::pin(super::pipeline::run::<O>(server, caller, arrival, body))
            },
            #[cfg(test)]
            probe: super::conformance::Probe::of::<O>(),
        }
    }

    /// Does what is asked. The future is large and is gone when it is done.
    pub fn begin<'a>(
        &self,
        server: &'a Server,
        caller: &'a Caller,
        arrival: &'a Arrival,
        body: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Unlogged> + Send + 'a>> {
        (self.run)(server, caller, arrival, body)
    }

    /// Does what is asked, and answers when that is in the log.
    pub async fn run(
        &self,
        server: &Server,
        caller: &Caller,
        arrival: &Arrival,
        body: &[u8],
    ) -> Reply {
        let unlogged = self.begin(server, caller, arrival, body).await;
        unlogged.logged(server).await
    }
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug)]
pub enum Speech {
    /// AWS JSON 1.1: the operation is in `X-Amz-Target`, behind this prefix.
    Json { target_prefix: &'static str },
    /// awsQuery: the operation is the parameter `Action`, of this API version.
    Query { version: &'static str },
}

/// A service as the front sees it.
#[derive(Clone, Copy)]
pub struct ServiceTable {
    pub source: &'static str,
    /// The service's name in credential scopes.
    pub signing_name: &'static str,
    pub speech: Speech,
    pub model: fn() -> &'static Model,
    pub operations: &'static [Entry],
}

impl Debug for ServiceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.source)
    }
}

impl ServiceTable {
    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        let at = self.operations.binary_search_by_key(&name, |entry| entry.name).ok()?;
        self.operations.get(at)
    }
    pub fn protocol(&self) -> crate::wire::Protocol {
        match self.speech {
            Speech::Json { .. } => crate::wire::Protocol::Json,
            Speech::Query { .. } => crate::wire::Protocol::Query,
        }
    }
}
