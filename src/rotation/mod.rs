//! The rotation of secrets: what happens after RotateSecret has answered, and when a secret's window has
//! come. The scheduler takes what is due, holds a lease on it, and has a function do the four steps.
mod client;
mod credentials;
mod database;
mod dispatch;
mod drain;
mod endpoint;
mod events;
mod invoke;
mod lease;
mod payload;
mod python;
mod scheduler;
mod steps;
mod watchdog;

pub use client::{Described, SecretsClient, Value};
pub use database::BuiltIn;
pub use dispatch::Dispatch;
pub use endpoint::Endpoint;
pub use invoke::{Event, Failure, FailureKind, Invoke};
pub use python::Runner;
pub use scheduler::Scheduler;
