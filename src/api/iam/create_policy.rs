use super::common::Tag;
use super::managed::{PolicyEntry, new_policy};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::{ManagedPolicy, NewPolicy};
use serde::{Deserialize, Serialize};

/// Makes a managed policy, which users, groups and roles can then have attached.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatePolicy {
    policy_name: String,
    path: Option<String>,
    policy_document: String,
    description: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatePolicyResponse {
    policy: PolicyEntry,
}

impl Operation for CreatePolicy {
    type Service = Iam;
    type Response = CreatePolicyResponse;
    const NAME: &'static str = "CreatePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["PolicyName", "Path", "PolicyDocument", "Description", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] = &["Policy"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreatePolicyResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let new = NewPolicy {
            account: call.account().clone(),
            name: self.policy_name,
            path: self.path.unwrap_or_else(|| "/".into()),
            description: self.description.unwrap_or_default(),
            text: self.policy_document,
            tags,
        };
        if !new.tags.0.is_empty() {
            call.authorize("iam:TagPolicy", new_policy(new.arn()), conditions.clone())?;
        }
        let allowed = call.authorize("iam:CreatePolicy", new_policy(new.arn()), conditions)?;
        let (random, now) = (call.random(), call.now);
        let policy = ManagedPolicy::create(&allowed, &mut call.tx, new, &*random, now).await?;
        Ok(CreatePolicyResponse { policy: PolicyEntry::of(&policy, (0, 0)) })
    }
}
