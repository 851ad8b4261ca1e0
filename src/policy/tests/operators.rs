//! Every operator with every modifier: with the key absent, with a value that fits, with one that
//! does not.

use super::super::condition::Condition;
use super::super::json::Json;
use super::*;

/// Operator; a policy value; a request value it fits; one it does not; and the outcome when the key
/// is absent: plain, IfExists, ForAllValues, ForAnyValue, ForAllValues…IfExists, ForAnyValue…IfExists.
const TABLE: [(&str, &str, &str, &str, &str); 26] = [
    ("StringEquals", "a", "a", "A", "FTTFTT"),
    ("StringNotEquals", "a", "A", "a", "TTTFTT"),
    ("StringEqualsIgnoreCase", "a", "A", "b", "FTTFTT"),
    ("StringNotEqualsIgnoreCase", "a", "b", "A", "TTTFTT"),
    ("StringLike", "a*", "ab", "ba", "FTTFTT"),
    ("StringNotLike", "a*", "ba", "ab", "TTTFTT"),
    ("NumericEquals", "7", "7.0", "8", "FTTFTT"),
    ("NumericNotEquals", "7", "8", "7.0", "TTTFTT"),
    ("NumericLessThan", "7", "6.9", "7", "FTTFTT"),
    ("NumericLessThanEquals", "7", "7", "7.1", "FTTFTT"),
    ("NumericGreaterThan", "7", "7.1", "7", "FTTFTT"),
    ("NumericGreaterThanEquals", "7", "7", "6.9", "FTTFTT"),
    ("DateEquals", "2020-04-01T12:00:00Z", "1585742400", "1585742401", "FTTFTT"),
    ("DateNotEquals", "2020-04-01T12:00:00Z", "1585742401", "1585742400", "TTTFTT"),
    ("DateLessThan", "1585742400", "2020-04-01T11:59:59Z", "2020-04-01T12:00:00Z", "FTTFTT"),
    ("DateLessThanEquals", "1585742400", "2020-04-01T12:00:00Z", "2020-04-01T12:00:01Z", "FTTFTT"),
    ("DateGreaterThan", "1585742400", "2020-04-01T12:00:01Z", "2020-04-01T12:00:00Z", "FTTFTT"),
    ("DateGreaterThanEquals", "1585742400", "2020-04-01T12:00:00Z", "2020-04-01", "FTTFTT"),
    ("Bool", "true", "TRUE", "false", "FTTFTT"),
    ("BinaryEquals", "AQID", "AQID", "AQIE", "FTTFTT"),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", "11.0.0.1", "FTTFTT"),
    ("NotIpAddress", "10.0.0.0/8", "11.0.0.1", "::ffff:10.1.2.3", "TTTFTT"),
    ("ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bc", "arn:aws:s3:x::bc", "FTTFTT"),
    ("ArnLike", "arn:aws:s3:::b*", "arn:aws:s3:::b", "arn:aws:s3:::a", "FTTFTT"),
    ("ArnNotEquals", "arn:aws:s3:::b*", "arn:aws:s3:::a", "arn:aws:s3:::b", "TTTFTT"),
    ("ArnNotLike", "arn:aws:s3:::b*", "arn:aws:s3:x::b", "arn:aws:s3:::b", "TTTFTT"),
];

const SHAPES: [&str; 6] = [
    "{}",
    "{}IfExists",
    "ForAllValues:{}",
    "ForAnyValue:{}",
    "ForAllValues:{}IfExists",
    "ForAnyValue:{}IfExists",
];

