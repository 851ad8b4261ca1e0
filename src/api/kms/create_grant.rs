use super::common::{THIS_RESOURCE, check_dry_run, check_grant_tokens, hidden, there};
use super::grants::{by_policy_or_grant, describe_service, most, principal, token};
use super::{Error, Kms};
use crate::authorize::{Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::keys::grant::{Asked, Constraints, NewGrant, Party, Terms};
use crate::keys::{self, Accept, Found};
use serde::{Deserialize, Serialize};

/// Gives a principal leave to use a key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGrant {
    key_id: String,
    grantee_principal: Option<String>,
    retiring_principal: Option<String>,
    operations: Vec<String>,
    constraints: Option<Constraints>,
    grant_tokens: Option<Vec<String>>,
    name: Option<String>,
    dry_run: Option<bool>,
    grantee_service_principal: Option<String>,
    retiring_service_principal: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGrantResponse {
    grant_token: String,
    grant_id: String,
}

const ACTION: &str = "kms:CreateGrant";

impl Operation for CreateGrant {
    type Service = Kms;
    type Response = CreateGrantResponse;
    const NAME: &'static str = "CreateGrant";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "KeyId",
        "GranteePrincipal",
        "RetiringPrincipal",
        "Operations",
        "Constraints.EncryptionContextSubset=",
        "Constraints.EncryptionContextEquals=",
        "Constraints.SourceArn",
        "Name",
        "DryRun",
        "GranteeServicePrincipal",
        "RetiringServicePrincipal",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["GrantId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateGrantResponse, Error> {
        check_grant_tokens(call, self.grant_tokens.as_ref())?;
        self.check()?;
        let constraints = self.constraints.clone().unwrap_or_default();
        let terms = Terms::new(&self.operations, constraints)?;
        let key = self.authorize(call, &terms).await?;
        key.permits(Self::NAME)?;
        terms.check(&key)?;
        let grantee = party(call, self.grantee_principal, self.grantee_service_principal).await?;
        let Some(grantee) = grantee else { return Err(no_grantee()) };
        let retiring =
            party(call, self.retiring_principal, self.retiring_service_principal).await?;
        let issuer = call.account().clone();
        let new = NewGrant { issuer, name: self.name, grantee, retiring, terms };
        let most = most(call, &key);
        let earlier = key.check_grant(&mut call.tx, &new, most).await?;
        check_dry_run(self.dry_run)?;
        let grant = match earlier {
            Some(grant) => grant,
            None => {
                let (random, now) = (call.random(), call.now);
                key.create_grant(&mut call.tx, &*random, new, now).await?
            }
        };
        call.record_answer("keyId", key.arn.as_str());
        Ok(CreateGrantResponse { grant_token: token(call, &grant), grant_id: grant.id.clone() })
    }
}

fn no_grantee() -> Error {
    let text = "You must specify either GranteePrincipal or GranteeServicePrincipal, but not both.";
    Error::Validation(text.into())
}

impl CreateGrant {
    /// What holds for requests whatever the key is.
    fn check(&self) -> Result<(), Error> {
        if self.grantee_principal.is_some() == self.grantee_service_principal.is_some() {
            return Err(no_grantee());
        }
        if self.retiring_principal.is_some() && self.retiring_service_principal.is_some() {
            let text = "You can specify either RetiringPrincipal or RetiringServicePrincipal, but not both.";
            return Err(Error::Validation(text.into()));
        }
        let named = self.constraints.as_ref().is_some_and(|all| all.source_arn.is_some());
        let retired =
            self.retiring_principal.is_some() || self.retiring_service_principal.is_some();
        if self.grantee_service_principal.is_some() && !(named && retired) {
            let text = "When you specify a GranteeServicePrincipal, you must also specify a SourceArn \
                        grant constraint and either a RetiringPrincipal or a \
                        RetiringServicePrincipal.";
            return Err(Error::Validation(text.into()));
        }
        Ok(())
    }

    /// The key, if the caller may create this grant on it: by policies or, within what it says
    /// itself, by another grant.
    async fn authorize(
        &self,
        call: &mut Call<'_>,
        terms: &Terms,
    ) -> Result<Authorized<Found>, Error> {
        let (account, region) = (call.account().clone(), call.region().clone());
        let found = keys::find(&mut call.tx, &account, &region, &self.key_id, Accept::Key).await;
        let found = there(call, found, ACTION, THIS_RESOURCE)?;
        let mut conditions = Conditions::default();
        conditions.add("kms:calleraccount", account.as_str());
        describe_service(call, &mut conditions);
        terms.constraints.describe(&mut conditions);
        let operations: Vec<String> =
            terms.operations.iter().map(|operation| operation.as_str().to_owned()).collect();
        conditions.add_all("kms:grantoperations", operations.iter());
        for (key, named) in [
            ("kms:granteeprincipal", &self.grantee_principal),
            ("kms:retiringprincipal", &self.retiring_principal),
            ("kms:granteeserviceprincipal", &self.grantee_service_principal),
            ("kms:retiringserviceprincipal", &self.retiring_service_principal),
        ] {
            if let Some(named) = named {
                conditions.add(key, named.as_str());
            }
        }
        let foreign = found.account != account;
        let asked = Asked::Create(terms, &conditions);
        let allowed = by_policy_or_grant(call, found, ACTION, &conditions, asked).await;
        allowed.map_err(|error| hidden(call, error, foreign, ACTION, THIS_RESOURCE))
    }
}

/// The principal or the service.
async fn party(
    call: &mut Call<'_>,
    arn: Option<String>,
    service: Option<String>,
) -> Result<Option<Party>, Error> {
    match (arn, service) {
        (Some(arn), _) => principal(call, &arn).await.map(Some),
        (None, service) => Ok(service.map(Party::Service)),
    }
}
