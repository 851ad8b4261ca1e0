use super::common::page_size;
use super::grants::{ListGrantsResponse, not_by_service};
use super::{Error, Kms};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity;
use crate::keys::grant;
use crate::policy::PrincipalPattern;
use crate::types::{Arn, Tags};
use serde::{Deserialize, Serialize};

/// Lists the grants in the region that a principal of the caller's account may retire, whoever owns
/// their keys. The principal is what permission is asked for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRetirableGrants {
    limit: Option<i64>,
    marker: Option<String>,
    retiring_principal: Option<String>,
    retiring_service_principal: Option<String>,
}

impl Operation for ListRetirableGrants {
    type Service = Kms;
    type Response = ListGrantsResponse;
    const NAME: &'static str = "ListRetirableGrants";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["RetiringPrincipal", "RetiringServicePrincipal", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListGrantsResponse, Error> {
        not_by_service("RetiringServicePrincipal", self.retiring_service_principal.as_ref())?;
        let Some(named) = self.retiring_principal else {
            let text = "You must specify either RetiringPrincipal or RetiringServicePrincipal, but \
                        not both.";
            return Err(Error::Validation(text.into()));
        };
        let invalid =
            || Error::InvalidArn(format!("ARN does not refer to a valid principal: {named}"));
        let arn: Arn = named.parse().map_err(|_| invalid())?;
        if !PrincipalPattern::is_principal(&named) {
            return Err(invalid());
        }
        let kind = "AWS::IAM::User";
        let principal = Resource { arn, kind, tags: Tags::default() };
        call.authorize("kms:ListRetirableGrants", principal, Conditions::default())?;
        let principal =
            identity::principal_named(&mut call.tx, &named).await?.ok_or_else(invalid)?;
        let size = page_size(self.limit, 50, 100)?;
        let list = format!("ListRetirableGrants {}", principal.unique_id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        let region = call.region();
        let page =
            grant::retirable(&mut call.tx, region, &principal, after.as_deref(), size).await?;
        let next_marker = call.marker(&list, &page);
        ListGrantsResponse::new(call, page, next_marker).await
    }
}
