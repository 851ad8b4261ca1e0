//! Tags of a secret.
use super::{Edit, SecretError};
use crate::types::Tags;

const MAX_TAGS: usize = 50;

fn too_many() -> SecretError {
    SecretError::InvalidParameter(format!("A secret can have at most {MAX_TAGS} tags."))
}

/// Turns a request's list of tags into a set, with the refusals.
pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Tags, SecretError> {
    let mut tags = Tags::default();
    for (key, value) in pairs {
        if key.to_ascii_lowercase().starts_with("aws:") {
            let text = "Tag keys that begin with aws: are reserved.";
            return Err(SecretError::InvalidParameter(text.into()));
        }
        if tags.0.insert(key, value).is_some() {
            return Err(SecretError::InvalidParameter("Duplicate tag keys found.".into()));
        }
    }
    if tags.0.len() > MAX_TAGS { Err(too_many()) } else { Ok(tags) }
}

impl Edit {
    pub fn tag(&mut self, new: Tags) -> Result<(), SecretError> {
        let mut tags = self.tags.clone();
        tags.0.extend(new.0);
        if tags.0.len() > MAX_TAGS {
            return Err(too_many());
        }
        self.set_tags(tags);
        Ok(())
    }

    pub fn untag(&mut self, names: &[String]) {
        let mut tags = self.tags.clone();
        tags.0.retain(|name, _| !names.contains(name));
        self.set_tags(tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_a_set() {
        let pair = |key: &str| (key.to_owned(), "v".to_owned());
        assert_eq!(parse([pair("a"), pair("A")]).unwrap().0.len(), 2);
        for bad in [vec![pair("a"), pair("a")], vec![pair("aws:x")], vec![pair("AWS:x")]] {
            assert!(matches!(parse(bad), Err(SecretError::InvalidParameter(_))));
        }
        let many = |count: usize| parse((0..count).map(|n| pair(&n.to_string())));
        assert!(many(50).is_ok());
        assert!(many(51).is_err());
    }
}
