//! The errors that a model lists for its operations, and the reasons why some cannot be produced.
use crate::world::table;
use serde_json::Value;
use std::collections::BTreeSet;

/// Errors, the operations that have them, and why they do not occur there.
pub struct Reason(pub &'static [&'static str], pub &'static [&'static str], pub &'static str);

pub struct Modelled {
    /// By its signing name.
    pub service: &'static str,
    pub model: &'static str,
    pub reasons: &'static [Reason],
}

impl Modelled {
    /// Every operation with every error that the model lists for it.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let model: Value = serde_json::from_str(self.model).unwrap();
        let operations = model["operations"].as_object().unwrap();
        let pairs = operations.iter().flat_map(|(operation, model)| {
            let errors = model["errors"].as_array().unwrap().iter();
            errors.map(|error| (operation.clone(), error.as_str().unwrap().to_owned()))
        });
        pairs.collect()
    }

    /// Operation, error, reason.
    fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let reasons = self.reasons.iter();
        reasons.flat_map(|Reason(errors, operations, reason)| {
            let of = move |error| operations.iter().map(move |name| (*name, error, *reason));
            errors.iter().copied().flat_map(of)
        })
    }

    pub fn reason(&self, operation: &str, error: &str) -> Option<&'static str> {
        let is_meant = |(o, e, _): &(&str, &str, &str)| *o == operation && *e == error;
        self.all().find(is_meant).map(|(_, _, reason)| reason)
    }

    /// Reasons are about what the model has, and no two about the same.
    pub fn check_reasons(&self) {
        let known: BTreeSet<_> = self.pairs().into_iter().collect();
        let mut seen = BTreeSet::new();
        for (operation, error, reason) in self.all() {
            assert!(reason.ends_with('.'), "{reason}");
            let pair = (operation.to_owned(), error.to_owned());
            assert!(known.contains(&pair), "the model has no {error} for {operation}");
            assert!(seen.insert(pair), "two reasons for {operation} and {error}");
        }
    }

    /// The operations that are served are the model's.
    pub fn check_table(&self) {
        let model: BTreeSet<_> = self.pairs().into_iter().map(|(operation, _)| operation).collect();
        let operations = table(self.service).operations;
        let served: BTreeSet<_> = operations.iter().map(|e| e.name.to_owned()).collect();
        assert_eq!(served, model);
    }
}
