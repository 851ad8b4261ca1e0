use super::common::authorized_user;
use super::login::hashed;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::login_profile::LoginProfile;
use crate::types::SecretText;
use serde::{Deserialize, Serialize};

/// Sets a user's password anew, or whether it must be changed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateLoginProfile {
    user_name: String,
    password: Option<SecretText>,
    password_reset_required: Option<bool>,
}

impl Operation for UpdateLoginProfile {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateLoginProfile";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PasswordResetRequired"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, Some(&self.user_name), "iam:UpdateLoginProfile").await?;
        let profile = LoginProfile::find(&mut call.tx, &user).await?;
        let password = match self.password {
            Some(password) => Some(hashed(call, &user, password).await?),
            None => None,
        };
        profile.update(&allowed, &mut call.tx, password, self.password_reset_required)?;
        Ok(Empty)
    }
}
