use super::common::{authorized_key, check_grant_tokens};
use super::metadata::KeyMetadata;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{self, Accept, SECRETS_MANAGER_ALIAS};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Says what a key is. Asked of `alias/aws/secretsmanager`, by name or ARN, it makes that key if it
/// is not there yet, as AWS does.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKey {
    key_id: String,
    grant_tokens: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyResponse {
    key_metadata: KeyMetadata,
}

impl Operation for DescribeKey {
    type Service = Kms;
    type Response = DescribeKeyResponse;
    const NAME: &'static str = "DescribeKey";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DescribeKeyResponse, Error> {
        check_grant_tokens(call, self.grant_tokens.as_ref())?;
        if names_service_key(call, &self.key_id) {
            service_key(call).await?;
        }
        let action = "kms:DescribeKey";
        let key =
            authorized_key(call, &self.key_id, Accept::KeyOrAlias, action, Conditions::default())
                .await?;
        Ok(DescribeKeyResponse { key_metadata: KeyMetadata::from(&*key) })
    }
}

/// Whether it is the alias of the account's `aws/secretsmanager` key, or the alias's ARN.
pub(in crate::api) fn names_service_key(call: &Call<'_>, named: &str) -> bool {
    let (account, region) = (call.account().as_str(), call.region().as_str());
    let alias = Arn::new("kms", region, account, SECRETS_MANAGER_ALIAS);
    named == SECRETS_MANAGER_ALIAS || named == alias.as_str()
}

/// The account's `aws/secretsmanager` key, made if need be.
pub(in crate::api) async fn service_key(call: &mut Call<'_>) -> Result<keys::Found, Error> {
    let (account, region, now) = (call.account().clone(), call.region().clone(), call.now);
    let id = call.random().uuid().to_string();
    let root = call.server.root.clone();
    let fresh = async move || Ok((id, root.fresh_key().await?));
    keys::secrets_manager_key(&mut call.tx, &account, &region, now, fresh).await
}
