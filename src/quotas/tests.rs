//! Buckets under a clock that is moved by hand, the settings, and the table.
use super::*;
use crate::clock::TestClock;
use crate::primitives::KeySpec;
use std::collections::BTreeSet;

const ONE: &str = "111122223333";
const TWO: &str = "444455556666";

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

fn settings(text: &str) -> Result<Settings, String> {
    let settings: Settings = toml::from_str(text).map_err(|e| e.to_string())?;
    settings.check().map_err(|e| e.to_string())?;
    Ok(settings)
}

fn quotas(text: &str) -> Quotas {
    Quotas::new(settings(text).unwrap())
}

/// How many of `tries` requests get through at once.
fn passed(quotas: &Quotas, who: &str, quota: Quota, clock: &dyn Clock, tries: usize) -> usize {
    let take = || quotas.take(&account(who), &region("eu-west-3"), quota, 1, clock).is_ok();
    (0..tries).filter(|_| take()).count()
}

#[test]
fn nothing_is_limited_unless_it_is_said() {
    let clock = TestClock::at_secs(0);
    for quotas in [Quotas::default(), quotas(""), quotas("requests = \"off\"")] {
        assert!(!quotas.limits_requests());
        assert_eq!(passed(&quotas, ONE, Quota::CREATE_KEY, &clock, 100_000), 100_000);
        assert_eq!(*quotas.resources(&account(ONE)), ResourceQuotas::default());
    }
}

#[test]
fn a_bucket_holds_a_second_and_fills_with_time() {
    let (quotas, clock) = (quotas("requests = \"aws\""), TestClock::at_secs(1_000_000));
    let try_all = |tries| passed(&quotas, ONE, Quota::CREATE_KEY, &clock, tries);
    assert_eq!(try_all(100), 5);
    clock.advance(1);
    assert_eq!(try_all(100), 5);
    clock.advance(1_000_000);
    assert_eq!(try_all(100), 5, "no more than a second's worth is saved up");
    // Other quotas, accounts and regions have their own.
    assert_eq!(passed(&quotas, ONE, Quota::UPDATE_PRIMARY_REGION, &clock, 100), 5);
    assert_eq!(passed(&quotas, TWO, Quota::CREATE_KEY, &clock, 100), 5);
    let elsewhere = region("eu-west-1");
    assert_eq!(quotas.take(&account(ONE), &elsewhere, Quota::CREATE_KEY, 1, &clock), Ok(()));
    assert_eq!(try_all(100), 0);
}

#[test]
fn rates_below_one_a_second_let_one_through_at_a_time() {
    let quotas = quotas("[rates]\nkms.CreateKey = 0.1");
    let clock = TestClock::at_secs(0);
    let try_all = || passed(&quotas, ONE, Quota::CREATE_KEY, &clock, 10);
    assert_eq!(try_all(), 1);
    clock.advance(9);
    assert_eq!(try_all(), 0);
    clock.advance(1);
    assert_eq!(try_all(), 1);
    // A call that counts for two waits twice as long, but is not shut out for ever.
    let two = || quotas.take(&account(TWO), &region("eu-west-3"), Quota::CREATE_KEY, 2, &clock);
    assert_eq!((two(), two()), (Ok(()), Err(Throttled)));
    clock.advance(19);
    assert_eq!(two(), Err(Throttled));
    clock.advance(1);
    assert_eq!(two(), Ok(()));
}

#[test]
fn a_clock_that_is_set_back_neither_locks_out_nor_lets_in() {
    let (quotas, clock) = (quotas("requests = \"aws\""), TestClock::at_secs(1_000_000));
    let try_all = || passed(&quotas, ONE, Quota::CREATE_KEY, &clock, 10);
    assert_eq!(try_all(), 5);
    clock.advance(-500_000);
    assert_eq!(try_all(), 0, "no gift");
    clock.advance(1);
    assert_eq!(try_all(), 5, "and no punishment");
    clock.advance(i64::MIN / 2000);
    assert_eq!(try_all(), 0);
    clock.advance(1);
    assert_eq!(try_all(), 5);
}

