use super::common::authorized_user;
use super::login::LoginProfileEntry;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::login_profile::LoginProfile;
use serde::{Deserialize, Serialize};

/// Says whether a user has a password, and since when.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetLoginProfile {
    user_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetLoginProfileResponse {
    login_profile: LoginProfileEntry,
}

impl Operation for GetLoginProfile {
    type Service = Iam;
    type Response = GetLoginProfileResponse;
    const NAME: &'static str = "GetLoginProfile";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetLoginProfileResponse, Error> {
        let (user, _) =
            authorized_user(call, self.user_name.as_deref(), "iam:GetLoginProfile").await?;
        let profile = LoginProfile::find(&mut call.tx, &user).await?;
        Ok(GetLoginProfileResponse { login_profile: LoginProfileEntry::of(&user, &profile) })
    }
}
