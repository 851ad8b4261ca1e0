//! What a share and a public key look like in their files: text that tells what it is, so that somebody
//! who finds it in a safe in ten years knows what to do with it.
//!
//! ```text
//! claviger recovery share 1
//!
//! (words)
//!
//! key: 0123456789abcdef0123456789abcdef
//! share: 2 of 5
//! threshold: 3
//! value: 0123456789abcdef … (64 digits)
//! checksum: 0123456789abcdef
//! ```
//!
//! The checksum is the beginning of SHA-256 over the four lines before it, each as it stands with its
//! line feed. It finds slips of the pen; only the key itself tells a share that was made up.
use super::RecoveryError;
use super::key::{FINGERPRINT_BYTES, PUBLIC_BYTES, PublicKey};
use super::shares::{Share, ShareValue};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const SHARE: &str = "claviger recovery share 1";
const PUBLIC: &str = "claviger recovery public key 1";
const CHECKSUM_BYTES: usize = 8;

fn checksum(lines: &str) -> String {
    hex::encode(Sha256::digest(lines).get(..CHECKSUM_BYTES).unwrap_or_default())
}

/// The fields of a text, after its title. What is no field is words.
fn fields<'a>(text: &'a str, title: &str) -> Result<BTreeMap<&'a str, &'a str>, String> {
    let mut lines = text.lines();
    let found = lines.next().unwrap_or_default().trim_end();
    if found != title {
        return Err(format!(
            "is no {title:?}: it begins with {:?}",
            found.chars().take(40).collect::<String>()
        ));
    }
    let mut fields = BTreeMap::new();
    let named = |line: &'a str| {
        let (name, value) = line.split_once(": ")?;
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'-')
            .then_some((name, value.trim_end()))
    };
    for (name, value) in lines.filter_map(named) {
        if fields.insert(name, value).is_some() {
            return Err(format!("has two lines {name:?}"));
        }
    }
    Ok(fields)
}

fn field<'a>(fields: &BTreeMap<&str, &'a str>, name: &str) -> Result<&'a str, String> {
    fields.get(name).copied().ok_or_else(|| format!("has no line {name:?}"))
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == 2 * FINGERPRINT_BYTES
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Share {
    fn lines(&self) -> Zeroizing<String> {
        let value = Zeroizing::new(hex::encode(self.value.0.as_slice()));
        let Self { key, index, threshold, shares, .. } = self;
        Zeroizing::new(format!(
            "key: {key}\nshare: {index} of {shares}\nthreshold: {threshold}\nvalue: {}\n",
            &*value
        ))
    }

    pub fn text(&self) -> Zeroizing<String> {
        let Self { threshold, shares, .. } = self;
        let lines = self.lines();
        Zeroizing::new(format!(
            "{SHARE}\n\n\
             This is one of {shares} shares of a recovery key of claviger, a server for keys and secrets.\n\
             Any {threshold} of them open the keys of a deployment whose devices are lost:\n\
             `claviger recover --help`. Fewer are worth nothing. Keep this one secret, readable, and\n\
             apart from the others.\n\n\
             {}checksum: {}\n",
            &*lines,
            checksum(&lines)
        ))
    }

    /// A share out of its file. `name` is the file's, for the message.
    pub fn parse(name: &str, text: &str) -> Result<Self, RecoveryError> {
        let bad = |what: String| RecoveryError::File { name: name.to_owned(), what };
        let fields = fields(text, SHARE).map_err(bad)?;
        let get = |name| field(&fields, name).map_err(bad);
        let (key, share, threshold) = (get("key")?, get("share")?, get("threshold")?);
        let (value, sum) = (get("value")?, get("checksum")?);
        let lines = format!("key: {key}\nshare: {share}\nthreshold: {threshold}\nvalue: {value}\n");
        if checksum(&Zeroizing::new(lines)) != sum {
            let text = "its checksum does not fit: a character of it was changed";
            return Err(bad(text.into()));
        }
        let numbers = || {
            let (index, shares) = share.split_once(" of ")?;
            let (index, shares) = (index.parse::<u8>().ok()?, shares.parse::<u8>().ok()?);
            let threshold = threshold.parse::<u8>().ok()?;
            let good = (1..=shares).contains(&index) && (2..=shares).contains(&threshold);
            (good && is_fingerprint(key)).then_some((index, threshold, shares))
        };
        let (index, threshold, shares) =
            numbers().ok_or_else(|| bad("its numbers are none of a share".into()))?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(value, &mut *bytes)
            .map_err(|_| bad("its value is not 64 hexadecimal digits".into()))?;
        Ok(Self { key: key.to_owned(), index, threshold, shares, value: ShareValue(bytes) })
    }
}

impl PublicKey {
    pub fn text(&self) -> String {
        format!(
            "{PUBLIC}\n\n\
             The public half of a recovery key of claviger. It is no secret:\n\
             `claviger root add-wrap --recovery THIS-FILE` has domain keys wrapped for it.\n\n\
             key: {}\nvalue: {}\n",
            self.fingerprint(),
            B64.encode(self.bytes())
        )
    }

    /// A public key out of its file. `name` is the file's, for the message.
    pub fn from_text(name: &str, text: &str) -> Result<Self, RecoveryError> {
        let bad = |what: String| RecoveryError::File { name: name.to_owned(), what };
        let fields = fields(text, PUBLIC).map_err(bad)?;
        let bytes = B64.decode(field(&fields, "value").map_err(bad)?).unwrap_or_default();
        let key = Self::parse(&bytes).ok_or_else(|| {
            bad(format!("its value is not {PUBLIC_BYTES} bytes of a public key in base64"))
        })?;
        match field(&fields, "key").map_err(bad)? == key.fingerprint() {
            true => Ok(key),
            false => Err(bad("its value is not the key that it names: it was changed".into())),
        }
    }
}
