use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation, Service, service_event, synchronized};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Gives a key new material at once, or makes its imported one current.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateKeyOnDemand {
    key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateKeyOnDemandResponse {
    key_id: String,
}

impl Operation for RotateKeyOnDemand {
    type Service = Kms;
    type Response = RotateKeyOnDemandResponse;
    const NAME: &'static str = "RotateKeyOnDemand";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<RotateKeyOnDemandResponse, Error> {
        let action = "kms:RotateKeyOnDemand";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        let (now, most) = (call.now, call.resource_quotas().on_demand_rotations);
        let root = call.server.root.clone();
        let fresh = async move || Ok(root.fresh_key().await?.into());
        let rotated = key.rotate_on_demand(&mut call.tx, most, now, fresh).await?;
        // AWS rotates in the background, which leaves an event of its own beside the call's.
        let resource = ("AWS::KMS::Key", &key.arn);
        let (account, region) = (&key.account, &key.region);
        let mut event =
            service_event(call.server, Kms::SOURCE, "RotateKey", account, region, resource);
        event.service_event_details = Some(rotated.details());
        call.record_event(event);
        if key.has_replicas() {
            call.record_event(synchronized(call.server, account, region, &key.arn));
        }
        Ok(RotateKeyOnDemandResponse { key_id: key.id.clone() })
    }
}
