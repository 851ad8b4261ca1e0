use super::common::{
    Credentials, PolicyDescriptor, SessionPolicies, Tag, describe_tags, issuer_key,
    own_session_seconds, request_tags,
};
use super::{Error, Sts};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::{Actor, Session};
use crate::types::{Arn, Tags};
use serde::{Deserialize, Serialize};

/// Gives credentials that may do what the caller and the session policies both may.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetFederationToken {
    name: String,
    policy: Option<String>,
    policy_arns: Option<Vec<PolicyDescriptor>>,
    duration_seconds: Option<i64>,
    tags: Option<Vec<Tag>>,
    minimum_session_token_size: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetFederationTokenResponse {
    credentials: Credentials,
    federated_user: FederatedUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_utilization: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FederatedUser {
    federated_user_id: String,
    arn: Arn,
}

impl Operation for GetFederationToken {
    type Service = Sts;
    type Response = GetFederationTokenResponse;
    const NAME: &'static str = "GetFederationToken";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["Name", "Policy", "PolicyArns", "DurationSeconds", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["Credentials.AccessKeyId", "Credentials.Expiration", "FederatedUser", "PackedPolicySize"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetFederationTokenResponse, Error> {
        let tags = request_tags(self.tags)?;
        let policies = SessionPolicies::parse(self.policy, self.policy_arns)?;
        let account = call.account().clone();
        let arn = Arn::new("sts", "", account.as_str(), &format!("federated-user/{}", self.name));
        let mut conditions = Conditions::default();
        describe_tags(&mut conditions, &tags);
        if let Some(seconds) = self.duration_seconds {
            conditions.add("sts:durationseconds", seconds.to_string());
        }
        let resource = || Resource {
            arn: arn.clone(),
            kind: "AWS::STS::FederatedUser",
            tags: Tags::default(),
        };
        call.authorize("sts:GetFederationToken", resource(), conditions.clone())?;
        if !tags.0.is_empty() {
            call.authorize("sts:TagSession", resource(), conditions)?;
        }
        policies.check(call, &account).await?;
        let packed_policy_size = policies.packed(&tags)?;
        let seconds = own_session_seconds(call, self.duration_seconds);
        let principal = call.principal();
        let by = principal.user_name.clone().map(|name| (name, principal.unique_id.clone()));
        let federated_user =
            FederatedUser { federated_user_id: format!("{account}:{}", self.name), arn };
        let actor = Actor::Federated { account, name: self.name, by };
        let expires = call.now.plus_secs(seconds).whole_secs();
        let session = Session {
            policy: policies.text,
            policy_arns: policies.arns,
            tags,
            issuer_key: issuer_key(call),
            ..Session::new(actor, &*call.random(), call.now, expires)
        };
        let issued = session.issue(&call.server.root, &*call.random())?;
        let credentials = Credentials::from(issued);
        let size = credentials.token_size(self.minimum_session_token_size)?;
        Ok(GetFederationTokenResponse {
            credentials,
            federated_user,
            packed_policy_size,
            session_token_size: Some(size),
            session_token_utilization: None,
        })
    }
}
