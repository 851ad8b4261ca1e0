//! From what a caller wrote in `SecretId` to the secret: its name, its ARN, or its ARN without the
//! six random characters at the end.
use super::secret::{SUFFIX_CHARS, arn_of, check_name};
use super::{FoundSecret, Secret, SecretError};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Region};
use std::borrow::Cow;
use std::sync::Arc;

/// What stands before the name in the last part of a secret's ARN.
const PREFIX: &str = "secret:";

/// Why a secret was not found, so that the caller of [`find`] can ask for permission before it says
/// so, and tell a stranger nothing.
#[derive(Debug)]
pub enum Missing {
    /// In the caller's own account there is none. The ARN is what permission is asked on.
    Own(Arn),
    /// In another account: answered as if it were forbidden.
    Foreign,
    /// No secret could be meant, or the search failed.
    Failed(SecretError),
}

impl From<StoreError> for Missing {
    fn from(e: StoreError) -> Self {
        Self::Failed(e.into())
    }
}

/// What a `SecretId` means.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    owner: Cow<'a, AccountId>,
    name: &'a str,
    /// The whole ARN, if the caller gave one: a secret made anew under the name is another one.
    arn: Option<&'a str>,
}

/// Finds the secret in `region` that `named` means to a caller of `account`.
pub async fn find(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    named: &str,
) -> Result<FoundSecret, Missing> {
    let target = parse(account, region, named)?;
    let found = Secret::load(tx, &target.owner, region, target.name).await?;
    match found {
        Some(secret) if target.arn.is_none_or(|arn| arn == secret.arn.as_str()) => {
            Ok(FoundSecret(secret))
        }
        _ if *target.owner != *account => Err(Missing::Foreign),
        _ => Err(Missing::Own(match target.arn {
            Some(arn) => arn.parse().map_err(|_| not_an_arn())?,
            None => asked_for(account, region, named),
        })),
    }
}

/// The ARN that stands for a secret that is not there: whoever may use `name-??????` or `name-*`
/// may know that it is not.
fn asked_for(account: &AccountId, region: &Region, named: &str) -> Arn {
    let name = named.rsplit(':').next().unwrap_or_default();
    arn_of(account, region, &format!("{name}-??????"))
}

fn not_an_arn() -> Missing {
    let text = "The SecretId is not the ARN of a secret.";
    Missing::Failed(SecretError::InvalidParameter(text.into()))
}

fn parse<'a>(
    account: &'a AccountId,
    region: &Region,
    named: &'a str,
) -> Result<Target<'a>, Missing> {
    if !named.starts_with("arn:") {
        check_name(named).map_err(Missing::Failed)?;
        return Ok(Target { owner: Cow::Borrowed(account), name: named, arn: None });
    }
    let arn = Arn::parts(named).map_err(|_| not_an_arn())?;
    let owner = match arn.account == account.as_str() {
        true => Cow::Borrowed(account),
        false => Cow::Owned(arn.account.parse().map_err(|_| not_an_arn())?),
    };
    let id = arn.resource.strip_prefix(PREFIX).ok_or_else(not_an_arn)?;
    check_name(id).map_err(|_| not_an_arn())?;
    if arn.service != "secretsmanager" {
        return Err(not_an_arn());
    }
    // Another region's secrets, and another partition's, are not here.
    if (arn.partition, arn.region) != ("aws", region.as_str()) {
        return Err(match *owner == *account {
            true => Missing::Own(named.parse().map_err(|_| not_an_arn())?),
            false => Missing::Foreign,
        });
    }
    // A name that itself ends like a suffix cannot be told from a whole ARN; AWS takes it for one
    // (Secrets Manager API reference, GetSecretValue, SecretId).
    Ok(match without_suffix(id) {
        Some(name) => Target { owner, name, arn: Some(named) },
        None => Target { owner, name: id, arn: None },
    })
}

/// What the ARN of a secret says after `secret:`.
pub(super) fn id_in(arn: &Arn) -> Option<&str> {
    arn.resource().strip_prefix(PREFIX)
}

/// The name in the whole ARN of a secret.
pub fn name_in(arn: &Arn) -> Option<&str> {
    without_suffix(id_in(arn)?)
}

