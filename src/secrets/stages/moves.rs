//! UpdateSecretVersionStage: one label, from one version to another.
use super::{CURRENT, Versions};
use crate::secrets::{Edit, SecretError};

impl Versions {
    /// Moves a label from one version to another, attaches one that is nowhere, or takes one off.
    /// (Secrets Manager API reference, "UpdateSecretVersionStage".) Whoever takes a label away from a
    /// version must name that version: two callers who move the same label then do not undo each
    /// other's work unseen.
    pub(super) fn move_stage(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), SecretError> {
        let invalid = |text: String| Err(SecretError::InvalidParameter(text));
        if let Some(id) = [from, to].into_iter().flatten().find(|id| !self.contains(id)) {
            return Err(SecretError::NoSuchVersion(format!("VersionId: {id}")));
        }
        let holder = self.holder(label).map(|(id, _)| id.to_owned());
        match (holder.as_deref(), from, to) {
            (_, None, None) => {
                return invalid("You must provide MoveToVersionId or RemoveFromVersionId.".into());
            }
            (holder, Some(from), None) if holder != Some(from) => {
                return invalid(format!(
                    "Staging label {label} is not attached to version {from}."
                ));
            }
            (holder, Some(from), Some(_)) if holder != Some(from) => {
                return invalid(format!(
                    "When you move staging label {label}, if you specify RemoveFromVersionId, it \
                     must be set to the version that currently has the staging label {label}."
                ));
            }
            (Some(holder), None, Some(to)) if holder != to => {
                return invalid(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is \
                     currently attached to version {holder}, so you must explicitly reference that \
                     version in RemoveFromVersionId."
                ));
            }
            (_, Some(_), None) if label == CURRENT => {
                return invalid(
                    "You can only move staging label AWSCURRENT to a different secret version. It \
                     can’t be completely removed."
                        .into(),
                );
            }
            _ => {}
        }
        match to {
            Some(to) if label == CURRENT => {
                if self.get(to).is_some_and(|version| !version.has_value) {
                    return Err(SecretError::InvalidRequest(
                        "You can't make a secret version current that has no value.",
                    ));
                }
                self.make_current(to);
            }
            Some(to) => self.move_label(label, to),
            None => self.take_label(label),
        }
        self.check_labels()
    }
}

