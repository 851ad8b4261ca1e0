use super::common::{Tag, fresh_material};
use super::get_key_policy::DEFAULT;
use super::metadata::KeyMetadata;
use super::put_key_policy::check_policy;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{self, KeyManager, NewKey};
use serde::{Deserialize, Serialize};

/// Creates a KMS key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKey {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<String>,
    customer_master_key_spec: Option<String>,
    key_spec: Option<String>,
    origin: Option<String>,
    custom_key_store_id: Option<String>,
    bypass_policy_lockout_safety_check: Option<bool>,
    tags: Option<Vec<Tag>>,
    multi_region: Option<bool>,
    xks_key_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyResponse {
    key_metadata: KeyMetadata,
}

impl Operation for CreateKey {
    type Service = Kms;
    type Response = CreateKeyResponse;
    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "Policy",
        "Description",
        "KeyUsage",
        "CustomerMasterKeySpec",
        "KeySpec",
        "Origin",
        "CustomKeyStoreId",
        "BypassPolicyLockoutSafetyCheck",
        "Tags",
        "MultiRegion",
        "XksKeyId",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyMetadata"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateKeyResponse, Error> {
        self.check_kind()?;
        let tags = Tag::parse(self.tags)?;
        let bypass = self.bypass_policy_lockout_safety_check.unwrap_or(false);
        let mut conditions = Conditions::default();
        conditions.add("kms:keyspec", keys::SPEC);
        conditions.add("kms:customermasterkeyspec", keys::SPEC);
        conditions.add("kms:keyusage", keys::USAGE);
        conditions.add("kms:customermasterkeyusage", keys::USAGE);
        conditions.add("kms:keyorigin", keys::ORIGIN);
        conditions.add("kms:multiregion", "false");
        conditions.add("kms:bypasspolicylockoutsafetycheck", if bypass { "true" } else { "false" });
        conditions.add("kms:calleraccount", call.account().as_str());
        conditions.add_request_tags(&tags);
        if !tags.0.is_empty() {
            call.authorize("kms:TagResource", call.whole_account(), conditions.clone())?;
        }
        let allowed = call.authorize("kms:CreateKey", call.whole_account(), conditions.clone())?;
        let id = call.random().uuid().to_string();
        let policy = match self.policy {
            Some(text) => {
                conditions.add("kms:policyname", DEFAULT);
                conditions.add_tags("aws:resourcetag/", &tags);
                let arn = keys::arn(call.account(), call.region(), &id);
                check_policy(call, &text, (!bypass).then_some((&arn, conditions))).await?;
                text
            }
            None => keys::default_policy(call.account()),
        };
        let new = NewKey {
            id,
            account: call.account().clone(),
            region: call.region().clone(),
            manager: KeyManager::Customer,
            description: self.description.unwrap_or_default(),
            policy,
            tags,
            material: fresh_material(call).await?,
        };
        let now = call.now;
        let key = keys::create(&allowed, &mut call.tx, new, now)?;
        call.touched("AWS::KMS::Key", &key.arn);
        Ok(CreateKeyResponse { key_metadata: KeyMetadata::from(&*key) })
    }
}

impl CreateKey {
    /// Only symmetric keys with material of ours so far; the rest is refused in AWS's words.
    fn check_kind(&self) -> Result<(), Error> {
        let (spec, older) = (self.key_spec.as_deref(), self.customer_master_key_spec.as_deref());
        let spec = match (spec, older) {
            (Some(_), Some(_)) => {
                let text =
                    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request.";
                return Err(Error::Validation(text.into()));
            }
            (spec, older) => spec.or(older).unwrap_or(keys::SPEC),
        };
        if let Some(store) = &self.custom_key_store_id {
            return Err(Error::CustomKeyStoreNotFound(store.clone()));
        }
        let usage = match self.key_usage.as_deref() {
            Some(usage) => usage,
            None if spec == keys::SPEC => keys::USAGE,
            None => {
                let text = "You must specify a KeyUsage value for all KMS keys except for symmetric \
                            encryption keys.";
                return Err(Error::Validation(text.into()));
            }
        };
        if spec != keys::SPEC {
            return Err(Error::Unsupported(format!("KeySpec {spec} is not supported.")));
        }
        if usage != keys::USAGE {
            let text = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
            return Err(Error::Validation(text));
        }
        match self.origin.as_deref() {
            None | Some(keys::ORIGIN) => {}
            Some(other) => {
                return Err(Error::Unsupported(format!("Origin {other} is not supported.")));
            }
        }
        if self.multi_region == Some(true) || self.xks_key_id.is_some() {
            return Err(Error::Unsupported(
                "Multi-Region and external keys are not supported.".into(),
            ));
        }
        Ok(())
    }
}
