//! Wrap sets: who opens the domain keys, and how that changes. The devices can be taken away.
mod destroying;
mod devices_that_go;
mod forged;
mod formats;
mod shared;

use super::recovery::{self, DrillProof, Seed};
use super::*;
use crate::devices::Device;
use crate::random::SystemRandom;
use crate::types::Timestamp;
use claviger_hsm::{
    DeviceInfo, KeyBytes, ResidentId, ResidentKeys, ResidentSpec, SoftwareHsm, WrappedKey,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A device that can be taken away, and that can break after some wraps.
#[derive(Debug)]
struct Switched {
    inner: SoftwareHsm,
    away: AtomicBool,
    /// How many wraps it makes until it fails.
    wraps: AtomicUsize,
    /// It answers, but its root keys cannot be used any more.
    emptied: AtomicBool,
    /// It says that it destroys root keys.
    keeps: AtomicBool,
}

impl Switched {
    fn new(seed: u8) -> Arc<Self> {
        let inner = SoftwareHsm::seeded([seed; 32]);
        let wraps = AtomicUsize::new(usize::MAX);
        let (away, emptied, keeps) = Default::default();
        Arc::new(Self { inner, away, wraps, emptied, keeps })
    }

    fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn there(&self) -> Result<&SoftwareHsm, HsmError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(HsmError::Unavailable("taken away".into())),
            false => Ok(&self.inner),
        }
    }

    fn usable(&self) -> Result<&SoftwareHsm, HsmError> {
        match self.emptied.load(Ordering::SeqCst) {
            true => Err(HsmError::Unavailable("emptied".into())),
            false => self.there(),
        }
    }
}

impl Hsm for Switched {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.there()?.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.there()?.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        match self.keeps.load(Ordering::SeqCst) {
            true => Ok(()),
            false => self.there()?.destroy_root_key(id),
        }
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.there()?.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.usable()?.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        let left = self.wraps.load(Ordering::SeqCst);
        if left == 0 {
            return Err(HsmError::Unavailable("broke".into()));
        }
        self.wraps.store(left - 1, Ordering::SeqCst);
        self.there()?.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.usable()?.unwrap(wrapped, aad)
    }
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        self.there().ok()?.resident()
    }
}

/// A deployment under device `a`, with a second device `b`.
struct Place {
    dir: tempfile::TempDir,
    a: Arc<Switched>,
    b: Arc<Switched>,
    root: RootOfTrust,
}

fn devices(some: &[(&str, &Arc<Switched>)]) -> Arc<Devices> {
    let device = |(name, hsm): &(&str, &Arc<Switched>)| Device::new(*name, None, (*hsm).clone());
    Arc::new(Devices::new(some.iter().map(device).collect()))
}

impl Place {
    fn new() -> Self {
        let (dir, a, b) = (tempfile::tempdir().unwrap(), Switched::new(1), Switched::new(2));
        let all = devices(&[("a", &a), ("b", &b)]);
        let root = RootOfTrust::create(all, Arc::new(SystemRandom), dir.path()).unwrap();
        root.mark_ready().unwrap();
        Self { dir, a, b, root }
    }

    fn file(&self) -> Deployment {
        Deployment::read(self.dir.path()).unwrap().unwrap()
    }

    /// Opens it anew, as a restart would.
    fn open(&self, some: &[(&str, &Arc<Switched>)]) -> Result<RootOfTrust, RootError> {
        let random = Arc::new(SystemRandom);
        RootOfTrust::open(devices(some), random, self.dir.path(), self.file())
    }

    fn both(&self) -> Result<RootOfTrust, RootError> {
        self.open(&[("a", &self.a), ("b", &self.b)])
    }

    fn id(&self, number: u64) -> String {
        self.file().root(number).to_string()
    }

    /// Whether another one has the same domain keys.
    fn same(&self, other: &RootOfTrust) -> bool {
        other.audit_key().expose() == self.root.audit_key().expose()
    }

    fn text(&self) -> Vec<u8> {
        std::fs::read(Deployment::path(self.dir.path())).unwrap()
    }

