//! Devices that go away and come back while the deployment serves: what counts as proved, and when.
use super::*;

#[test]
fn a_drill_fails_while_a_device_is_away_or_a_wrap_does_not_open() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    assert_eq!(place.root.drill(NOW).failures(), Vec::<String>::new());
    place.b.away(true);
    let failures = place.root.drill(NOW).failures();
    assert!(
        failures[0].contains("device b cannot be used: ") && failures[0].contains("taken away")
    );
    assert!(
        failures[1].contains(&place.id(2)) && failures[1].contains("no device"),
        "{failures:?}"
    );
    place.b.away(false);
    // A device with no wrap counts too: somebody means to rely on it.
    let c = Switched::new(3);
    c.away(true);
    let root = place.open(&[("a", &place.a), ("b", &place.b), ("c", &c)]).unwrap();
    assert_eq!(root.drill(NOW).failures().len(), 1);
    c.away(false);
    assert_eq!(root.drill(NOW).failures(), Vec::<String>::new());
}

#[test]
fn a_device_that_answers_and_has_lost_its_key_is_away() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    assert_eq!(place.root.look(NOW), Some(0));
    for device in [&place.a, &place.b] {
        device.emptied.store(true, Ordering::SeqCst);
        assert_eq!(place.root.look(NOW), Some(1));
        assert!(place.root.is_reachable(), "the other one is there");
        let status = place.root.status();
        let away: Vec<_> = status.devices.iter().filter(|d| d.away.is_some()).collect();
        assert!(away.len() == 1 && away[0].away.as_ref().unwrap().contains("emptied"), "{status}");
        device.emptied.store(false, Ordering::SeqCst);
    }
    place.a.emptied.store(true, Ordering::SeqCst);
    place.b.emptied.store(true, Ordering::SeqCst);
    assert_eq!(place.root.look(NOW), Some(2));
    assert!(!place.root.is_reachable());
    place.b.emptied.store(false, Ordering::SeqCst);
    assert_eq!(place.root.look(NOW), Some(1));
    assert!(place.root.is_reachable());
}

#[test]
fn a_root_key_that_is_gone_from_a_device_is_missed() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    place.b.inner.destroy_root_key(&place.file().root(2)).unwrap();
    assert_eq!(place.root.look(NOW), Some(1));
    let status = place.root.status();
    let why = status.devices[1].away.clone().unwrap();
    assert!(why.contains("does not have root key") && why.contains(&place.id(2)), "{why}");
    assert!(!status.could_be_retired.contains(&place.id(1)), "{status}");
}

#[test]
fn a_device_that_comes_back_is_proved_before_it_counts() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let spare = || place.root.status().could_be_retired;
    assert_eq!(spare(), [place.id(1), place.id(2)]);
    place.b.away(true);
    assert_eq!(spare(), [place.id(2)]);
    // Back, but with what nobody has looked at yet.
    place.b.away(false);
    assert_eq!(spare(), [place.id(2)]);
    let status = place.root.status().to_string();
    assert!(status.contains("not tried since"), "{status}");
    assert_eq!(place.root.look(NOW), Some(0));
    assert_eq!(spare(), [place.id(1), place.id(2)]);
}

/// What was seen to open before a restart, or at the start, is no reason to take anything out.
#[test]
fn retiring_makes_its_proof_anew() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let root = place.both().unwrap();
    assert_eq!(root.status().could_be_retired.len(), 2);
    place.b.emptied.store(true, Ordering::SeqCst);
    let error = root.retire(&place.id(1), false, NOW).unwrap_err().to_string();
    assert!(error.contains("is needed") && error.contains("emptied"), "{error}");
    place.b.emptied.store(false, Ordering::SeqCst);
    root.retire(&place.id(1), false, NOW).unwrap();
}

#[test]
fn a_device_whose_uses_are_counted_is_asked_when_it_must_be_and_not_at_every_look() {
    let place = Place::new();
    let mut device = Device::new("a", None, place.a.clone());
    device.sparing = true;
    let all = Arc::new(Devices::new(vec![device]));
    let random = Arc::new(SystemRandom);
    let root = RootOfTrust::open(all, random, place.dir.path(), place.file()).unwrap();
    // It would fail if it were asked.
    place.a.emptied.store(true, Ordering::SeqCst);
    assert_eq!(root.look(NOW), Some(0));
    assert!(root.is_reachable());
    assert_eq!(root.drill(NOW).faults(), 1);
    // After it was away it is asked once.
    place.a.away(true);
    assert_eq!(root.look(NOW), Some(1));
    place.a.away(false);
    assert_eq!(root.look(NOW), Some(1));
    place.a.emptied.store(false, Ordering::SeqCst);
    assert_eq!(root.look(NOW), Some(0));
}

#[test]
fn nothing_is_changed_once_the_server_stops() {
    let place = Place::new();
    place.root.end_changes();
    let before = place.text();
    let error = place.root.add_wrap("b", NOW).unwrap_err().to_string();
    assert!(error.contains("is stopping"), "{error}");
    assert!(place.text() == before);
}

#[test]
fn an_operator_is_needed_when_no_device_comes_back_by_itself() {
    use HsmError as E;
    let place = Place::new();
    let wrong = || E::WrongPin { token: "t".into(), flags: "none".into() };
    let failing =
        |error: HsmError| Arc::new(Failing(SoftwareHsm::seeded([7; 32]), error)) as Arc<dyn Hsm>;
    let away = || E::Unavailable("away".into());
    for (errors, operator) in [
        (vec![wrong()], true),
        (vec![away()], false),
        (vec![wrong(), wrong()], true),
        (vec![wrong(), away()], false),
        (vec![away(), away()], false),
    ] {
        let name = |n: usize| format!("d{n}");
        let all = errors.into_iter().enumerate();
        let all = all.map(|(n, error)| Device::new(name(n), None, failing(error))).collect();
        let devices = Arc::new(Devices::new(all));
        let random = Arc::new(SystemRandom);
        let error = RootOfTrust::open(devices, random, place.dir.path(), place.file()).unwrap_err();
        assert!(error.is_away(), "{error}");
        assert_eq!(error.needs_operator(), operator, "{error}");
    }
}

/// A device that answers nothing but an error.
#[derive(Debug)]
struct Failing(SoftwareHsm, HsmError);

impl Hsm for Failing {
    fn info(&self) -> DeviceInfo {
        self.0.info()
    }
    fn random(&self, _out: &mut [u8]) -> Result<(), HsmError> {
        Err(self.1.clone())
    }
    fn create_root_key(&self, _id: &RootKeyId) -> Result<(), HsmError> {
        Err(self.1.clone())
    }
    fn destroy_root_key(&self, _id: &RootKeyId) -> Result<(), HsmError> {
        Err(self.1.clone())
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        Err(self.1.clone())
    }
    fn check_root_key(&self, _id: &RootKeyId) -> Result<(), HsmError> {
        Err(self.1.clone())
    }
    fn wrap(&self, _: &RootKeyId, _: &KeyBytes, _: &[u8]) -> Result<WrappedKey, HsmError> {
        Err(self.1.clone())
    }
    fn unwrap(&self, _wrapped: &WrappedKey, _aad: &[u8]) -> Result<KeyBytes, HsmError> {
        Err(self.1.clone())
    }
}