impl Secret {
    /// The secret of this whole ARN, whosever it is.
    pub(super) async fn by_arn(
        tx: &mut Tx<'_>,
        arn: &Arn,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let (Some(name), Ok(account), Ok(region)) =
            (name_in(arn), arn.account().parse(), arn.region().parse())
        else {
            return Ok(None);
        };
        let found = Self::load(tx, &account, &region, name).await?;
        Ok(found.filter(|found| found.arn == *arn))
    }
}

/// The name in `name-a1b2c3`.
fn without_suffix(id: &str) -> Option<&str> {
    let (name, suffix) = id.rsplit_once('-')?;
    let is_suffix =
        suffix.len() == SUFFIX_CHARS && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_suffix && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    const OWN: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:";
    const OTHER: &str = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:";

    static ACCOUNT: LazyLock<AccountId> = LazyLock::new(|| "111122223333".parse().unwrap());

    fn parsed(named: &str) -> Result<Target<'_>, Missing> {
        parse(&ACCOUNT, &"eu-west-1".parse().unwrap(), named)
    }

    #[test]
    fn names_and_arns() {
        let whole = |arn: &str| Some(arn.to_owned());
        let cases = [
            ("prod/db".to_owned(), "111122223333", "prod/db", None),
            // A name is a name, whatever it ends in.
            ("db-abcdef".to_owned(), "111122223333", "db-abcdef", None),
            (format!("{OWN}prod/db"), "111122223333", "prod/db", None),
            (format!("{OWN}db-a"), "111122223333", "db-a", None),
            (format!("{OWN}-abcdef"), "111122223333", "-abcdef", None),
            (
                format!("{OWN}prod/db-a1B2c3"),
                "111122223333",
                "prod/db",
                whole(&format!("{OWN}prod/db-a1B2c3")),
            ),
            // The name `db-abcdef` without its suffix: taken for the whole ARN of `db`.
            (format!("{OWN}db-abcdef"), "111122223333", "db", whole(&format!("{OWN}db-abcdef"))),
            (
                format!("{OWN}db-abcdef-a1B2c3"),
                "111122223333",
                "db-abcdef",
                whole(&format!("{OWN}db-abcdef-a1B2c3")),
            ),
            (format!("{OTHER}db"), "444455556666", "db", None),
        ];
        for (named, owner, name, arn) in cases {
            let target = parsed(&named).unwrap();
            assert_eq!((target.owner.as_str(), target.name), (owner, name), "{named}");
            assert_eq!(target.arn, arn.as_deref(), "{named}");
        }
    }

    #[test]
    fn elsewhere() {
        let moved = |arn: &str| {
            parsed(&format!("{arn}db-a1B2c3").replace("eu-west-1", "us-east-1")).unwrap_err()
        };
        assert!(matches!(moved(OWN), Missing::Own(_)));
        assert!(matches!(moved(OTHER), Missing::Foreign));
        let partition = format!("{OWN}db-a1B2c3").replace("arn:aws:", "arn:aws-cn:");
        assert!(matches!(parsed(&partition), Err(Missing::Own(_))));
    }

    #[test]
    fn what_cannot_be_a_secret() {
        for named in [
            "",
            "a b",
            "a\0",
            "arn:aws:secretsmanager",
            "arn:aws:secretsmanager:eu-west-1:111122223333:db",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:",
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a:b",
            "arn:aws:secretsmanager:eu-west-1:1:secret:db-a1B2c3",
            "arn:aws:kms:eu-west-1:111122223333:secret:db-a1B2c3",
        ] {
            assert!(matches!(parsed(named), Err(Missing::Failed(_))), "{named}");
        }
    }

    #[test]
    fn the_arn_of_what_is_not_there() {
        let (account, region) = ("111122223333".parse().unwrap(), "eu-west-1".parse().unwrap());
        for named in ["prod/db".to_owned(), format!("{OWN}prod/db")] {
            let arn = asked_for(&account, &region, &named);
            assert_eq!(arn.as_str(), format!("{OWN}prod/db-??????"));
        }
    }
}