#[test]
fn the_highest_rates_are_exact() {
    let quotas = quotas("[rates]\nkms.CreateKey = 1000000\nsts.Requests = 100000");
    let clock = TestClock::at_secs(0);
    assert_eq!(passed(&quotas, ONE, Quota::CREATE_KEY, &clock, 1_100_000), 1_000_000);
    let sts = Quota::of_operation("sts", "GetCallerIdentity").unwrap();
    assert_eq!(passed(&quotas, ONE, sts, &clock, 200_000), 100_000);
}

#[test]
fn threads_together_get_no_more_than_one() {
    let (quotas, clock) = (quotas("[rates]\nkms.CreateKey = 1000"), TestClock::at_secs(0));
    let got: usize = std::thread::scope(|scope| {
        let run = || passed(&quotas, ONE, Quota::CREATE_KEY, &clock, 1000);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(got, 1000);
}

#[test]
fn memory_is_bounded() {
    let (buckets, clock) = (Buckets::default(), TestClock::at_secs(0));
    let rate = Rate::per_second(1.0).unwrap();
    let mut most = 0;
    for n in 0..200_000 {
        let account = account(&format!("{n:012}"));
        let key = Key { account: Some(account), region: region("eu-west-1"), quota: Quota::RSA };
        assert!(buckets.take(key, rate, 1, &clock), "{n}");
        most = most.max(if n % 1000 == 0 { buckets.count() } else { 0 });
    }
    assert!((16_384..=65_536).contains(&most), "{most}");
    // Full ones are the first to go.
    clock.advance(1);
    for n in 0..100_000 {
        let region = region(&format!("a-{n}"));
        let key = Key { account: Some(account(ONE)), region, quota: Quota::RSA };
        assert!(buckets.take(key, rate, 1, &clock), "{n}");
    }
    assert!(buckets.count() <= 65_536);
}

#[test]
fn what_is_said_of_an_account_goes_before_what_is_said_of_all() {
    let text = r#"
requests = "aws"
[rates]
kms.CreateKey = 7
secretsmanager.ReadSecret = 2
[resources]
keys = 100
aliases_per_key = 3
[accounts.111122223333]
requests = "off"
rates.kms.CreateKey = 9
resources.keys = 5
"#;
    let (quotas, clock) = (quotas(text), TestClock::at_secs(0));
    let read = Quota::of_operation("secretsmanager", "GetSecretValue").unwrap();
    let list = Quota::of_operation("kms", "ListGrants").unwrap();
    let of = |who| [Quota::CREATE_KEY, read, list].map(|q| passed(&quotas, who, q, &clock, 500));
    assert_eq!(of(ONE), [9, 2, 500]);
    assert_eq!(of(TWO), [7, 2, 100]);
    let resources = |who| {
        let all = quotas.resources(&account(who));
        (all.keys, all.aliases_per_key, all.on_demand_rotations)
    };
    assert_eq!(resources(ONE), (Some(5), 3, 25));
    assert_eq!(resources(TWO), (Some(100), 3, 25));
}

#[test]
fn unsigned_requests_use_up_nobodys_quota() {
    let text = "[rates]\nsts.Requests = 3\n[accounts.111122223333.rates]\nsts.Requests = 9";
    let (quotas, clock) = (quotas(text), TestClock::at_secs(0));
    let sts = Quota::of_operation("sts", "AssumeRoleWithWebIdentity").unwrap();
    let unsigned = || quotas.take_unsigned(&region("eu-west-3"), sts, &clock).is_ok();
    assert_eq!((0..100).filter(|_| unsigned()).count(), 3);
    assert_eq!(passed(&quotas, ONE, sts, &clock, 100), 9);
    assert_eq!(passed(&quotas, TWO, sts, &clock, 100), 3);
    clock.advance(1);
    assert_eq!(passed(&quotas, TWO, sts, &clock, 100), 3);
    assert_eq!((0..100).filter(|_| unsigned()).count(), 3);
}

#[test]
fn bad_settings_are_refused_with_their_reason() {
    for (text, reason) in [
        ("request = \"aws\"", "unknown field `request`"),
        ("requests = \"on\"", "expected `off` or `aws`"),
        ("[rates]\nkms.CreateKeys = 1", "kms.CreateKeys is no request quota; those of kms are: "),
        ("[rates]\nkms.CreateKeys = 1", ", CreateKey, DeleteAlias, "),
        ("[rates]\nkms.Encrypt = 1", "CryptographicOperations_symmetric"),
        ("[rates]\ns3.GetObject = 1", "services that have are: kms, secretsmanager, iam, sts"),
        ("[rates]\nkms.CreateKey = 0", "kms.CreateKey = 0: a rate is from 0.001 to 1000000"),
        ("[rates]\nkms.CreateKey = -1", "kms.CreateKey = -1: a rate is"),
        ("[rates]\nkms.CreateKey = nan", "kms.CreateKey = NaN: a rate is"),
        ("[rates]\nkms.CreateKey = 1000001", "a rate is from"),
        ("[rates]\nkms.CreateKey = \"5\"", "expected f64"),
        ("[rates]\nCreateKey = 5", "expected a map"),
        ("[resources]\nkey = 5", "unknown field `key`, expected one of `keys`, `aliases_per_key`"),
        ("[resources]\nkeys = -5", "invalid value"),
        ("[resources]\ngrants_per_key = 50001", "grants_per_key can be at most 50000"),
        ("[accounts.1111]\nrequests = \"off\"", "twelve digits"),
        ("[accounts.111122223333.resources]\nkeys = 10000001", "keys can be at most 10000000"),
        ("[accounts.111122223333]\naccounts = {}", "unknown field `accounts`"),
    ] {
        let error = settings(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn the_table_names_each_quota_and_each_operation_once() {
    let quotas: BTreeSet<Quota> = FIGURES.iter().map(|figure| figure.quota).collect();
    assert_eq!(quotas.len(), FIGURES.len());
    let mut operations = BTreeSet::new();
    for figure in FIGURES {
        for operation in figure.operations() {
            assert!(operations.insert((figure.quota.service, operation)), "{operation}");
            let found = Quota::of_operation(figure.quota.service, operation);
            assert_eq!(found, Some(figure.quota), "{operation}");
        }
        let rate = figure.quota.figure(&region("eu-west-3"));
        assert_eq!(rate.is_some(), figure.per_second.is_some(), "{}", figure.quota);
    }
    assert_eq!(Quota::of_operation("kms", "Encrypt"), None);
    assert_eq!(Quota::of_operation("s3", "CreateKey"), None);
    for quota in [Quota::RSA, Quota::ECC, Quota::ML_DSA, Quota::ML_KEM, Quota::CREATE_KEY] {
        assert!(quotas.contains(&quota), "{quota}");
    }
    assert!(quotas.contains(&Quota::UPDATE_PRIMARY_REGION));
}

#[test]
fn every_key_spec_has_its_quota() {
    let mut pairs = 0;
    for spec in KeySpec::ALL {
        let pair = Quota::of_pair(*spec);
        assert_eq!(pair.is_some(), spec.pair_spec(), "{spec}");
        assert_eq!(Quota::of_use("GetPublicKey", *spec), None);
        assert_eq!(Quota::of_use("GenerateDataKeyPairWithoutPlaintext", *spec), None);
        let of_use = Quota::of_use("Sign", *spec);
        assert!(of_use.is_some(), "{spec}");
        for quota in [of_use, pair].into_iter().flatten() {
            assert!(FIGURES.iter().any(|figure| figure.quota == quota), "{quota}");
        }
        pairs += usize::from(pair.is_some());
    }
    assert_eq!(pairs, 11);
}

#[test]
fn the_symmetric_quota_depends_on_the_region() {
    let rate = |name: &str| Quota::SYMMETRIC.figure(&region(name)).unwrap();
    assert_eq!(rate("eu-west-1"), Rate::per_second(100_000.0).unwrap());
    assert_eq!(rate("eu-central-1"), Rate::per_second(20_000.0).unwrap());
    assert_eq!(rate("eu-north-1"), Rate::per_second(10_000.0).unwrap());
}
