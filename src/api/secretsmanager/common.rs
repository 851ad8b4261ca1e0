//! What the Secrets Manager operations share: finding a secret and asking for permission on it, in
//! one step, and the members that several requests have.
use super::Error;
use super::cross_account;
use super::replicate::{self, Wanted};
use crate::authorize::{AccessDenied, Authorized, Conditions, Resource};
use crate::call::Call;
use crate::secrets::{self, Edit, FoundSecret, Missing, Secret, check_version_id};
use crate::types::Tags;
use std::sync::Arc;

/// The secret that `named` means, if the caller may do `action` with it.
pub(super) async fn authorized_secret(
    call: &mut Call<'_>,
    named: &str,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<Authorized<FoundSecret>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let principal = call.principal();
    // A secret that is missing elsewhere and one that forbids give a stranger the same answer.
    let stranger = || -> Error {
        AccessDenied::unknown_resource(principal, action, &format!("resource: {named}")).into()
    };
    match secrets::find(&mut call.tx, &account, &region, named).await {
        // Refused in the caller's own words: whether there is such a secret is not for everybody.
        Ok(found) if found.account == account => {
            Ok(call.authorize(action, found, conditions).map_err(|denied| denied.of(named))?)
        }
        Ok(found) => call.authorize(action, found, conditions).map_err(|_| stranger()),
        Err(Missing::Foreign) => Err(stranger()),
        Err(Missing::Own(arn)) => {
            // Permission first: only who could use the secret is told that there is none.
            conditions.add("secretsmanager:secretid", arn.as_str());
            let resource = Resource { arn, kind: secrets::KIND, tags: Tags::default() };
            call.authorize(action, resource, conditions).map_err(|denied| denied.of(named))?;
            Err(Error::NotFound)
        }
        Err(Missing::Failed(error)) => Err(error),
    }
}

/// The token that makes a request repeatable, and names the version that it makes.
pub(super) fn request_token(token: Option<String>) -> Result<String, Error> {
    let token = token.ok_or(Error::InvalidRequest(
        "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
    ))?;
    check_version_id(&token)?;
    Ok(token)
}

/// A page's size; the model holds it between 1 and 100.
pub(super) fn page_size(max_results: Option<i64>) -> usize {
    max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(100)
}

/// Writes a secret that was changed, and its replicas.
pub(super) async fn save(call: &mut Call<'_>, secret: Edit) -> Result<Arc<Secret>, Error> {
    save_replicated(call, secret, &Wanted::default()).await
}

/// The same for a request that says where replicas are to be.
pub(super) async fn save_replicated<'a>(
    call: &mut Call<'a>,
    mut secret: Edit,
    wanted: &Wanted<'a>,
) -> Result<Arc<Secret>, Error> {
    let now = call.now;
    replicate::bring_up_to_date(call, &mut secret, wanted).await?;
    cross_account::bring_up_to_date(call, &mut secret).await?;
    secret.tell_primary_of_key(&mut call.tx).await?;
    secret.save(&mut call.tx, now)
}
