use super::common::authorized_user;
use super::login::{LoginProfileEntry, hashed};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::login_profile::LoginProfile;
use crate::types::SecretText;
use serde::{Deserialize, Serialize};

/// Gives a user a password.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLoginProfile {
    user_name: Option<String>,
    password: Option<SecretText>,
    password_reset_required: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateLoginProfileResponse {
    login_profile: LoginProfileEntry,
}

impl Operation for CreateLoginProfile {
    type Service = Iam;
    type Response = CreateLoginProfileResponse;
    const NAME: &'static str = "CreateLoginProfile";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PasswordResetRequired"];
    const ANSWER_RECORDED: &'static [&'static str] = &["LoginProfile"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateLoginProfileResponse, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:CreateLoginProfile").await?;
        // Only the root, which has no login profile here, goes without one.
        let password =
            self.password.ok_or_else(|| Error::Validation("Must specify password".into()))?;
        LoginProfile::check_none(&mut call.tx, &user).await?;
        let password = hashed(call, &user, password).await?;
        let (reset, now) = (self.password_reset_required.unwrap_or(false), call.now);
        let profile =
            LoginProfile::create(&allowed, &mut call.tx, &user, password, reset, now).await?;
        let login_profile = LoginProfileEntry::of(&user, &profile);
        Ok(CreateLoginProfileResponse { login_profile })
    }
}
