//! `deployment.json` of other versions, and one in which somebody has put a domain key of his own.
use super::*;

/// As the first version wrote it, and the seed of the software device that it is of.
const FORMAT_1: &str = include_str!("../../../tests/deployments/format-1.json");
const SEED_1: &str = "53b9955f8237c0e411dbefbee8f39eab2cf7d6f4972ae6db77e52a8755295e5f";

fn write(dir: &Path, text: &str) {
    std::fs::write(Deployment::path(dir), text).unwrap();
}

fn read_error(dir: &Path) -> String {
    Deployment::read(dir).unwrap_err().to_string()
}

#[test]
fn a_file_of_the_first_format_opens_and_the_next_change_writes_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FORMAT_1);
    let file = Deployment::read(dir.path()).unwrap().unwrap();
    let seed = hex::decode(SEED_1).unwrap().try_into().unwrap();
    let old = Arc::new(SoftwareHsm::seeded(seed));
    old.create_root_key(&file.root(1)).unwrap();
    let b = Switched::new(2);
    let all = || {
        let devices =
            vec![Device::new("old", None, old.clone()), Device::new("b", None, b.clone())];
        Arc::new(Devices::new(devices))
    };
    let open = |devices| {
        let file = Deployment::read(dir.path()).unwrap().unwrap();
        RootOfTrust::open(devices, Arc::new(SystemRandom), dir.path(), file)
    };
    let root = open(all()).unwrap();
    let audit = root.audit_key();
    assert_eq!(root.drill(NOW).failures(), Vec::<String>::new());
    // Looking changes nothing.
    assert_eq!(std::fs::read_to_string(Deployment::path(dir.path())).unwrap(), FORMAT_1);
    root.add_wrap("b", NOW).unwrap();
    let text: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Deployment::path(dir.path())).unwrap()).unwrap();
    assert_eq!((&text["format"], text["mac"].as_str().unwrap().len()), (&2.into(), 64));
    let root = open(devices(&[("b", &b)])).unwrap();
    assert_eq!(root.audit_key().expose(), audit.expose());
    root.retire("claviger/5e291491-34de-4fe0-a563-dd0b0edef7c9/rk-d/1", true, NOW).unwrap();
    assert_eq!(open(all()).unwrap().audit_key().expose(), audit.expose());
}

#[test]
fn a_newer_format_is_named_whatever_else_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("\"format\": 1", "\"format\": 3"),
        ("\"format\": 1", "\"format\": 3, \"quorum\": {\"of\": 3}"),
    ] {
        write(dir.path(), &FORMAT_1.replace(from, to));
        let error = read_error(dir.path());
        for part in ["has format 3", "reads 1 to 2", "newer version", "Nothing was changed"] {
            assert!(error.contains(part), "{error}");
        }
    }
    write(dir.path(), &FORMAT_1.replace("\"format\": 1", "\"format\": 0"));
    assert!(read_error(dir.path()).contains("has format 0"));
    write(dir.path(), &FORMAT_1.replace("\"format\": 1,", ""));
    assert!(read_error(dir.path()).contains("missing field `format`"));
}

/// Whoever can wrap by a root but not open (for an RSA key everybody can) puts a key of his own beside the
/// real one.
#[test]
fn a_domain_key_that_somebody_put_into_the_file_is_refused() {
    let place = Place::new();
    let seed = Seed::generate(&SystemRandom);
    let public = seed.public().unwrap();
    place.root.add_recovery(&public, NOW).unwrap();
    let good = place.file();
    let forge = |generation: u32, format: Option<u32>| {
        let mut file = good.clone();
        let aad = wrap_aad(&file.cluster(), generation, &file.root(1));
        let wrapped = place.a.wrap(&file.root(1), &KeyBytes::new(vec![9; 32]), &aad).unwrap();
        let aad = wrap_aad(&file.cluster(), generation, &public.root());
        let recovered = public.wrap(&[9; 32], &aad, &SystemRandom).unwrap();
        let key = DomainKey {
            generation,
            check: deployment::Check::of(&[9; 32]),
            wraps: vec![Wrap::new("a".into(), wrapped), Wrap::new("r".into(), recovered)],
        };
        file.domain_keys.push(key);
        file.write(place.dir.path()).unwrap();
        if let Some(format) = format {
            let mut text: serde_json::Value = serde_json::from_slice(&place.text()).unwrap();
            text["format"] = format.into();
            text.as_object_mut().unwrap().remove("mac");
            write(place.dir.path(), &text.to_string());
        }
    };
    for generation in [0, 2] {
        forge(generation, None);
        let error = place.both().unwrap_err();
        assert!(error.to_string().contains("its MAC by the oldest domain key is wrong"), "{error}");
        assert!(!error.is_away());
        // Nor do the custodians open it, whose public key is no secret.
        assert!(matches!(
            recovery::open(&place.file(), &seed),
            Err(recovery::RecoveryError::Unbound)
        ));
        // As a file of the first format, or one that has lost its MAC.
        forge(generation, Some(1));
        assert!(read_error(place.dir.path()).contains("that format has one"));
        forge(generation, Some(2));
        assert!(place.both().unwrap_err().to_string().contains("was changed"));
    }
    good.write(place.dir.path()).unwrap();
    assert!(place.same(&place.both().unwrap()));
}

#[test]
fn what_stands_twice_is_refused() {
    let place = Place::new();
    let mut file = place.file();
    let wrap = file.domain_keys[0].wraps[0].clone();
    file.domain_keys[0].wraps.push(wrap);
    file.write(place.dir.path()).unwrap();
    assert!(read_error(place.dir.path()).contains("names the wrap of domain key 1 by claviger/"));
    let mut file = place.root.deployment().clone();
    let key = file.domain_keys[0].clone();
    file.domain_keys.push(key);
    file.write(place.dir.path()).unwrap();
    assert!(read_error(place.dir.path()).contains("names generation 1 of the domain key twice"));
}

/// The next start reads the file: what is in memory alone proves nothing of it.
#[test]
fn another_file_in_its_place_fails_the_drill_and_stops_every_change() {
    let place = Place::new();
    let old = place.text();
    let (first, unused) = (place.id(1), place.id(9));
    place.root.add_wrap("b", NOW).unwrap();
    for (text, reason) in
        [(old.as_slice(), "put another in its place"), (b"junk", "cannot be read")]
    {
        std::fs::write(Deployment::path(place.dir.path()), text).unwrap();
        let failures = place.root.drill(NOW).failures();
        assert!(failures.len() == 1 && failures[0].contains(reason), "{failures:?}");
        assert!(place.root.status().to_string().contains("WRONG"));
        for error in [
            place.root.rewrap(NOW).unwrap_err(),
            place.root.add_wrap("b", NOW).unwrap_err(),
            place.root.rotate("a", NOW).unwrap_err(),
            place.root.retire(&first, false, NOW).unwrap_err(),
            place.root.destroy(&unused, NOW).unwrap_err(),
        ] {
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(place.text() == text, "it was overwritten");
    }
}