    fn refused(&self, root: &str, lost: bool) -> String {
        let before = self.text();
        let error = self.root.retire(root, lost, NOW).unwrap_err();
        assert!(matches!(error, RootError::Refused(_)), "{error}");
        assert!(self.text() == before, "a refusal changed something");
        error.to_string()
    }
}

#[test]
fn a_new_deployment_is_written_as_every_version_of_this_format_reads_it() {
    let place = Place::new();
    let text: serde_json::Value = serde_json::from_slice(&place.text()).unwrap();
    let keys = |value: &serde_json::Value| {
        value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(&text), "cluster domain_keys format mac ready");
    assert_eq!(text["format"], 2);
    assert_eq!(keys(&text["domain_keys"][0]), "check generation wraps");
    assert_eq!(keys(&text["domain_keys"][0]["wraps"][0]), "device root wrapped");
}

#[test]
fn a_second_device_opens_it_alone_and_the_first_goes() {
    let place = Place::new();
    let changed = place.root.add_wrap("b", NOW).unwrap();
    assert_eq!(changed.wrapped, [place.id(2)]);
    // Once more does nothing.
    let before = place.text();
    let again = place.root.add_wrap("b", NOW).unwrap();
    assert!(again.wrapped.is_empty() && again.left.len() == 1, "{again:?}");
    assert!(place.text() == before);
    for only in [("a", &place.a), ("b", &place.b)] {
        assert!(place.same(&place.open(&[only]).unwrap()));
    }
    assert_eq!(place.root.status().could_be_retired, [place.id(1), place.id(2)]);
    let retired = place.root.retire(&place.id(1), false, NOW).unwrap();
    assert_eq!(retired.removed, [place.id(1)]);
    assert!(place.open(&[("a", &place.a)]).is_err());
    assert!(place.same(&place.open(&[("b", &place.b)]).unwrap()));
    assert!(place.root.status().could_be_retired.is_empty());
    assert!(place.refused(&place.id(2), false).contains("is needed"));
    assert!(place.refused(&place.id(2), true).contains("is needed"));
}

#[test]
fn a_root_that_a_kill_left_behind_is_used_and_one_that_was_retired_is_not() {
    let place = Place::new();
    place.b.wraps.store(0, Ordering::SeqCst);
    let before = place.text();
    assert!(place.root.add_wrap("b", NOW).is_err());
    assert!(place.text() == before);
    let second = place.id(2);
    let unused = |name: &str| {
        let status = place.root.status();
        status.devices.into_iter().find(|d| d.name == name).unwrap().unused_roots
    };
    assert_eq!(unused("b"), std::slice::from_ref(&second));
    place.b.wraps.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(place.root.add_wrap("b", NOW).unwrap().wrapped, std::slice::from_ref(&second));
    assert!(unused("b").is_empty());
    // The highest number is retired, and does not come back; not after a restart either.
    place.root.retire(&second, false, NOW).unwrap();
    assert_eq!(unused("b"), std::slice::from_ref(&second));
    let again = place.both().unwrap();
    assert_eq!(again.add_wrap("b", NOW).unwrap().wrapped, [place.id(3)]);
}

#[test]
fn a_wrap_set_that_lacks_one_wrap_is_completed() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    // As if a second generation had come and only device a had wrapped it.
    let mut file = place.file();
    let mut second = file.domain_keys[0].clone();
    second.generation = 2;
    let aad = wrap_aad(&file.cluster(), 2, &file.root(1));
    let key = [9; 32];
    let wrapped = place.a.wrap(&file.root(1), &KeyBytes::new(key.to_vec()), &aad).unwrap();
    second.check = deployment::Check::of(&key);
    second.wraps = vec![Wrap::new("a".into(), wrapped)];
    file.domain_keys.push(second);
    file.bind(place.root.oldest());
    file.write(place.dir.path()).unwrap();
    assert!(place.open(&[("b", &place.b)]).is_err());
    let root = place.both().unwrap();
    assert_eq!(root.status().could_be_retired, [place.id(2)]);
    assert_eq!(root.add_wrap("b", NOW).unwrap().wrapped, [place.id(2)]);
    let alone = place.open(&[("b", &place.b)]).unwrap();
    assert_eq!(alone.domain_keys.len(), 2);
    assert_eq!(alone.domain_keys[&2].expose(), &key);
}

