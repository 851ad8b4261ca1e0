//! The facts of a request: condition keys and their values. Built once a call, mostly from borrowed
//! text, and kept in order: some thirty keys mostly, but a caller's encryption context may bring a
//! thousand.

use smol_str::SmolStr;
use std::borrow::Cow;

/// Condition keys in lower case, and their values. A key that is absent and a key with an empty
/// list are the same thing (IAM User Guide, "Condition operator to check existence of keys": an
/// empty set is null).
#[derive(Debug, Clone, Default)]
pub struct Conditions<'a> {
    /// In the order of the keys, each once.
    entries: Vec<(Cow<'a, str>, Values)>,
}

#[derive(Debug, Clone)]
enum Values {
    One(SmolStr),
    Many(Vec<SmolStr>),
}

impl<'a> Conditions<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(keys: usize) -> Self {
        Self { entries: Vec::with_capacity(keys) }
    }

    /// Gives `key` this one value. Of names that differ in case only, as encryption contexts may
    /// have, both values count: neither may hide the other.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<SmolStr>) {
        self.add(key.into(), Values::One(value.into()));
    }

    /// Gives `key` a set of values. An empty set is as good as no key.
    pub fn set_list<V: Into<SmolStr>>(
        &mut self,
        key: impl Into<Cow<'a, str>>,
        values: impl IntoIterator<Item = V>,
    ) {
        self.add(key.into(), Values::Many(values.into_iter().map(Into::into).collect()));
    }

    /// Gives `key` these values and takes away what it had.
    pub fn replace(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let key = lower(Cow::Owned(key.to_owned()));
        if let Ok(at) = self.entries.binary_search_by(|(name, _)| name.cmp(&key)) {
            self.entries.remove(at);
        }
        self.set_list(key, values);
    }

    /// The values of a key given in lower case; empty when it is absent.
    pub fn values(&self, key: &str) -> &[SmolStr] {
        let at = self.entries.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok();
        match at.and_then(|at| self.entries.get(at)) {
            Some((_, Values::One(value))) => std::slice::from_ref(value),
            Some((_, Values::Many(values))) => values,
            None => &[],
        }
    }

    /// The value of a key that has exactly one. A key of several is no policy variable (IAM User
    /// Guide, "Single-valued vs. multivalued context keys").
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [value] => Some(value),
            _ => None,
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_ref())
    }

    fn add(&mut self, key: Cow<'a, str>, values: Values) {
        let key = lower(key);
        let at = match self.entries.binary_search_by(|(name, _)| name.cmp(&key)) {
            Err(at) => return self.entries.insert(at, (key, values)),
            Ok(at) => at,
        };
        if let Some((_, present)) = self.entries.get_mut(at) {
            let mut all = std::mem::replace(present, Values::Many(Vec::new())).into_vec();
            all.extend(values.into_vec());
            *present = Values::Many(all);
        }
    }
}

impl Values {
    fn into_vec(self) -> Vec<SmolStr> {
        match self {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        }
    }
}

/// Condition key names are case-insensitive, the key of an encryption context pair included.
pub fn lower(key: Cow<'_, str>) -> Cow<'_, str> {
    let already = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    match key.bytes().all(already) {
        true => key,
        false => Cow::Owned(key.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        let mut keys = Conditions::new();
        keys.set("aws:PrincipalTag/Team", "Blue");
        assert_eq!(keys.single("aws:principaltag/team"), Some("Blue"));
        assert_eq!(keys.single("aws:principaltag/tea"), None);
    }

    #[test]
    fn names_that_differ_in_case_keep_both_values() {
        let mut keys = Conditions::new();
        keys.set("kms:EncryptionContext:App", "a");
        keys.set("kms:EncryptionContext:aPP", "b");
        assert_eq!(keys.values("kms:encryptioncontext:app"), ["a", "b"]);
        assert_eq!(keys.single("kms:encryptioncontext:app"), None);
    }

    #[test]
    fn keys_are_found_in_whatever_order_they_came() {
        let mut keys = Conditions::new();
        // 7 and 1000 have no common divisor: every number once.
        for n in (0..1000).map(|n| n * 7 % 1000) {
            keys.set(format!("kms:EncryptionContext:K{n}"), n.to_string());
        }
        keys.set("kms:EncryptionContext:k500", "again");
        assert_eq!(keys.keys().count(), 1000);
        assert!(keys.keys().is_sorted());
        for n in 0..1000 {
            let name = format!("kms:encryptioncontext:k{n}");
            let (first, second) = (n.to_string(), "again".to_owned());
            let expected = if n == 500 { vec![first, second] } else { vec![first] };
            assert_eq!(keys.values(&name), expected, "{name}");
        }
        assert!(keys.values("kms:encryptioncontext:k1000").is_empty());
    }

    #[test]
    fn an_empty_list_is_absent() {
        let mut keys = Conditions::new();
        keys.set_list("aws:TagKeys", Vec::<String>::new());
        assert!(keys.values("aws:tagkeys").is_empty());
    }
}
