//! The filters of ListSecrets (Secrets Manager API reference, "Filter").
use super::{Replication, Secret, SecretError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    Description,
    Name,
    TagKey,
    TagValue,
    PrimaryRegion,
    OwningService,
    All,
}

/// One filter: a secret passes if any of the values fits. Several filters must all be passed.
#[derive(Debug)]
pub struct Filter {
    attribute: Attribute,
    values: Vec<Wanted>,
}

/// A value; with a `!` before it, what must not be.
#[derive(Debug)]
struct Wanted {
    text: String,
    negated: bool,
}

impl Filter {
    pub fn parse(key: Option<&str>, values: Option<Vec<String>>) -> Result<Self, SecretError> {
        let invalid = |text: &str| SecretError::InvalidParameter(text.into());
        let attribute = match key {
            Some("description") => Attribute::Description,
            Some("name") => Attribute::Name,
            Some("tag-key") => Attribute::TagKey,
            Some("tag-value") => Attribute::TagValue,
            Some("primary-region") => Attribute::PrimaryRegion,
            Some("owning-service") => Attribute::OwningService,
            Some("all") => Attribute::All,
            Some(_) | None => return Err(invalid("Invalid filter key")),
        };
        let values = values.filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| invalid("Invalid filter values"))?;
        let wanted = |value: String| match value.strip_prefix('!') {
            Some(text) => Wanted { text: text.to_owned(), negated: true },
            None => Wanted { text: value, negated: false },
        };
        Ok(Self { attribute, values: values.into_iter().map(wanted).collect() })
    }

    /// What the name of each secret that passes begins with.
    pub(super) fn name_prefix(&self) -> &str {
        let (Attribute::Name, Some((first, others))) = (self.attribute, self.values.split_first())
        else {
            return "";
        };
        if self.values.iter().any(|wanted| wanted.negated) {
            return "";
        }
        let mut common = first.text.as_str();
        for other in others {
            let alike = common.chars().zip(other.text.chars()).take_while(|(a, b)| a == b);
            let bytes = alike.map(|(c, _)| c.len_utf8()).sum();
            common = common.get(..bytes).unwrap_or_default();
        }
        common
    }

    pub fn passes(&self, secret: &Secret) -> bool {
        let texts = self.attribute.of(secret);
        let fits = |wanted: &Wanted| match self.attribute {
            Attribute::Description | Attribute::All => has_words(&texts, &wanted.text),
            _ => texts.iter().any(|text| text.starts_with(&wanted.text)),
        };
        self.values.iter().any(|wanted| fits(wanted) != wanted.negated)
    }
}

impl Attribute {
    fn of(self, secret: &Secret) -> Vec<&str> {
        let description = secret.description.as_deref().into_iter();
        let keys = secret.tags.0.keys().map(String::as_str);
        let values = secret.tags.0.values().map(String::as_str);
        match self {
            Self::Description => description.collect(),
            Self::Name => vec![&secret.name],
            Self::TagKey => keys.collect(),
            Self::TagValue => values.collect(),
            // What DescribeSecret shows: only what is replicated has one.
            Self::PrimaryRegion if secret.replication == Replication::Alone => Vec::new(),
            Self::PrimaryRegion => vec![secret.primary_region().as_str()],
            // No service makes secrets of its own here.
            Self::OwningService => Vec::new(),
            Self::All => {
                let name = std::iter::once(secret.name.as_str());
                let region = Self::PrimaryRegion.of(secret);
                name.chain(description).chain(keys).chain(values).chain(region).collect()
            }
        }
    }
}

/// Whether each word of `wanted` begins some word of the texts, whatever their case.
fn has_words(texts: &[&str], wanted: &str) -> bool {
    let there: Vec<String> = texts.iter().flat_map(|text| words(text)).collect();
    words(wanted).iter().all(|word| there.iter().any(|other| other.starts_with(word.as_str())))
}

