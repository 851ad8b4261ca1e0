//! What goes over the wire: AWS's protocols, and AWS's own description of its API that they are
//! read and checked by. Knows nothing of keys, secrets or callers.
pub mod fault;
pub mod json;
pub mod model;
pub mod query;

pub use fault::{Fault, MessageMember, Protocol, ServiceError};
pub use model::{Model, OperationModel, Rejection};