fn holds(operator: &str, wanted: &str, values: &[&str]) -> bool {
    let json = format!(r#"{{"{operator}":{{"aws:Key":{wanted}}}}}"#);
    let conditions = Condition::parse_all(&Json::read(&json).unwrap(), true, false).unwrap();
    let mut request = Conditions::new();
    request.set_list("aws:Key", values.iter().copied());
    conditions.iter().all(|condition| condition.holds(&request, true))
}

#[test]
fn absent_keys() {
    for (operator, wanted, _, _, outcomes) in TABLE {
        for (shape, outcome) in SHAPES.iter().zip(outcomes.chars()) {
            let name = shape.replace("{}", operator);
            assert_eq!(holds(&name, &format!("{wanted:?}"), &[]), outcome == 'T', "{name}");
        }
    }
}

#[test]
fn one_value_that_fits_or_does_not() {
    for (operator, wanted, yes, no, _) in TABLE {
        for shape in SHAPES {
            let name = shape.replace("{}", operator);
            let wanted = format!("{wanted:?}");
            assert!(holds(&name, &wanted, &[yes]), "{name} {yes}");
            assert!(!holds(&name, &wanted, &[no]), "{name} {no}");
        }
    }
}

#[test]
fn of_two_values_one_fits() {
    for (operator, wanted, yes, no, _) in TABLE {
        let negated = operator.contains("Not");
        for shape in SHAPES {
            let name = shape.replace("{}", operator);
            let expected = match shape.split_once(':') {
                Some(("ForAllValues", _)) => false,
                Some(_) => true,
                None => !negated,
            };
            let wanted = format!("{wanted:?}");
            for values in [[yes, no], [no, yes]] {
                assert_eq!(holds(&name, &wanted, &values), expected, "{name} {values:?}");
            }
        }
    }
}

/// Values of the policy are alternatives; under a negated operator none of them may fit.
#[test]
fn several_policy_values() {
    assert!(holds("StringEquals", r#"["a","b"]"#, &["b"]));
    assert!(!holds("StringEquals", r#"["a","b"]"#, &["c"]));
    assert!(!holds("StringNotEquals", r#"["a","b"]"#, &["b"]));
    assert!(holds("StringNotEquals", r#"["a","b"]"#, &["c"]));
    assert!(holds("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "b", "a"]));
    assert!(!holds("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "c"]));
    assert!(holds("ForAnyValue:StringNotEquals", r#"["a","b"]"#, &["a", "c"]));
    assert!(!holds("ForAnyValue:StringNotEquals", r#"["a","b"]"#, &["a", "b"]));
    assert!(holds("ForAllValues:StringNotLike", r#"["a*","b*"]"#, &["c", "d"]));
    assert!(!holds("ForAllValues:StringNotLike", r#"["a*","b*"]"#, &["c", "b"]));
    assert!(holds("NumericLessThan", "[1,5]", &["3"]));
    assert!(holds("Bool", "[true,false]", &["false"]));
}

#[test]
fn null_asks_for_absence() {
    for (wanted, absent, present) in
        [("true", true, false), ("\"false\"", false, true), ("[true,false]", true, true)]
    {
        assert_eq!(holds("Null", wanted, &[]), absent, "{wanted}");
        assert_eq!(holds("Null", wanted, &["x"]), present, "{wanted}");
        assert_eq!(holds("Null", wanted, &[""]), present, "{wanted}: an empty text is a value");
    }
}

/// What the request brings and the operator cannot read equals nothing.
#[test]
fn unreadable_request_values() {
    for (operator, wanted) in [
        ("NumericEquals", "0"),
        ("NumericLessThan", "7"),
        ("NumericGreaterThan", "-7"),
        ("DateLessThan", "2020-04-01"),
        ("DateGreaterThan", "2020-04-01"),
        ("Bool", "false"),
        ("BinaryEquals", "AAAA"),
        ("IpAddress", "0.0.0.0/0"),
        ("IpAddress", "::/0"),
        ("ArnLike", "arn:*:*:*:*:*"),
    ] {
        for value in ["", "nan", "x", "10.0.0.0/8", "AAA", "arn:aws"] {
            assert!(!holds(operator, &format!("{wanted:?}"), &[value]), "{operator} {value:?}");
        }
    }
    assert!(holds("NumericNotEquals", "\"0\"", &["x"]));
    assert!(holds("NotIpAddress", "\"10.0.0.0/8\"", &["x"]));
}

#[test]
fn numbers_and_booleans_need_no_quotes() {
    assert!(holds("Bool", "true", &["true"]));
    assert!(holds("NumericLessThanEquals", "7", &["7"]));
    assert!(holds("StringEquals", "7", &["7"]));
    assert!(holds("DateLessThan", "1585742400", &["1"]));
}