#[test]
fn a_device_that_is_away_is_done_without_and_all_of_them_are_waited_for() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    for away in [&place.a, &place.b] {
        away.away(true);
        let root = place.both().unwrap();
        assert!(place.same(&root));
        let status = root.status();
        assert_eq!(status.devices.iter().filter(|device| device.away.is_some()).count(), 1);
        root.mix().unwrap();
        away.away(false);
    }
    place.a.away(true);
    place.b.away(true);
    let error = place.both().unwrap_err();
    assert!(error.is_away(), "{error}");
    for part in ["taken away", "device a", "device b", "Nothing was changed"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = place.open(&[("a", &place.a)]).unwrap_err();
    assert!(error.is_away() && matches!(error, RootError::Device(_)), "{error}");
    // Another device is no device that is away.
    let other = Switched::new(3);
    assert!(!place.open(&[("a", &other)]).unwrap_err().is_away());
    // With one that is away, the right one may be that.
    let error = place.open(&[("c", &other), ("a", &place.a)]).unwrap_err();
    assert!(error.is_away(), "{error}");
    assert!(place.root.mix().is_err(), "no device answers, and nothing falls back to software");
}

#[test]
fn a_wrap_that_does_not_open_is_an_alarm_if_another_opens_and_else_a_refusal() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let mut file = place.file();
    let wrap = &mut file.domain_keys[0].wraps[0];
    let mut wrapped = wrap.wrapped();
    *wrapped.bytes.last_mut().unwrap() ^= 1;
    *wrap = Wrap::new("a".into(), wrapped);
    // As if the device had made it so: nobody else can write it.
    file.bind(place.root.oldest());
    file.write(place.dir.path()).unwrap();
    let root = place.both().unwrap();
    assert!(place.same(&root));
    let status = root.status();
    assert_eq!(status.faults(), 1);
    assert!(status.to_string().contains("DOES NOT OPEN"), "{status}");
    assert!(!status.could_be_retired.contains(&place.id(2)), "the other one does not open");
    assert!(root.retire(&place.id(2), false, NOW).is_err());
    assert_eq!(root.drill(NOW).faults(), 1);
    // While the good one is away it is waited for, and what is wrong with the other is said.
    place.b.away(true);
    let error = place.both().unwrap_err();
    assert!(matches!(error, RootError::Unreachable { .. }) && error.is_away(), "{error}");
    assert!(error.to_string().contains("does not open domain key"), "{error}");
    place.b.away(false);
    // Without it there is nothing to wait for.
    let error = place.open(&[("a", &place.a)]).unwrap_err();
    assert!(matches!(error, RootError::WrongKey { .. }) && !error.is_away(), "{error}");
    // No wrap is made by a key that does not open what it should have wrapped. Another one is.
    let changed = root.rewrap(NOW).unwrap();
    assert!(
        changed.wrapped == [place.id(2)] && changed.left[0].contains("root rotate"),
        "{changed:?}"
    );
    root.rotate("a", NOW).unwrap();
    assert_eq!(root.drill(NOW).failures(), Vec::<String>::new());
    assert!(place.same(&place.open(&[("a", &place.a)]).unwrap()));
}

#[test]
fn every_flipped_byte_of_the_file_is_refused_or_noticed() {
    let place = Place::new();
    let good = place.text();
    let path = Deployment::path(place.dir.path());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let opened = match Deployment::read(place.dir.path()) {
            Ok(Some(file)) => RootOfTrust::open(
                devices(&[("a", &place.a)]),
                Arc::new(SystemRandom),
                place.dir.path(),
                file,
            ),
            Ok(None) => panic!("it is there"),
            Err(error) => Err(error),
        };
        match opened {
            Ok(root) => assert!(place.same(&root), "byte {at}: another key"),
            Err(error) => assert!(!error.is_away(), "byte {at} is waited for: {error}"),
        }
    }
}

