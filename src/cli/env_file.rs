//! The file of `export` lines by which shells and CI set-ups talk to `claviger dev`.
use crate::types::{Region, SecretText};
use std::net::SocketAddr;
use std::path::Path;

/// What a client needs.
#[derive(Debug)]
pub(super) struct Exports<'a> {
    pub listen: SocketAddr,
    pub access_key_id: &'a str,
    pub secret: &'a SecretText,
    pub region: &'a Region,
}

impl Exports<'_> {
    pub(super) fn text(&self) -> String {
        format!(
            "export AWS_ENDPOINT_URL=http://{}\nexport AWS_ACCESS_KEY_ID={}\n\
             export AWS_SECRET_ACCESS_KEY={}\nexport AWS_DEFAULT_REGION={}\n",
            self.listen,
            self.access_key_id,
            self.secret.expose(),
            self.region
        )
    }

    /// Replaces the file whole, readable by its owner only.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        super::files::write_private(path, self.text().as_bytes())
    }
}
