use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity;
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// The one name a key policy can have.
pub(super) const DEFAULT: &str = "default";

/// Returns a key's policy, byte for byte as it was put, save that those it names are called what they
/// are called now, and by their ids once they are gone.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyPolicyResponse {
    policy: String,
    policy_name: String,
}

impl Operation for GetKeyPolicy {
    type Service = Kms;
    type Response = GetKeyPolicyResponse;
    const NAME: &'static str = "GetKeyPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetKeyPolicyResponse, Error> {
        let name = self.policy_name.unwrap_or_else(|| DEFAULT.into());
        let mut conditions = Conditions::default();
        conditions.add("kms:policyname", name.as_str());
        let action = "kms:GetKeyPolicy";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        if name != DEFAULT {
            return Err(Error::NotFound("No such policy exists".into()));
        }
        let policy = identity::shown(&mut call.tx, &key.policy).await?;
        Ok(GetKeyPolicyResponse { policy, policy_name: name })
    }
}
