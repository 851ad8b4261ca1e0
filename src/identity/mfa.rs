//! Virtual MFA devices: a seed that a telephone shares with us, and six digits that both make from it
//! and the time (TOTP, RFC 6238: SHA-1, thirty seconds).
use super::{BASE32, Counted, IdentityError, User};
use crate::authorize::{Authorized, Resource};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Page, Record, StoreError, Tx};
use crate::types::{AccountId, Arn, SecretText, Tags, Timestamp};
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// IAM quota: MFA devices of one user.
pub const DEVICES_PER_USER: usize = 8;
/// As AWS's: 40 bytes in base32.
const SEED_CHARS: usize = 64;
/// RFC 6238, "Time Step Size".
const STEP_SECONDS: i64 = 30;
/// Steps that a device's clock may be off, to either side.
const WINDOW: i64 = 1;
const CODE_DIGITS: usize = 6;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MfaDevice {
    pub account: AccountId,
    pub name: String,
    /// What AWS calls the serial number.
    pub arn: Arn,
    /// In base32.
    pub seed: SecretText,
    pub created: Timestamp,
    pub tags: Tags,
    /// Whose it is, once it is enabled.
    pub owner: Option<Holder>,
    /// The last step whose code was accepted: a code is good once, and none before it is good again.
    pub last_step: Option<i64>,
}

/// A user, by a name that it had and the id that it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub name: String,
    pub id: String,
    pub since: Timestamp,
}

impl Record for MfaDevice {
    const TABLE: Table = Table::new("mfa-device");
}

#[derive(Debug)]
pub struct NewMfaDevice {
    pub account: AccountId,
    pub name: String,
    pub path: String,
    pub tags: Tags,
}

impl NewMfaDevice {
    pub fn arn(&self) -> Arn {
        let resource = format!("mfa{}{}", self.path, self.name);
        Arn::new("iam", "", self.account.as_str(), &resource)
    }
}

