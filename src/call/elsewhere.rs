//! Parts of a call that are calls themselves: what goes to another region of the deployment, where
//! multi-Region keys are too, and each of the requests that one call stands for.
use super::pipeline::{self, Asked};
use super::{Call, Operation, Server, Service};
use crate::audit::{Event, EventType};
use crate::types::{AccountId, Arn, Region};
use crate::wire::{self, ServiceError};
use serde_json::{Value, json};
use std::sync::Arc;

type ErrorOf<O> = <<O as Operation>::Service as Service>::Error;

impl<'a> Call<'a> {
    /// The region of this name, if the deployment serves it.
    pub fn served(&self, name: &str) -> Option<&'a Region> {
        self.server.regions.iter().find(|region| region.as_str() == name)
    }

    /// Runs a part of this call in another region: permission is asked for there.
    pub async fn within<T>(
        &mut self,
        region: &'a Region,
        inner: impl AsyncFnOnce(&mut Self) -> T,
    ) -> T {
        let here = std::mem::replace(&mut self.region, region);
        let outcome = inner(self).await;
        self.region = here;
        outcome
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
        let outcome = self.containing(request, inner).await;
        self.region = here;
        if let Some(event) = self.trail.last_event() {
            Arc::make_mut(&mut event.user_identity).invoked_by = Some(O::Service::SOURCE.into());
        }
        outcome
    }

    /// Runs `inner` as the request `O`, one of several that this call stands for: in the caller's name
    /// and in the same transaction, with an event of its own, which comes last.
    pub async fn containing<O: Operation>(
        &mut self,
        request: &O,
        inner: impl AsyncFnOnce(&mut Self) -> Result<O::Response, ErrorOf<O>>,
    ) -> Result<O::Response, ErrorOf<O>> {
        let outer_trail = std::mem::take(&mut self.trail);
        let outcome = inner(self).await;
        let mut trail = std::mem::replace(&mut self.trail, outer_trail);
        // An answer of which the event shows nothing may be secret: no copy of it is made.
        let shown = |answer| match O::ANSWER_RECORDED {
            [] => Vec::new(),
            _ => wire::json::encode(answer).unwrap_or_default(),
        };
        let answer = outcome.as_ref().map(shown).map_err(ServiceError::fault);
        let (answer, body) = (answer.as_deref(), said(request));
        let asked = Asked::of::<O>(self.caller, self.arrival, body.as_bytes(), self.now);
        let mut event = pipeline::finish::<O>(asked, &mut trail, answer);
        event.aws_region = self.region.as_str().into();
        event.event_id = self.server.random.request_id();
        self.trail.contain(&mut trail);
        match outcome {
            // A change is undone with the rest if the call fails after all.
            Ok(_) if !O::READ_ONLY => self.trail.happens_with_the_call(event),
            _ => self.trail.happened(event),
        }
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
