//! What somebody writes into `deployment.json` who has no domain key: nothing of it is believed.
use super::*;

/// The domain key of somebody else's.
const THEIRS: [u8; 32] = [9; 32];

fn read_error(place: &Place) -> String {
    Deployment::read(place.dir.path()).unwrap_err().to_string()
}

/// A domain key as whoever can wrap by device a makes it: for an RSA key that is everybody, for a TPM
/// without an auth value everybody who may use it.
fn theirs(place: &Place, generation: u32) -> DomainKey {
    let root = place.root.deployment().root(1);
    let aad = wrap_aad(&place.root.cluster(), generation, &root);
    let wrapped = place.a.wrap(&root, &KeyBytes::new(THEIRS.to_vec()), &aad).unwrap();
    let wraps = vec![Wrap::new("a".into(), wrapped)];
    DomainKey { generation, check: deployment::Check::of(&THEIRS), wraps }
}

#[test]
fn a_forged_domain_key_would_open_but_for_the_mac() {
    let place = Place::new();
    let good = place.file();
    let mut file = good.clone();
    file.domain_keys.push(theirs(&place, 2));
    // The forgery itself is sound: with the MAC that only the deployment can make, it opens.
    file.bind(place.root.oldest());
    file.write(place.dir.path()).unwrap();
    assert_eq!(place.both().unwrap().domain_keys[&2].expose(), &THEIRS);
    // With the old MAC, with none, and with one by their key it does not.
    let by_theirs = {
        let mut file = file.clone();
        file.bind(&THEIRS);
        file.mac
    };
    for mac in [good.mac.clone(), None, Some(String::new()), Some("junk".into()), by_theirs] {
        file.mac = mac;
        file.write(place.dir.path()).unwrap();
        let error = place.both().unwrap_err();
        assert!(matches!(error, RootError::Deployment { .. }) && !error.is_away(), "{error}");
        assert!(error.to_string().contains("MAC by the oldest domain key is wrong"), "{error}");
    }
}

/// Older than the oldest, a key would make the MAC itself.
#[test]
fn a_forged_domain_key_is_never_the_oldest_beside_the_real_one() {
    let place = Place::new();
    let mut file = place.file();
    file.domain_keys.insert(0, theirs(&place, 0));
    file.bind(&THEIRS);
    file.write(place.dir.path()).unwrap();
    assert!(place.both().unwrap_err().to_string().contains("MAC by the oldest"));
    // The real one renumbered, and theirs as the first.
    let mut file = place.file();
    file.domain_keys.retain(|key| key.generation == 1);
    file.domain_keys[0].generation = 2;
    file.domain_keys.push(theirs(&place, 1));
    file.bind(&THEIRS);
    file.write(place.dir.path()).unwrap();
    assert!(matches!(place.both(), Err(RootError::WrongKey { generation: 2, .. })));
}

/// Theirs in place of the real one opens: nothing in the file can tell. So the store must, and the audit
/// log, whose keys come from the oldest domain key.
#[test]
fn a_forged_deployment_has_other_keys_for_store_and_log() {
    let place = Place::new();
    let mut file = place.file();
    file.domain_keys = vec![theirs(&place, 1)];
    file.bind(&THEIRS);
    file.write(place.dir.path()).unwrap();
    let root = place.both().unwrap();
    assert!(!place.same(&root), "it would be taken for the real one");
}

