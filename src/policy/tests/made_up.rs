//! Made-up policies and requests, from alphabets so small that they often meet.

use super::super::{How, PolicyKind, ResourceRule};
use super::case::{Asked, Papers};
use super::dice::Dice;
use super::*;
use serde_json::{Map, Value, json};

pub const CALLERS: [&str; 10] = [
    "alice",
    "alice",
    "session",
    "session",
    "root",
    "federated",
    "mallory",
    "foreign-session",
    "service",
    "anonymous",
];
const ACTIONS: [&str; 4] =
    ["kms:Decrypt", "kms:Encrypt", "kms:DescribeKey", "secretsmanager:GetSecretValue"];
const ACTION_PATTERNS: [&str; 10] = [
    "*",
    "kms:*",
    "kms:De*",
    "KMS:decrypt",
    "kms:?ecrypt",
    "kms:*crypt",
    "secretsmanager:Get*",
    "*:Describe*",
    "kms:Encrypt",
    "kms:D*t",
];
const RESOURCES: [&str; 5] = [
    "arn:aws:kms:eu-west-1:111122223333:key/a",
    "arn:aws:kms:eu-west-1:111122223333:key/ab",
    "arn:aws:kms:us-east-1:444455556666:key/a",
    "arn:aws:secretsmanager:eu-west-1:111122223333:secret:al/x-ab12cd",
    "*",
];
const RESOURCE_PATTERNS: [&str; 11] = [
    "*",
    "*",
    "arn:aws:kms:*:*:key/*",
    "arn:aws:kms:eu-west-1:111122223333:key/a",
    "arn:aws:kms:*:111122223333:key/a?",
    "arn:aws:kms:*:*:key/${aws:username}*",
    "arn:aws:kms:*:${aws:PrincipalAccount}:key/*",
    "arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team, 'al'}/*",
    "arn:aws:kms:*:*:key/${*}",
    "arn:aws:kms:us-*-1:444455556666:key/?",
    "arn:aws:secretsmanager:*:111122223333:secret:al/*",
];
const PRINCIPALS: [&str; 14] = [
    r#""*""#,
    r#"{"AWS":"*"}"#,
    r#"{"AWS":"111122223333"}"#,
    r#"{"AWS":"arn:aws:iam::444455556666:root"}"#,
    r#"{"AWS":"arn:aws:iam::111122223333:user/alice"}"#,
    r#"{"AWS":["arn:aws:iam::111122223333:role/ops/Deployer","111122223333"]}"#,
    r#"{"AWS":"arn:aws:iam::111122223333:role/ops/Deployer"}"#,
    r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/Deployer/ci"}"#,
    r#"{"AWS":"arn:aws:sts::111122223333:federated-user/guest"}"#,
    r#"{"AWS":["AIDAALICE00000000001","AROADEPLOYER00000001"]}"#,
    r#"{"AWS":["arn:aws:iam::444455556666:user/mallory","arn:aws:iam::444455556666:role/Reader"]}"#,
    r#"{"Service":"secretsmanager.amazonaws.com"}"#,
    r#"{"Service":"sns.amazonaws.com","AWS":"arn:aws:iam::111122223333:user/alice"}"#,
    r#"{"AWS":["111122223333","arn:aws:iam::111122223333:user/alice",
        "arn:aws:sts::111122223333:assumed-role/Deployer/ci",
        "arn:aws:iam::111122223333:role/ops/Deployer"]}"#,
];

/// Operators that compare the same kind of values: the keys they are asked about, with the values that
/// requests have for them and those that policies want.
struct Family {
    operators: &'static [&'static str],
    keys: &'static [&'static str],
    found: &'static [&'static str],
    wanted: &'static [&'static str],
}

