use super::get_secret_value::{GetSecretValue, GetSecretValueResponse};
use super::list_secrets::Filter;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation, OperationError};
use crate::secrets::{self, Order, Query, SortBy};
use crate::wire::ServiceError;
use serde::{Deserialize, Serialize};

/// Answers the current values of up to 20 secrets: of those named, or of those that pass the filters.
/// What fails for one secret does not fail for the others.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchGetSecretValue {
    secret_id_list: Option<Vec<String>>,
    filters: Option<Vec<Filter>>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchGetSecretValueResponse {
    /// The model's `SecretValueEntry` has the members of GetSecretValue's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_values: Option<Vec<GetSecretValueResponse>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<SecretFailure>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SecretFailure {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The secrets that a call is about, and where the next one goes on.
struct Wanted {
    ids: Vec<String>,
    next_token: Option<String>,
}

impl Operation for BatchGetSecretValue {
    type Service = SecretsManager;
    type Response = BatchGetSecretValueResponse;
    const NAME: &'static str = "BatchGetSecretValue";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["SecretIdList", "Filters", "MaxResults", "NextToken"];

    async fn execute(self, call: &mut Call<'_>) -> Result<BatchGetSecretValueResponse, Error> {
        let action = "secretsmanager:BatchGetSecretValue";
        call.authorize(action, call.whole_account(), Conditions::default())?;
        let Wanted { ids, next_token } = self.wanted(call).await?;
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for id in ids {
            let request = GetSecretValue::current(id.clone());
            let read = async |call: &mut Call<'_>| request.read(call).await;
            match call.containing(&request, read).await {
                Ok(value) => values.push(value),
                Err(error) => errors.push(SecretFailure::of(id, error)?),
            }
        }
        Ok(BatchGetSecretValueResponse {
            secret_values: Some(values),
            next_token,
            errors: Some(errors),
        })
    }
}

impl BatchGetSecretValue {
    async fn wanted(self, call: &mut Call<'_>) -> Result<Wanted, Error> {
        let invalid = |text: &str| Error::InvalidParameter(text.into());
        let filters = self.filters.filter(|filters| !filters.is_empty());
        let Some(filters) = filters else {
            if self.max_results.is_some() {
                return Err(invalid(
                    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' \
                     is provided.",
                ));
            }
            let ids = self.secret_id_list.ok_or_else(|| invalid(ONE_OF_TWO))?;
            // A list is answered whole: there is no page after it.
            return match self.next_token {
                Some(_) => Err(Error::InvalidNextToken),
                None => Ok(Wanted { ids, next_token: None }),
            };
        };
        if self.secret_id_list.is_some() {
            return Err(invalid(ONE_OF_TWO));
        }
        // Whoever looks for secrets learns which there are.
        let action = "secretsmanager:ListSecrets";
        call.authorize(action, call.whole_account(), Conditions::default())?;
        let filters = Filter::parse(Some(filters))?;
        let list = format!("BatchGetSecretValue {filters:?}");
        let after =
            call.resume(&list, self.next_token.as_deref()).ok_or(Error::InvalidNextToken)?;
        let size = self.max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(MOST);
        let query = Query {
            filters,
            with_scheduled: false,
            // Which is read a page at a time, with filters too.
            by: SortBy::Name,
            order: Order::Ascending,
            after,
            size,
        };
        let found = secrets::list(&call.tx, call.account(), call.region(), &query).await?;
        let next_token = found.next.map(|last| call.marker_after(&list, &last));
        let ids = found.secrets.iter().map(|secret| secret.arn.to_string()).collect();
        Ok(Wanted { ids, next_token })
    }
}

/// AWS: how many secrets one call answers.
const MOST: usize = 20;
const ONE_OF_TWO: &str = "Either 'SecretIdList' or 'Filters' must be provided, but not both.";

impl SecretFailure {
    /// What is said of a secret whose value cannot be had. What fails inside fails the whole call, so
    /// that it is logged and tells nothing.
    fn of(id: String, error: Error) -> Result<Self, Error> {
        let fault = error.fault();
        if error.is_conflict() || fault.is_ours() {
            return Err(error);
        }
        Ok(Self {
            secret_id: Some(id),
            error_code: Some(fault.code.into()),
            message: Some(fault.message().to_owned()),
        })
    }
}
