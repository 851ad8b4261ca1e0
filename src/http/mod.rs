//! The front door: connections, TLS, HTTP and every limit on them; signatures; and the way from a
//! request to its operation.
mod admin;
mod admission;
mod answer;
mod body;
mod client_certificate;
mod connection;
mod dev;
mod entrance;
mod exchange;
mod framing;
mod front;
mod handler;
mod issuer;
mod limits;
mod listener;
mod machine_credentials;
mod progress;
mod sealed;
mod shares;
mod stand_in;
mod stream;
mod target;
mod tls;
mod unbroken;
mod xks;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use admission::Connections;
pub use client_certificate::ClientCertificate;
pub use dev::DevTools;
pub use entrance::{Entrance, Proxies};
pub use front::Front;
pub use handler::{Handler, Incoming, Refusal};
pub use limits::Limits;
pub use listener::{ListenError, Listener, ServeStats, check_plain_allowed};
pub use sealed::{Sealed, Why};
pub use tls::{Tls, TlsDetails, TlsError};
pub use xks::XksFront;
