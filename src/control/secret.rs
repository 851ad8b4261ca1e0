//! Which secret the operator means. No permission is asked for: see [`super`].
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
        let arn = self.named.parse::<Arn>().ok();
        let of_arn = |part: fn(&Arn) -> &str| arn.as_ref().map(|arn| part(arn).to_owned());
        let account = match (&self.account, of_arn(Arn::account)) {
            (Some(account), _) => account.clone(),
            (None, Some(account)) => account.parse().map_err(|_| refused("not a secret's ARN"))?,
            (None, None) => only_account(tx).await?,
        };
        let region = match (&self.region, of_arn(Arn::region)) {
            (Some(region), _) => region.clone(),
            (None, Some(region)) => region.parse().map_err(|_| refused("not a secret's ARN"))?,
            (None, None) => only_region(server)?,
        };
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

async fn only_account(tx: &Tx<'_>) -> Result<AccountId, ControlError> {
    let page = Account::list(tx, None, 2).await?;
    match page.records.as_slice() {
        [(_, account)] => Ok(account.id.clone()),
        _ => Err(refused("there are several accounts: give --account, or the secret's ARN")),
    }
}

fn only_region(server: &Server) -> Result<Region, ControlError> {
    let mut regions = server.regions.iter();
    match (regions.next(), regions.next()) {
        (Some(region), None) => Ok(region.clone()),
        _ => Err(refused("there are several regions: give --region, or the secret's ARN")),
    }
}
