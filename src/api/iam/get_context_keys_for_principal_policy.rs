use super::entities::authorized_entity;
use super::get_context_keys_for_custom_policy::keys_of;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Lists the condition keys that the policies of a user, a group or a role ask about.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetContextKeysForPrincipalPolicy {
    policy_source_arn: String,
    policy_input_list: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetContextKeysForPrincipalPolicyResponse {
    context_key_names: Vec<String>,
}

impl Operation for GetContextKeysForPrincipalPolicy {
    type Service = Iam;
    type Response = GetContextKeysForPrincipalPolicyResponse;
    const NAME: &'static str = "GetContextKeysForPrincipalPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicySourceArn", "PolicyInputList"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GetContextKeysForPrincipalPolicyResponse, Error> {
        let (kind, name) = source(&self.policy_source_arn, call.account().as_str())?;
        let action = "iam:GetContextKeysForPrincipalPolicy";
        let (entity, _) =
            authorized_entity(call, (kind, &name), action, Conditions::default()).await?;
        if entity.arn().as_str() != self.policy_source_arn {
            let text = format!("{} cannot be found.", self.policy_source_arn);
            return Err(Error::NoSuchEntity(text));
        }
        let mut texts = entity.policy_texts(&mut call.tx).await?;
        texts.extend(self.policy_input_list.unwrap_or_default());
        Ok(GetContextKeysForPrincipalPolicyResponse { context_key_names: keys_of(&texts)? })
    }
}

/// Whom the ARN names, in the caller's account.
pub(super) fn source(arn: &str, account: &str) -> Result<(EntityKind, String), Error> {
    let invalid = || Error::InvalidInput(format!("Invalid Entity Arn: {arn}"));
    let parsed: Arn = arn.parse().map_err(|_| invalid())?;
    let (kind, path) = parsed.resource().split_once('/').ok_or_else(invalid)?;
    let kind = [EntityKind::User, EntityKind::Group, EntityKind::Role]
        .into_iter()
        .find(|known| known.word() == kind)
        .ok_or_else(invalid)?;
    if parsed.service() != "iam" || parsed.account() != account {
        return Err(invalid());
    }
    let named = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || !name.chars().all(named) {
        return Err(invalid());
    }
    Ok((kind, name.to_owned()))
}
