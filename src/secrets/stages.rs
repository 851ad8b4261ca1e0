//! The versions of a secret and the staging labels on them: pure moves, no store.
//!
//! A label is on one version at most. Once a secret has a value, one version is `AWSCURRENT`; when
//! that label moves, `AWSPREVIOUS` goes to where it was. A version without labels is deprecated and
//! goes when there are too many. (Secrets Manager user guide, "What's in a Secrets Manager
//! secret".)
mod moves;

use super::SecretError;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub const CURRENT: &str = "AWSCURRENT";
pub const PREVIOUS: &str = "AWSPREVIOUS";
pub const PENDING: &str = "AWSPENDING";

/// Secrets Manager quota: staging labels of one secret. Those that move by themselves are never too
/// many, or a rotation could begin and not end.
const MAX_LABELS: usize = 20;
/// Beyond so many versions the deprecated ones go, the oldest first, …
const KEPT_VERSIONS: usize = 100;
/// … but none younger than a day, …
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// … so that one version every ten minutes, 144 a day, which AWS calls sustainable, must fit.
const MAX_VERSIONS: usize = 150;

/// What is known of a version without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionMeta {
    pub stages: BTreeSet<String>,
    pub created: Timestamp,
    /// The day of the last read, at midnight.
    pub accessed: Option<Timestamp>,
    /// The KMS key behind it; none for `aws/secretsmanager`.
    pub key: Option<Arn>,
    /// False while a rotation has announced the version and not yet given it a value.
    pub has_value: bool,
}

impl VersionMeta {
    pub fn new(created: Timestamp, key: Option<Arn>) -> Self {
        Self { stages: BTreeSet::new(), created, accessed: None, key, has_value: true }
    }
}

/// A secret's versions by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(BTreeMap<String, VersionMeta>);

impl FromIterator<(String, VersionMeta)> for Versions {
    fn from_iter<I: IntoIterator<Item = (String, VersionMeta)>>(versions: I) -> Self {
        Self(versions.into_iter().collect())
    }
}