impl Edit {
    /// Moves a label, see [`Versions::move_stage`]. A label that is where it should be stays, and
    /// nothing has changed then.
    pub fn move_stage(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<(), SecretError> {
        let mut versions = self.versions.clone();
        versions.move_stage(label, from, to)?;
        if versions != self.versions {
            self.change().versions = versions;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{shown, versions};
    use super::super::{PENDING, PREVIOUS};
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_label_is_moved_attached_and_taken_off() {
        let start = || versions(&[None, None, Some(&["AWSPENDING", "blue"])]);
        assert_eq!(shown(&start()), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue");
        for (label, from, to, expected) in [
            // The end of a rotation, and back again.
            (CURRENT, Some("2"), Some("3"), "1: 2:AWSPREVIOUS 3:AWSCURRENT,AWSPENDING,blue"),
            (CURRENT, Some("2"), Some("1"), "1:AWSCURRENT 2:AWSPREVIOUS 3:AWSPENDING,blue"),
            (PENDING, Some("3"), None, "1:AWSPREVIOUS 2:AWSCURRENT 3:blue"),
            ("blue", Some("3"), Some("1"), "1:AWSPREVIOUS,blue 2:AWSCURRENT 3:AWSPENDING"),
            ("blue", Some("3"), None, "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING"),
            ("red", None, Some("1"), "1:AWSPREVIOUS,red 2:AWSCURRENT 3:AWSPENDING,blue"),
            (PREVIOUS, Some("1"), Some("3"), "1: 2:AWSCURRENT 3:AWSPENDING,AWSPREVIOUS,blue"),
            // It is there already.
            (CURRENT, None, Some("2"), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue"),
            ("blue", Some("3"), Some("3"), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue"),
        ] {
            let mut versions = start();
            versions.move_stage(label, from, to).unwrap();
            assert_eq!(shown(&versions), expected, "{label} {from:?} {to:?}");
        }
    }

    #[test]
    fn who_takes_a_label_away_names_its_version() {
        let start = versions(&[None, None, Some(&["AWSPENDING", "blue"])]);
        let empty = "The parameter RemoveFromVersionId can't be empty. Staging label blue is \
                     currently attached to version 3, so you must explicitly reference that \
                     version in RemoveFromVersionId.";
        let other = "When you move staging label blue, if you specify RemoveFromVersionId, it must \
                     be set to the version that currently has the staging label blue.";
        for (label, from, to, expected) in [
            ("blue", None, Some("1"), empty),
            ("blue", Some("2"), Some("1"), other),
            ("blue", Some("2"), Some("3"), other),
            ("blue", Some("2"), None, "Staging label blue is not attached to version 2."),
            ("red", Some("2"), None, "Staging label red is not attached to version 2."),
            ("red", None, None, "You must provide MoveToVersionId or RemoveFromVersionId."),
            (
                CURRENT,
                Some("2"),
                None,
                "You can only move staging label AWSCURRENT to a different secret version. It \
                 can’t be completely removed.",
            ),
        ] {
            let mut versions = start.clone();
            match versions.move_stage(label, from, to) {
                Err(SecretError::InvalidParameter(text)) => assert_eq!(text, expected),
                other => panic!("{label} {from:?} {to:?}: {other:?}"),
            }
            assert_eq!(versions, start);
        }
        for (from, to) in [(Some("9"), None), (None, Some("9")), (Some("3"), Some("9"))] {
            let refused = start.clone().move_stage("blue", from, to).unwrap_err();
            let text = "Secrets Manager can't find the specified secret value for VersionId: 9";
            assert_eq!(refused.to_string(), text);
        }
    }

    #[test]
    fn what_was_only_announced_is_neither_read_nor_made_current() {
        let mut versions = versions(&[None, Some(&["AWSPENDING"])]);
        versions.0.get_mut("2").unwrap().has_value = false;
        for (id, label) in [(Some("2"), None), (None, Some(PENDING)), (Some("2"), Some(PENDING))] {
            assert!(matches!(versions.pick(id, label), Err(SecretError::NoSuchVersion(_))));
        }
        assert_eq!(versions.in_use().map(|(id, _)| id).collect::<Vec<_>>(), ["1"]);
        let before = versions.clone();
        let refused = versions.move_stage(CURRENT, Some("1"), Some("2"));
        assert!(matches!(refused, Err(SecretError::InvalidRequest(_))), "{refused:?}");
        assert_eq!(versions, before);
    }

    #[test]
    fn no_sequence_of_moves_breaks_the_rules_of_labels() {
        let labels = [CURRENT, PREVIOUS, PENDING, "blue"];
        let ids = [None, Some("1"), Some("2"), Some("3")];
        let mut versions = versions(&[None, None, Some(&["AWSPENDING"])]);
        let (mut random, mut moved) = (1_u32, 0);
        for _ in 0..20_000 {
            // A generator of Lehmer's: any sequence will do.
            random = (u64::from(random) * 48_271 % 0x7fff_ffff) as u32;
            let pick = |n: u32| (random >> n) as usize % 4;
            let (label, from, to) = (labels[pick(3)], ids[pick(7)], ids[pick(11)]);
            let before = versions.clone();
            let current = before.holder(CURRENT).map(|(id, _)| id).unwrap();
            if versions.move_stage(label, from, to).is_err() {
                versions = before;
                continue;
            }
            moved += 1;
            let held: Vec<&String> = versions.0.values().flat_map(|v| &v.stages).collect();
            assert_eq!(held.len(), held.iter().collect::<BTreeSet<_>>().len(), "{versions:?}");
            let now = versions.holder(CURRENT).map(|(id, _)| id).unwrap();
            if now != current {
                assert_eq!(versions.holder(PREVIOUS).map(|(id, _)| id), Some(current));
            }
        }
        assert!(moved > 1000, "{moved}");
    }
}
