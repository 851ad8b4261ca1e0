//! What a grant says: the operations it allows, and when.
use super::constraints::{ANY, Pairs};
use super::{Constraints, GrantOperation};
use crate::authorize::Conditions;
use crate::keys::{Key, KeyError};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// In the order of the request, each once.
    pub operations: Vec<GrantOperation>,
    pub constraints: Constraints,
}

/// Pairs of an encryption context that are worth a look each.
const MOST_TAGS: usize = 16;

/// What a caller wants to do, as grants see it.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// An operation, and what is known of the request.
    Use(GrantOperation, &'a Conditions),
    /// To create a grant that says this.
    Create(&'a Terms, &'a Conditions),
}

impl Terms {
    /// Refuses what no key can have.
    pub fn new(names: &[String], mut constraints: Constraints) -> Result<Self, KeyError> {
        let mut operations = Vec::new();
        for name in names {
            let unknown = || KeyError::Validation(format!("{name} is not a grant operation."));
            let operation = GrantOperation::named(name).ok_or_else(unknown)?;
            if !operations.contains(&operation) {
                operations.push(operation);
            }
        }
        if operations.is_empty() {
            return Err(KeyError::Validation("A grant must have at least one operation.".into()));
        }
        // A subset of nothing constrains nothing, and must not pass for a constraint in a policy.
        constraints.encryption_context_subset.take_if(|context| context.0.is_empty());
        constraints.check_bounds()?;
        Ok(Self { operations, constraints })
    }

    /// Refuses what a key of this kind cannot have.
    pub fn check(&self, key: &Key) -> Result<(), KeyError> {
        for operation in &self.operations {
            if !operation.fits(key.spec, key.usage) {
                return Err(KeyError::Validation(format!(
                    "Grant operation {} is not supported by {}, whose key spec is {} and whose key \
                     usage is {}.",
                    operation.as_str(),
                    key.arn,
                    key.spec,
                    key.usage
                )));
            }
        }
        self.constraints.check(key.spec)
    }

    pub fn allow(&self, operation: GrantOperation) -> bool {
        self.operations.contains(&operation)
    }

    /// Whether they allow what is asked.
    pub(super) fn cover(&self, asked: Asked<'_>) -> bool {
        match asked {
            Asked::Use(operation, conditions) => {
                let context = || Pairs::of_request(conditions);
                self.allow(operation)
                    && self.constraints.admit_source(conditions)
                    && (!operation.has_context() || self.constraints.admit(&context()))
            }
            Asked::Create(child, conditions) => {
                self.allow(GrantOperation::CreateGrant)
                    && self.constraints.admit_source(conditions)
                    && child.operations.iter().all(|operation| self.allow(*operation))
                    && child.constraints.at_least_as_strict_as(&self.constraints)
            }
        }
    }
}

impl Asked<'_> {
    pub(super) fn operation(self) -> GrantOperation {
        match self {
            Self::Use(operation, _) => operation,
            Self::Create(..) => GrantOperation::CreateGrant,
        }
    }

    /// Whether the call says for which resource it is made.
    pub(super) fn has_source(self) -> bool {
        let (Self::Use(_, conditions) | Self::Create(_, conditions)) = self;
        conditions.single("aws:sourcearn").is_some()
    }

    /// The tags under which a grant that covers this can stand. None if it can stand anywhere.
    pub(super) fn tags(self) -> Option<Vec<String>> {
        let context = match self {
            Self::Use(operation, conditions) if operation.has_context() => {
                Pairs::of_request(conditions)
            }
            // Which constraints a grant has does not matter here.
            Self::Use(..) => return None,
            Self::Create(child, _) => Pairs::of_constraints(&child.constraints),
        };
        let mut tags: Vec<String> = context.tags().collect();
        if tags.len() > MOST_TAGS {
            return None;
        }
        tags.push(ANY.into());
        tags.sort();
        tags.dedup();
        Some(tags)
    }
}