impl Versions {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &VersionMeta)> {
        self.0.iter().map(|(id, version)| (id.as_str(), version))
    }
    pub fn get(&self, id: &str) -> Option<&VersionMeta> {
        self.0.get(id)
    }
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels of every version that has some: what DescribeSecret shows.
    pub fn labelled(&self) -> BTreeMap<String, Vec<String>> {
        let labelled = self.0.iter().filter(|(_, version)| !version.stages.is_empty());
        labelled
            .map(|(id, version)| (id.clone(), version.stages.iter().cloned().collect()))
            .collect()
    }

    /// The version a reader asks for, by id, by label or by both; by neither, the current one. One that
    /// a rotation has announced is not there before it has its value.
    pub fn pick(
        &self,
        id: Option<&str>,
        label: Option<&str>,
    ) -> Result<(&str, &VersionMeta), SecretError> {
        let Some(id) = id else {
            let label = label.unwrap_or(CURRENT);
            let missing = || SecretError::NoSuchVersion(format!("staging label: {label}"));
            return self.holder(label).filter(|(_, version)| version.has_value).ok_or_else(missing);
        };
        let missing = || SecretError::NoSuchVersion(format!("VersionId: {id}"));
        let found = self.0.get_key_value(id).filter(|(_, version)| version.has_value);
        let (id, version) = found.ok_or_else(missing)?;
        if label.is_some_and(|label| !version.stages.contains(label)) {
            return Err(SecretError::InvalidRequest(
                "You provided a VersionStage that is not associated to the provided VersionId.",
            ));
        }
        Ok((id, version))
    }

    /// The ids of the versions that a new KMS key must be able to open: those in use.
    pub fn in_use(&self) -> impl Iterator<Item = (&str, &VersionMeta)> {
        self.iter().filter(|(_, version)| version.has_value).filter(|(_, version)| {
            [CURRENT, PENDING, PREVIOUS].iter().any(|label| version.stages.contains(*label))
        })
    }

    /// Adds a version and moves labels to it: those asked for, or `AWSCURRENT`. The first version
    /// becomes current whatever was asked.
    pub(super) fn add(
        &mut self,
        id: &str,
        version: VersionMeta,
        labels: Option<&[String]>,
    ) -> Result<(), SecretError> {
        self.0.insert(id.to_owned(), version);
        for label in labels.unwrap_or_default().iter().filter(|label| *label != CURRENT) {
            self.move_label(label, id);
        }
        let asked = labels.is_none_or(|labels| labels.iter().any(|label| label == CURRENT));
        if asked || self.holder(CURRENT).is_none() {
            self.make_current(id);
        }
        self.check_labels()
    }

    fn check_labels(&self) -> Result<(), SecretError> {
        let labels = self.0.values().flat_map(|version| &version.stages);
        if labels.filter(|label| *label != PENDING && *label != PREVIOUS).count() > MAX_LABELS {
            return Err(SecretError::LimitExceeded(format!(
                "A secret can have at most {MAX_LABELS} staging labels."
            )));
        }
        Ok(())
    }

    /// Takes away deprecated versions while there are too many, and says which. Refuses when those
    /// that must stay are too many themselves.
    pub(super) fn prune(&mut self, now: Timestamp) -> Result<Vec<String>, SecretError> {
        let surplus = self.0.len().saturating_sub(KEPT_VERSIONS);
        let mut deprecated: Vec<(Timestamp, String)> = self
            .0
            .iter()
            .filter(|(_, version)| version.stages.is_empty())
            .filter(|(_, version)| now.0.saturating_sub(version.created.0) > KEPT_MS)
            .map(|(id, version)| (version.created, id.clone()))
            .collect();
        deprecated.sort();
        let gone: Vec<String> = deprecated.into_iter().take(surplus).map(|(_, id)| id).collect();
        for id in &gone {
            self.0.remove(id);
        }
        if self.0.len() > MAX_VERSIONS {
            return Err(SecretError::LimitExceeded(format!(
                "A secret can have at most {MAX_VERSIONS} versions. Versions without staging \
                 labels are removed once they are 24 hours old."
            )));
        }
        Ok(gone)
    }

    /// Adds a version that is to get its value later. It gets `AWSPENDING` and nothing else.
    pub(super) fn announce(&mut self, id: &str, now: Timestamp) {
        let version = VersionMeta { has_value: false, ..VersionMeta::new(now, None) };
        self.0.insert(id.to_owned(), version);
        self.move_label(PENDING, id);
    }

    /// The version that a rotation is to make, or was to make: `AWSPENDING` where `AWSCURRENT` is not.
    pub fn unfinished(&self) -> Option<(&str, &VersionMeta)> {
        self.holder(PENDING).filter(|(_, version)| !version.stages.contains(CURRENT))
    }

    /// Takes a label off a version, if it is on that one.
    pub(super) fn unlabel(&mut self, id: &str, label: &str) {
        if let Some(version) = self.0.get_mut(id) {
            version.stages.remove(label);
        }
    }

    /// Takes a version away that nobody was to read. Answers whether it was there.
    pub(super) fn withdraw(&mut self, id: &str) -> bool {
        self.0.remove(id).is_some()
    }

    pub(super) fn accessed(&mut self, id: &str, day: Option<Timestamp>) {
        if let Some(version) = self.0.get_mut(id) {
            version.accessed = version.accessed.max(day);
        }
    }

    /// The version's value was sealed anew under another KMS key.
    pub(super) fn rekeyed(&mut self, id: &str, key: Option<Arn>) {
        if let Some(version) = self.0.get_mut(id) {
            version.key = key;
        }
    }

    /// The version that a label is on.
    pub fn holder(&self, label: &str) -> Option<(&str, &VersionMeta)> {
        self.iter().find(|(_, version)| version.stages.contains(label))
    }

    fn take_label(&mut self, label: &str) {
        for version in self.0.values_mut() {
            version.stages.remove(label);
        }
    }

    fn move_label(&mut self, label: &str, to: &str) {
        self.take_label(label);
        if let Some(version) = self.0.get_mut(to) {
            version.stages.insert(label.to_owned());
        }
    }

    fn make_current(&mut self, id: &str) {
        let before = self.holder(CURRENT).map(|(id, _)| id.to_owned());
        self.move_label(CURRENT, id);
        if let Some(before) = before.filter(|before| before != id) {
            self.move_label(PREVIOUS, &before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = KEPT_MS;

    fn at(ms: i64) -> VersionMeta {
        VersionMeta::new(Timestamp(ms), None)
    }

    /// Adds versions `1`, `2`, … with the labels given; none means "not said".
    pub(super) fn versions(all: &[Option<&[&str]>]) -> Versions {
        let mut versions = Versions::default();
        for (n, labels) in (1..).zip(all) {
            let labels: Option<Vec<String>> =
                labels.map(|labels| labels.iter().map(|l| l.to_string()).collect());
            versions.add(&n.to_string(), at(n), labels.as_deref()).unwrap();
        }
        versions
    }

    /// `1:AWSCURRENT,x 2:`
    pub(super) fn shown(versions: &Versions) -> String {
        let one = |(id, version): (&str, &VersionMeta)| {
            let stages: Vec<&str> = version.stages.iter().map(String::as_str).collect();
            format!("{id}:{}", stages.join(","))
        };
        versions.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn labels_move() {
        let cases: [(&[Option<&[&str]>], &str); 10] = [
            (&[None], "1:AWSCURRENT"),
            (&[None, None], "1:AWSPREVIOUS 2:AWSCURRENT"),
            (&[None, None, None], "1: 2:AWSPREVIOUS 3:AWSCURRENT"),
            // The first version becomes current whatever was asked.
            (&[Some(&["AWSPENDING"])], "1:AWSCURRENT,AWSPENDING"),
            (&[Some(&["blue"])], "1:AWSCURRENT,blue"),
            // Without AWSCURRENT nothing moves but what was asked.
            (&[None, Some(&["AWSPENDING"])], "1:AWSCURRENT 2:AWSPENDING"),
            (&[None, Some(&["blue"]), Some(&["blue"])], "1:AWSCURRENT 2: 3:blue"),
            (&[Some(&["blue"]), None], "1:AWSPREVIOUS,blue 2:AWSCURRENT"),
            (&[None, Some(&["AWSPENDING"]), None], "1:AWSPREVIOUS 2:AWSPENDING 3:AWSCURRENT"),
            // AWSPREVIOUS goes where AWSCURRENT was, also when the caller wanted it elsewhere.
            (&[None, Some(&["AWSPREVIOUS", "AWSCURRENT"])], "1:AWSPREVIOUS 2:AWSCURRENT"),
        ];
        for (added, expected) in cases {
            assert_eq!(shown(&versions(added)), expected, "{added:?}");
        }
    }

    #[test]
    fn every_label_is_on_one_version() {
        let labels: [&[&str]; 5] =
            [&["a", "b"], &["AWSCURRENT", "b"], &["AWSPENDING"], &["a", "AWSCURRENT"], &["c"]];
        // Every sequence of five of them.
        for n in 0..labels.len().pow(5) {
            let picked: Vec<Option<&[&str]>> =
                (0..5).map(|i| Some(labels[n / 5_usize.pow(i) % 5])).collect();
            let versions = versions(&picked);
            let mut seen = BTreeSet::new();
            for (_, version) in versions.iter() {
                assert!(
                    version.stages.iter().all(|label| seen.insert(label.clone())),
                    "{picked:?}"
                );
            }
            assert!(seen.contains(CURRENT));
        }
    }

    #[test]
    fn a_secret_has_twenty_labels_at_most() {
        let mut versions = versions(&[None]);
        let labels: Vec<String> = (0..20).map(|n| format!("l{n}")).collect();
        assert!(versions.clone().add("2", at(2), Some(&labels[..19])).is_ok());
        let refused = versions.clone().add("2", at(2), Some(&labels));
        assert!(matches!(refused, Err(SecretError::LimitExceeded(_))));
        for label in &labels[..19] {
            versions.move_stage(label, None, Some("1")).unwrap();
        }
        let refused = versions.clone().move_stage(&labels[19], None, Some("1"));
        assert!(matches!(refused, Err(SecretError::LimitExceeded(_))));
        // A rotation goes from its beginning to its end.
        versions.announce("2", Timestamp(2));
        versions.add("2", at(2), Some(&[PENDING.into()])).unwrap();
        versions.move_stage(CURRENT, Some("1"), Some("2")).unwrap();
        let at_two = &versions.get("2").unwrap().stages;
        assert!(at_two.contains(CURRENT) && at_two.contains(PENDING));
        assert!(versions.get("1").unwrap().stages.contains(PREVIOUS));
        let refused = versions.move_stage(&labels[19], None, Some("1"));
        assert!(matches!(refused, Err(SecretError::LimitExceeded(_))));
    }

    #[test]
    fn a_reader_picks() {
        let versions = versions(&[None, Some(&["blue"]), None]);
        let picked = |id, label| versions.pick(id, label).map(|(id, _)| id.to_owned());
        assert_eq!(picked(None, None).unwrap(), "3");
        assert_eq!(picked(None, Some("AWSPREVIOUS")).unwrap(), "1");
        assert_eq!(picked(Some("2"), None).unwrap(), "2");
        assert_eq!(picked(Some("2"), Some("blue")).unwrap(), "2");
        assert!(matches!(picked(Some("1"), Some("blue")), Err(SecretError::InvalidRequest(_))));
        let text = |outcome: Result<String, SecretError>| outcome.unwrap_err().to_string();
        let missing = "Secrets Manager can't find the specified secret value for";
        assert_eq!(text(picked(Some("9"), None)), format!("{missing} VersionId: 9"));
        assert_eq!(text(picked(None, Some("red"))), format!("{missing} staging label: red"));
        let none = Versions::default();
        let error = none.pick(None, None).unwrap_err().to_string();
        assert_eq!(error, format!("{missing} staging label: AWSCURRENT"));
    }

    #[test]
    fn old_deprecated_versions_go_when_there_are_over_a_hundred() {
        let many = |count: i64| {
            let mut versions = Versions::default();
            for n in 0..count {
                versions.add(&format!("{n:03}"), at(n), None).unwrap();
            }
            versions
        };
        let later = Timestamp(DAY_MS + 1000);
        assert!(many(100).prune(later).unwrap().is_empty());
        let mut versions = many(103);
        assert_eq!(versions.prune(later).unwrap(), ["000", "001", "002"]);
        assert_eq!(versions.iter().count(), 100);
        assert!(versions.pick(None, Some(PREVIOUS)).is_ok());

        // Within a day none may go, up to the quota.
        assert!(many(150).prune(Timestamp(DAY_MS)).unwrap().is_empty());
        assert!(matches!(many(151).prune(Timestamp(150)), Err(SecretError::LimitExceeded(_))));
        assert_eq!(many(151).prune(later).unwrap().len(), 51);
    }

    #[test]
    fn what_a_new_key_must_open() {
        let versions = versions(&[None, None, None, Some(&["AWSPENDING"]), Some(&["blue"])]);
        let ids: Vec<&str> = versions.in_use().map(|(id, _)| id).collect();
        assert_eq!(ids, ["2", "3", "4"]);
        assert_eq!(versions.labelled().keys().collect::<Vec<_>>(), ["2", "3", "4", "5"]);
    }
}
