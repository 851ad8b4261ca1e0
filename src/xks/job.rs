//! A request that may be done: who asks what, and the call that does it.
use super::body::Body;
use super::decrypt::Decrypt;
use super::encrypt::Encrypt;
use super::health::GetHealthStatus;
use super::metadata::GetKeyMetadata;
use super::stores::Store;
use super::{PRINCIPAL, XksError};
use crate::authorize::Caller;
use crate::call::{Arrival, Server, run_unmodelled};
use crate::external::RequestMetadata;
use crate::types::Arn;
use crate::wire::{Fault, ServiceError};
use serde::Serialize;
use serde_json::{Value, json};

/// CloudTrail's measure for texts of others; ARNs have 2048 characters at most.
const MAX_SHOWN_CHARS: usize = 2048;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) key_id: String,
    pub(super) access_key_id: String,
    pub(super) body: Body,
    pub(super) arrival: Arrival,
}

/// What the event of a request says beside how it ended.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) key_id: &'a str,
    access_key_id: &'a str,
    metadata: &'a RequestMetadata,
}

impl Context<'_> {
    pub(super) fn parameters(&self) -> Value {
        let cut = |text: &Option<String>| {
            text.as_ref().map(|text| text.chars().take(MAX_SHOWN_CHARS).collect::<String>())
        };
        let asked = self.metadata;
        let shown = RequestMetadata {
            aws_principal_arn: cut(&asked.aws_principal_arn),
            aws_source_vpc: cut(&asked.aws_source_vpc),
            aws_source_vpce: cut(&asked.aws_source_vpce),
            kms_key_arn: cut(&asked.kms_key_arn),
            kms_operation: cut(&asked.kms_operation),
            kms_request_id: cut(&asked.kms_request_id),
            kms_via_service: cut(&asked.kms_via_service),
        };
        let mut parameters = json!({
            "xksProxyUriPath": self.store.path,
            "accessKeyId": self.access_key_id,
            "requestMetadata": shown,
        });
        if !self.key_id.is_empty()
            && let Some(members) = parameters.as_object_mut()
        {
            members.insert("externalKeyId".into(), self.key_id.into());
        }
        parameters
    }
}

/// The service that asks, in the name of the store's account.
pub(super) fn caller(store: &Store, access_key_id: &str) -> Caller {
    let arn = Arn::new("kms", store.region.as_str(), store.account.as_str(), "xks-proxy");
    let service = Caller::service(PRINCIPAL, arn, store.account.clone());
    Caller { access_key_id: access_key_id.to_owned(), ..service }
}

impl Job {
    /// Does it, and logs that it was done. The answer is the body of a 200.
    pub(super) async fn run(&self, server: &Server, store: &Store) -> Result<Vec<u8>, Fault> {
        let caller = caller(store, &self.access_key_id);
        let context = Context {
            store,
            key_id: &self.key_id,
            access_key_id: &self.access_key_id,
            metadata: self.body.metadata(),
        };
        let arrival = &self.arrival;
        match &self.body {
            Body::Health(_) => {
                let asked = GetHealthStatus { context };
                encoded(&run_unmodelled(&asked, server, &caller, arrival).await?)
            }
            Body::Metadata(metadata) => {
                let asked = GetKeyMetadata { context, metadata };
                encoded(&run_unmodelled(&asked, server, &caller, arrival).await?)
            }
            Body::Encrypt(request) => {
                let asked = Encrypt { context, request };
                encoded(&run_unmodelled(&asked, server, &caller, arrival).await?)
            }
            Body::Decrypt(request) => {
                let asked = Decrypt { context, request };
                encoded(&run_unmodelled(&asked, server, &caller, arrival).await?)
            }
        }
    }
}

fn encoded<T: Serialize>(answer: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(answer)
        .map_err(|_| XksError::Internal("an answer cannot be encoded".into()).fault())
}
