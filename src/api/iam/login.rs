//! What the operations on passwords share.
use super::Error;
use crate::call::Call;
use crate::identity::User;
use crate::identity::login_profile::{Hashed, LoginProfile, check_password, new_salt};
use crate::store::StoreError;
use crate::types::{SecretText, Timestamp};
use serde::{Deserialize, Serialize};

/// The profile as answers show it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LoginProfileEntry {
    user_name: String,
    create_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_reset_required: Option<bool>,
}

impl LoginProfileEntry {
    pub(super) fn of(user: &User, profile: &LoginProfile) -> Self {
        Self {
            user_name: user.name.clone(),
            create_date: profile.created.whole_secs(),
            password_reset_required: Some(profile.reset_required),
        }
    }
}

/// A new password, if it is good enough, hashed on a thread of its own.
pub(super) async fn hashed(
    call: &Call<'_>,
    user: &User,
    password: SecretText,
) -> Result<Hashed, Error> {
    check_password(&password, user)?;
    let salt = new_salt(&*call.random());
    let work = call.compute(move || Hashed::new(&password, salt)).await;
    Ok(work?.ok_or_else(broken_off)??)
}

/// Whether this is the password, found out on a thread of its own.
pub(super) async fn is_password(
    call: &Call<'_>,
    profile: &LoginProfile,
    password: SecretText,
) -> Result<bool, Error> {
    let known = profile.password.clone();
    let work = call.compute(move || known.is_of(&password)).await;
    Ok(work?.ok_or_else(broken_off)??)
}

fn broken_off() -> Error {
    Error::Store(StoreError::Corrupt("hashing a password broke off".into()))
}
