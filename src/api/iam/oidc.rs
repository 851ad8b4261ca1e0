//! What the operations on OpenID Connect providers share.
use super::Error;
use crate::authorize::{Authorized, Conditions, Resource};
use crate::call::Call;
use crate::identity::oidc_provider::OidcProvider;
use crate::types::{Arn, Tags};
use std::sync::Arc;

/// The provider of this ARN in the caller's account, if the caller may do `action` with it.
pub(super) async fn authorized_provider(
    call: &mut Call<'_>,
    arn: &str,
    action: &'static str,
) -> Result<(Arc<OidcProvider>, Authorized<Resource>), Error> {
    let account = call.account().clone();
    let found = OidcProvider::find(&mut call.tx, &account, arn).await;
    let resource = match &found {
        Ok(provider) => Resource::oidc_provider(provider.arn.clone(), provider.tags.clone()),
        // Whoever may not ask does not learn what exists.
        Err(_) => {
            let name = arn.split_once(":oidc-provider/").map_or("", |(_, name)| name);
            let named = format!("oidc-provider/{name}");
            let named = Arn::new("iam", "", account.as_str(), &named);
            Resource::oidc_provider(named, Tags::default())
        }
    };
    let allowed =
        call.authorize(action, resource, Conditions::default()).map_err(|denied| denied.of(arn))?;
    Ok((found?, allowed))
}
