//! Which secret the operator means, and where a thing is. No permission is asked for: see [`super`].
use super::ControlError;
use crate::call::Server;
use crate::identity::Account;
use crate::secrets::{self, FoundSecret, Missing, SecretError};
use crate::store::Tx;
use crate::types::{AccountId, Arn, Region};
use serde::{Deserialize, Serialize};

/// A secret by its name or its ARN.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhichSecret {
    pub named: String,
    /// Of a name: by default the only account there is, …
    pub account: Option<AccountId>,
    /// … and the only region.
    pub region: Option<Region>,
}

impl WhichSecret {
    pub(super) async fn find(
        &self,
        server: &Server,
        tx: &mut Tx<'_>,
    ) -> Result<FoundSecret, ControlError> {
        let Self { named, account, region } = self;
        let (account, region) = place(server, tx, named, (account, region), "secret").await?;
        match secrets::find(tx, &account, &region, &self.named).await {
            Ok(found) => Ok(found),
            Err(Missing::Own(_) | Missing::Foreign) => Err(ControlError::Refused(format!(
                "there is no secret {} in account {account}, region {region}",
                self.named
            ))),
            Err(Missing::Failed(SecretError::Store(error))) => Err(error.into()),
            Err(Missing::Failed(error)) => Err(ControlError::Refused(error.to_string())),
        }
    }
}

fn refused(text: &str) -> ControlError {
    ControlError::Refused(text.to_owned())
}

/// Where something is that is named by its name or its ARN. `noun`: what it is.
pub(super) async fn place(
    server: &Server,
    tx: &Tx<'_>,
    named: &str,
    given: (&Option<AccountId>, &Option<Region>),
    noun: &str,
) -> Result<(AccountId, Region), ControlError> {
    let arn = named.parse::<Arn>().ok();
    let of_arn = |part: fn(&Arn) -> &str| arn.as_ref().map(|arn| part(arn).to_owned());
    let not_one = || refused(&format!("not a {noun}'s ARN"));
    let account = match (given.0, of_arn(Arn::account)) {
        (Some(account), _) => account.clone(),
        (None, Some(account)) => account.parse().map_err(|_| not_one())?,
        (None, None) => only_account(tx, noun).await?,
    };
    let region = match (given.1, of_arn(Arn::region)) {
        (Some(region), _) => region.clone(),
        (None, Some(region)) => region.parse().map_err(|_| not_one())?,
        (None, None) => only_region(server, noun)?,
    };
    Ok((account, region))
}

async fn only_account(tx: &Tx<'_>, noun: &str) -> Result<AccountId, ControlError> {
    let page = Account::list(tx, None, 2).await?;
    match page.records.as_slice() {
        [(_, account)] => Ok(account.id.clone()),
        _ => {
            let text = format!("there are several accounts: give --account, or the {noun}'s ARN");
            Err(refused(&text))
        }
    }
}

fn only_region(server: &Server, noun: &str) -> Result<Region, ControlError> {
    let mut regions = server.regions.iter();
    match (regions.next(), regions.next()) {
        (Some(region), None) => Ok(region.clone()),
        _ => {
            let text = format!("there are several regions: give --region, or the {noun}'s ARN");
            Err(refused(&text))
        }
    }
}
