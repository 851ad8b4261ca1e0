//! Recovery keys: what opens, what does not, and that fewer shares than the threshold say nothing.
use super::*;
use crate::random::{SeededRandom, SystemRandom};
use crate::root_of_trust::Wrap;

const AAD: &[u8] = b"cluster, generation, root";

fn seed(byte: u8) -> Seed {
    Seed::new(&[byte; 32])
}

#[test]
fn a_seed_is_always_the_same_key_and_each_another() {
    let (one, same, other) = (seed(1), seed(1), seed(2));
    let public = one.public().unwrap();
    assert_eq!(public, same.public().unwrap());
    assert_ne!(public, other.public().unwrap());
    assert!(is_recovery(&public.root()));
    public.root().check().unwrap();
    assert_eq!(PublicKey::parse(&public.bytes()), Some(public.clone()));
    assert!(PublicKey::parse(&public.bytes()[1..]).is_none());
    assert_eq!(PublicKey::from_text("f", &public.text()).unwrap(), public);
}

#[test]
fn what_is_wrapped_opens_by_its_key_and_its_context_only() {
    let (key, random) = ([7; 32], &SystemRandom);
    let (private, other) = (seed(1).private().unwrap(), seed(2).private().unwrap());
    let wrapped = private.public().wrap(&key, AAD, random).unwrap();
    assert_eq!(private.unwrap(&wrapped, AAD).unwrap().as_slice(), key);
    assert!(private.unwrap(&wrapped, b"another").is_none());
    assert!(other.unwrap(&wrapped, AAD).is_none());
    // No two wraps are alike.
    assert_ne!(wrapped.bytes, private.public().wrap(&key, AAD, random).unwrap().bytes);
}

#[test]
fn every_flipped_byte_of_a_wrap_is_refused() {
    let private = seed(1).private().unwrap();
    let wrapped = private.public().wrap(&[7; 32], AAD, &SystemRandom).unwrap();
    for at in 0..wrapped.bytes.len() {
        let mut changed = wrapped.clone();
        changed.bytes[at] ^= 1;
        assert!(private.unwrap(&changed, AAD).is_none(), "byte {at}");
    }
    for len in 0..wrapped.bytes.len() {
        let mut cut = wrapped.clone();
        cut.bytes.truncate(len);
        assert!(private.unwrap(&cut, AAD).is_none(), "{len} bytes");
    }
}

#[test]
fn a_public_key_that_somebody_put_into_the_file_is_not_used() {
    let (key, random) = ([7; 32], &SystemRandom);
    let (ours, theirs) = (seed(1).public().unwrap(), seed(2).public().unwrap());
    let good = ours.wrap(&key, AAD, random).unwrap();
    assert_eq!(PublicKey::of_wrap(&good, &key, AAD).unwrap(), ours);
    // Whoever does not know the domain key makes a wrap of something else, …
    let made_up = theirs.wrap(&[8; 32], AAD, random).unwrap();
    assert!(matches!(PublicKey::of_wrap(&made_up, &key, AAD), Err(RecoveryError::Foreign(_))));
    // … or puts his key into a good one, under its name or his.
    let mut changed = good.clone();
    changed.bytes[1..1601].copy_from_slice(&theirs.bytes());
    assert!(PublicKey::of_wrap(&changed, &key, AAD).is_err());
    changed.root = theirs.root();
    assert!(PublicKey::of_wrap(&changed, &key, AAD).is_err());
    assert!(PublicKey::of_wrap(&good, &key, b"another").is_err());
}

/// Every choice of `k` of `n`.
fn choices(n: usize, k: usize) -> Vec<Vec<usize>> {
    let all = 0_u32..1 << n;
    let chosen = |mask: u32| (0..n).filter(|i| mask >> i & 1 == 1).collect::<Vec<_>>();
    all.map(chosen).filter(|some| some.len() == k).collect()
}

