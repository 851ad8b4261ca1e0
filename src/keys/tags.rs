//! Tags of a key.
use super::{Found, Key, KeyError};
use crate::authorize::Authorized;
use crate::store::Tx;
use crate::types::Tags;

const MAX_TAGS: usize = 50;

/// Turns a request's list of tags into a set, with AWS's refusals.
pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Tags, KeyError> {
    let mut tags = Tags::default();
    for (key, value) in pairs {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(KeyError::Tag("Tags beginning with aws: are reserved"));
        }
        if tags.0.insert(key, value).is_some() {
            return Err(KeyError::Tag("Duplicate tag keys"));
        }
    }
    if tags.0.len() > MAX_TAGS {
        return Err(KeyError::Tag("Too many tags"));
    }
    Ok(tags)
}

impl Authorized<Found> {
    pub fn tag(&self, tx: &mut Tx<'_>, new: Tags) -> Result<(), KeyError> {
        self.customer_managed()?;
        self.permits("TagResource")?;
        let mut key = Key::clone(self);
        key.tags.0.extend(new.0);
        if key.tags.0.len() > MAX_TAGS {
            return Err(KeyError::LimitExceeded("Too many tags".into()));
        }
        key.save(tx)?;
        Ok(())
    }

    pub fn untag(&self, tx: &mut Tx<'_>, names: &[String]) -> Result<(), KeyError> {
        self.customer_managed()?;
        self.permits("UntagResource")?;
        let mut key = Key::clone(self);
        key.tags.0.retain(|name, _| !names.contains(name));
        key.save(tx)?;
        Ok(())
    }
}
