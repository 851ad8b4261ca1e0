//! The copy that nodes share: who is newest counts, one of two that change it at once does, and no root
//! goes that another node needs.
use super::*;
use crate::root_of_trust::{Other, Shared};
use crate::store::StoreError;
use crate::store::postgres::SharedCopy;
use std::sync::Mutex;

/// In place of a database.
#[derive(Debug, Default)]
struct Held {
    copy: Mutex<Option<SharedCopy>>,
    others: Mutex<Vec<Other>>,
    away: AtomicBool,
}

impl Held {
    fn there(&self) -> Result<(), StoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("away".into())),
            false => Ok(()),
        }
    }
    fn revision(&self) -> u64 {
        self.copy.lock().unwrap().as_ref().unwrap().revision
    }
    fn knows(&self, name: &str, is_alive: bool, roots: &[&str]) {
        let roots = roots.iter().map(ToString::to_string).collect();
        let other = Other { name: name.into(), id: name.into(), is_alive, roots };
        *self.others.lock().unwrap() = vec![other];
    }
}

impl Shared for Held {
    fn read(&self) -> Result<Option<SharedCopy>, StoreError> {
        self.there()?;
        Ok(self.copy.lock().unwrap().clone())
    }
    fn replace(&self, before: u64, copy: &SharedCopy) -> Result<bool, StoreError> {
        self.there()?;
        let mut place = self.copy.lock().unwrap();
        if place.as_ref().map_or(0, |there| there.revision) == before {
            *place = Some(copy.clone());
        }
        Ok(place.as_ref() == Some(copy))
    }
    fn others(&self) -> Result<Vec<Other>, StoreError> {
        self.there()?;
        Ok(self.others.lock().unwrap().clone())
    }
}

/// Two nodes with the devices of one place, each with a file of its own.
struct Two {
    place: Place,
    elsewhere: tempfile::TempDir,
    held: Arc<Held>,
    one: RootOfTrust,
    other: RootOfTrust,
}

impl Two {
    fn new() -> Self {
        let place = Place::new();
        let held = Arc::new(Held::default());
        let one = place.both().unwrap();
        one.share(held.clone()).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let copy = Deployment::of_copy(&held.read().unwrap().unwrap()).unwrap();
        let all = devices(&[("a", &place.a), ("b", &place.b)]);
        let random = Arc::new(SystemRandom);
        let other = RootOfTrust::open(all, random, elsewhere.path(), copy).unwrap();
        other.share(held.clone()).unwrap();
        Self { place, elsewhere, held, one, other }
    }

    fn files(&self) -> [Deployment; 2] {
        let read = |dir: &Path| Deployment::read(dir).unwrap().unwrap();
        [read(self.place.dir.path()), read(self.elsewhere.path())]
    }
}

#[test]
fn a_change_on_one_node_reaches_the_other() {
    let two = Two::new();
    let [first, second] = two.files();
    assert_eq!(first, second);
    two.one.add_wrap("b", NOW).unwrap();
    assert_eq!(two.held.revision(), 2);
    let [first, second] = two.files();
    assert_ne!(first, second);
    assert!(two.other.refresh().unwrap() && !two.other.refresh().unwrap());
    let [first, second] = two.files();
    assert_eq!(first, second);
    assert_eq!(two.other.wrapped_by().len(), 2);
    // Who has not heard of it learns it before it changes anything itself.
    two.one.rewrap(NOW).unwrap();
    two.other.rewrap(NOW).unwrap();
    assert_eq!(two.held.revision(), 4);
    // An older file with the newer copy is as good as the newer one.
    let newest = first.newest(&two.held.read().unwrap().unwrap()).unwrap();
    assert_eq!(newest, two.files()[1]);
}