/// A text's words in lower case. They end at spaces and punctuation, where lower case turns into
/// upper case, and between letters and digits.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in text.chars() {
        let turns = (before.is_lowercase() && c.is_uppercase())
            || (before.is_alphabetic() && c.is_numeric())
            || (before.is_numeric() && c.is_alphabetic());
        if turns || !c.is_alphanumeric() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::secret::tests::secret;
    use std::collections::BTreeMap;

    fn passes(key: &str, values: &[&str]) -> bool {
        let mut subject = secret("prod/DbPassword1");
        subject.description = Some("The Password of our database".into());
        subject.tags.0.insert("Stage".into(), "production".into());
        let values = values.iter().map(|value| value.to_string()).collect();
        Filter::parse(Some(key), Some(values)).unwrap().passes(&subject)
    }

    #[test]
    fn words_end_where_aws_ends_them() {
        assert_eq!(
            words("prod/DbPassword12x my-Key"),
            ["prod", "db", "password", "12", "x", "my", "key"]
        );
        assert_eq!(words("XMLFile"), ["xmlfile"]);
        assert_eq!(words(" !"), [""; 0]);
    }

    #[test]
    fn prefixes() {
        for (key, value, expected) in [
            ("name", "prod", true),
            ("name", "prod/DbPassword1", true),
            ("name", "Prod", false),
            ("name", "Db", false),
            ("name", "", true),
            ("tag-key", "Sta", true),
            ("tag-key", "sta", false),
            ("tag-value", "prod", true),
            ("tag-value", "Stage", false),
            ("primary-region", "eu", false),
            ("owning-service", "rds", false),
            ("description", "pass", true),
            ("description", "our DATA", true),
            ("description", "word", false),
            ("description", "production", false),
            ("all", "password", true),
            ("all", "production", true),
            ("all", "stage prod", true),
            ("all", "stage dev", false),
            ("all", "dbpass", false),
            ("all", "DbPass", true),
        ] {
            assert_eq!(passes(key, &[value]), expected, "{key} {value}");
            assert_eq!(passes(key, &[&format!("!{value}")]), !expected, "{key} !{value}");
        }
    }

    #[test]
    fn replicated_secrets_have_a_primary_region() {
        let primary = "us-east-1".parse().unwrap();
        let replica = Secret { replication: Replication::Replica { primary }, ..secret("a") };
        let primary = Secret { replication: Replication::Primary(BTreeMap::new()), ..secret("b") };
        let alone = secret("c");
        for (value, expected) in [
            ("us-", [true, false, false]),
            ("eu-west-1", [false, true, false]),
            ("!us-east-1", [false, true, true]),
            ("EU", [false, false, false]),
        ] {
            let filter = Filter::parse(Some("primary-region"), Some(vec![value.into()])).unwrap();
            let passed = [&replica, &primary, &alone].map(|secret| filter.passes(secret));
            assert_eq!(passed, expected, "{value}");
        }
    }

    #[test]
    fn any_value_is_enough() {
        assert!(passes("name", &["dev", "prod"]));
        assert!(!passes("name", &["dev", "test"]));
        assert!(passes("name", &["dev", "!test"]));
    }

    #[test]
    fn what_names_begin_with_is_what_all_values_share() {
        for (key, values, expected) in [
            ("name", &["prod/"][..], "prod/"),
            ("name", &["prod/é1", "prod/é2"], "prod/é"),
            ("name", &["prod/é", "prod/è"], "prod/"),
            ("name", &["prod/db", "prod", "prod/x"], "prod"),
            ("name", &["prod", "dev"], ""),
            ("name", &["prod", ""], ""),
            ("name", &["prod", "!dev"], ""),
            ("name", &["!prod"], ""),
            ("all", &["prod"], ""),
            ("tag-key", &["prod"], ""),
        ] {
            let values = values.iter().map(|value| value.to_string()).collect();
            let filter = Filter::parse(Some(key), Some(values)).unwrap();
            assert_eq!(filter.name_prefix(), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_filter_needs_key_and_values() {
        assert!(Filter::parse(None, Some(vec!["x".into()])).is_err());
        assert!(Filter::parse(Some("colour"), Some(vec!["x".into()])).is_err());
        assert!(Filter::parse(Some("name"), None).is_err());
        assert!(Filter::parse(Some("name"), Some(Vec::new())).is_err());
    }
}
