use super::common::{THIS_RESOURCE, check_dry_run, hidden, there};
use super::grants::{open_token, unknown};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::grant::{Retiring, check_id};
use crate::keys::{self, Accept};
use serde::{Deserialize, Serialize};

/// Ends a grant, as one of those whom the grant itself lets.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RetireGrant {
    grant_token: Option<String>,
    key_id: Option<String>,
    grant_id: Option<String>,
    dry_run: Option<bool>,
}

const ACTION: &str = "kms:RetireGrant";

impl Operation for RetireGrant {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "RetireGrant";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "GrantId", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (key, id) = match (self.grant_token, self.key_id, self.grant_id) {
            (Some(token), None, None) => open_token(call, &token)?,
            (None, Some(key), Some(id)) => (key, id),
            _ => {
                let text = "You must specify either a grant token, or a key ID and a grant ID.";
                return Err(Error::Validation(text.into()));
            }
        };
        check_id(&id)?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let found = keys::find(&mut call.tx, &account, &region, &key, Accept::Key).await;
        let found = there(call, found, ACTION, THIS_RESOURCE)?;
        let (foreign, arn) = (found.account != account, found.arn.clone());
        let mut conditions = Conditions::default();
        conditions.add("kms:calleraccount", account.as_str());
        let grant = match found.grant(&mut call.tx, &id).await {
            Ok(grant) => grant,
            Err(Error::NotFound(_)) if foreign => return Err(unknown(call, ACTION)),
            Err(error) => return Err(error),
        };
        grant.terms.constraints.describe(&mut conditions);
        // What the key policy allows does not count; what it denies does.
        let by_policy = call.authorize(ACTION, found.clone(), conditions.clone()).err();
        if let Some(denied) = by_policy.as_ref().filter(|denied| denied.is_explicit()) {
            return Err(hidden(call, denied.clone().into(), foreign, ACTION, THIS_RESOURCE));
        }
        let retiring = Retiring::new(found, grant, call.principal());
        let retiring = call.authorize(ACTION, retiring, conditions).map_err(|denied| {
            let denied = by_policy.unwrap_or(denied).into();
            hidden(call, denied, foreign, ACTION, THIS_RESOURCE)
        })?;
        call.record("grantId", id);
        check_dry_run(self.dry_run)?;
        retiring.retire(&mut call.tx).await?;
        call.record_answer("keyId", arn.as_str());
        Ok(Empty)
    }
}
