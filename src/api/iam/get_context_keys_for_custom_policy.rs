use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::policy::{Kind, context_keys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Lists the condition keys that policies ask about: what a simulation of them must be given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetContextKeysForCustomPolicy {
    policy_input_list: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetContextKeysForCustomPolicyResponse {
    context_key_names: Vec<String>,
}

impl Operation for GetContextKeysForCustomPolicy {
    type Service = Iam;
    type Response = GetContextKeysForCustomPolicyResponse;
    const NAME: &'static str = "GetContextKeysForCustomPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicyInputList"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GetContextKeysForCustomPolicyResponse, Error> {
        let whole = call.whole_account();
        call.authorize("iam:GetContextKeysForCustomPolicy", whole, Conditions::default())?;
        Ok(GetContextKeysForCustomPolicyResponse {
            context_key_names: keys_of(&self.policy_input_list)?,
        })
    }
}

/// The keys that these policies name, each once: keys that differ in case only are one.
pub(super) fn keys_of(texts: &[String]) -> Result<Vec<String>, Error> {
    let mut keys = BTreeMap::new();
    for text in texts {
        // The operation has no MalformedPolicyDocument in the model.
        let named = context_keys(text, Kind::Identity)
            .map_err(|error| Error::InvalidInput(error.to_string()))?;
        for key in named {
            keys.entry(key.to_lowercase()).or_insert(key);
        }
    }
    Ok(keys.into_values().collect())
}
