//! Root keys that nothing needs go from their devices, and no others.
use super::*;

fn has(device: &Switched, root: &str) -> bool {
    device.inner.root_keys().unwrap().iter().any(|id| id.as_str() == root)
}

#[test]
fn a_root_is_destroyed_when_it_wraps_nothing_and_not_before() {
    let place = Place::new();
    let refused = |root: &str| place.root.destroy(root, NOW).unwrap_err().to_string();
    let first = place.id(1);
    assert!(refused(&first).contains("retire it first"));
    place.root.add_wrap("b", NOW).unwrap();
    assert!(refused(&first).contains("retire it first"));
    place.root.retire(&first, false, NOW).unwrap();
    assert!(has(&place.a, &first), "taking it out destroys nothing");
    // The other device away: nobody opens the domain keys without it.
    place.b.away(true);
    assert!(refused(&first).contains("is needed"));
    place.b.away(false);
    place.a.away(true);
    let gone = refused(&first);
    assert!(
        gone.contains("no device that can be reached has") && gone.contains("taken away"),
        "{gone}"
    );
    place.a.away(false);
    let destroyed = place.root.destroy(&first, NOW).unwrap();
    assert_eq!((destroyed.destroyed, destroyed.left), (vec![first.clone()], Vec::new()));
    assert!(!has(&place.a, &first) && has(&place.b, &place.id(2)));
    assert!(place.root.status().devices.iter().all(|device| device.unused_roots.is_empty()));
    assert!(refused(&first).contains("no device that can be reached has"));
    assert!(place.same(&place.both().unwrap()));
    // What is gone is no reason to think the device ill.
    assert_eq!(place.root.look(NOW), Some(0));
}

#[test]
fn what_is_no_root_of_this_deployment_is_left_alone() {
    let place = Place::new();
    let other = RootKeyId::new("claviger/another/rk-d/1");
    place.a.create_root_key(&other).unwrap();
    for root in [other.as_str(), "recovery/0123", "", "../1", "claviger/bench/rk-d/1"] {
        let error = place.root.destroy(root, NOW).unwrap_err().to_string();
        assert!(error.contains("is no root key of this deployment"), "{error}");
    }
    assert!(has(&place.a, other.as_str()));
}

#[test]
fn what_an_interrupted_change_left_can_be_destroyed() {
    let place = Place::new();
    place.b.wraps.store(0, Ordering::SeqCst);
    assert!(place.root.add_wrap("b", NOW).is_err());
    let left = place.id(2);
    assert!(has(&place.b, &left));
    let changed = place.root.destroy(&left, NOW).unwrap();
    assert_eq!(changed.destroyed, std::slice::from_ref(&left));
    assert!(!has(&place.b, &left));
}

#[test]
fn a_device_that_says_so_and_keeps_it_is_found_out() {
    let place = Place::new();
    place.root.rotate("a", NOW).unwrap();
    place.a.keeps.store(true, Ordering::SeqCst);
    let error = place.root.destroy(&place.id(1), NOW).unwrap_err().to_string();
    assert!(error.contains("still has it") && error.contains("Destroyed: in none"), "{error}");
    place.a.keeps.store(false, Ordering::SeqCst);
    place.root.destroy(&place.id(1), NOW).unwrap();
    assert_eq!(place.root.look(NOW), Some(0));
}

/// Names of root keys are no secret.
#[test]
fn a_key_of_the_same_name_in_another_device_gets_no_wrap() {
    let place = Place::new();
    let planted = Switched::new(66);
    let first = place.file().root(1);
    planted.create_root_key(&first).unwrap();
    let before = place.text();
    let root = place.open(&[("weak", &planted), ("a", &place.a)]).unwrap();
    // The one that opens it is not hidden by the one that does not, nor the other way round.
    let status = root.status();
    assert_eq!(status.faults(), 1, "{status}");
    let error = root.rewrap(NOW).unwrap_err().to_string();
    assert!(error.contains("device a") && error.contains("device weak"), "{error}");
    assert!(place.text() == before);
    // The real one away: the planted one stands alone, and still gets nothing.
    place.a.away(true);
    let changed = root.rewrap(NOW).unwrap();
    assert!(changed.wrapped.is_empty() && changed.left.len() == 1, "{changed:?}");
    // Rotated, it does not push the real one out.
    let changed = root.rotate("weak", NOW).unwrap();
    assert!(changed.removed.is_empty(), "{changed:?}");
    assert!(changed.left[0].contains("does not open in device weak"), "{changed:?}");
    place.a.away(false);
    assert!(place.same(&place.open(&[("a", &place.a)]).unwrap()));
}
