//! The front door: connections, TLS, HTTP and every limit on them; signatures; and the way from a
//! request to its operation.
mod admin;
mod admission;
mod body;
mod connection;
mod dev;
mod exchange;
mod framing;
mod front;
mod handler;
mod limits;
mod listener;
mod progress;
pub mod sigv4;
mod stream;
mod tls;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use admission::Connections;
pub use dev::DevTools;
pub use front::Front;
pub use handler::{Handler, Incoming, Refusal};
pub use limits::Limits;
pub use listener::{ListenError, Listener, ServeStats, check_plain_allowed};
pub use tls::{Tls, TlsDetails, TlsError};
