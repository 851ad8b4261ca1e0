use super::common::{authorized_secret, save};
use super::invocation::{authorized_function, check_value};
use super::shapes::{ExternalRotationItem, RotationRules};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::rotation::{NO_FUNCTION, Purpose, Rules, Run, Schedule};
use crate::secrets::{Edit, Secret, check_version_id};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Sets how a secret is rotated, and has it rotated now or, if that is not wanted, the function tested.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    #[serde(rename = "RotationLambdaARN")]
    rotation_lambda_arn: Option<String>,
    rotation_rules: Option<RotationRules>,
    external_secret_rotation_metadata: Option<Vec<ExternalRotationItem>>,
    external_secret_rotation_role_arn: Option<String>,
    rotate_immediately: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

impl Operation for RotateSecret {
    type Service = SecretsManager;
    type Response = RotateSecretResponse;
    const NAME: &'static str = "RotateSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "SecretId",
        "ClientRequestToken",
        "RotationLambdaARN",
        "RotationRules",
        "ExternalSecretRotationRoleArn",
        "RotateImmediately",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name", "VersionId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<RotateSecretResponse, Error> {
        let action = "secretsmanager:RotateSecret";
        let found = authorized_secret(call, &self.secret_id, action, self.conditions()).await?;
        let mut secret = found.edit()?;
        let token = self.token()?;
        let rules = self.rules(call)?;
        let function = self.function(&secret)?;
        let function = authorized_function(call, &secret, &function)?;
        self.set_external(&mut secret)?;
        if is_repeated(call, &secret, &token).await? {
            return Ok(RotateSecretResponse::of(&secret, token));
        }
        if Run::of(&mut call.tx, &secret).await?.is_some() || secret.versions.unfinished().is_some()
        {
            call.server.reattempts.note(&secret.account, &secret.region, &secret.name);
            return Err(Error::InvalidRequest(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ));
        }
        check_value(call, &secret, function).await?;
        let purpose = match self.rotate_immediately {
            Some(false) => Purpose::Test,
            Some(true) | None => Purpose::Rotate,
        };
        let (random, now) = (call.random(), call.now);
        secret.set_rotation(function.arn.clone(), rules, now);
        secret.begin_rotation(&mut call.tx, purpose, &token, &*random, now)?;
        let secret = save(call, secret).await?;
        Ok(RotateSecretResponse::of(&secret, token))
    }
}

impl RotateSecret {
    /// Service authorization reference, "Actions defined by AWS Secrets Manager": RotateSecret.
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(arn) = &self.rotation_lambda_arn {
            conditions.add("secretsmanager:rotationlambdaarn", arn.as_str());
        }
        if let Some(arn) = &self.external_secret_rotation_role_arn {
            conditions.add("secretsmanager:externalsecretrotationrolearn", arn.as_str());
        }
        let modifies = self.rotation_rules.is_some().to_string();
        conditions.add("secretsmanager:modifyrotationrules", modifies);
        let immediately = self.rotate_immediately.unwrap_or(true).to_string();
        conditions.add("secretsmanager:rotateimmediately", immediately);
        conditions
    }

    fn token(&self) -> Result<String, Error> {
        let missing =
            "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
        let missing = || Error::InvalidParameter(missing.into());
        let token = self.client_request_token.clone().ok_or_else(missing)?;
        check_version_id(&token)?;
        Ok(token)
    }

    fn rules(&self, call: &Call<'_>) -> Result<Option<Rules>, Error> {
        let rules = self.rotation_rules.as_ref().map(Rules::from);
        if let Some(rules) = &rules {
            Schedule::new(rules, call.now)?;
        }
        Ok(rules)
    }

    /// The function that is named now, or that was named before.
    fn function(&self, secret: &Secret) -> Result<Arn, Error> {
        match &self.rotation_lambda_arn {
            Some(named) => named.parse().map_err(|_| {
                Error::InvalidParameter(
                    "The RotationLambdaARN is not the ARN of a function.".into(),
                )
            }),
            None => {
                let kept = secret.rotation.as_ref().and_then(|kept| kept.function.clone());
                kept.ok_or(Error::InvalidRequest(NO_FUNCTION))
            }
        }
    }

    fn set_external(&self, secret: &mut Edit) -> Result<(), Error> {
        let metadata = self.external_secret_rotation_metadata.as_deref();
        let metadata = metadata.map(ExternalRotationItem::parse).transpose()?;
        secret.set_external_rotation(metadata, self.external_secret_rotation_role_arn.clone())
    }
}

/// Whether it was this request that began the rotation under way, or one that is over: a client that
/// missed the answer asks again.
async fn is_repeated(call: &mut Call<'_>, secret: &Secret, token: &str) -> Result<bool, Error> {
    if Run::of(&mut call.tx, secret).await?.is_some_and(|run| run.token == token) {
        return Ok(true);
    }
    let made = secret.versions.get(token).filter(|version| version.has_value);
    let left = secret.versions.unfinished().is_some_and(|(id, _)| id == token);
    Ok(made.is_some() && !left)
}

impl RotateSecretResponse {
    fn of(secret: &Secret, token: String) -> Self {
        Self {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id: Some(token),
        }
    }
}