#[test]
fn of_two_changes_at_once_one_is_refused_and_changes_nothing() {
    let two = Two::new();
    // Somebody was faster, between the look and the change.
    two.one.rewrap(NOW).unwrap();
    let before = two.other.deployment().revision();
    let mut late = two.other.deployment().clone();
    late.revision = Some(before + 1);
    late.bind(two.other.oldest());
    let refused = two.other.publish(before, &late).unwrap_err();
    assert!(refused.to_string().contains("at the same time"), "{refused}");
    assert_eq!(two.held.revision(), 2);
    // Without the database nothing is changed.
    two.held.away.store(true, Ordering::SeqCst);
    let files = two.files();
    assert!(matches!(two.one.rewrap(NOW), Err(RootError::Store(StoreError::Unavailable(_)))));
    assert_eq!(two.files(), files);
}

#[test]
fn what_others_put_into_the_database_is_not_believed() {
    let two = Two::new();
    two.one.add_wrap("b", NOW).unwrap();
    let sound = two.held.read().unwrap().unwrap();
    let text = String::from_utf8(sound.document.to_vec()).unwrap();
    let forged = |revision, text: &str| {
        let document = text.to_owned().into();
        *two.held.copy.lock().unwrap() = Some(SharedCopy { revision, document });
        two.other.refresh().unwrap_err().to_string()
    };
    assert!(forged(3, &text).contains("another number"));
    assert!(
        forged(3, &text.replace("\"revision\": 2", "\"revision\": 3")).contains("MAC is wrong")
    );
    assert!(
        forged(2, &text.replace("\"ready\": true", "\"ready\": false")).contains("MAC is wrong")
    );
    assert!(forged(2, "{}").contains("cannot be read"));
    assert!(forged(1, &text).contains("is not what this node has"));
    let stranger = Two::new();
    stranger.one.rewrap(NOW).unwrap();
    let foreign = stranger.held.read().unwrap().unwrap();
    let refused = two.files()[0].clone().newest(&foreign).unwrap_err();
    assert!(refused.to_string().contains("another deployment"), "{refused}");
    *two.held.copy.lock().unwrap() = Some(foreign);
    assert!(two.other.refresh().is_err());
    assert_eq!(two.other.wrapped_by().len(), 1, "nothing of it was taken over");
    // One that was put back is brought up to date by whoever knows better.
    *two.held.copy.lock().unwrap() = None;
    assert!(!two.one.refresh().unwrap());
    assert_eq!(*two.held.copy.lock().unwrap(), Some(sound));
}

#[test]
fn a_root_that_another_node_needs_stays() {
    let two = Two::new();
    two.one.add_wrap("b", NOW).unwrap();
    let names = two.one.wrapped_by();
    let [first, second] = names.as_slice() else { panic!("{names:?}") };
    two.held.knows("far", true, &[first]);
    let refused = two.one.retire(first, false, NOW).unwrap_err().to_string();
    assert!(refused.contains("is needed: node far"), "{refused}");
    let rotated = two.one.rotate("a", NOW).unwrap();
    assert!(rotated.removed.is_empty() && rotated.left[0].contains("retire it later"), "{rotated}");
    // Of one that has no device at the moment it is not known.
    two.held.knows("far", true, &[]);
    for lost in [false, true] {
        let refused = two.one.retire(first, lost, NOW).unwrap_err().to_string();
        assert!(refused.contains("is needed: node far (far) has opened"), "{refused}");
    }
    assert!(two.one.destroy(first, NOW).is_err());
    two.held.knows("far", false, &[]);
    assert!(two.one.retire(first, false, NOW).is_err());
    // Once it opens by another one too.
    two.held.knows("far", true, &[first, second]);
    assert_eq!(two.one.retire(first, false, NOW).unwrap().removed, std::slice::from_ref(first));
    // What wraps nothing is not destroyed either while somebody goes by it.
    two.held.knows("far", true, &[first]);
    let refused = two.one.destroy(first, NOW).unwrap_err().to_string();
    assert!(refused.contains("is needed: node far"), "{refused}");
    two.held.knows("far", true, &[second]);
    assert_eq!(two.one.destroy(first, NOW).unwrap().destroyed, std::slice::from_ref(first));
    assert_eq!(two.one.openers().len(), 2);
}
