//! What requests are signed with: files in the form that the AWS console takes.
//!
//! ```text
//! {"XksProxyUriPath": "/payroll/kms/xks/v1",
//!  "XksProxyAuthenticationCredential": {"AccessKeyId": "…", "RawSecretAccessKey": "…"}}
//! ```
use super::Settings;
use crate::external;
use crate::types::SecretText;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Several times what one takes.
const MAX_BYTES: u64 = 4096;

/// A file holds no credential.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct CredentialError {
    pub path: PathBuf,
    pub what: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    xks_proxy_uri_path: Option<String>,
    xks_proxy_authentication_credential: Credential,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credential {
    access_key_id: String,
    raw_secret_access_key: SecretText,
}

/// The secrets of every store, as they were read together.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Another one each time they are read: what was derived from older ones is not good any more.
    pub(super) generation: u64,
    /// In the order of the stores; by access key id.
    pub(super) of_stores: Vec<BTreeMap<String, SecretText>>,
}

impl Credentials {
    pub(super) fn read(settings: &[Settings], generation: u64) -> Result<Self, CredentialError> {
        let mut seen = BTreeSet::new();
        let mut of_stores = Vec::with_capacity(settings.len());
        for one in settings {
            let mut secrets = BTreeMap::new();
            for path in &one.credentials {
                let bad = |what: String| CredentialError { path: path.clone(), what };
                let (id, secret) = read(path, &one.path()).map_err(bad)?;
                // An id names one secret, whoever asks where.
                if !seen.insert(id.clone()) {
                    return Err(bad(format!("AccessKeyId {id} is in another file, too")));
                }
                secrets.insert(id, secret);
            }
            of_stores.push(secrets);
        }
        Ok(Self { generation, of_stores })
    }
}

fn read(path: &Path, uri_path: &str) -> Result<(String, SecretText), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    let mode = metadata.mode() & 0o777;
    if !metadata.is_file() || mode & 0o077 != 0 {
        return Err(format!("has mode {mode:o}; wanted a file of mode 600"));
    }
    // Room for all of it at once: a buffer that grew would leave pieces behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("is longer than {MAX_BYTES} bytes"));
    }
    // The parser's own text could repeat what is secret.
    let written: Written = serde_json::from_slice(&bytes).map_err(|_| {
        "is not {\"XksProxyAuthenticationCredential\": {\"AccessKeyId\", \"RawSecretAccessKey\"}}"
    })?;
    if let Some(other) = written.xks_proxy_uri_path.filter(|path| path != uri_path) {
        return Err(format!("is for XksProxyUriPath {other:?}, not for {uri_path:?}"));
    }
    let credential = written.xks_proxy_authentication_credential;
    if !external::is_access_key_id(&credential.access_key_id) {
        return Err("AccessKeyId: wanted 20 to 30 of A-Z and 2-7".into());
    }
    if !external::is_secret(credential.raw_secret_access_key.expose()) {
        return Err("RawSecretAccessKey: wanted 43 to 64 of A-Z, a-z, 0-9, /, + and =".into());
    }
    Ok((credential.access_key_id, credential.raw_secret_access_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ID: &str = "ABCDEFGHIJKLMNOPQRST";
    const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0czE=";

    fn file(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn text(path: Option<&str>, id: &str, secret: &str) -> String {
        let mut text = serde_json::json!({
            "XksProxyAuthenticationCredential": {"AccessKeyId": id, "RawSecretAccessKey": secret}
        });
        if let Some(path) = path {
            text["XksProxyUriPath"] = path.into();
        }
        text.to_string()
    }

    #[test]
    fn a_credential_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for uri in [None, Some("/a/kms/xks/v1")] {
            let path = file(dir.path(), "good", &text(uri, ID, SECRET), 0o600);
            let (id, secret) = read(&path, "/a/kms/xks/v1").unwrap();
            assert_eq!((id.as_str(), secret.expose()), (ID, SECRET));
        }
    }

    #[test]
    fn what_is_none_is_refused_and_never_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}{}", " ".repeat(4096), text(None, ID, SECRET));
        for (name, text, mode, reason) in [
            ("mode", text(None, ID, SECRET), 0o640, "mode 640"),
            ("path", text(Some("/b/kms/xks/v1"), ID, SECRET), 0o600, "XksProxyUriPath"),
            ("id", text(None, "ABCDEFGHIJKLMNOPQRS1", SECRET), 0o600, "AccessKeyId"),
            ("short", text(None, ID, &SECRET[..42]), 0o600, "RawSecretAccessKey"),
            ("letters", text(None, ID, &SECRET.replace('=', "!")), 0o600, "RawSecretAccessKey"),
            ("json", text(None, ID, SECRET).replace(':', ""), 0o600, "is not {"),
            ("long", long, 0o600, "longer than 4096"),
        ] {
            let path = file(dir.path(), name, &text, mode);
            let error = read(&path, "/a/kms/xks/v1").unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
            assert!(!error.contains("c2Vj"), "{name}: {error}");
        }
        assert!(read(&dir.path().join("missing"), "").is_err());
        assert!(read(dir.path(), "").unwrap_err().contains("wanted a file"));
    }
}
