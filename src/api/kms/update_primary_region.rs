use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use crate::quotas::Quota;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Makes the replica in another region the primary key, and the primary key a replica.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdatePrimaryRegion {
    key_id: String,
    primary_region: String,
}

impl Operation for UpdatePrimaryRegion {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "UpdatePrimaryRegion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "PrimaryRegion"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:UpdatePrimaryRegion";
        let mut conditions = Conditions::default();
        conditions.add("kms:primaryregion", self.primary_region.as_str());
        let named = &self.key_id;
        let key = authorized_key(call, named, Accept::Key, action, conditions.clone()).await?;
        own(call, &key)?;
        key.is_primary_for(Self::NAME)?;
        if self.primary_region == key.region.as_str() {
            let text = format!("{} is not a multi-region replica key.", key.arn);
            return Err(Error::Unsupported(text));
        }
        let resource = key.arn.resource();
        let next = Arn::new("kms", &self.primary_region, key.account.as_str(), resource);
        let region = call.served(&self.primary_region).filter(|region| {
            key.multi_region.as_ref().is_some_and(|all| all.replicas.contains(region))
        });
        let absent = || Error::NotFound(format!("Key '{next}' does not exist"));
        let region = region.ok_or_else(absent)?;
        // The caller needs the permission on both keys, each in its own region.
        let there = Self { key_id: next.to_string(), primary_region: self.primary_region };
        let hand_over = async |call: &mut Call<'_>| {
            let named = &there.key_id;
            let next = authorized_key(call, named, Accept::Key, action, conditions).await?;
            call.throttle(Quota::UPDATE_PRIMARY_REGION)?;
            key.hand_over(&mut call.tx, &next).await?;
            call.record_answer("keyId", next.arn.as_str());
            Ok(Empty)
        };
        let done = call.in_region(region, &there, hand_over).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(done)
    }
}
