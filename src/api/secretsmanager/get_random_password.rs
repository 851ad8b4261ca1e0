use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{PasswordRules, random_password};
use crate::types::SecretText;
use serde::{Deserialize, Serialize};

/// Makes a random password. Nothing of it is kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRandomPassword {
    password_length: Option<i64>,
    exclude_characters: Option<String>,
    exclude_numbers: Option<bool>,
    exclude_punctuation: Option<bool>,
    exclude_uppercase: Option<bool>,
    exclude_lowercase: Option<bool>,
    include_space: Option<bool>,
    require_each_included_type: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRandomPasswordResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    random_password: Option<SecretText>,
}

impl Operation for GetRandomPassword {
    type Service = SecretsManager;
    type Response = GetRandomPasswordResponse;
    const NAME: &'static str = "GetRandomPassword";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[
        "PasswordLength",
        "ExcludeCharacters",
        "ExcludeNumbers",
        "ExcludePunctuation",
        "ExcludeUppercase",
        "ExcludeLowercase",
        "IncludeSpace",
        "RequireEachIncludedType",
    ];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetRandomPasswordResponse, Error> {
        let action = "secretsmanager:GetRandomPassword";
        call.authorize(action, call.whole_account(), Conditions::default())?;
        let password = random_password(&self.rules(), &*call.random())?;
        Ok(GetRandomPasswordResponse { random_password: Some(password) })
    }
}

impl GetRandomPassword {
    fn rules(self) -> PasswordRules {
        let default = PasswordRules::default();
        // The model holds it between 1 and 4096.
        let length = self.password_length.and_then(|length| usize::try_from(length).ok());
        PasswordRules {
            length: length.unwrap_or(default.length),
            excluded: self.exclude_characters.unwrap_or_default(),
            uppercase: self.exclude_uppercase != Some(true),
            lowercase: self.exclude_lowercase != Some(true),
            numbers: self.exclude_numbers != Some(true),
            punctuation: self.exclude_punctuation != Some(true),
            space: self.include_space.unwrap_or(default.space),
            each_type: self.require_each_included_type.unwrap_or(default.each_type),
        }
    }
}
