//! Keys that are to encrypt secrets only: whoever may use one directly can decrypt what Secrets
//! Manager keeps without asking it (Secrets Manager user guide, "Secret encryption and decryption").

use super::cover::includes;
use super::written::{Asked, Principals, Written};
use super::{Report, Severity};

/// What uses a key, or hands its use on.
const USES: [&str; 7] = [
    "kms:decrypt",
    "kms:encrypt",
    "kms:generatedatakey",
    "kms:generatedatakeywithoutplaintext",
    "kms:reencryptfrom",
    "kms:reencryptto",
    "kms:creategrant",
];

pub(super) fn check(statement: &Written, report: &mut Report) {
    let others = statement.principals.anyone
        || statement.principals.named.iter().any(|name| !Principals::is_account(name));
    if !statement.allows || !others {
        return;
    }
    let covers = |action: &&str| {
        let listed = statement
            .actions
            .texts
            .iter()
            .any(|pattern| includes(&pattern.to_ascii_lowercase(), action));
        statement.actions.there && listed != statement.actions.negated
    };
    let Some(action) = USES.iter().find(|action| covers(action)) else { return };
    let via: Vec<&Asked> =
        statement.conditions.iter().filter(|asked| asked.is_about("kms:ViaService")).collect();
    let secrets = |asked: &&Asked| {
        let named = |value: &String| value.starts_with("secretsmanager.");
        asked.needs_its_key() && asked.operator != "Null" && asked.values.iter().all(named)
    };
    if !via.iter().any(secrets) {
        let why = if via.is_empty() { "does not ask for" } else { "is not held by" };
        let message = format!(
            "allows {action} and {why} kms:ViaService = secretsmanager.<region>.amazonaws.com: the \
             key can be used without Secrets Manager"
        );
        report.add(Severity::Warning, "missing-via-service", statement, "Condition", message);
    }
}
