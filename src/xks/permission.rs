//! The secondary authorisation: which callers of KMS, and which of its keys, an external key is for. It
//! rests on what KMS says of the call, which the signature covers.
use super::XksError;
use crate::external::RequestMetadata;

/// Patterns of ARNs, `*` for anything. Empty: everybody.
#[derive(Clone, Debug, Default)]
pub(super) struct Permission {
    pub(super) principals: Vec<String>,
    pub(super) kms_keys: Vec<String>,
}

impl Permission {
    pub(super) fn check(&self, metadata: &RequestMetadata) -> Result<(), XksError> {
        let denied = |what: &str, found: &str| {
            let text = format!("The external key is not for the {what} {found}.");
            Err(XksError::AccessDenied(text))
        };
        let principal = metadata.aws_principal_arn.as_deref().unwrap_or_default();
        if !allows(&self.principals, principal) {
            return denied("principal", principal);
        }
        // CreateKey asks before there is a KMS key.
        match metadata.kms_key_arn.as_deref() {
            Some(key) if !allows(&self.kms_keys, key) => denied("KMS key", key),
            _ => Ok(()),
        }
    }
}

fn allows(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, text))
}

/// Whether the text is the pattern, whose `*` stand for any text. The parts between them are looked for
/// one after the other, each at the first place: a later one could not do better.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let role = "arn:aws:iam::111122223333:role/payroll";
        for (pattern, good) in [
            (role, true),
            ("*", true),
            ("**", true),
            ("arn:aws:iam::111122223333:role/*", true),
            ("arn:*:iam::111122223333:role/pay*", true),
            ("*/payroll", true),
            ("arn:aws:iam::*:role/*roll", true),
            ("", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("arn:aws:iam::444455556666:role/*", false),
            ("*payrol", false),
            ("*roll*payroll", false),
            ("arn:aws:iam::111122223333:role/payroll*l", false),
        ] {
            assert_eq!(fits(pattern, role), good, "{pattern}");
        }
        assert!(!fits("a*a", "a"));
        assert!(fits("a*a", "aa"));
    }

    #[test]
    fn both_lists_must_allow_and_a_key_may_not_be_there_yet() {
        let permission = Permission {
            principals: vec!["arn:aws:iam::111122223333:role/*".into(), "AWS Internal".into()],
            kms_keys: vec!["arn:aws:kms:us-east-1:111122223333:key/*".into()],
        };
        let asked = |principal: Option<&str>, key: Option<&str>| {
            let metadata = RequestMetadata {
                aws_principal_arn: principal.map(Into::into),
                kms_key_arn: key.map(Into::into),
                ..RequestMetadata::default()
            };
            permission.check(&metadata).is_ok()
        };
        let (role, key) =
            ("arn:aws:iam::111122223333:role/a", "arn:aws:kms:us-east-1:111122223333:key/a");
        assert!(asked(Some(role), Some(key)) && asked(Some(role), None));
        assert!(asked(Some("AWS Internal"), Some(key)));
        assert!(!asked(None, Some(key)));
        assert!(!asked(Some("arn:aws:iam::444455556666:role/a"), Some(key)));
        assert!(!asked(Some(role), Some("arn:aws:kms:us-east-1:444455556666:key/a")));
        assert!(Permission::default().check(&RequestMetadata::default()).is_ok());
    }
}
