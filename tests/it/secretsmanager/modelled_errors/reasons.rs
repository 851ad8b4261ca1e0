//! Why an error of the model cannot occur here.

/// Errors, the operations that have them, and the reason.
type Reason = (&'static [&'static str], &'static [&'static str], &'static str);

const REASONS: &[Reason] = &[
    (
        &["InternalServiceError"],
        &["GetRandomPassword"],
        "It reads nothing and writes nothing that could fail. What every operation has, the audit log \
         that refuses its event, is InternalFailure.",
    ),
    (
        &["InvalidRequestException"],
        &["GetRandomPassword", "ListSecrets"],
        "There is no one thing that it acts on and whose state could forbid it.",
    ),
    (
        &["InvalidRequestException"],
        &["RestoreSecret"],
        "Whatever is not scheduled for deletion stays as it is, and what is scheduled is restored.",
    ),
    (
        &["LimitExceededException"],
        &["CreateSecret"],
        "How many secrets an account has is not limited.",
    ),
    (
        &["MalformedPolicyDocumentException"],
        &["CreateSecret", "UpdateSecret"],
        "It takes no policy.",
    ),
    (
        &["PreconditionNotMetException"],
        &["CreateSecret", "UpdateSecret"],
        "No member of the request says what has to be the case before it.",
    ),
    (
        &["ResourceNotFoundException"],
        &["CreateSecret"],
        "Whether another account has the primary that it names is not said, and a key that there is \
         not is EncryptionFailure.",
    ),
];

/// Operation, error, reason.
pub fn all() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all = Vec::new();
    for (errors, operations, reason) in REASONS {
        for error in *errors {
            all.extend(operations.iter().map(|operation| (*operation, *error, *reason)));
        }
    }
    all
}

pub fn of(operation: &str, error: &str) -> Option<&'static str> {
    let mut all = all().into_iter();
    all.find(|(o, e, _)| *o == operation && *e == error).map(|(_, _, reason)| reason)
}
