use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::login_profile::LoginProfile;
use serde::{Deserialize, Serialize};

/// Takes a user's password away. Access keys stay.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteLoginProfile {
    user_name: Option<String>,
}

impl Operation for DeleteLoginProfile {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteLoginProfile";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:DeleteLoginProfile").await?;
        let profile = LoginProfile::find(&mut call.tx, &user).await?;
        profile.delete(&allowed, &mut call.tx, &user)?;
        Ok(Empty)
    }
}
