//! `[[service]]` of the configuration, and what it must be so that nobody takes a registered service
//! for one of AWS's.
use super::{Service, Services, limit, limit_text};
use crate::policy::{Kind, Policy};
use crate::types::{AccountId, Arn};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The services that we are, as credential scopes name them. A registered one is called like none.
const OURS: [&str; 4] = ["iam", "kms", "secretsmanager", "sts"];
/// Labels that only AWS's own names have.
const AWS_LABELS: [&str; 3] = ["amazon", "amazonaws", "aws"];
/// DNS: characters of a name and of a label.
const NAME_CHARS: usize = 253;
const LABEL_CHARS: usize = 63;

/// One `[[service]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `payroll.example`: what `aws:CalledVia` says; `kms:ViaService` says `payroll.<region>.example`.
    pub name: String,
    /// The service in the credential scope of the requests that users sign to it.
    pub signing_name: String,
    /// The ARN of the user or the role that may hand requests over.
    pub principal: Arn,
    /// Whose users it may act for; without it, those of the principal's account.
    #[serde(default)]
    pub accounts: Option<BTreeSet<AccountId>>,
    /// All that it may do for them, with wildcards as in policies.
    pub actions: Vec<String>,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("service {name}: {what}")]
pub struct InvalidService {
    pub name: String,
    pub what: String,
}

impl Services {
    pub fn new(settings: &[Settings]) -> Result<Self, InvalidService> {
        let mut all: Vec<Service> = Vec::new();
        for one in settings {
            let twice = || {
                let same = |other: &&Service| {
                    other.name == one.name || other.signing_name == one.signing_name
                };
                // Else one could hand over what was meant for the other.
                let text = |other: &Service| {
                    format!("has the name or the signing_name of service {}", other.name)
                };
                all.iter().find(same).map(text).map_or(Ok(()), Err)
            };
            let service = twice().and_then(|()| one.checked());
            all.push(service.map_err(|what| InvalidService { name: one.name.clone(), what })?);
        }
        Ok(Self(all))
    }
}

impl Settings {
    fn checked(&self) -> Result<Service, String> {
        check_name(&self.name)?;
        if !is_label(&self.signing_name) {
            return Err("signing_name: lower-case letters, digits and hyphens are wanted".into());
        }
        if OURS.contains(&self.signing_name.as_str()) {
            // A request to us would be one that a service could hand over.
            return Err(format!("signing_name: {} is our own", self.signing_name));
        }
        let own = self.check_principal()?;
        let accounts = self.accounts.clone().unwrap_or_else(|| BTreeSet::from([own]));
        if accounts.is_empty() {
            return Err("accounts: name at least one, or leave it out".into());
        }
        self.check_actions()?;
        Ok(Service {
            name: self.name.clone(),
            signing_name: self.signing_name.clone(),
            principal: self.principal.clone(),
            actions: self.actions.clone(),
            limit: limit(&self.actions),
            accounts,
        })
    }

    /// A user or a role, which no policy could mean by a wildcard; answers its account.
    fn check_principal(&self) -> Result<AccountId, String> {
        let arn = &self.principal;
        let kind = arn.resource().split_once('/').filter(|(_, name)| !name.is_empty());
        let known = arn.as_str().starts_with("arn:aws:iam::")
            && matches!(kind, Some(("user" | "role", _)))
            && !arn.as_str().contains(['*', '?', '$']);
        let account = arn.account().parse().ok().filter(|_| known);
        account.ok_or_else(|| format!("principal: {arn} is not the ARN of a user or a role"))
    }

    fn check_actions(&self) -> Result<(), String> {
        if self.actions.is_empty() {
            return Err("actions: name at least one".into());
        }
        for action in &self.actions {
            let service = action.split(':').next().unwrap_or_default();
            if ["iam", "sts"].iter().any(|ours| service.eq_ignore_ascii_case(ours)) {
                return Err(format!(
                    "actions: {action}: no service may call IAM or STS for a user"
                ));
            }
        }
        let parsed = Policy::parse(&limit_text(&self.actions), Kind::Identity);
        parsed.map(|_| ()).map_err(|error| format!("actions: {error}"))
    }
}

/// A name of two labels at least, that nobody could take for a service of AWS.
fn check_name(name: &str) -> Result<(), String> {
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2 || name.len() > NAME_CHARS || !labels.iter().all(|label| is_label(label)) {
        return Err("name: a DNS name in lower case is wanted, such as payroll.example".into());
    }
    if labels.iter().any(|label| AWS_LABELS.contains(label)) {
        return Err("name: is one of AWS's".into());
    }
    // A policy may say `secretsmanager.*`.
    if labels.first().is_some_and(|first| OURS.contains(first)) {
        return Err("name: begins like a service of ours".into());
    }
    Ok(())
}

fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=LABEL_CHARS).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Principal;

    const GOOD: &str = r#"
name = "payroll.example"
signing_name = "payroll"
principal = "arn:aws:iam::111122223333:user/payroll"
actions = ["kms:Decrypt", "kms:GenerateDataKey*"]
"#;

    fn services(texts: &[&str]) -> Result<Services, String> {
        let parse = |text: &&str| toml::from_str::<Settings>(text).map_err(|e| e.to_string());
        let settings = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Services::new(&settings).map_err(|e| e.to_string())
    }

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn a_good_one_is_taken() {
        let services = services(&[GOOD]).unwrap();
        let service = services.named("payroll.example").unwrap();
        assert!(service.acts_for(&account("111122223333")));
        assert!(!service.acts_for(&account("444455556666")));
        assert!(services.named("payroll").is_none());
        let root = Principal::root(&account("111122223333"));
        assert!(services.run_by(&root).is_empty());
        let region = "eu-west-1".parse().unwrap();
        assert_eq!(super::super::via(&service.name, &region), "payroll.eu-west-1.example");
        assert_eq!(super::super::via("a.b.c", &region), "a.eu-west-1.b.c");
    }

    #[test]
    fn the_accounts_that_are_named_stand_instead_of_the_principals() {
        let services = services(&[&format!("{GOOD}accounts = [\"444455556666\"]")]).unwrap();
        let service = services.named("payroll.example").unwrap();
        assert!(!service.acts_for(&account("111122223333")));
        assert!(service.acts_for(&account("444455556666")));
    }

    #[test]
    fn a_bad_one_is_refused_with_its_reason() {
        let name = "\"payroll.example\"";
        let signing = "\"payroll\"";
        for (from, to, reason) in [
            (name, "\"payroll\"", "a DNS name"),
            (name, "\"Payroll.example\"", "a DNS name"),
            (name, "\"payroll..example\"", "a DNS name"),
            (name, "\"*.example\"", "a DNS name"),
            (name, "\"payroll.exämple\"", "a DNS name"),
            (name, "\"secretsmanager.amazonaws.com\"", "one of AWS's"),
            (name, "\"payroll.eu-west-1.amazonaws.com\"", "one of AWS's"),
            (name, "\"amazonaws.com\"", "one of AWS's"),
            (name, "\"payroll.amazonaws.com.cn\"", "one of AWS's"),
            (name, "\"payroll.aws\"", "one of AWS's"),
            (name, "\"secretsmanager.example\"", "like a service of ours"),
            (name, "\"kms.example\"", "like a service of ours"),
            (signing, "\"kms\"", "is our own"),
            (signing, "\"sts\"", "is our own"),
            (signing, "\"iam\"", "is our own"),
            (signing, "\"secretsmanager\"", "is our own"),
            (signing, "\"\"", "signing_name"),
            (signing, "\"a/b\"", "signing_name"),
            ("user/payroll", "root", "a user or a role"),
            ("user/payroll", "user/*", "a user or a role"),
            ("user/payroll", "group/payroll", "a user or a role"),
            ("user/payroll", "user/", "a user or a role"),
            ("111122223333", "", "a user or a role"),
            ("arn:aws:iam::111122223333:user/payroll", "payroll", "payroll"),
            ("iam::111122223333:user", "sts::111122223333:assumed-role", "a user or a role"),
            ("\"kms:Decrypt\", \"kms:GenerateDataKey*\"", "", "at least one"),
            ("kms:Decrypt", "Decrypt", "not an action"),
            ("kms:Decrypt", "sts:AssumeRole", "IAM or STS"),
            ("kms:Decrypt", "IAM:*", "IAM or STS"),
            ("actions =", "accounts = []\nactions =", "at least one, or leave it out"),
            ("actions =", "accounts = [\"1\"]\nactions =", "twelve digits"),
            ("actions", "action", "unknown field"),
        ] {
            assert_eq!(GOOD.matches(from).count().min(1), 1, "{from}");
            let error = services(&[&GOOD.replacen(from, to, 1)]).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }

    #[test]
    fn no_two_have_a_name_in_common() {
        let other = GOOD.replace("payroll.example", "other.example");
        assert!(services(&[GOOD, &other]).unwrap_err().contains("signing_name of service"));
        let other = GOOD.replace("\"payroll\"", "\"other\"");
        assert!(services(&[GOOD, &other]).unwrap_err().contains("signing_name of service"));
        let other = other.replace("payroll.example", "other.example");
        assert!(services(&[GOOD, &other]).is_ok());
    }
}
