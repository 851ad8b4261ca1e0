use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::AccessKey;
use crate::last_use::LastUses;
use serde::{Deserialize, Serialize};

/// Deletes an access key. The next request signed with it is refused.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteAccessKey {
    user_name: Option<String>,
    access_key_id: String,
}

impl Operation for DeleteAccessKey {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteAccessKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "AccessKeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:DeleteAccessKey").await?;
        let key = AccessKey::of_user(&mut call.tx, &user, &self.access_key_id).await?;
        key.delete(&allowed, &mut call.tx, &user)?;
        LastUses::forget_access(&mut call.tx, &key.id)?;
        call.server.last_uses.access.drop_note(&key.id);
        Ok(Empty)
    }
}
