//! Session policies are in the token and not in a record, so there is no record's revision to compile
//! them once for. They are remembered by their text: the same text is the same policy.
use crate::policy::{Kind, Policy};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Two generations of this many. A text has 2048 characters at most.
const PER_GENERATION: usize = 256;

#[derive(Default)]
struct Compiled {
    young: HashMap<Box<str>, Arc<Policy>>,
    old: HashMap<Box<str>, Arc<Policy>>,
}

impl Compiled {
    fn get(&mut self, text: &str) -> Arc<Policy> {
        if let Some(policy) = self.young.get(text) {
            return policy.clone();
        }
        let compile = || Arc::new(Policy::parse_stored(text, Kind::Identity));
        let policy = self.old.remove(text).unwrap_or_else(compile);
        // A full generation becomes the old one and the old one goes: what is used stays.
        if self.young.len() >= PER_GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text.into(), policy.clone());
        policy
    }
}

/// The policy of a session, compiled once for as long as it is used.
pub(super) fn compiled(text: &str) -> Arc<Policy> {
    static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: usize) -> String {
        format!(
            r#"{{"Version": "2012-10-17", "Statement":
                {{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:*:*:key/{n}"}}}}"#
        )
    }

    #[test]
    fn what_is_used_is_compiled_once_and_the_rest_is_forgotten() {
        let mut compiled = Compiled::default();
        let first = compiled.get(&text(0));
        for n in 0..10 * PER_GENERATION {
            assert!(compiled.get(&text(n)).unreadable().is_none());
            assert!(Arc::ptr_eq(&first, &compiled.get(&text(0))), "{n}");
        }
        assert!(compiled.young.len() + compiled.old.len() <= 2 * PER_GENERATION);
        assert!(compiled.get("no policy").unreadable().is_some());
    }
}
