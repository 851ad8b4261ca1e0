//! The part of a call that goes to another region of the deployment: multi-Region keys are in
//! several.
use super::{Call, Operation, Server, Service, pipeline};
use crate::audit::{Event, EventType};
use crate::types::{AccountId, Arn, Region};
use crate::wire::{self, ServiceError};
use serde_json::{Value, json};

type ErrorOf<O> = <<O as Operation>::Service as Service>::Error;

impl<'a> Call<'a> {
    /// The region of this name, if the deployment serves it.
    pub fn served(&self, name: &str) -> Option<&'a Region> {
        self.server.regions.iter().find(|region| region.as_str() == name)
    }

    /// Runs `inner` as the request `O` that this call makes in another region, in the caller's name
    /// and in the same transaction. Permission is asked for there, quotas are counted there, and
    /// there it has an event of its own.
    pub async fn in_region<O: Operation>(
        &mut self,
        region: &'a Region,
        request: &O,
        inner: impl AsyncFnOnce(&mut Self) -> Result<O::Response, ErrorOf<O>>,
    ) -> Result<O::Response, ErrorOf<O>> {
        let here = std::mem::replace(&mut self.region, region);
        let outer_trail = std::mem::take(&mut self.trail);
        let outcome = inner(self).await;
        self.region = here;
        let mut trail = std::mem::replace(&mut self.trail, outer_trail);
        let answer = outcome.as_ref().map(|answer| wire::json::encode(answer).unwrap_or_default());
        let answer = answer.map_err(ServiceError::fault);
        let (answer, body) = (answer.as_deref(), said(request));
        let mut event = pipeline::finish::<O>(
            self.caller,
            self.arrival,
            body.as_bytes(),
            &mut trail,
            self.now,
            answer,
        );
        event.aws_region = region.to_string();
        event.event_id = self.random().uuid().to_string();
        event.user_identity.invoked_by = Some(O::Service::SOURCE.into());
        self.trail.inner.append(&mut trail.inner);
        self.trail.inner.push(event);
        outcome
    }
}

/// Says that the replicas of a multi-Region key have what its primary key got. CloudTrail names the
/// primary key only, and calls it a call, not a service's event.
pub fn synchronized(server: &Server, account: &AccountId, region: &Region, key: &Arn) -> Event {
    let (source, name) = ("kms.amazonaws.com", "SynchronizeMultiRegionKey");
    let resource = ("AWS::KMS::Key", key);
    let mut event = pipeline::service_event(server, source, name, account, region, resource);
    event.event_type = EventType::AwsApiCall;
    event.response_elements = Some(json!({"keyId": key}));
    event
}

/// The members of a request that are there, in JSON.
fn said<O: Operation>(request: &O) -> String {
    let mut request = serde_json::to_value(request).unwrap_or_default();
    if let Value::Object(members) = &mut request {
        members.retain(|_, member| !member.is_null());
    }
    request.to_string()
}
