//! A secret: what is known of it, apart from its values.
use super::find::id_in;
use super::listing::ByCreation;
use super::rotation::Rotation;
use super::{CrossAccount, Edit, Replication, SecretError, Versions};
use crate::authorize::{Authorized, Conditions, Protected, Rule};
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, Region, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// CloudTrail's resource type.
pub const KIND: &str = "AWS::SecretsManager::Secret";
/// How many random characters an ARN ends in, so that a name used again is another ARN.
pub(super) const SUFFIX_CHARS: usize = 6;
const ALPHANUMERICS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Secret {
    pub arn: Arn,
    pub name: String,
    pub account: AccountId,
    pub region: Region,
    pub description: Option<String>,
    /// The key as the caller named it, so that an alias stays an alias; none for
    /// `aws/secretsmanager`.
    pub kms_key_id: Option<String>,
    /// The `ClientRequestToken` that made it: a retry without a value is known by it.
    pub created_with: String,
    pub created: Timestamp,
    pub changed: Timestamp,
    /// The day of the last read, at midnight: one write a day and not one a read.
    pub accessed: Option<Timestamp>,
    /// When DeleteSecret was called, and when the recovery window ends.
    pub deleted: Option<Timestamp>,
    pub deletion: Option<Timestamp>,
    pub tags: Tags,
    pub versions: Versions,
    /// `Type`: the partner of a managed external secret.
    pub kind: Option<String>,
    /// The resource policy.
    pub policy: Option<BoundPolicy>,
    pub rotation: Option<Rotation>,
    pub replication: Replication,
    pub cross_account: Option<CrossAccount>,
    /// The policy, parsed once per revision.
    #[serde(skip)]
    pub(super) compiled: OnceLock<Policy>,
    /// Whether its row in the order of creation is there, which never changes: it was written with the
    /// first of its own.
    #[serde(skip, default = "stored")]
    pub(super) listed: bool,
}

/// What was read from its row was saved before.
fn stored() -> bool {
    true
}

impl Record for Secret {
    const TABLE: Table = Table::new("secret");
}

impl Secret {
    /// One of which nothing but its name is known.
    pub(super) fn blank(
        arn: Arn,
        name: &str,
        account: &AccountId,
        region: &Region,
        now: Timestamp,
    ) -> Self {
        Self {
            arn,
            name: name.to_owned(),
            account: account.clone(),
            region: region.clone(),
            description: None,
            kms_key_id: None,
            created_with: String::new(),
            created: now,
            changed: now,
            accessed: None,
            deleted: None,
            deletion: None,
            tags: Tags::default(),
            versions: Versions::default(),
            kind: None,
            policy: None,
            rotation: None,
            replication: Replication::Alone,
            cross_account: None,
            compiled: OnceLock::new(),
            listed: false,
        }
    }

    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), region.as_str(), name]).await
    }

    /// As a listing sees it.
    pub(super) async fn peek(
        tx: &Tx<'_>,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.peek::<Self>(&[account.as_str(), region.as_str(), name]).await
    }

    pub(super) async fn page(
        tx: &Tx<'_>,
        account: &AccountId,
        region: &Region,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Self>, StoreError> {
        tx.list::<Self>(&[account.as_str(), region.as_str()], after, limit).await
    }

    pub(super) fn save(mut self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        super::rotation::keep(tx, &mut self)?;
        let (account, region, name) =
            (self.account.clone(), self.region.clone(), self.name.clone());
        if !self.listed {
            ByCreation::put(tx, &self)?;
        }
        let row = Self { compiled: OnceLock::new(), listed: true, ..self };
        tx.put(&[account.as_str(), region.as_str(), &name], row)
    }

    pub(super) fn delete(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        ByCreation::delete(tx, self)?;
        tx.delete::<Self>(&[self.account.as_str(), self.region.as_str(), &self.name])
    }

    /// The name with its suffix: what the rows of its versions are filed under, so that those of a
    /// deleted secret could never be taken for those of its successor.
    pub(super) fn resource_id(&self) -> &str {
        id_in(&self.arn).unwrap_or_default()
    }

    /// Where it is written to.
    pub fn primary_region(&self) -> &Region {
        match &self.replication {
            Replication::Replica { primary } => primary,
            Replication::Alone | Replication::Primary(_) => &self.region,
        }
    }

    /// Refuses if the secret is scheduled for deletion.
    pub fn alive(&self) -> Result<(), SecretError> {
        match self.deletion {
            None => Ok(()),
            Some(_) => Err(SecretError::InvalidRequest(
                "You can't perform this operation on the secret because it was marked for \
                 deletion.",
            )),
        }
    }

    /// The secret after a version was read. Only the day counts: none, if that is known.
    pub(super) fn accessed(&self, version_id: &str, at: Timestamp) -> Option<Self> {
        let day = Some(Self::day(at));
        let version = self.versions.get(version_id);
        if self.accessed >= day && version.is_none_or(|version| version.accessed >= day) {
            return None;
        }
        let mut read = self.clone();
        read.accessed = read.accessed.max(day);
        read.versions.accessed(version_id, day);
        Some(read)
    }

    /// The day of a moment: what "last accessed" is rounded to.
    pub(super) fn day(now: Timestamp) -> Timestamp {
        const SECONDS_PER_DAY: i64 = 86_400;
        Timestamp::from_secs(now.secs() - now.secs().rem_euclid(SECONDS_PER_DAY))
    }
}

pub(super) fn may_be_in_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte)
}

