//! Tests across the modules of the evaluator; what concerns one module stands in it.

mod agreement;
mod bound;
mod case;
mod conditions;
mod costs;
mod decisions;
mod dice;
mod documents;
mod key_policy;
mod made_up;
mod naive;
mod naive_values;
mod operators;
mod principals;
mod properties;
mod sample;

use super::{Conditions, Kind, Policy, PolicyError, PolicyRef, Principal, PrincipalKind, Request};

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "444455556666";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// The callers by the names the decision file uses.
fn caller(name: &str) -> Principal<'static> {
    let role_arn = "arn:aws:iam::111122223333:role/ops/Deployer";
    let (arn, unique_id, account, kind) = match name {
        "root" => ("arn:aws:iam::111122223333:root", ACCOUNT, ACCOUNT, PrincipalKind::Root),
        "alice" => (
            "arn:aws:iam::111122223333:user/alice",
            "AIDAALICE00000000001",
            ACCOUNT,
            PrincipalKind::User,
        ),
        "session" => (
            "arn:aws:sts::111122223333:assumed-role/Deployer/ci",
            "AROADEPLOYER00000001:ci",
            ACCOUNT,
            PrincipalKind::AssumedRole { role_arn },
        ),
        "federated" => (
            "arn:aws:sts::111122223333:federated-user/guest",
            "111122223333:guest",
            ACCOUNT,
            PrincipalKind::FederatedUser {
                user_arn: "arn:aws:iam::111122223333:user/alice",
                user_id: "AIDAALICE00000000001",
            },
        ),
        "mallory" => (
            "arn:aws:iam::444455556666:user/mallory",
            "AIDAMALLORY000000001",
            OTHER,
            PrincipalKind::User,
        ),
        "foreign-session" => (
            "arn:aws:sts::444455556666:assumed-role/Reader/x",
            "AROAREADER0000000001:x",
            OTHER,
            PrincipalKind::AssumedRole { role_arn: "arn:aws:iam::444455556666:role/Reader" },
        ),
        "foreign-root" => ("arn:aws:iam::444455556666:root", OTHER, OTHER, PrincipalKind::Root),
        "service" => ("secretsmanager.amazonaws.com", "", "", PrincipalKind::Service),
        "github" => {
            let provider =
                "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com";
            ("", "", "", PrincipalKind::Federated { provider })
        }
        "anonymous" => ("", "", "", PrincipalKind::Anonymous),
        other => panic!("no caller {other}"),
    };
    Principal { arn, unique_id, account, kind }
}

fn decrypt<'a>(name: &str, conditions: &'a Conditions<'a>) -> Request<'a> {
    Request { principal: caller(name), action: "kms:Decrypt", resource: KEY, conditions }
}

fn identity(statements: &str) -> Policy {
    parse(statements, Kind::Identity)
}

fn resource(statements: &str) -> Policy {
    parse(statements, Kind::Resource)
}

fn parse(statements: &str, kind: Kind) -> Policy {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
    Policy::parse(&text, kind).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn named<'a>(name: &'a str, policy: &'a Policy) -> PolicyRef<'a> {
    PolicyRef { name, policy }
}
