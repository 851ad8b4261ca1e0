//! What went wrong with a statement, by what is to be done about it.
use crate::store::StoreError;
use tokio_postgres::Error;

#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The transaction was rolled back for a rival's sake, or took too long: the same again may succeed.
    Again(String),
    /// The connection is of no use any more, or was not to be had. Another one may be.
    Lost(String),
    /// Neither would help.
    Refused(StoreError),
}

impl Trouble {
    pub(super) fn late(what: &str) -> Self {
        Self::Lost(format!("the database did not answer in time: {what}"))
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // The driver's own text says no more than which kind it is.
            let why = std::error::Error::source(&error).map_or(String::new(), |e| format!(": {e}"));
            return Self::Lost(format!("{error}{why}"));
        };
        let code = database.code().code();
        let text = format!("SQLSTATE {code}: {}", database.message());
        match code {
            // Serialization failure, deadlock, a lock that was not to be had, a statement that took too
            // long. Another connection would be no quicker.
            "40001" | "40P01" | "55P03" | "57014" => Self::Again(text),
            "53100" => Self::Refused(StoreError::Full(text)),
            // A server that is read-only until it has taken over, or is stopping or starting; a
            // transaction that ended with its connection.
            "25006" | "25P02" | "25P03" | "25P04" => Self::Lost(text),
            "XX001" | "XX002" => Self::Refused(StoreError::Corrupt(text)),
            // Prepared statements that the session has no more, or whose tables have changed since; a
            // broken server process. Another session is free of it.
            _ if ["26", "0A", "XX"].iter().any(|class| code.starts_with(class)) => Self::Lost(text),
            // Connections, resources, operators and the system itself. (PostgreSQL, appendix A.)
            _ if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
                Self::Lost(text)
            }
            _ => Self::Refused(StoreError::Unavailable(text)),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Again(text) | Trouble::Lost(text) => Self::Unavailable(text),
            Trouble::Refused(error) => error,
        }
    }
}