impl MfaDevice {
    /// The device of this serial number in the account.
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        serial: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        let Ok(arn) = serial.parse::<Arn>() else { return Ok(None) };
        let name = arn.resource().rsplit('/').next().unwrap_or_default();
        let found = tx.get::<Self>(&[account.as_str(), &name.to_lowercase()]).await?;
        Ok(found.filter(|device| device.arn == arn))
    }

    pub async fn find(
        tx: &mut Tx<'_>,
        account: &AccountId,
        serial: &str,
    ) -> Result<Arc<Self>, IdentityError> {
        Self::load(tx, account, serial).await?.ok_or_else(|| not_found(serial))
    }

    pub async fn list(
        tx: &Tx<'_>,
        account: &AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Self>, StoreError> {
        tx.list::<Self>(&[account.as_str()], after, limit).await
    }

    fn save(self, tx: &mut Tx<'_>) -> Result<Arc<Self>, StoreError> {
        let (account, name) = (self.account.clone(), self.name.to_lowercase());
        tx.put(&[account.as_str(), &name], self)
    }

    pub async fn create(
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        new: NewMfaDevice,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<Self>, IdentityError> {
        let key = [new.account.as_str(), &new.name.to_lowercase()];
        if tx.get::<Self>(&key).await?.is_some() {
            let text = "MFADevice entity at the same path and name already exists.";
            return Err(IdentityError::AlreadyExists(text.into()));
        }
        let device = Self {
            arn: new.arn(),
            account: new.account,
            name: new.name,
            seed: SecretText::new(random.text(SEED_CHARS, BASE32)),
            created: now,
            tags: new.tags,
            owner: None,
            last_step: None,
        };
        Ok(device.save(tx)?)
    }

    /// Makes it the user's. Two codes that follow each other show that the user has the seed and a
    /// clock that is right.
    pub async fn enable(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
        codes: (&str, &str),
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        if self.owner.is_some() {
            let text = format!("MFADevice with serialNumber {} is already in use.", self.arn);
            return Err(IdentityError::AlreadyExists(text));
        }
        if user.mfa_devices.len() >= DEVICES_PER_USER {
            let text = format!("Cannot exceed quota for MFADevicesPerUser: {DEVICES_PER_USER}");
            return Err(IdentityError::LimitExceeded(text));
        }
        let first = self.step_of(codes.0, now, -WINDOW - 1, WINDOW - 1);
        let step = first.map(|step| step + 1).ok_or(IdentityError::InvalidCode)?;
        if !bool::from(matches_step(self.seed.expose(), step, codes.1)) {
            return Err(IdentityError::InvalidCode);
        }
        Counted::MfaDevices.add_one(tx, &user.account).await?;
        let holder = Holder { name: user.name.clone(), id: user.id.clone(), since: now };
        Self { owner: Some(holder), last_step: Some(step), ..self.clone() }.save(tx)?;
        let mut user = user.clone();
        user.mfa_devices.insert(self.arn.to_string());
        user.update(allowed, tx)?;
        Ok(())
    }

    /// Takes it from its user. It could be enabled again: for nobody's sake with an old code.
    pub async fn deactivate(
        &self,
        allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
        user: &User,
    ) -> Result<(), IdentityError> {
        let mut user = user.clone();
        if !user.mfa_devices.remove(self.arn.as_str()) {
            return Err(not_found(self.arn.as_str()));
        }
        Counted::MfaDevices.remove_one(tx, &user.account).await?;
        user.update(allowed, tx)?;
        Self { owner: None, ..self.clone() }.save(tx)?;
        Ok(())
    }

    pub fn delete(
        &self,
        _allowed: &Authorized<Resource>,
        tx: &mut Tx<'_>,
    ) -> Result<(), IdentityError> {
        if self.owner.is_some() {
            let text = "Cannot delete entity, must deactivate MFA device first.";
            return Err(IdentityError::DeleteConflict(text.into()));
        }
        tx.delete::<Self>(&[self.account.as_str(), &self.name.to_lowercase()])?;
        Ok(())
    }

    /// The step between these two, counted from now, that the code is of, and that is still good.
    fn step_of(&self, code: &str, now: Timestamp, from: i64, to: i64) -> Option<i64> {
        let current = now.secs().div_euclid(STEP_SECONDS);
        // Every step is tried, whichever fits: how long it takes says nothing.
        let (mut found, mut fits) = (0, Choice::from(0));
        for step in current.saturating_add(from)..=current.saturating_add(to) {
            let fresh = Choice::from(u8::from(self.last_step.is_none_or(|last| step > last)));
            let good = matches_step(self.seed.expose(), step, code) & fresh;
            found.conditional_assign(&step, good);
            fits |= good;
        }
        bool::from(fits).then_some(found)
    }
}

/// The step of the code, if it is of the user's device now. With the call it is used up.
pub async fn verify(
    tx: &mut Tx<'_>,
    user: &User,
    serial: &str,
    code: &str,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    if !user.mfa_devices.contains(serial) {
        return Ok(None);
    }
    let Some(device) = MfaDevice::load(tx, &user.account, serial).await? else { return Ok(None) };
    if device.owner.as_ref().is_none_or(|owner| owner.id != user.id) {
        return Ok(None);
    }
    let Some(step) = device.step_of(code, now, -WINDOW, WINDOW) else { return Ok(None) };
    MfaDevice { last_step: Some(step), ..MfaDevice::clone(&device) }.save(tx)?;
    Ok(Some(step))
}

fn not_found(serial: &str) -> IdentityError {
    let text = format!("VirtualMFADevice with serial number {serial} doesn't exist.");
    IdentityError::NoSuchEntity(text)
}

/// Compares in constant time.
fn matches_step(seed: &str, step: i64, code: &str) -> Choice {
    let expected = Zeroizing::new(code_at(seed, step));
    expected.as_bytes().ct_eq(code.as_bytes())
}

/// RFC 4226, "Generating an HOTP Value".
fn code_at(seed: &str, step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &decoded(seed));
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let word = tag.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    let number = u32::from_be_bytes(word.unwrap_or_default()) & 0x7fff_ffff;
    format!("{:0CODE_DIGITS$}", number % 1_000_000)
}

/// The bytes of a seed: base32 without padding, our own and so never wrong.
fn decoded(seed: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(seed.len()));
    let (mut held, mut bits) = (0u32, 0);
    for c in seed.bytes() {
        let value = BASE32.iter().position(|b| *b == c).unwrap_or_default();
        held = (held << 5 | u32::try_from(value).unwrap_or_default()) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap_or_default());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 6238's test vectors, `12345678901234567890`.
    const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        assert_eq!(&**decoded(SEED), b"12345678901234567890");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(SEED, seconds / STEP_SECONDS), code);
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_to_either_side_and_once() {
        let mut device = MfaDevice {
            account: "111122223333".parse().unwrap(),
            name: "d".into(),
            arn: "arn:aws:iam::111122223333:mfa/d".parse().unwrap(),
            seed: SecretText::new(SEED.into()),
            created: Timestamp::from_secs(0),
            tags: Tags::default(),
            owner: None,
            last_step: None,
        };
        let now = Timestamp::from_secs(59);
        for (step, good) in [(-1, false), (0, true), (1, true), (2, true), (3, false)] {
            let found = device.step_of(&code_at(SEED, step), now, -WINDOW, WINDOW);
            assert_eq!(found, good.then_some(step), "{step}");
        }
        device.last_step = Some(1);
        for (step, good) in [(0, false), (1, false), (2, true)] {
            let found = device.step_of(&code_at(SEED, step), now, -WINDOW, WINDOW);
            assert_eq!(found, good.then_some(step), "{step}");
        }
        for code in ["", "28708", "2870820", "x87082"] {
            assert_eq!(device.step_of(code, now, -WINDOW, WINDOW), None);
        }
    }
}
