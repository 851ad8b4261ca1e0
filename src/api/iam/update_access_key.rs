use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::{AccessKey, Status};
use serde::{Deserialize, Serialize};

/// Makes an access key active or inactive. An inactive one signs nothing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateAccessKey {
    user_name: Option<String>,
    access_key_id: String,
    status: String,
}

impl Operation for UpdateAccessKey {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateAccessKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "AccessKeyId", "Status"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:UpdateAccessKey").await?;
        let key = AccessKey::of_user(&mut call.tx, &user, &self.access_key_id).await?;
        let status = match self.status.as_str() {
            "Active" => Status::Active,
            "Inactive" => Status::Inactive,
            other => {
                let text = format!("The status {other} cannot be set.");
                return Err(Error::InvalidInput(text));
            }
        };
        key.set_status(&allowed, &mut call.tx, status)?;
        Ok(Empty)
    }
}