#[test]
fn rewrapping_changes_every_wrap_and_no_key() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let before = place.file();
    let changed = place.root.rewrap(NOW).unwrap();
    assert_eq!(changed.wrapped, [place.id(1), place.id(2)]);
    let after = place.file();
    for (old, new) in before.wraps().zip(after.wraps()) {
        assert_eq!(old.root, new.root);
        assert_ne!(old.wrapped().bytes, new.wrapped().bytes);
    }
    place.b.away(true);
    let changed = place.root.rewrap(NOW).unwrap();
    assert_eq!((changed.wrapped.len(), changed.left.len()), (1, 1));
    assert!(place.same(&place.both().unwrap()));
}

#[test]
fn a_root_is_rotated_in_its_device() {
    let place = Place::new();
    let changed = place.root.rotate("a", NOW).unwrap();
    assert_eq!((changed.wrapped, changed.removed), (vec![place.id(2)], vec![place.id(1)]));
    assert!(place.same(&place.both().unwrap()));
    assert!(place.root.rotate("b", NOW).unwrap_err().to_string().contains("add-wrap b"));
    let changed = place.root.rotate("a", NOW).unwrap();
    assert_eq!((changed.wrapped, changed.removed), (vec![place.id(3)], vec![place.id(2)]));
    let error = place.root.rotate("c", NOW).unwrap_err().to_string();
    assert!(error.contains("no device is named \"c\"") && error.contains("a, b"), "{error}");
}

#[test]
fn a_root_that_two_devices_have_serves_with_either_and_is_not_pulled_from_under_one() {
    let place = Place::new();
    let copy = Switched::new(1);
    copy.create_root_key(&place.file().root(1)).unwrap();
    let some = [("a", &place.a), ("copy", &copy)];
    place.a.away(true);
    assert!(place.same(&place.open(&some).unwrap()));
    place.a.away(false);
    let root = place.open(&some).unwrap();
    let changed = root.rotate("a", NOW).unwrap();
    assert!(changed.removed.is_empty() && changed.left[0].contains("device copy"), "{changed:?}");
    assert!(place.same(&place.open(&[("copy", &copy)]).unwrap()));
}

#[test]
fn a_root_is_not_retired_while_keys_live_in_its_device_or_it_cannot_be_asked() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let cluster = uuid::Uuid::from_bytes(place.root.cluster());
    let id = ResidentId::new(format!("claviger/{cluster}/key/one/1"));
    let keys = place.a.inner.resident().unwrap();
    let spec: ResidentSpec = keys.specs().into_iter().next().unwrap();
    keys.generate(&id, spec).unwrap();
    assert!(place.refused(&place.id(1), false).contains("1 KMS keys live in it"));
    // Keys of another deployment are none of ours.
    keys.destroy(&id).unwrap();
    keys.generate(&ResidentId::new("claviger/another/key/one/1"), spec).unwrap();
    place.a.away(true);
    assert!(place.refused(&place.id(1), false).contains("--lost"));
    assert!(place.refused("nobody", false).contains(&place.id(1)));
    place.root.retire(&place.id(1), true, NOW).unwrap();
    // The other one away: nothing is proved, so nothing goes.
    place.a.away(false);
    place.root.add_wrap("a", NOW).unwrap();
    place.a.away(true);
    assert!(place.refused(&place.id(2), true).contains("is needed"));
}

