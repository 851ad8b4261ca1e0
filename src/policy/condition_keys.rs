//! The facts of a request: condition keys and their values. Built once a call, mostly from borrowed
//! text: some thirty keys that the server names, and those that callers name, of which an encryption
//! context may bring a thousand.

use smol_str::SmolStr;
use std::borrow::Cow;

/// Condition keys in lower case, and their values. A key that is absent and a key with an empty
/// list are the same thing (IAM User Guide, "Condition operator to check existence of keys": an
/// empty set is null).
#[derive(Debug, Clone, Default)]
pub struct Conditions<'a> {
    /// Keys that the server names, as they came. A policy asks about few of them, and to compare
    /// thirty texts whose lengths mostly differ costs less than to keep them in order.
    fixed: Vec<(&'static str, Values)>,
    /// All others, in the order of the keys. No key is in both lists, nor twice in one.
    named: Vec<(Cow<'a, str>, Values)>,
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

    /// With room for so many keys that the server names.
    pub fn with_capacity(keys: usize) -> Self {
        Self { fixed: Vec::with_capacity(keys), named: Vec::new() }
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
        self.add(key.into(), Values::of(values));
    }

    /// As [`Self::set`], for a key that the server names: in lower case.
    pub fn set_fixed(&mut self, key: &'static str, value: impl Into<SmolStr>) {
        self.add_fixed(key, Values::One(value.into()));
    }

    /// As [`Self::set_list`], for a key that the server names: in lower case.
    pub fn set_fixed_list<V: Into<SmolStr>>(
        &mut self,
        key: &'static str,
        values: impl IntoIterator<Item = V>,
    ) {
        self.add_fixed(key, Values::of(values));
    }

    /// Gives `key` these values and takes away what it had.
    pub fn replace(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let key = lower(Cow::Owned(key.to_owned()));
        self.fixed.retain(|(name, _)| **name != *key);
        self.named.retain(|(name, _)| *name != key);
        self.set_list(key, values);
    }

    /// The values of a key given in lower case; empty when it is absent.
    pub fn values(&self, key: &str) -> &[SmolStr] {
        if let Some((_, values)) = self.fixed.iter().find(|(name, _)| *name == key) {
            return values.as_slice();
        }
        let at = self.named.binary_search_by(|(name, _)| name.as_ref().cmp(key)).ok();
        at.and_then(|at| self.named.get(at)).map_or(&[], |(_, values)| values.as_slice())
    }

    /// The value of a key that has exactly one. A key of several is no policy variable (IAM User
    /// Guide, "Single-valued vs. multivalued context keys").
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Every key with its values, in the order of the keys.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[SmolStr])> {
        let fixed = self.fixed.iter().map(|(name, values)| (*name, values.as_slice()));
        let named = self.named.iter().map(|(name, values)| (name.as_ref(), values.as_slice()));
        let mut all: Vec<_> = fixed.chain(named).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter()
    }

    fn add(&mut self, key: Cow<'a, str>, values: Values) {
        let key = lower(key);
        if let Some((_, present)) = self.fixed.iter_mut().find(|(name, _)| **name == *key) {
            return present.join(values);
        }
        match self.named.binary_search_by(|(name, _)| name.cmp(&key)) {
            Err(at) => self.named.insert(at, (key, values)),
            Ok(at) => {
                if let Some((_, present)) = self.named.get_mut(at) {
                    present.join(values);
                }
            }
        }
    }

    fn add_fixed(&mut self, key: &'static str, values: Values) {
        debug_assert!(is_lower(key), "{key}");
        if let Some((_, present)) = self.fixed.iter_mut().find(|(name, _)| *name == key) {
            return present.join(values);
        }
        // Mostly a caller names two or three keys, if any.
        match self.named.binary_search_by(|(name, _)| name.as_ref().cmp(key)) {
            Ok(_) => self.add(Cow::Borrowed(key), values),
            Err(_) => self.fixed.push((key, values)),
        }
    }
}

impl Values {
    fn of<V: Into<SmolStr>>(values: impl IntoIterator<Item = V>) -> Self {
        let mut values = values.into_iter().map(Into::into);
        let (Some(first), second) = (values.next(), values.next()) else {
            return Self::Many(Vec::new());
        };
        match second {
            None => Self::One(first),
            Some(second) => Self::Many([first, second].into_iter().chain(values).collect()),
        }
    }

    fn as_slice(&self) -> &[SmolStr] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// Adds the values of the same key.
    fn join(&mut self, more: Self) {
        let mut all = std::mem::replace(self, Self::Many(Vec::new())).into_vec();
        all.extend(more.into_vec());
        *self = Self::Many(all);
    }

    fn into_vec(self) -> Vec<SmolStr> {
        match self {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        }
    }
}

/// Condition key names are case-insensitive, the key of an encryption context pair included.
pub fn lower(key: Cow<'_, str>) -> Cow<'_, str> {
    match key {
        key if is_lower(&key) => key,
        Cow::Owned(mut key) if key.is_ascii() => {
            key.make_ascii_lowercase();
            Cow::Owned(key)
        }
        key => Cow::Owned(key.to_lowercase()),
    }
}

/// Of ASCII letters only lower-case ones, and nothing beyond ASCII.
fn is_lower(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase())
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
        assert_eq!(keys.all().count(), 1000);
        assert!(keys.all().is_sorted());
        for n in 0..1000 {
            let name = format!("kms:encryptioncontext:k{n}");
            let (first, second) = (n.to_string(), "again".to_owned());
            let expected = if n == 500 { vec![first, second] } else { vec![first] };
            assert_eq!(keys.values(&name), expected, "{name}");
        }
        assert!(keys.values("kms:encryptioncontext:k1000").is_empty());
    }

    #[test]
    fn a_key_is_one_whoever_names_it() {
        let (mut server_first, mut caller_first) = (Conditions::new(), Conditions::new());
        server_first.set_fixed("aws:tagkeys", "a");
        server_first.set("aws:TagKeys", "b");
        caller_first.set("aws:TagKeys", "a");
        caller_first.set_fixed_list("aws:tagkeys", ["b"]);
        for mut keys in [server_first, caller_first] {
            assert_eq!(keys.values("aws:tagkeys"), ["a", "b"]);
            assert_eq!(keys.all().count(), 1);
            keys.replace("aws:TagKeys", ["c".to_owned()]);
            assert_eq!(keys.values("aws:tagkeys"), ["c"]);
            assert_eq!(keys.all().count(), 1);
        }
    }

    #[test]
    fn all_are_told_in_order() {
        let mut keys = Conditions::new();
        keys.set_fixed("kms:keyspec", "x");
        keys.set("aws:requesttag/b", "x");
        keys.set_fixed("aws:userid", "x");
        keys.set_fixed_list("kms:resourcealiases", Vec::<String>::new());
        keys.set_fixed_list("aws:calledvia", ["x", "y", "z"]);
        let all: Vec<_> = keys.all().map(|(key, values)| (key, values.len())).collect();
        let expected = [
            ("aws:calledvia", 3),
            ("aws:requesttag/b", 1),
            ("aws:userid", 1),
            ("kms:keyspec", 1),
            ("kms:resourcealiases", 0),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_empty_list_is_absent() {
        let mut keys = Conditions::new();
        keys.set_list("aws:TagKeys", Vec::<String>::new());
        assert!(keys.values("aws:tagkeys").is_empty());
    }
}