/// Whether a text can be a secret's name at all.
pub(super) fn check_name(name: &str) -> Result<(), SecretError> {
    if !name.is_empty() && name.bytes().all(may_be_in_a_name) {
        return Ok(());
    }
    Err(SecretError::Validation(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
         following: -/_+=.@!",
    ))
}

pub(super) fn arn_of(account: &AccountId, region: &Region, resource_id: &str) -> Arn {
    let resource = format!("secret:{resource_id}");
    Arn::new("secretsmanager", region.as_str(), account.as_str(), &resource)
}

/// A secret that somebody asks for.
#[derive(Clone, Debug)]
pub struct FoundSecret(pub Arc<Secret>);

impl Deref for FoundSecret {
    type Target = Secret;
    fn deref(&self) -> &Secret {
        &self.0
    }
}

impl Protected for FoundSecret {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn shared_arn(&self) -> SmolStr {
        (&self.arn).into()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::Ordinary
    }
    fn policy(&self) -> Option<&Policy> {
        let stored = self.0.policy.as_ref()?;
        Some(self.compiled.get_or_init(|| stored.compile(Kind::Resource)))
    }
    fn kind(&self) -> &'static str {
        KIND
    }
    /// The condition keys that come from the secret itself (service authorization reference,
    /// "Condition keys for AWS Secrets Manager").
    fn describe(&self, conditions: &mut Conditions) {
        conditions.add("secretsmanager:secretid", &self.arn);
        conditions.add("secretsmanager:secretprimaryregion", self.primary_region().as_str());
        if let Some(kind) = &self.kind {
            conditions.add("secretsmanager:resource/type", kind.as_str());
        }
        let rotation = self.0.rotation.as_ref();
        if let Some(function) = rotation.and_then(|rotation| rotation.function.as_ref()) {
            conditions.add("secretsmanager:resource/allowrotationlambdaarn", function.as_str());
        }
        if let Some(role) = rotation.and_then(|rotation| rotation.external_role.as_ref()) {
            conditions.add("secretsmanager:resource/externalsecretrotationrolearn", role.as_str());
        }
        conditions.add_tags("secretsmanager:resourcetag/", &self.tags);
        conditions.add_tags("aws:resourcetag/", &self.tags);
    }
}

/// A secret that does not exist yet, under the ARN it will have.
#[derive(Clone, Debug)]
pub struct NewSecret {
    pub arn: Arn,
    account: AccountId,
    region: Region,
    name: String,
}

impl NewSecret {
    pub fn named(
        account: &AccountId,
        region: &Region,
        name: String,
        random: &dyn Random,
    ) -> Result<Self, SecretError> {
        check_name(&name)?;
        let suffix = random.text(SUFFIX_CHARS, ALPHANUMERICS);
        let arn = arn_of(account, region, &format!("{name}-{suffix}"));
        Ok(Self { arn, account: account.clone(), region: region.clone(), name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Protected for NewSecret {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.account.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::Identity
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        KIND
    }
}

impl Authorized<NewSecret> {
    /// The secret that has the name already. One that waits for its deletion holds it too.
    pub async fn existing(&self, tx: &mut Tx<'_>) -> Result<Option<Arc<Secret>>, SecretError> {
        let found = Secret::load(tx, &self.account, &self.region, &self.name).await?;
        match found {
            Some(secret) if secret.deletion.is_some() => Err(SecretError::InvalidRequest(
                "You can't create this secret because a secret with this name is already \
                 scheduled for deletion.",
            )),
            found => Ok(found),
        }
    }

    pub fn taken(&self) -> SecretError {
        let name = &self.name;
        SecretError::Exists(format!(
            "The operation failed because the secret {name} already exists."
        ))
    }

    /// A secret without a value so far. It comes to be with [`Edit::save`].
    pub fn create(
        &self,
        description: Option<String>,
        kms_key_id: Option<String>,
        tags: Tags,
        token: &str,
        now: Timestamp,
    ) -> Edit {
        let (name, account, region) = (&self.name, &self.account, &self.region);
        Edit::new(Secret {
            description,
            kms_key_id,
            created_with: token.to_owned(),
            tags,
            ..Secret::blank(self.arn.clone(), name, account, region, now)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::random::SeededRandom;

    /// A secret as it is right after its creation.
    pub(crate) fn secret(name: &str) -> Secret {
        let arn = format!("arn:aws:secretsmanager:eu-west-1:111122223333:secret:{name}-Ab12Cd");
        let account = "111122223333".parse().unwrap();
        let (region, now) = ("eu-west-1".parse().unwrap(), Timestamp::from_secs(1_767_225_600));
        Secret::blank(arn.parse().unwrap(), name, &account, &region, now)
    }

    #[test]
    fn names() {
        for good in ["a", "prod/db-1", "A_b+c=d.e@f!", "-"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a:b", "a\0", "a#", "ä", "a*"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_arn_is_the_name_and_six_characters() {
        let model = secret("x");
        let random = SeededRandom::new(1);
        let new = |name: &str| {
            NewSecret::named(&model.account, &model.region, name.into(), &random).unwrap()
        };
        let (one, two) = (new("prod/db"), new("prod/db"));
        assert_ne!(one.arn, two.arn);
        let suffix = one.arn.resource().strip_prefix("secret:prod/db-").unwrap();
        assert!(suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn days_begin_at_midnight() {
        let midnight = Timestamp::from_secs(1_767_225_600);
        assert_eq!(Secret::day(midnight), midnight);
        assert_eq!(Secret::day(Timestamp(midnight.0 + 86_399_999)), midnight);
        assert_eq!(Secret::day(Timestamp(midnight.0 - 1)), midnight.plus_secs(-86_400));
    }
}
