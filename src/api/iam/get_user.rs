use super::common::{UserEntry, authorized_user};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Says what is known of a user; without a name, of the caller.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetUser {
    user_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetUserResponse {
    user: UserEntry,
}

impl Operation for GetUser {
    type Service = Iam;
    type Response = GetUserResponse;
    const NAME: &'static str = "GetUser";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetUserResponse, Error> {
        let (user, _) = authorized_user(call, self.user_name.as_deref(), "iam:GetUser").await?;
        Ok(GetUserResponse { user: UserEntry::from(&*user) })
    }
}
