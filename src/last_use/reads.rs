//! Who read which version of which secret, and when last: noted in memory by the calls that answered a
//! value. `secrets::readers` writes it down and answers questions.
use crate::types::{Arn, Principal, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Readers of one version that are known by name, the last ones to read it. The sessions of a role count
/// one by one, and there may be any number of them.
pub const MOST_READERS: usize = 1000;
/// A version's row holds all of its readers. The first read is written within a second, what follows
/// this often: a crash loses no more.
const WRITE_EVERY_SECONDS: i64 = 10;

/// Somebody who read a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// As audit events name them.
    pub arn: Arn,
    pub last: Timestamp,
}

/// Readers of one version by their unique ids, as audit events name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    pub readers: HashMap<String, Reader>,
    /// When any of those was here last for whom there was no place.
    pub others: Option<Timestamp>,
}

impl Noted {
    /// The last of all these reads.
    pub fn last(&self) -> Option<Timestamp> {
        self.readers.values().map(|reader| reader.last).max().max(self.others)
    }

    fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.others.is_none()
    }

    fn note(&mut self, who: &Principal, at: Timestamp) {
        if let Some(reader) = self.readers.get_mut(&who.unique_id) {
            // A slow call ends after a quick one that began later.
            reader.last = reader.last.max(at);
        } else if self.readers.len() < MOST_READERS {
            let reader = Reader { arn: who.arn.clone(), last: at };
            self.readers.insert(who.unique_id.clone(), reader);
        } else {
            self.others = self.others.max(Some(at));
        }
    }
}

#[derive(Debug, Default)]
struct Note {
    noted: Noted,
    /// When the row was last written since the start.
    written: Option<Timestamp>,
}

impl Note {
    fn rests(&self, now: Timestamp) -> bool {
        self.written.is_some_and(|at| now.secs().saturating_sub(at.secs()) < WRITE_EVERY_SECONDS)
    }
}

/// What is not written yet, by the ARN of the secret and the id of the version. Looked up by what the call has at hand: noting a
/// reader again allocates nothing.
#[derive(Debug, Default)]
pub struct Reads(Mutex<HashMap<String, HashMap<String, Note>>>);

impl Reads {
    fn notes(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, Note>>> {
        // What a thread that died here left half done is one read too few.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, secret: &Arn, version: &str, who: &Principal, at: Timestamp) {
        let mut notes = self.notes();
        if let Some(note) = notes.get_mut(secret.as_str()).and_then(|of| of.get_mut(version)) {
            return note.noted.note(who, at);
        }
        let of_secret = notes.entry(secret.as_str().to_owned()).or_default();
        of_secret.entry(version.to_owned()).or_default().noted.note(who, at);
    }

    /// What is noted of a version and not written.
    pub fn of(&self, secret: &Arn, version: &str) -> Noted {
        let notes = self.notes();
        let note = notes.get(secret.as_str()).and_then(|of| of.get(version));
        note.map(|note| note.noted.clone()).unwrap_or_default()
    }

    /// The secrets and versions whose rows are due. Forgets those that nobody reads any more.
    pub fn due(&self, now: Timestamp) -> Vec<(String, String)> {
        let mut notes = self.notes();
        let mut due = Vec::new();
        notes.retain(|secret, versions| {
            versions.retain(|_, note| note.rests(now) || !note.noted.is_empty());
            let unwritten = versions.iter().filter(|(_, note)| !note.rests(now));
            due.extend(unwritten.map(|(version, _)| (secret.clone(), version.clone())));
            !versions.is_empty()
        });
        due
    }

    /// Makes everything due: the server is about to stop.
    pub fn hurry(&self) {
        for note in self.notes().values_mut().flat_map(HashMap::values_mut) {
            note.written = None;
        }
    }

    /// Says that this of a version is in its row. What came meanwhile waits for the next time.
    pub fn written(&self, secret: &Arn, version: &str, what: &Noted, now: Timestamp) {
        let mut notes = self.notes();
        let note = notes.get_mut(secret.as_str()).and_then(|of| of.get_mut(version));
        let Some(note) = note else { return };
        note.noted.readers.retain(|id, reader| what.readers.get(id) != Some(&*reader));
        note.noted.others = note.noted.others.filter(|at| Some(*at) != what.others);
        note.written = Some(now);
    }

    /// Forgets a version that is no more.
    pub fn drop_notes(&self, secret: &str, version: &str) {
        if let Some(versions) = self.notes().get_mut(secret) {
            versions.remove(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PrincipalKind;

    fn somebody(n: usize) -> Principal {
        Principal {
            account: "111122223333".parse().unwrap(),
            arn: Arn::new("iam", "", "111122223333", &format!("user/u{n}")),
            unique_id: format!("AIDA{n}"),
            user_name: Some(format!("u{n}")),
            kind: PrincipalKind::User,
        }
    }

    fn secret() -> Arn {
        Arn::new("secretsmanager", "eu-west-1", "111122223333", "secret:a-Ab12Cd")
    }

    #[test]
    fn the_last_read_counts_and_names_are_bounded() {
        let (reads, secret) = (Reads::default(), secret());
        for n in 0..MOST_READERS + 5 {
            reads.note(&secret, "v", &somebody(n), Timestamp(n as i64));
        }
        reads.note(&secret, "v", &somebody(3), Timestamp(7000));
        reads.note(&secret, "v", &somebody(3), Timestamp(6000));
        let noted = reads.of(&secret, "v");
        assert_eq!(noted.readers.len(), MOST_READERS);
        assert_eq!(noted.readers["AIDA3"].last, Timestamp(7000));
        assert_eq!(noted.others, Some(Timestamp(MOST_READERS as i64 + 4)));
        assert_eq!(reads.of(&secret, "w"), Noted::default());
    }

    #[test]
    fn rows_are_due_at_once_and_then_now_and_again() {
        let (reads, secret) = (Reads::default(), secret());
        let at = Timestamp::from_secs;
        let due = |now| reads.due(at(now)).into_iter().map(|(_, v)| v).collect::<Vec<_>>();
        reads.note(&secret, "v", &somebody(1), at(100));
        assert_eq!(due(100), ["v"]);
        let written = reads.of(&secret, "v");
        // One more read comes while the row is being written: it is not lost.
        reads.note(&secret, "v", &somebody(2), at(100));
        reads.written(&secret, "v", &written, at(100));
        assert_eq!(reads.of(&secret, "v").readers.len(), 1);
        assert!(due(109).is_empty());
        assert_eq!(due(110), ["v"]);
        reads.hurry();
        assert_eq!(due(101), ["v"]);
        // Nobody reads it any more.
        reads.written(&secret, "v", &reads.of(&secret, "v"), at(110));
        assert!(due(120).is_empty());
        assert!(reads.notes().is_empty());
    }
}
