use super::common::authorized_user;
use super::login::{hashed, is_password};
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::login_profile::LoginProfile;
use crate::quotas::Secret;
use crate::types::{PrincipalKind, SecretText};
use serde::{Deserialize, Serialize};

/// Changes the caller's own password.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChangePassword {
    old_password: SecretText,
    new_password: SecretText,
}

impl Operation for ChangePassword {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "ChangePassword";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        if call.principal().kind != PrincipalKind::User {
            return Err(Error::NotAUser);
        }
        let (user, allowed) = authorized_user(call, None, "iam:ChangePassword").await?;
        let profile = LoginProfile::find(&mut call.tx, &user).await?;
        call.guess(Secret::Password, &user.id)?;
        if !is_password(call, &profile, self.old_password).await? {
            return Err(Error::WrongPassword);
        }
        call.server.guesses.forgive(Secret::Password, &user.id);
        let password = hashed(call, &user, self.new_password).await?;
        profile.update(&allowed, &mut call.tx, Some(password), Some(false))?;
        Ok(Empty)
    }
}
