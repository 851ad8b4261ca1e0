//! What the operations on custom key stores share: their permission, the words of the wire, and what
//! their events say.
use super::Error;
use crate::authorize::{Account, Authorized, Conditions};
use crate::call::Call;
use crate::keys::stores::{Credential, KeyStore};
use crate::types::{AccountId, SecretText};
use serde::{Deserialize, Serialize};

/// The two types of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum StoreType {
    #[serde(rename = "AWS_CLOUDHSM")]
    Cluster,
    #[serde(rename = "EXTERNAL_KEY_STORE")]
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum XksProxyConnectivity {
    #[serde(rename = "PUBLIC_ENDPOINT")]
    PublicEndpoint,
    #[serde(rename = "VPC_ENDPOINT_SERVICE")]
    VpcEndpointService,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct XksProxyAuthenticationCredential {
    access_key_id: SecretText,
    raw_secret_access_key: SecretText,
}

impl From<XksProxyAuthenticationCredential> for Credential {
    fn from(sent: XksProxyAuthenticationCredential) -> Self {
        Self { access_key_id: sent.access_key_id, secret: sent.raw_secret_access_key }
    }
}

/// Permission for an operation on custom key stores: identity policies only, asked of the account.
pub(super) fn allowed(
    call: &mut Call<'_>,
    action: &'static str,
) -> Result<Authorized<Account>, Error> {
    let mut conditions = Conditions::default();
    conditions.add("kms:calleraccount", call.account().as_str());
    Ok(call.authorize(action, call.whole_account(), conditions)?)
}

/// What CloudTrail adds to the events of these operations, as they name a store by its id only.
pub(super) fn record(call: &mut Call<'_>, store: &KeyStore) {
    call.record("customKeyStoreName", store.name.as_str());
    if let Some(cluster) = store.cluster() {
        call.record("clusterId", cluster);
    }
}

/// The value of a member that this type of store needs.
pub(super) fn needed<T>(value: Option<T>, member: &str) -> Result<T, Error> {
    value.ok_or_else(|| {
        Error::Validation(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ))
    })
}

pub(super) fn owner(text: Option<String>) -> Result<Option<AccountId>, Error> {
    let parsed = text.map(AccountId::try_from).transpose();
    parsed.map_err(|e| Error::Validation(e.to_string()))
}
