use super::common::{authorized_key, page_size};
use super::grants::{ListGrantsResponse, describe_service, not_by_service, shown};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::grant::{self, Grant, check_id};
use crate::keys::{Accept, Key};
use crate::policy::PrincipalPattern;
use crate::store::Page;
use serde::{Deserialize, Serialize};

/// Lists a key's grants: all of them, one, or those of a grantee.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGrants {
    limit: Option<i64>,
    marker: Option<String>,
    key_id: String,
    grant_id: Option<String>,
    grantee_principal: Option<String>,
    grantee_service_principal: Option<String>,
}

/// Grants that one call looks at for those of a grantee. A page may so be short, and even empty, with
/// more to follow.
const MOST_LOOKS: usize = 1000;

impl Operation for ListGrants {
    type Service = Kms;
    type Response = ListGrantsResponse;
    const NAME: &'static str = "ListGrants";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "GrantId", "GranteePrincipal", "GranteeServicePrincipal", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListGrantsResponse, Error> {
        let mut conditions = Conditions::default();
        describe_service(call, &mut conditions);
        let key =
            authorized_key(call, &self.key_id, Accept::Key, "kms:ListGrants", conditions).await?;
        key.permits(Self::NAME)?;
        not_by_service("GranteeServicePrincipal", self.grantee_service_principal.as_ref())?;
        let size = page_size(self.limit, 50, 100)?;
        if let Some(grantee) = &self.grantee_principal
            && !PrincipalPattern::is_principal(grantee)
        {
            let text = format!("ARN does not refer to a valid principal: {grantee}");
            return Err(Error::InvalidArn(text));
        }
        let filter = (self.grant_id.as_deref(), self.grantee_principal.as_deref());
        let list = format!("ListGrants {} {filter:?}", key.arn);
        let after = call.resume(&list, self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        let (page, last) = match filter {
            (None, None) => {
                let page = grant::list(&call.tx, &key, after.as_deref(), size).await?;
                let last = page.records.last().filter(|_| page.more).map(|(id, _)| id.clone());
                (page, last)
            }
            (Some(id), grantee) => (one(call, &key, id, grantee).await?, None),
            (None, Some(grantee)) => of_grantee(call, &key, grantee, after, size).await?,
        };
        let next_marker = last.map(|last| call.marker_after(&list, &last));
        ListGrantsResponse::new(call, page, next_marker).await
    }
}

/// The grant of this id, or nothing.
async fn one(
    call: &mut Call<'_>,
    key: &Key,
    id: &str,
    grantee: Option<&str>,
) -> Result<Page<Grant>, Error> {
    check_id(id)?;
    let found = match key.grant(&mut call.tx, id).await {
        Ok(grant) => Some(grant),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    let mut records = Vec::new();
    if let Some(grant) = found {
        let theirs = match grantee {
            Some(grantee) => shown(call, &grant.grantee).await? == grantee,
            None => true,
        };
        records.extend(theirs.then(|| (id.to_owned(), grant)));
    }
    Ok(Page { records, more: false })
}

/// A page of the grants of one grantee, and the last grant that was looked at, if more follow.
async fn of_grantee(
    call: &mut Call<'_>,
    key: &Key,
    grantee: &str,
    after: Option<String>,
    size: usize,
) -> Result<(Page<Grant>, Option<String>), Error> {
    let all = grant::list(&call.tx, key, after.as_deref(), MOST_LOOKS).await?;
    let (mut records, mut last, mut left) = (Vec::new(), None, all.records.len());
    for (id, grant) in all.records {
        left -= 1;
        last = Some(id.clone());
        if shown(call, &grant.grantee).await? == grantee {
            records.push((id, grant));
        }
        if records.len() == size {
            break;
        }
    }
    let more = all.more || left > 0;
    Ok((Page { records, more }, last.filter(|_| more)))
}
