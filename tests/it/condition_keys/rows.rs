//! The table: a condition key, and two requests or two policies that differ in it.
use super::{LATER, SOURCE_IDENTITY, role_arn};
use crate::support::user_arn;
use crate::world::{ACCOUNT, NOW_SECS, OTHER_ACCOUNT, REGION};
use claviger::authorize::Caller;
use std::collections::HashMap;

/// Who asks, and how the request comes.
#[derive(Clone, Debug)]
pub struct From {
    pub who: &'static str,
    pub ip: &'static str,
    pub agent: &'static str,
    pub tls: bool,
    pub region: &'static str,
}

impl From {
    pub fn by(who: &'static str) -> Self {
        Self { who, ip: "127.0.0.1", agent: "test", tls: false, region: REGION }
    }
}

/// First what is allowed, then what is denied.
#[derive(Debug)]
pub struct Row {
    pub key: &'static str,
    pub operator: &'static str,
    pub values: [String; 2],
    pub from: [From; 2],
}

/// One policy, two requests.
fn requests(
    key: &'static str,
    operator: &'static str,
    value: impl Into<String>,
    from: [From; 2],
) -> Row {
    let value = value.into();
    Row { key, operator, values: [value.clone(), value], from }
}

/// One request, two policies.
fn policies(
    key: &'static str,
    operator: &'static str,
    values: [impl Into<String>; 2],
    from: From,
) -> Row {
    Row { key, operator, values: values.map(Into::into), from: [from.clone(), from] }
}

pub fn rows(callers: &HashMap<&'static str, Caller>) -> Vec<Row> {
    let mut rows = of_principals(callers);
    rows.extend(of_sessions());
    rows.extend(of_requests());
    rows
}

fn of_principals(callers: &HashMap<&'static str, Caller>) -> Vec<Row> {
    let is = "StringEquals";
    let both = |one, other| [From::by(one), From::by(other)];
    let id = |who: &str| callers[who].principal.unique_id.clone();
    vec![
        requests("aws:PrincipalArn", "ArnEquals", user_arn("ann"), both("ann", "bob")),
        requests("aws:PrincipalArn", "ArnLike", "arn:aws:iam::*:user/a*", both("ann", "bob")),
        // Of a session it is the role's.
        requests("aws:PrincipalArn", "ArnEquals", role_arn("r"), both("role", "ann")),
        requests(
            "aws:PrincipalArn",
            "ArnLike",
            format!("arn:aws:iam::{ACCOUNT}:root"),
            both("root", "ann"),
        ),
        requests(
            "aws:PrincipalArn",
            "ArnLike",
            "arn:aws:sts::*:federated-user/*",
            both("federated", "ann"),
        ),
        requests("aws:PrincipalAccount", is, ACCOUNT, both("ann", "other")),
        requests("aws:PrincipalAccount", is, OTHER_ACCOUNT, both("other", "root")),
        requests("aws:PrincipalType", is, "Account", both("root", "ann")),
        requests("aws:PrincipalType", is, "User", both("ann", "role")),
        requests("aws:PrincipalType", is, "AssumedRole", both("role", "ann")),
        requests("aws:PrincipalType", is, "FederatedUser", both("federated", "ann")),
        requests("aws:PrincipalTag/team", is, "red", both("ann", "bob")),
        // Of the session; the role has none.
        requests("aws:PrincipalTag/Team", is, "red", both("sourced", "role")),
        policies("aws:PrincipalIsAWSService", "Bool", ["false", "true"], From::by("ann")),
        requests("aws:userid", is, id("ann"), both("ann", "bob")),
        requests("aws:userid", "StringLike", "AROA*:s1", both("role", "ann")),
        requests("aws:userid", is, ACCOUNT, both("root", "ann")),
        requests("aws:username", is, "ann", both("ann", "bob")),
        requests("aws:username", "StringLike", "*", both("ann", "role")),
        policies("aws:ResourceAccount", is, [ACCOUNT, OTHER_ACCOUNT], From::by("ann")),
    ]
}

fn of_sessions() -> Vec<Row> {
    let both = |one, other| [From::by(one), From::by(other)];
    let moment = (NOW_SECS + LATER / 2).to_string();
    let provider = super::provider();
    vec![
        requests("aws:TokenIssueTime", "DateGreaterThan", moment.clone(), both("late", "role")),
        requests("aws:TokenIssueTime", "DateLessThan", moment, both("role", "late")),
        requests("aws:MultiFactorAuthPresent", "Bool", "true", both("proved", "plain")),
        requests("aws:MultiFactorAuthPresent", "Bool", "false", both("plain", "proved")),
        requests("aws:MultiFactorAuthPresent", "BoolIfExists", "true", both("ann", "plain")),
        requests("aws:MultiFactorAuthAge", "NumericLessThan", "3600", both("proved", "plain")),
        policies(
            "aws:MultiFactorAuthAge",
            "NumericLessThan",
            [LATER + 1, LATER].map(|age| age.to_string()),
            From::by("proved"),
        ),
        requests("aws:SourceIdentity", "StringEquals", SOURCE_IDENTITY, both("sourced", "role")),
        requests("aws:SourceIdentity", "StringLike", "*@example.com", both("sourced", "ann")),
        requests("aws:FederatedProvider", "ArnEquals", provider, both("web", "role")),
    ]
}

fn of_requests() -> Vec<Row> {
    let ann = || From::by("ann");
    let now = NOW_SECS + LATER;
    let ip = |ip| From { ip, ..ann() };
    let around = [now + 1, now].map(|at| at.to_string());
    vec![
        requests("aws:SourceIp", "IpAddress", "10.0.0.0/8", [ip("10.1.2.3"), ip("192.0.2.1")]),
        requests("aws:SourceIp", "NotIpAddress", "10.0.0.0/8", [ip("192.0.2.1"), ip("10.1.2.3")]),
        requests(
            "aws:SourceIp",
            "IpAddress",
            "2001:db8::/32",
            [ip("2001:db8::1"), ip("2001:db9::1")],
        ),
        requests("aws:SecureTransport", "Bool", "true", [From { tls: true, ..ann() }, ann()]),
        requests("aws:SecureTransport", "Bool", "false", [ann(), From { tls: true, ..ann() }]),
        policies("aws:CurrentTime", "DateLessThan", around.clone(), ann()),
        policies(
            "aws:CurrentTime",
            "DateGreaterThan",
            ["2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z"],
            ann(),
        ),
        policies("aws:EpochTime", "NumericLessThan", around.clone(), ann()),
        policies("aws:EpochTime", "DateLessThan", around, ann()),
        requests(
            "aws:UserAgent",
            "StringLike",
            "aws-cli/*",
            [From { agent: "aws-cli/2.0", ..ann() }, From { agent: "curl/8", ..ann() }],
        ),
        policies("aws:ViaAWSService", "Bool", ["false", "true"], ann()),
    ]
}
