use super::common::{authorized_secret, page_size};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::VersionMeta;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// What AWS calls the key `aws/secretsmanager` here.
const DEFAULT_KEY: &str = "DefaultEncryptionKey";

/// Lists a secret's versions; those without labels only if asked to.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretVersionIds {
    secret_id: String,
    max_results: Option<i64>,
    next_token: Option<String>,
    include_deprecated: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretVersionIdsResponse {
    versions: Vec<VersionEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VersionEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stages: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_accessed_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_ids: Option<Vec<String>>,
}

impl Operation for ListSecretVersionIds {
    type Service = SecretsManager;
    type Response = ListSecretVersionIdsResponse;
    const NAME: &'static str = "ListSecretVersionIds";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "MaxResults", "NextToken", "IncludeDeprecated"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListSecretVersionIdsResponse, Error> {
        let action = "secretsmanager:ListSecretVersionIds";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        let list = format!("ListSecretVersionIds {}", secret.arn);
        let after =
            call.resume(&list, self.next_token.as_deref()).ok_or(Error::InvalidNextToken)?;
        let all = self.include_deprecated == Some(true);
        // A version that a rotation has announced comes once it has its value.
        let mut rest = secret
            .versions
            .iter()
            .filter(|(_, version)| version.has_value)
            .filter(|(_, version)| all || !version.stages.is_empty())
            .filter(|(id, _)| after.as_deref().is_none_or(|after| *id > after))
            .peekable();
        let page: Vec<(&str, &VersionMeta)> =
            rest.by_ref().take(page_size(self.max_results)).collect();
        let last = page.last().filter(|_| rest.peek().is_some());
        let next_token = last.map(|(id, _)| call.marker_after(&list, id));
        Ok(ListSecretVersionIdsResponse {
            versions: page.into_iter().map(VersionEntry::from).collect(),
            next_token,
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
        })
    }
}

impl From<(&str, &VersionMeta)> for VersionEntry {
    fn from((id, version): (&str, &VersionMeta)) -> Self {
        let stages: Vec<String> = version.stages.iter().cloned().collect();
        let key = version.key.as_ref().map_or(DEFAULT_KEY, Arn::as_str);
        Self {
            version_id: Some(id.to_owned()),
            version_stages: (!stages.is_empty()).then_some(stages),
            last_accessed_date: version.accessed,
            created_date: Some(version.created),
            kms_key_ids: Some(vec![key.to_owned()]),
        }
    }
}
