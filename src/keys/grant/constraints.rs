//! When a grant holds: the encryption context that a request must have, and the resource that a
//! service must be calling for.
//!
//! The key of a pair is compared without regard to case and the value with it (AWS KMS API reference,
//! "GrantConstraints"). So a context may have one key twice, spelled differently: then all its values
//! must be what the constraint says, or a request could slip one past it.
use crate::authorize::Conditions;
use crate::keys::{KeyError, check_context};
use crate::primitives::KeySpec;
use crate::types::EncryptionContext;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// AWS: the pairs of one constraint.
const MAX_PAIRS: usize = 8;
/// AWS: the characters of a value in a constraint.
const MAX_VALUE_CHARS: usize = 384;

/// What CreateGrant takes and ListGrants answers; also how the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context_subset: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context_equals: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
}

impl Constraints {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what no key can have. Asked before anything else is done with them: a request has room
    /// for tens of thousands of pairs, and whoever may do nothing can send it.
    pub(super) fn check_bounds(&self) -> Result<(), KeyError> {
        let invalid = |text: String| Err(KeyError::Validation(text));
        for (name, context) in self.contexts() {
            if context.0.len() > MAX_PAIRS {
                return invalid(format!(
                    "The grant constraint {name} must not have more than {MAX_PAIRS} pairs."
                ));
            }
            if context.0.values().any(|value| value.chars().count() > MAX_VALUE_CHARS) {
                return invalid(format!(
                    "The values of the grant constraint {name} must not be longer than \
                     {MAX_VALUE_CHARS} characters."
                ));
            }
            check_context(context)?;
        }
        Ok(())
    }

    /// Refuses what a key of this spec cannot have.
    pub(super) fn check(&self, spec: KeySpec) -> Result<(), KeyError> {
        match self.contexts().next() {
            Some((name, _)) if !spec.is_symmetric() => Err(KeyError::Validation(format!(
                "The grant constraint {name} is valid only for symmetric encryption KMS keys."
            ))),
            _ => Ok(()),
        }
    }

    /// Adds what policies can ask of a request to create, or retire, a grant with these constraints.
    pub fn describe(&self, conditions: &mut Conditions) {
        for (_, context) in self.contexts() {
            conditions.add_encryption_context(&context.0);
        }
        let mut types: Vec<String> = self.contexts().map(|(name, _)| name.to_owned()).collect();
        if let Some(arn) = &self.source_arn {
            types.push("SourceArn".into());
            conditions.add("kms:grantconstraintsourcearn", arn.as_str());
        }
        conditions.add_all("kms:grantconstrainttype", types.iter());
    }

    fn contexts(&self) -> impl Iterator<Item = (&'static str, &EncryptionContext)> {
        let subset = self.encryption_context_subset.as_ref();
        let equals = self.encryption_context_equals.as_ref();
        let subset = subset.map(|context| ("EncryptionContextSubset", context));
        subset.into_iter().chain(equals.map(|context| ("EncryptionContextEquals", context)))
    }

    fn equals(&self) -> Option<Pairs> {
        self.encryption_context_equals.as_ref().map(Pairs::of)
    }
    fn subset(&self) -> Option<Pairs> {
        self.encryption_context_subset.as_ref().map(Pairs::of)
    }

    /// Whether a request's encryption context is as they want it.
    pub(super) fn admit(&self, context: &Pairs) -> bool {
        self.equals().is_none_or(|wanted| *context == wanted)
            && self.subset().is_none_or(|wanted| context.include(&wanted))
    }

    /// Whether the request is made for the resource they name. Only services say for which resource
    /// they call.
    pub(super) fn admit_source(&self, conditions: &Conditions) -> bool {
        let named = self.source_arn.as_deref();
        named.is_none_or(|arn| conditions.single("aws:sourcearn") == Some(arn))
    }

    /// Whether they admit nothing that `parent` does not: what a grant must say that was created by
    /// leave of another one.
    pub(super) fn at_least_as_strict_as(&self, parent: &Self) -> bool {
        let (equals, subset) = (self.equals(), self.subset());
        let same_source = parent.source_arn.is_none() || parent.source_arn == self.source_arn;
        same_source
            && parent.equals().is_none_or(|wanted| equals.as_ref() == Some(&wanted))
            && parent.subset().is_none_or(|wanted| {
                let own = [&equals, &subset];
                own.into_iter().flatten().any(|own| own.include(&wanted))
            })
    }

    /// By which pair a grant is found: every request that they admit has it. [`ANY`] if they ask for
    /// none.
    pub(super) fn tag(&self) -> String {
        let wanted = self.equals().into_iter().chain(self.subset());
        let first = wanted.filter_map(|pairs| pairs.tags().next()).next();
        first.unwrap_or_else(|| ANY.into())
    }
}

/// The tag of grants that ask for no pair.
pub(super) const ANY: &str = "-";

/// An encryption context as constraints compare it: keys in lower case, the values of each in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs(BTreeMap<String, Vec<String>>);

impl Pairs {
    fn of(context: &EncryptionContext) -> Self {
        let pairs = context.0.iter().map(|(key, value)| (key.to_lowercase(), value.clone()));
        Self::collect(pairs)
    }

    /// Of a request, from its condition keys.
    pub(super) fn of_request(conditions: &Conditions) -> Self {
        let pairs = conditions.encryption_context().flat_map(|(key, values)| {
            values.iter().map(move |value| (key.to_owned(), value.to_string()))
        });
        Self::collect(pairs)
    }

    /// Of what a new grant asks for.
    pub(super) fn of_constraints(constraints: &Constraints) -> Self {
        let contexts = constraints.contexts().flat_map(|(_, context)| context.0.iter());
        Self::collect(contexts.map(|(key, value)| (key.to_lowercase(), value.clone())))
    }

    fn collect(pairs: impl Iterator<Item = (String, String)>) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in pairs {
            all.entry(key).or_default().push(value);
        }
        for values in all.values_mut() {
            values.sort();
        }
        Self(all)
    }

    /// Whether every key that is wanted is there, with the values that are wanted and no other.
    fn include(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(key, values)| {
            self.0.get(key).is_some_and(|own| {
                own.iter().all(|value| values.contains(value))
                    && values.iter().all(|value| own.contains(value))
            })
        })
    }

    /// One for each pair, short and without a character that a row's key must not have.
    pub(super) fn tags(&self) -> impl Iterator<Item = String> {
        let pairs = self.0.iter().flat_map(|(key, values)| values.iter().map(move |v| (key, v)));
        pairs.map(|(key, value)| {
            let mut hash = Sha256::new();
            hash.update(key.len().to_be_bytes());
            hash.update(key);
            hash.update(value);
            hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
        })
    }
}