#[test]
fn nothing_of_the_file_can_be_changed() {
    let place = Place::new();
    let seed = Seed::generate(&SystemRandom);
    place.root.add_wrap("b", NOW).unwrap();
    place.root.add_recovery(&seed.public().unwrap(), NOW).unwrap();
    let retired = place.file().domain_keys[0].wraps[1].clone();
    place.root.retire(&place.id(2), false, NOW).unwrap();
    place.root.add_wrap("b", NOW).unwrap();
    let good = place.file();
    assert!(place.both().is_ok() && recovery::open(&good, &seed).is_ok());
    let changed = |change: &dyn Fn(&mut Deployment)| {
        let mut file = good.clone();
        change(&mut file);
        file
    };
    let changes = [
        ("not ready", changed(&|file| file.ready = false)),
        ("no last root", changed(&|file| file.last_root = None)),
        ("another last root", changed(&|file| file.last_root = Some(9))),
        (
            "another device",
            changed(&|file| {
                let wrap = &mut file.domain_keys[0].wraps[0];
                *wrap = Wrap::new("another".into(), wrap.wrapped());
            }),
        ),
        ("a wrap is gone", changed(&|file| drop(file.domain_keys[0].wraps.remove(2)))),
        (
            "the recovery key is gone",
            changed(&|file| {
                file.domain_keys[0].wraps.retain(|wrap| !wrap.is_recovery());
            }),
        ),
        ("other order", changed(&|file| file.domain_keys[0].wraps.swap(0, 2))),
        (
            "another check value",
            changed(&|file| {
                let upper = file.domain_keys[0].check.as_str().to_uppercase();
                file.domain_keys[0].check = serde_json::from_value(upper.into()).unwrap();
            }),
        ),
        ("a wrap that was retired", changed(&|file| file.put(1, retired.clone()))),
    ];
    for (name, file) in changes {
        assert_ne!(file, good, "{name}");
        file.write(place.dir.path()).unwrap();
        let error = place.both().map(drop).unwrap_err().to_string();
        assert!(error.contains("MAC by the oldest domain key is wrong"), "{name}: {error}");
        if name != "the recovery key is gone" {
            let error = recovery::open(&place.file(), &seed).map(drop).unwrap_err();
            assert!(matches!(error, recovery::RecoveryError::Unbound), "{name}: {error}");
        }
    }
    good.write(place.dir.path()).unwrap();
    assert!(place.same(&place.both().unwrap()));
}

/// Without a MAC a file is believed if it says what the first version could say, and no more.
#[test]
fn a_file_that_lost_its_mac_says_no_more_than_the_first_version_could() {
    let place = Place::new();
    let plain = |file: &Deployment| {
        let mut file = file.clone();
        (file.format, file.mac, file.last_root) = (1, None, None);
        file
    };
    let first = plain(&place.file());
    place.root.add_wrap("b", NOW).unwrap();
    let two = plain(&place.file());
    let seed = Seed::generate(&SystemRandom);
    place.root.add_recovery(&seed.public().unwrap(), NOW).unwrap();
    let mut custodians = plain(&place.file());
    custodians.domain_keys[0].wraps.retain(Wrap::is_recovery);
    let with = |change: fn(&mut Deployment)| {
        let mut file = first.clone();
        change(&mut file);
        file
    };
    let mut twice = first.clone();
    twice.domain_keys.push(theirs(&place, 2));
    for (name, bad) in [
        ("two roots", two),
        ("a recovery key", custodians),
        ("two domain keys", twice),
        ("a MAC", with(|file| file.mac = Some("00".repeat(32)))),
        ("a last root", with(|file| file.last_root = Some(1))),
        ("another number", with(|file| file.domain_keys[0].generation = 2)),
    ] {
        bad.write(place.dir.path()).unwrap();
        let error = read_error(&place);
        assert!(error.contains("that format has one domain key"), "{name}: {error}");
    }
    // Which a start that the store has proved ends at once.
    first.write(place.dir.path()).unwrap();
    let root = place.both().unwrap();
    assert!(place.same(&root));
    root.bind().unwrap();
    assert_eq!(root.status().file, None);
    let bound = place.file();
    assert!(bound.format == 2 && bound.mac.is_some());
    assert!(place.same(&place.both().unwrap()));
    let text = place.text();
    root.bind().unwrap();
    assert!(place.text() == text, "written again");
}

/// The file and what is in memory change together.
#[test]
fn a_status_during_changes_finds_no_other_file() {
    let place = Place::new();
    place.root.add_wrap("b", NOW).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30 {
                place.root.rewrap(NOW).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            assert_eq!(place.root.status().file, None);
        }
    });
}
