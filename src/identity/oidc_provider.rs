//! OpenID Connect providers: whose word an account takes for who somebody is.
use super::IdentityError;
use crate::authorize::{Authorized, Resource};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// IAM quotas.
pub const PROVIDERS_PER_ACCOUNT: usize = 100;
const CLIENT_IDS: usize = 100;
const THUMBPRINTS: usize = 5;
const MAX_URL_CHARS: usize = 255;
const MAX_CLIENT_ID_CHARS: usize = 255;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OidcProvider {
    pub account: AccountId,
    pub arn: Arn,
    pub issuer: Issuer,
    pub client_ids: Vec<String>,
    /// Kept for the client that sets them; what is trusted are certificates and keys, not these.
    pub thumbprints: Vec<String>,
    pub created: Timestamp,
    pub tags: Tags,
}

impl Record for OidcProvider {
    const TABLE: Table = Table::new("oidc-provider");
}

/// An issuer's URL without `https://`, as ARNs and condition keys name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// `https://host/path`: no port of its own, no user, no query, no fragment (IAM API reference,
    /// CreateOpenIDConnectProvider).
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        let host = rest.split('/').next().unwrap_or_default();
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let path = rest.get(host.len()..).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
        let good = url.len() <= MAX_URL_CHARS && host.split('.').all(label);
        (good && path.bytes().all(plain)).then(|| Self(format!("{}{path}", host.to_lowercase())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn arn(&self, account: &AccountId) -> Arn {
        Arn::new("iam", "", account.as_str(), &format!("oidc-provider/{}", self.0))
    }
}

impl OidcProvider {
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        issuer: &Issuer,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), issuer.as_str()]).await
    }

    /// The provider that an ARN names, in this account.
    pub async fn find(
        tx: &mut Tx<'_>,
        account: &AccountId,
        arn: &str,
    ) -> Result<Arc<Self>, IdentityError> {
        let missing = || {
            let text = format!("OpenIDConnect Provider not found for arn {arn}");
            IdentityError::NoSuchEntity(text)
        };
        let parsed = arn.parse::<Arn>().ok().filter(|arn| arn.service() == "iam");
        let name = parsed.as_ref().and_then(|arn| arn.resource().strip_prefix("oidc-provider/"));
        let issuer = name.and_then(|name| Issuer::parse(&format!("https://{name}")));
        let Some(issuer) = issuer else {
            return Err(IdentityError::InvalidInput(format!("Invalid ARN: {arn}")));
        };
        let found = Self::load(tx, account, &issuer).await?;
        found.filter(|provider| provider.arn.as_str() == arn).ok_or_else(missing)
    }

    /// All of an account's: a hundred at most.
    pub async fn all(tx: &Tx<'_>, account: &AccountId) -> Result<Vec<Arc<Self>>, StoreError> {
        let page = tx.list::<Self>(&[account.as_str()], None, PROVIDERS_PER_ACCOUNT).await?;
        Ok(page.records.into_iter().map(|(_, provider)| provider).collect())
    }

    pub fn save(
        self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<Arc<Self>, IdentityError> {
        check_client_ids(&self.client_ids)?;
        check_thumbprints(&self.thumbprints)?;
        let (account, issuer) = (self.account.clone(), self.issuer.clone());
        Ok(tx.put(&[account.as_str(), issuer.as_str()], self)?)
    }

    pub async fn create(
        self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<Arc<Self>, IdentityError> {
        if Self::load(tx, &self.account, &self.issuer).await?.is_some() {
            let url = self.issuer.as_str();
            let text = format!("Provider with url https://{url} already exists.");
            return Err(IdentityError::AlreadyExists(text));
        }
        if Self::all(tx, &self.account).await?.len() >= PROVIDERS_PER_ACCOUNT {
            return Err(exceeded("OpenIdConnectProvidersPerAccount", PROVIDERS_PER_ACCOUNT));
        }
        self.save(allowed, tx)
    }

    pub fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<(), IdentityError> {
        tx.delete::<Self>(&[self.account.as_str(), self.issuer.as_str()])?;
        Ok(())
    }
}

fn exceeded(what: &str, most: usize) -> IdentityError {
    IdentityError::LimitExceeded(format!("Cannot exceed quota for {what}: {most}"))
}

fn check_client_ids(ids: &[String]) -> Result<(), IdentityError> {
    if ids.len() > CLIENT_IDS {
        return Err(exceeded("ClientIdsPerOpenIdConnectProvider", CLIENT_IDS));
    }
    let good = |id: &String| !id.is_empty() && id.chars().count() <= MAX_CLIENT_ID_CHARS;
    match ids.iter().all(good) {
        true => Ok(()),
        false => Err(IdentityError::InvalidInput("Invalid client ID.".into())),
    }
}

fn check_thumbprints(all: &[String]) -> Result<(), IdentityError> {
    let invalid = |text: &str| Err(IdentityError::InvalidInput(text.into()));
    if all.len() > THUMBPRINTS {
        return invalid("Thumbprint list must contain fewer than 5 entries.");
    }
    if !all.iter().all(|t| t.len() == 40 && t.bytes().all(|b| b.is_ascii_hexdigit())) {
        return invalid("Invalid thumbprint: forty hexadecimal digits are wanted.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_and_plain() {
        for (url, issuer) in [
            ("https://oidc.example.com", "oidc.example.com"),
            ("https://OIDC.example.com/id/ABC", "oidc.example.com/id/ABC"),
            (
                "https://kubernetes.default.svc.cluster.local",
                "kubernetes.default.svc.cluster.local",
            ),
        ] {
            assert_eq!(Issuer::parse(url).unwrap().as_str(), issuer);
        }
        for url in [
            "http://oidc.example.com",
            "oidc.example.com",
            "https://",
            "https:///path",
            "https://user@oidc.example.com",
            "https://oidc.example.com:8443",
            "https://oidc.example.com/?a=b",
            "https://oidc.example.com/#a",
            "https://oidc..example.com",
            "https://oidc.example.com/\0",
            "HTTPS://oidc.example.com",
        ] {
            assert_eq!(Issuer::parse(url), None, "{url}");
        }
    }
}
