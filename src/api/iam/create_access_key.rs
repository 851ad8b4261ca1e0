use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::AccessKey;
use crate::types::{SecretText, Timestamp};
use serde::{Deserialize, Serialize};

/// Makes an access key for a user. Its secret is shown in this answer and never again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAccessKey {
    user_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateAccessKeyResponse {
    access_key: AccessKeyEntry,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKeyEntry {
    user_name: String,
    access_key_id: String,
    status: String,
    secret_access_key: SecretText,
    create_date: Timestamp,
}

impl Operation for CreateAccessKey {
    type Service = Iam;
    type Response = CreateAccessKeyResponse;
    const NAME: &'static str = "CreateAccessKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName"];
    const ANSWER_RECORDED: &'static [&'static str] = &[
        "AccessKey.UserName",
        "AccessKey.AccessKeyId",
        "AccessKey.Status",
        "AccessKey.CreateDate",
    ];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateAccessKeyResponse, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:CreateAccessKey").await?;
        let (random, now) = (call.random(), call.now);
        let key = AccessKey::create(&allowed, &mut call.tx, &user, &*random, now).await?;
        Ok(CreateAccessKeyResponse {
            access_key: AccessKeyEntry {
                user_name: user.name.clone(),
                access_key_id: key.id.clone(),
                status: "Active".into(),
                secret_access_key: key.secret.clone(),
                create_date: key.created.whole_secs(),
            },
        })
    }
}
