use super::common::{authorized_key, check_dry_run};
use super::grants::describe_service;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Ends a grant, by permission on the key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RevokeGrant {
    key_id: String,
    grant_id: String,
    dry_run: Option<bool>,
}

impl Operation for RevokeGrant {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "RevokeGrant";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "GrantId", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        describe_service(call, &mut conditions);
        let key =
            authorized_key(call, &self.key_id, Accept::Key, "kms:RevokeGrant", conditions).await?;
        let grant = key.grant(&mut call.tx, &self.grant_id).await?;
        key.permits(Self::NAME)?;
        check_dry_run(self.dry_run)?;
        key.revoke_grant(&mut call.tx, &grant).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