const FAMILIES: [Family; 8] = [
    Family {
        operators: &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        keys: &[
            "aws:PrincipalTag/team",
            "aws:ResourceTag/team",
            "kms:EncryptionContext:app",
            "KMS:encryptionContext:App",
            "aws:TagKeys",
            "aws:username",
        ],
        found: &["a", "al", "AL", "b", "*", "", "ä"],
        wanted: &[
            "a",
            "al",
            "b",
            "a*",
            "?",
            "*",
            "${aws:username}",
            "${aws:PrincipalTag/team}",
            "${aws:PrincipalTag/team, 'al'}",
            "${*}",
            "",
            "A?",
        ],
    },
    Family {
        operators: &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        keys: &["kms:RotationPeriodInDays", "aws:MultiFactorAuthAge"],
        found: &["7", "7.0", "8", "-1", "1e1", "seven", "", "NaN", "+7", "10"],
        wanted: &["7", "8", "-1", "10", "7.5", "1e1"],
    },
    Family {
        operators: &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        keys: &["aws:CurrentTime", "aws:TokenIssueTime"],
        found: &[
            "2026-01-01T00:00:00Z",
            "2025-12-31T23:59:59Z",
            "1767225600",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01",
            "2026-02-30",
            "2026",
            "soon",
            "",
            "2026-01-01T00:00:00.001Z",
        ],
        wanted: &[
            "2026-01-01T00:00:00Z",
            "1767225600",
            "2025-12-31",
            "2026-01-01T01:00:00+02:00",
            "2028-02-29T12:00:00Z",
        ],
    },
    Family {
        operators: &["Bool"],
        keys: &["aws:SecureTransport", "aws:MultiFactorAuthPresent"],
        found: &["true", "false", "TRUE", "yes", ""],
        wanted: &["true", "false", "False"],
    },
    Family {
        operators: &["BinaryEquals"],
        keys: &["kms:RecipientAttestation:PCR0"],
        found: &["AQID", "AQIE", "AQI=", "AQ", ""],
        wanted: &["AQID", "AQIE", "AQI="],
    },
    Family {
        operators: &["IpAddress", "NotIpAddress"],
        keys: &["aws:SourceIp", "aws:VpcSourceIp"],
        found: &[
            "10.0.0.1",
            "10.1.2.3",
            "192.0.2.1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "10.0.0",
            "",
        ],
        wanted: &[
            "10.0.0.0/8",
            "10.0.0.1",
            "0.0.0.0/0",
            "::/0",
            "2001:db8::/32",
            "192.0.2.0/31",
            "::ffff:10.0.0.0/104",
        ],
    },
    Family {
        operators: &["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"],
        keys: &["aws:PrincipalArn", "aws:SourceArn"],
        found: &[
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/ops/Deployer",
            "arn:aws:iam::444455556666:user/al",
            "arn:aws:iam",
            "",
        ],
        wanted: &[
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::*:user/*",
            "*",
            "arn:*:iam::*:role/*",
            "arn:aws:iam::1111*:*",
            "arn:aws:iam::*:user/${aws:username}",
        ],
    },
    Family {
        operators: &["Null"],
        keys: &[
            "aws:TagKeys",
            "aws:username",
            "aws:PrincipalTag/team",
            "aws:SourceIp",
            "kms:EncryptionContext:app",
            "aws:TokenIssueTime",
        ],
        found: &[],
        wanted: &["true", "false"],
    },
];

/// A list, or its member if there is only one and chance wants it so.
fn listed(dice: &mut Dice, list: Vec<&str>) -> Value {
    match list.as_slice() {
        [one] if dice.once_in(2) => json!(one),
        _ => json!(list),
    }
}

fn condition(dice: &mut Dice, resource_policy: bool) -> Value {
    let mut operators = Map::new();
    for _ in 0..=dice.below(2) {
        let family = &FAMILIES[dice.below(FAMILIES.len())];
        let (key, base) = (dice.pick(family.keys), dice.pick(family.operators));
        let plain = base == "Null";
        let mut set = dice.pick(&["", "", "", "ForAllValues:", "ForAnyValue:"]);
        if resource_policy && key.to_lowercase().starts_with("kms:encryptioncontext:") {
            set = set.trim_start_matches("ForAllValues:"); // refused there
        }
        let suffix = dice.pick(&["", "", "IfExists"]);
        let operator = if plain { base.to_owned() } else { format!("{set}{base}{suffix}") };
        let wanted = dice.some(family.wanted, 3);
        let wanted = listed(dice, wanted);
        let keys = operators.entry(operator).or_insert_with(|| json!({}));
        keys[key] = wanted;
    }
    Value::Object(operators)
}

fn statement(dice: &mut Dice, kind: Kind) -> Value {
    let denies = dice.once_in(7);
    let mut statement = Map::new();
    statement.insert("Effect".into(), json!(if denies { "Deny" } else { "Allow" }));
    let actions = dice.some(&ACTION_PATTERNS, 3);
    let name = if dice.once_in(6) { "NotAction" } else { "Action" };
    statement.insert(name.into(), listed(dice, actions));
    if kind != Kind::Trust {
        let resources = dice.some(&RESOURCE_PATTERNS, 2);
        let name = if dice.once_in(6) { "NotResource" } else { "Resource" };
        statement.insert(name.into(), listed(dice, resources));
    }
    if kind != Kind::Identity {
        let not = kind == Kind::Resource && denies && dice.once_in(2);
        let name = if not { "NotPrincipal" } else { "Principal" };
        let principal = serde_json::from_str(dice.pick(&PRINCIPALS)).unwrap();
        statement.insert(name.into(), principal);
    }
    if dice.once_in(2) {
        statement.insert("Condition".into(), condition(dice, kind == Kind::Resource));
    }
    Value::Object(statement)
}

fn policy(dice: &mut Dice, kind: Kind) -> Value {
    let list: Vec<Value> = (0..=dice.below(3)).map(|_| statement(dice, kind)).collect();
    let version = if dice.once_in(5) { "2008-10-17" } else { "2012-10-17" };
    match list.as_slice() {
        [one] if dice.once_in(2) => json!({"Version": version, "Statement": one}),
        _ => json!({"Version": version, "Statement": list}),
    }
}

fn policies(dice: &mut Dice, most: usize, kind: Kind) -> Vec<Value> {
    (0..dice.below(most + 1)).map(|_| policy(dice, kind)).collect()
}

/// A session policy.
pub fn session(dice: &mut Dice) -> Value {
    policy(dice, Kind::Identity)
}

pub fn papers(dice: &mut Dice) -> Papers {
    let trust = dice.once_in(12);
    let kind = if trust { Kind::Trust } else { Kind::Resource };
    let guardrails = match dice.below(5) {
        0 => vec![(PolicyKind::ServiceControl, policies(dice, 2, Kind::Identity))],
        1 => vec![(PolicyKind::Endpoint, policies(dice, 1, Kind::Resource))],
        _ => Vec::new(),
    };
    Papers {
        identity: policies(dice, 3, Kind::Identity),
        resource: (!dice.once_in(4)).then(|| policy(dice, kind)),
        trust,
        boundary: dice.once_in(4).then(|| policy(dice, Kind::Identity)),
        session: dice.once_in(4).then(|| policies(dice, 2, Kind::Identity)),
        guardrails,
    }
}

pub fn asked(dice: &mut Dice) -> Asked {
    let caller = dice.pick(&CALLERS).to_owned();
    let resource = dice.pick(&RESOURCES).to_owned();
    let owner = resource.split(':').nth(4).unwrap_or(ACCOUNT).to_owned();
    let has_account = !super::caller(&caller).account.is_empty();
    let hows = [How::Exact, How::RoleOfSession, How::Account];
    let grant = dice.once_in(6).then(|| if has_account { dice.pick(&hows) } else { How::Exact });
    let rules = [ResourceRule::KeyPolicy, ResourceRule::Ordinary, ResourceRule::None];
    let mut facts = Vec::new();
    for family in &FAMILIES {
        for key in family.keys {
            if !family.found.is_empty() && dice.once_in(2) {
                let several = dice.once_in(4);
                let values = dice.some(family.found, if several { 3 } else { 1 });
                facts.push(((*key).to_owned(), values.into_iter().map(str::to_owned).collect()));
            }
        }
    }
    if dice.once_in(8) {
        facts.push(("aws:TokenIssueTime".to_owned(), Vec::new()));
    }
    facts.push(("aws:PrincipalAccount".to_owned(), vec![ACCOUNT.to_owned()]));
    Asked {
        caller,
        action: dice.pick(&ACTIONS).to_owned(),
        resource,
        owner,
        rule: dice.pick(&rules),
        grant,
        facts,
    }
}
