//! What constraints admit, and that no grant made by leave of another one goes beyond it.
use super::constraints::Pairs;
use super::{Asked, Constraints, GrantOperation, Terms};
use crate::authorize::Conditions;
use crate::keys::KeyError;
use crate::primitives::KeySpec;
use crate::types::EncryptionContext;

type Context<'a> = &'a [(&'a str, &'a str)];

fn context(pairs: Context<'_>) -> EncryptionContext {
    EncryptionContext(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
}

fn subset(pairs: Context<'_>) -> Constraints {
    Constraints { encryption_context_subset: Some(context(pairs)), ..Constraints::default() }
}

fn equals(pairs: Context<'_>) -> Constraints {
    Constraints { encryption_context_equals: Some(context(pairs)), ..Constraints::default() }
}

fn request(pairs: Context<'_>) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add_encryption_context(&context(pairs).0);
    conditions
}

fn admits(constraints: &Constraints, pairs: Context<'_>) -> bool {
    constraints.admit(&Pairs::of_request(&request(pairs)))
}

/// Constraint, context of the request, whether a subset admits it, whether an equal one does.
#[test]
fn constraints_admit_what_aws_says() {
    let table: &[(Context<'_>, Context<'_>, bool, bool)] = &[
        (&[("a", "1")], &[("a", "1")], true, true),
        (&[("a", "1")], &[], false, false),
        (&[("a", "1")], &[("a", "2")], false, false),
        (&[("a", "1")], &[("b", "1")], false, false),
        (&[("a", "1")], &[("a", "1"), ("b", "2")], true, false),
        (&[("a", "1"), ("b", "2")], &[("a", "1")], false, false),
        (&[("a", "1"), ("b", "2")], &[("b", "2"), ("a", "1")], true, true),
        // The key's case does not count, the value's does.
        (&[("Department", "IT")], &[("department", "IT")], true, true),
        (&[("department", "IT")], &[("DEPARTMENT", "IT")], true, true),
        (&[("department", "IT")], &[("department", "it")], false, false),
        (&[("Ä", "1")], &[("ä", "1")], true, true),
        // A second spelling of the key slips nothing past the constraint.
        (&[("a", "1")], &[("a", "1"), ("A", "2")], false, false),
        (&[("a", "1")], &[("a", "2"), ("A", "1")], false, false),
        (&[("a", "1")], &[("a", "1"), ("A", "1")], true, false),
        (&[("a", "1"), ("A", "2")], &[("a", "2"), ("A", "1")], true, true),
        (&[("a", "1"), ("A", "2")], &[("a", "1")], false, false),
        // Keys are not run together with values.
        (&[("ab", "c")], &[("a", "bc")], false, false),
        (&[("a", "")], &[("a", "")], true, true),
        (&[], &[], true, true),
        (&[], &[("a", "1")], true, false),
    ];
    for (wanted, given, in_subset, in_equals) in table {
        assert_eq!(admits(&subset(wanted), given), *in_subset, "subset {wanted:?} of {given:?}");
        assert_eq!(admits(&equals(wanted), given), *in_equals, "{wanted:?} equals {given:?}");
    }
    let both = Constraints {
        encryption_context_subset: Some(context(&[("a", "1")])),
        ..equals(&[("a", "1"), ("b", "2")])
    };
    assert!(admits(&both, &[("a", "1"), ("b", "2")]) && !admits(&both, &[("a", "1")]));
    assert!(admits(&Constraints::default(), &[("a", "1")]) && admits(&Constraints::default(), &[]));
}

#[test]
fn a_source_is_asked_of_every_use() {
    let arn = "arn:aws:rds:eu-west-1:111122223333:db:main";
    let terms = Terms {
        operations: vec![GrantOperation::DescribeKey, GrantOperation::Sign],
        constraints: Constraints { source_arn: Some(arn.into()), ..Constraints::default() },
    };
    for (given, admitted) in [(None, false), (Some("arn:aws:rds:x"), false), (Some(arn), true)] {
        let mut conditions = Conditions::default();
        if let Some(given) = given {
            conditions.add("aws:sourcearn", given);
        }
        for operation in [GrantOperation::DescribeKey, GrantOperation::Sign] {
            assert_eq!(terms.cover(Asked::Use(operation, &conditions)), admitted, "{given:?}");
        }
        assert!(!terms.cover(Asked::Use(GrantOperation::Verify, &conditions)));
    }
}

#[test]
fn contexts_are_asked_of_operations_that_have_one() {
    let terms =
        Terms { operations: GrantOperation::ALL.to_vec(), constraints: equals(&[("a", "1")]) };
    for operation in GrantOperation::ALL {
        let none = terms.cover(Asked::Use(operation, &request(&[])));
        assert_eq!(none, !operation.has_context(), "{operation:?}");
        assert!(terms.cover(Asked::Use(operation, &request(&[("a", "1")]))), "{operation:?}");
    }
}

#[test]
fn constraints_have_bounds() {
    let symmetric = KeySpec::SymmetricDefault;
    let names: Vec<String> = (0..9).map(|n| format!("k{n}")).collect();
    let many = |n: usize| -> Vec<(&str, &str)> {
        names.iter().take(n).map(|name| (name.as_str(), "v")).collect()
    };
    let (fits, too_long) = ("é".repeat(384), "é".repeat(385));
    for make in [subset, equals] {
        assert!(make(&many(8)).check_bounds().is_ok());
        assert!(make(&[("k", &fits)]).check_bounds().is_ok());
        assert!(make(&many(1)).check(symmetric).is_ok());
        let key = "k".repeat(9000);
        for bad in [make(&many(9)), make(&[("k", &too_long)]), make(&[(&key, "v")])] {
            assert!(matches!(bad.check_bounds(), Err(KeyError::Validation(_))), "{bad:?}");
        }
        for spec in [KeySpec::Rsa2048, KeySpec::Hmac256, KeySpec::EccNistP256] {
            let refused = make(&many(1)).check(spec);
            assert!(matches!(refused, Err(KeyError::Validation(_))), "{spec}");
        }
    }
    let source = Constraints { source_arn: Some("arn".into()), ..Constraints::default() };
    assert!(source.check(KeySpec::Rsa2048).is_ok());
}

/// Parent, child, whether the child may be. (AWS KMS developer guide, "Granting CreateGrant
/// permission".)
#[test]
fn children_are_at_least_as_strict() {
    let (none, a, ab) =
        (Constraints::default, [("a", "1")].as_slice(), [("a", "1"), ("b", "2")].as_slice());
    let source = |arn: &str| Constraints { source_arn: Some(arn.into()), ..none() };
    let table = [
        (none(), none(), true),
        (none(), subset(a), true),
        (none(), equals(a), true),
        (none(), source("x"), true),
        (subset(a), subset(a), true),
        (subset(a), subset(&[("A", "1")]), true),
        (subset(a), subset(ab), true),
        (subset(a), equals(a), true),
        (subset(a), equals(ab), true),
        (subset(a), none(), false),
        (subset(a), subset(&[("a", "2")]), false),
        (subset(a), subset(&[("a", "1"), ("A", "2")]), false),
        (subset(a), equals(&[("b", "2")]), false),
        (subset(ab), subset(a), false),
        (subset(ab), equals(a), false),
        (equals(a), equals(a), true),
        (equals(a), equals(&[("A", "1")]), true),
        (equals(a), subset(a), false),
        (equals(a), equals(ab), false),
        (equals(a), none(), false),
        (equals(ab), equals(a), false),
        (source("x"), source("x"), true),
        (source("x"), source("y"), false),
        (source("x"), none(), false),
        (source("x"), subset(a), false),
    ];
    for (parent, child, may) in table {
        assert_eq!(child.at_least_as_strict_as(&parent), may, "{child:?} under {parent:?}");
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// Few names and values, so that things often fit.
    fn context(&mut self) -> EncryptionContext {
        let pairs = (0..self.below(4)).map(|_| {
            let key = ["a", "A", "b"][self.below(3)];
            (key.to_owned(), ["1", "2"][self.below(2)].to_owned())
        });
        EncryptionContext(pairs.collect())
    }

    fn terms(&mut self) -> Terms {
        use GrantOperation as Op;
        let all = [Op::Decrypt, Op::Encrypt, Op::CreateGrant, Op::DescribeKey, Op::ReEncryptTo];
        let operations = all.into_iter().filter(|_| self.below(3) > 0).collect();
        let constraints = Constraints {
            encryption_context_subset: (self.below(2) == 0).then(|| self.context()),
            encryption_context_equals: (self.below(3) == 0).then(|| self.context()),
            source_arn: (self.below(5) == 0).then(|| ["x", "y"][self.below(2)].to_owned()),
        };
        Terms { operations, constraints }
    }

    fn request(&mut self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.add_encryption_context(&self.context().0);
        if self.below(2) == 0 {
            conditions.add("aws:sourcearn", ["x", "y"][self.below(2)]);
        }
        conditions
    }
}

#[test]
fn a_child_never_allows_what_its_parent_does_not() {
    let mut dice = Dice(1);
    let (mut children, mut refused, mut uses, mut denied) = (0, 0, 0, 0);
    for _ in 0..40_000 {
        let (parent, child) = (dice.terms(), dice.terms());
        if !parent.cover(Asked::Create(&child, &dice.request())) {
            refused += 1;
            continue;
        }
        children += 1;
        for _ in 0..20 {
            let request = dice.request();
            for operation in GrantOperation::ALL {
                let asked = Asked::Use(operation, &request);
                let by_child = child.cover(asked);
                assert!(!by_child || parent.cover(asked), "{parent:?} {child:?} {request:?}");
                *(if by_child { &mut uses } else { &mut denied }) += 1;
            }
            // Nor may the child have children that the parent may not.
            let grandchild = dice.terms();
            let asked = Asked::Create(&grandchild, &request);
            assert!(!child.cover(asked) || parent.cover(asked), "{parent:?} {child:?}");
        }
    }
    let counts = [children, refused, uses, denied];
    assert!(counts.iter().all(|n| *n > 2000), "{counts:?} prove too little");
}

/// A grant is looked for where its tag says. None that covers a request may stand elsewhere.
#[test]
fn every_grant_that_covers_is_found_by_its_tag() {
    let mut dice = Dice(2);
    let mut found = 0;
    for _ in 0..40_000 {
        let (terms, request, child) = (dice.terms(), dice.request(), dice.terms());
        let uses = GrantOperation::ALL.map(|operation| Asked::Use(operation, &request));
        for asked in uses.into_iter().chain([Asked::Create(&child, &request)]) {
            if terms.cover(asked)
                && let Some(tags) = asked.tags()
            {
                assert!(tags.contains(&terms.constraints.tag()), "{terms:?} {asked:?}");
                found += 1;
            }
        }
    }
    assert!(found > 2000, "{found} prove too little");
}

#[test]
fn terms_are_read_once_each_and_in_order() {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let wanted = names(&["Encrypt", "Decrypt", "Encrypt"]);
    let terms = Terms::new(&wanted, Constraints::default()).unwrap();
    assert_eq!(terms.operations, [GrantOperation::Encrypt, GrantOperation::Decrypt]);
    assert!(Terms::new(&[], Constraints::default()).is_err());
    assert!(Terms::new(&names(&["PutKeyPolicy"]), Constraints::default()).is_err());
    // Nothing to be a subset of is no constraint.
    let empty = Terms::new(&wanted, subset(&[])).unwrap();
    assert!(empty.constraints.is_empty());
    assert!(!Terms::new(&wanted, equals(&[])).unwrap().constraints.is_empty());
}