#[test]
fn any_of_enough_shares_are_the_seed_and_no_fewer() {
    for (threshold, count) in [(2, 2), (2, 3), (3, 5), (5, 5)] {
        let seed = Seed::generate(&SystemRandom);
        let shares = split(&seed, threshold, count, &SystemRandom).unwrap();
        assert_eq!(shares.len(), usize::from(count));
        for k in 1..=usize::from(count) {
            for chosen in choices(usize::from(count), k) {
                let some: Vec<Share> = chosen.iter().map(|i| shares[*i].clone()).collect();
                match combine(&some) {
                    Ok(found) => {
                        assert!(k >= usize::from(threshold));
                        assert_eq!(found.expose(), seed.expose());
                    }
                    Err(error) => {
                        assert!(k < usize::from(threshold), "{error}");
                        assert!(error.to_string().contains("shares that are wanted"), "{error}");
                    }
                }
            }
        }
    }
    for (threshold, count) in [(0, 3), (1, 3), (4, 3), (0, 0)] {
        assert!(split(&seed(1), threshold, count, &SystemRandom).is_err());
    }
}

#[test]
fn mixed_doubled_and_made_up_shares_are_refused() {
    let random = &SystemRandom;
    let shares = split(&seed(1), 2, 3, random).unwrap();
    let others = split(&seed(2), 2, 3, random).unwrap();
    let again = split(&seed(1), 2, 3, random).unwrap();
    let refused = |some: &[&Share]| {
        let some: Vec<Share> = some.iter().map(|share| (*share).clone()).collect();
        combine(&some).unwrap_err().to_string()
    };
    assert!(refused(&[]).contains("no shares"));
    assert!(refused(&[&shares[0], &others[1]]).contains("the shares of one key"));
    assert!(refused(&[&shares[0], &shares[0]]).contains("given twice"));
    // Two ceremonies over one seed: the same key, other polynomials.
    assert!(refused(&[&shares[0], &again[1]]).contains("do not make recovery key"));
    let mut made_up = shares[1].clone();
    made_up.value.0[31] ^= 1;
    assert!(refused(&[&shares[0], &made_up]).contains("do not make recovery key"));
    assert!(refused(&[&shares[0], &shares[2], &made_up]).contains("do not make recovery key"));
}

/// The coefficients are drawn evenly from all 256 values, zero among them (RUSTSEC-2024-0398 was a
/// library that left zero out). With a threshold of 2, share 1 of a seed of zeros is the coefficient.
#[test]
fn shares_are_spread_evenly_over_all_values() {
    let random = SeededRandom::new(1);
    let mut counts = [0_u32; 256];
    let rounds = 1024;
    for _ in 0..rounds {
        let mut dealer = shares::tests::dealer(&random);
        for byte in shares::tests::first_share_of_zeros(&mut dealer) {
            counts[usize::from(byte)] += 1;
        }
    }
    let expected = f64::from(rounds) * 32.0 / 256.0;
    let chi: f64 = counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
    assert!(counts.iter().all(|n| *n > 0), "{counts:?}");
    // 255 degrees of freedom: above 350 in one of 30 000 runs; the seed is fixed.
    assert!(chi < 350.0, "{chi}");
}

#[test]
fn a_share_is_read_as_it_was_written_and_every_slip_is_noticed() {
    let share = split(&seed(1), 2, 3, &SystemRandom).unwrap().remove(1);
    let text = share.text();
    let read = Share::parse("b.share", &text).unwrap();
    assert_eq!((read.index, read.threshold, read.shares, &read.key), (2, 2, 3, &share.key));
    assert_eq!(*read.value.0, *share.value.0);
    for part in ["one of 3 shares", "Any 2 of them", "claviger recover"] {
        assert!(text.contains(part), "{part}");
    }
    let at = text.find("key: ").unwrap();
    for (i, byte) in text.bytes().enumerate().skip(at).filter(|(_, b)| b.is_ascii_hexdigit()) {
        let mut changed = text.as_bytes().to_vec();
        changed[i] = if byte == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).unwrap();
        // Letters of the lines' names are digits too.
        let error = Share::parse("b.share", &changed).unwrap_err().to_string();
        assert!(error.starts_with("b.share: "), "{error}");
    }
    for (from, to, reason) in [
        ("share 1\n", "share 2\n", "is no \"claviger recovery share 1\""),
        ("value: ", "valve: ", "has no line \"value\""),
        ("threshold: 2", "threshold: 2\nthreshold: 2", "has two lines \"threshold\""),
    ] {
        let error = Share::parse("b", &text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(!format!("{share:?}").contains(&hex::encode(*share.value.0)[..8]));
}

#[test]
fn a_wrap_for_recovery_is_known_by_its_root() {
    let wrapped = seed(1).public().unwrap().wrap(&[7; 32], AAD, &SystemRandom).unwrap();
    assert!(Wrap::new(WORDS.into(), wrapped).is_recovery());
}