#[test]
fn a_recovery_key_brings_it_back_under_another_device() {
    let place = Place::new();
    let seed = Seed::generate(&SystemRandom);
    let public = seed.public().unwrap();
    let id = public.root().to_string();
    assert_eq!(place.root.add_recovery(&public, NOW).unwrap().wrapped, std::slice::from_ref(&id));
    assert!(place.same(&place.both().unwrap()));
    // The recovery key is no root in a device.
    assert!(place.refused(&place.id(1), true).contains("is needed"));
    assert!(place.root.status().could_be_retired.is_empty());
    assert_eq!(recovery::open(&place.file(), &seed).unwrap().len(), 1);
    let proof = DrillProof::make(&place.file(), &seed).unwrap();
    // Who knows the wraps only shows nothing, nor who opened others.
    let mut made_up = proof.clone();
    made_up.root = RootKeyId::new(place.id(1));
    assert!(place.root.recovery_was_proved(&made_up, NOW).is_err());
    assert!(!place.root.status().to_string().contains("opened 2027"));
    place.root.recovery_was_proved(&proof, NOW).unwrap();
    assert!(place.root.status().to_string().contains("(a recovery key): opened 2027"));
    // Made anew with the others.
    assert!(place.root.rewrap(NOW).unwrap().wrapped.contains(&id));
    let stale = place.root.recovery_was_proved(&proof, NOW).unwrap_err().to_string();
    assert!(stale.contains("are not the wraps"), "{stale}");

    // Both devices are gone; a third comes.
    let c = Switched::new(3);
    let recover = |seed: &Seed| {
        let random = Arc::new(SystemRandom);
        RootOfTrust::recover(devices(&[("c", &c)]), random, place.dir.path(), place.file(), seed)
    };
    let before = place.text();
    let stranger = Seed::generate(&SystemRandom);
    let error = recover(&stranger).unwrap_err().to_string();
    assert!(error.contains("there are wraps by") && error.contains(&id), "{error}");
    assert!(place.text() == before);
    let root = recover(&seed).unwrap();
    assert!(place.same(&root));
    assert_eq!(root.add_wrap("c", NOW).unwrap().wrapped, [place.id(2)]);
    let root = place.open(&[("c", &c)]).unwrap();
    assert!(place.same(&root));
    root.retire(&place.id(1), true, NOW).unwrap();
    root.retire(&id, false, NOW).unwrap();
    assert!(matches!(
        recovery::open(&place.file(), &seed),
        Err(recovery::RecoveryError::NoWrap { .. })
    ));
    assert!(place.same(&place.open(&[("c", &c)]).unwrap()));
}

#[test]
fn what_stands_in_the_file_cannot_make_a_stranger_a_recovery_key() {
    let place = Place::new();
    let (ours, theirs) = (Seed::generate(&SystemRandom), Seed::generate(&SystemRandom));
    place.root.add_recovery(&ours.public().unwrap(), NOW).unwrap();
    // Who can write the file, but has no domain key, puts a wrap of something into it.
    let mut file = place.file();
    let public = theirs.public().unwrap();
    let aad = wrap_aad(&file.cluster(), 1, &public.root());
    let wrapped = public.wrap(&[9; 32], &aad, &SystemRandom).unwrap();
    file.put(1, Wrap::new("a recovery key".into(), wrapped));
    file.write(place.dir.path()).unwrap();
    assert!(place.both().unwrap_err().to_string().contains("its MAC"));
    // Not even if that were no obstacle.
    file.bind(place.root.oldest());
    file.write(place.dir.path()).unwrap();
    let root = place.both().unwrap();
    let before = place.text();
    let error = root.rewrap(NOW).unwrap_err().to_string();
    assert!(error.contains("was not made by this deployment"), "{error}");
    assert!(place.text() == before);
    assert!(recovery::open(&place.file(), &theirs).is_err());
    assert!(recovery::open(&place.file(), &ours).is_ok());
}

#[test]
fn two_changes_at_once_lose_none() {
    for _ in 0..20 {
        let place = Place::new();
        let seed = Seed::generate(&SystemRandom);
        let public = seed.public().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| place.root.add_wrap("b", NOW).unwrap());
            scope.spawn(|| place.root.add_recovery(&public, NOW).unwrap());
            scope.spawn(|| place.root.rotate("a", NOW).unwrap());
            scope.spawn(|| place.root.rewrap(NOW).unwrap());
        });
        for only in [("a", &place.a), ("b", &place.b)] {
            assert!(place.same(&place.open(&[only]).unwrap()));
        }
        assert!(recovery::open(&place.file(), &seed).is_ok());
        assert_eq!(place.file().wraps().count(), 3);
    }
}
