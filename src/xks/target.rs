//! What an external key is: a symmetric KMS key of this deployment, whose policy must allow the service.
//! Where its material is (a record of the store, or a device) is the key's own affair.
use super::XksError;
use crate::authorize::{Authorized, Conditions};
use crate::call::Call;
use crate::external::RequestMetadata;
use crate::keys::{self, Accept, Found, KeyError, KeyState, Missing, Origin, Usable};
use crate::last_use::LastUse;
use crate::types::{Arn, Plaintext, Region, Sealed};

#[derive(Clone, Debug)]
pub(super) struct Target(pub(super) Arn);

impl Target {
    pub(super) async fn encrypt(
        &self,
        call: &mut Call<'_>,
        metadata: &RequestMetadata,
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Sealed, XksError> {
        let key = usable(call, &self.0, "Encrypt", "kms:Encrypt", metadata).await?;
        let random = call.random();
        Ok(key.seal_for_proxy(&mut call.tx, &*random, plaintext, aad).await?)
    }

    pub(super) async fn decrypt(
        &self,
        call: &mut Call<'_>,
        metadata: &RequestMetadata,
        sealed: &Sealed,
        aad: &[u8],
    ) -> Result<Plaintext, XksError> {
        let key = usable(call, &self.0, "Decrypt", "kms:Decrypt", metadata).await?;
        Ok(key.open_for_proxy(&mut call.tx, sealed, aad).await?)
    }

    /// Whether the key can be used now. One that is no AES key of 256 bits is an error.
    pub(super) async fn is_enabled(
        &self,
        call: &mut Call<'_>,
        metadata: &RequestMetadata,
    ) -> Result<bool, XksError> {
        let key = authorized(call, &self.0, "kms:DescribeKey", metadata).await?;
        let behind_another = key.origin == Origin::ExternalKeyStore;
        if !key.spec.is_symmetric() || behind_another {
            return Err(XksError::InvalidKeyUsage("AES-GCM"));
        }
        Ok(key.state() == KeyState::Enabled)
    }

    /// Remembers that the call used the key: what GetKeyLastUsage tells.
    pub(super) fn note_use(&self, call: &Call<'_>, operation: &'static str) {
        let last = LastUse {
            operation: operation.into(),
            at: call.now,
            event_id: call.arrival.event_id.clone(),
            request_id: call.arrival.request_id.clone(),
        };
        call.server.last_uses.note(&self.0, last);
    }
}

pub(super) fn region_of(arn: &Arn) -> Option<Region> {
    arn.region().to_owned().try_into().ok()
}

/// The key, whoever may use it; None if there is none.
pub(super) async fn found(call: &mut Call<'_>, arn: &Arn) -> Result<Option<Found>, KeyError> {
    let Some(region) = region_of(arn) else { return Ok(None) };
    let account = call.account().clone();
    match keys::find(&mut call.tx, &account, &region, arn.as_str(), Accept::Key).await {
        Ok(found) => Ok(Some(found)),
        Err(Missing::Own(KeyError::Store(error))) => Err(error.into()),
        Err(Missing::Own(_) | Missing::Foreign(_)) => Ok(None),
    }
}

/// The KMS key, if its policy lets the service do this for that key of the other KMS.
async fn authorized(
    call: &mut Call<'_>,
    arn: &Arn,
    action: &'static str,
    metadata: &RequestMetadata,
) -> Result<Authorized<Found>, XksError> {
    let region = region_of(arn).ok_or(XksError::KeyNotFound)?;
    let account = call.account().clone();
    let found = keys::find(&mut call.tx, &account, &region, arn.as_str(), Accept::Key).await?;
    let mut conditions = Conditions::default();
    conditions.add("kms:encryptionalgorithm", "SYMMETRIC_DEFAULT");
    // For what the service asks: as AWS's services say it, so that a policy can tell one from another.
    if let Some(source) = &metadata.kms_key_arn {
        conditions.add("aws:sourcearn", source.as_str());
        if let Some(account) = source.split(':').nth(4).filter(|account| !account.is_empty()) {
            conditions.add("aws:sourceaccount", account);
        }
    }
    Ok(call.authorize(action, found, conditions)?)
}

async fn usable(
    call: &mut Call<'_>,
    arn: &Arn,
    operation: &'static str,
    action: &'static str,
    metadata: &RequestMetadata,
) -> Result<Usable, XksError> {
    let key = authorized(call, arn, action, metadata).await?;
    Ok(key.usable(operation, call.now, &call.server.devices)?)
}
