use super::{Error, Iam};
use crate::authorize::{AccessDenied, Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::{AccessKey, Owner, User};
use crate::types::{Arn, Principal, Tags, Timestamp};
use serde::{Deserialize, Serialize};

/// Says when an access key last signed a request, for which service and where.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccessKeyLastUsed {
    access_key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccessKeyLastUsedResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    access_key_last_used: Option<AccessKeyLastUsed>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKeyLastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<Timestamp>,
    service_name: String,
    region: String,
}

impl Operation for GetAccessKeyLastUsed {
    type Service = Iam;
    type Response = GetAccessKeyLastUsedResponse;
    const NAME: &'static str = "GetAccessKeyLastUsed";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["AccessKeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetAccessKeyLastUsedResponse, Error> {
        let (action, id) = ("iam:GetAccessKeyLastUsed", self.access_key_id);
        let named = format!("access key {id}");
        let account = call.account().clone();
        let key = AccessKey::load(&mut call.tx, &id).await?;
        let owner = match key.filter(|key| key.account == account).map(|key| key.owner.clone()) {
            Some(Owner::User { name, id }) => {
                let user = User::by_id(&mut call.tx, &account, &name, &id).await?;
                user.map(|user| (Resource::user(user.arn.clone(), user.tags.clone()), Some(user)))
            }
            Some(Owner::Root) => {
                Some((Resource::user(Principal::root(&account).arn, Tags::default()), None))
            }
            None => None,
        };
        // Whoever may not ask does not learn which keys exist.
        let nobody =
            || Resource::user(Arn::new("iam", "", account.as_str(), "user/"), Tags::default());
        let (resource, user, known) = match owner {
            Some((resource, user)) => (resource, user, true),
            None => (nobody(), None, false),
        };
        call.authorize(action, resource, Conditions::default()).map_err(|e| e.of(&named))?;
        if !known {
            let what = format!("resource: {named}");
            let denied = AccessDenied::unknown_resource(call.principal(), action, &what);
            return Err(Error::AccessDenied(denied));
        }
        let used = call.server.last_uses.access.of(&mut call.tx, &id).await?;
        let unknown = || "N/A".to_owned();
        Ok(GetAccessKeyLastUsedResponse {
            user_name: user.map(|user| user.name.clone()),
            access_key_last_used: Some(AccessKeyLastUsed {
                last_used_date: used.as_ref().map(|used| used.at.whole_secs()),
                service_name: used.as_ref().map_or_else(unknown, |used| used.service.to_string()),
                region: used.as_ref().map_or_else(unknown, |used| used.region.to_string()),
            }),
        })
    }
}
