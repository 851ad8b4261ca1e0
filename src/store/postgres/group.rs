//! Which commits of a group take effect, and what is left to write: decided here, with the head
//! locked, as the embedded writer decides it.
use crate::store::{Commit, Revision};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Group {
    /// Of each commit, in order. A refused one has no part in the rest.
    pub(super) applied: Vec<bool>,
    /// The last write of each row. `None` deletes it.
    pub(super) write: BTreeMap<Bytes, (Revision, Option<Bytes>)>,
}

/// The keys whose revisions [`decide`] needs.
pub(super) fn reads(commits: &[Commit]) -> BTreeSet<&[u8]> {
    commits.iter().flat_map(|commit| commit.read.keys()).map(|key| &**key).collect()
}

/// `now`: the revisions of those keys; a row that is absent is not in it.
pub(super) fn decide(commits: &[Commit], mut now: BTreeMap<Bytes, Revision>) -> Group {
    let mut group = Group::default();
    for commit in commits {
        let unchanged = commit
            .read
            .iter()
            .all(|(key, seen)| now.get(key).copied().unwrap_or_default() == *seen);
        group.applied.push(unchanged);
        if !unchanged {
            continue;
        }
        for (key, value) in &commit.write {
            match value {
                Some(_) => now.insert(key.clone(), commit.revision),
                None => now.remove(key),
            };
            group.write.insert(key.clone(), (commit.revision, value.clone()));
        }
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::commit;

    #[test]
    fn a_commit_sees_those_before_it_in_the_group() {
        let commits = [
            commit(5, &[("a", 0)], &[("a", Some("1"))]),
            commit(6, &[("a", 0)], &[("a", Some("2"))]),
            commit(7, &[("a", 5)], &[("a", Some("3"))]),
            commit(8, &[("a", 7), ("b", 2)], &[("b", None)]),
            commit(9, &[("b", 2)], &[]),
        ];
        assert_eq!(reads(&commits), [&b"a"[..], b"b"].into());
        let group = decide(&commits, [("b".into(), Revision(2))].into());
        assert_eq!(group.applied, [true, false, true, true, false]);
        let write =
            [("a".into(), (Revision(7), Some("3".into()))), ("b".into(), (Revision(8), None))];
        assert_eq!(group.write, write.into());
    }
}
