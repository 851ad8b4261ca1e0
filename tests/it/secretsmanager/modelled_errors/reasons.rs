//! Why an error of the model cannot occur here.
use crate::modelled::Reason;

pub const REASONS: &[Reason] = &[
    Reason(
        &["InternalServiceError"],
        &["GetRandomPassword"],
        "It reads nothing and writes nothing that could fail. What every operation has, the audit log \
         that refuses its event, is InternalFailure.",
    ),
    Reason(
        &["InvalidRequestException"],
        &["GetRandomPassword", "ListSecrets"],
        "There is no one thing that it acts on and whose state could forbid it.",
    ),
    Reason(
        &["InvalidRequestException"],
        &["RestoreSecret"],
        "Whatever is not scheduled for deletion stays as it is, and what is scheduled is restored.",
    ),
    Reason(
        &["LimitExceededException"],
        &["CreateSecret"],
        "How many secrets an account has is not limited.",
    ),
    Reason(
        &["MalformedPolicyDocumentException"],
        &["CreateSecret", "UpdateSecret"],
        "It takes no policy.",
    ),
    Reason(
        &["PreconditionNotMetException"],
        &["CreateSecret", "UpdateSecret"],
        "No member of the request says what has to be the case before it.",
    ),
    Reason(
        &["ResourceNotFoundException"],
        &["CreateSecret"],
        "Whether another account has the primary that it names is not said, and a key that there is \
         not is EncryptionFailure.",
    ),
];
