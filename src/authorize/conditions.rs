//! What is known of a request: condition keys and their values.
use crate::policy;
use crate::types::Tags;
use smol_str::SmolStr;

/// Condition keys and their values. Names are compared without regard to case.
#[derive(Clone, Debug)]
pub struct Conditions(pub(super) policy::Conditions<'static>);

impl Default for Conditions {
    /// With room for what most calls bring.
    fn default() -> Self {
        Self(policy::Conditions::with_capacity(30))
    }
}

impl Conditions {
    /// `key`: in lower case.
    pub fn add(&mut self, key: &'static str, value: impl Into<SmolStr>) {
        self.0.set_fixed(key, value);
    }
    /// `key`: in lower case.
    pub fn add_all<V: Into<SmolStr>>(
        &mut self,
        key: &'static str,
        values: impl Iterator<Item = V>,
    ) {
        self.0.set_fixed_list(key, values);
    }
    /// What a web identity token says, under the issuer's name: `oidc.example.com:sub`.
    pub fn add_claims<'v>(
        &mut self,
        issuer: &str,
        claim: &str,
        values: impl Iterator<Item = &'v String>,
    ) {
        self.0.set_list([issuer, ":", claim].concat(), values);
    }
    pub(super) fn is_absent(&self, key: &str) -> bool {
        self.0.values(key).is_empty()
    }
    /// `prefix` followed by each tag's name: `aws:ResourceTag/…`.
    pub fn add_tags(&mut self, prefix: &str, tags: &Tags) {
        for (name, value) in &tags.0 {
            self.0.set([prefix, name].concat(), value.as_str());
        }
    }
    /// `aws:RequestTag/…` and `aws:TagKeys`.
    pub fn add_request_tags(&mut self, tags: &Tags) {
        self.add_tags("aws:requesttag/", tags);
        self.add_all("aws:tagkeys", tags.0.keys());
    }
    /// Adds to `aws:TagKeys` how tags are written that are there already and that differ from what it
    /// names in case only: where case does not count, the request changes these.
    pub fn add_tag_spellings(&mut self, stored: &Tags) {
        let named = self.0.values("aws:tagkeys");
        let changed = |stored: &String| {
            let lower = stored.to_lowercase();
            named.iter().any(|name| name.to_lowercase() == lower)
                && named.iter().all(|name| name != stored)
        };
        let also: Vec<String> = stored.0.keys().filter(|name| changed(name)).cloned().collect();
        if !also.is_empty() {
            self.0.set_fixed_list("aws:tagkeys", also);
        }
    }
    /// `kms:EncryptionContext:…` and `kms:EncryptionContextKeys`.
    pub fn add_encryption_context(&mut self, context: &std::collections::BTreeMap<String, String>) {
        for (name, value) in context {
            self.0.set(["kms:encryptioncontext:", name].concat(), value.as_str());
        }
        self.add_all("kms:encryptioncontextkeys", context.keys());
    }
    /// The pairs of the encryption context: each key in lower case, with its values. Keys that
    /// differ in case only are one key with several.
    pub fn encryption_context(&self) -> impl Iterator<Item = (&str, &[SmolStr])> {
        let pair = |(name, values)| {
            str::strip_prefix(name, "kms:encryptioncontext:").map(|key| (key, values))
        };
        self.all().filter_map(pair)
    }
    /// Every key with its values, in the order of the keys.
    pub fn all(&self) -> impl Iterator<Item = (&str, &[SmolStr])> {
        self.0.all()
    }
    /// The value of a condition key in lower case that has exactly one.
    pub fn single(&self, key: &str) -> Option<&str> {
        self.0.single(key)
    }
}
