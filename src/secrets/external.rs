//! Managed external secrets: those that a partner of AWS issues and AWS rotates there. Of them the
//! partner's name is kept, with what RotateSecret says beside it; who rotates them is the function that
//! the secret names, as with any other. (Secrets Manager user guide, "Managed external secrets".)
use super::{Edit, SecretError};

impl Edit {
    /// Says which partner's secret it is; nobody's, if the name is empty. A secret that rotates stays
    /// what it is: AWS asks for a CancelRotateSecret first (the same guide, "Migrating existing
    /// secrets").
    pub fn set_kind(&mut self, kind: String) -> Result<(), SecretError> {
        if !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let text = "Type must be the name of a partner's kind of secret: letters and digits.";
            return Err(SecretError::InvalidParameter(text.into()));
        }
        let kind = Some(kind).filter(|kind| !kind.is_empty());
        if kind == self.kind {
            return Ok(());
        }
        if self.rotation.as_ref().is_some_and(|rotation| rotation.enabled) {
            return Err(SecretError::InvalidRequest(
                "You can't change the Type of a secret that has rotation turned on. Cancel the \
                 rotation first.",
            ));
        }
        self.change().kind = kind;
        Ok(())
    }
}
