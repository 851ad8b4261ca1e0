//! Which API of which key store a path names. Only the whole of a path means something: it is what was
//! signed.
use crate::external::{MAX_URI_CHARS, is_key_id};

/// One of the protocol's four APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Health,
    Metadata,
    Encrypt,
    Decrypt,
}

impl Api {
    /// The protocol's name of it: what events and metrics say.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Health => "GetHealthStatus",
            Self::Metadata => "GetKeyMetadata",
            Self::Encrypt => "Encrypt",
            Self::Decrypt => "Decrypt",
        }
    }
}

/// What follows a store's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'p> {
    pub(super) api: Api,
    /// Empty for [`Api::Health`].
    pub(super) key_id: &'p str,
}

/// The route of a path, if it lies under `store`, the store's path.
pub(super) fn route<'p>(path: &'p str, store: &str) -> Option<Route<'p>> {
    if path.len() > MAX_URI_CHARS {
        return None;
    }
    let rest = path.strip_prefix(store)?;
    if rest == "/health" {
        return Some(Route { api: Api::Health, key_id: "" });
    }
    let (key_id, api) = rest.strip_prefix("/keys/")?.split_once('/')?;
    let api = match api {
        "metadata" => Api::Metadata,
        "encrypt" => Api::Encrypt,
        "decrypt" => Api::Decrypt,
        _ => return None,
    };
    is_key_id(key_id).then_some(Route { api, key_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "/a/b/kms/xks/v1";

    #[test]
    fn the_four_apis() {
        let health = Route { api: Api::Health, key_id: "" };
        assert_eq!(route("/a/b/kms/xks/v1/health", STORE), Some(health));
        for (last, api) in
            [("metadata", Api::Metadata), ("encrypt", Api::Encrypt), ("decrypt", Api::Decrypt)]
        {
            for key_id in ["k", "A.b_c-9", ".k", "...", &"x".repeat(128)] {
                let path = format!("{STORE}/keys/{key_id}/{last}");
                assert_eq!(route(&path, STORE), Some(Route { api, key_id }), "{path}");
            }
        }
    }

    #[test]
    fn other_paths_are_none() {
        for rest in [
            "",
            "/",
            "/health/",
            "/Health",
            "//health",
            "/keys",
            "/keys/",
            "/keys/k",
            "/keys/k/",
            "/keys//encrypt",
            "/keys/./encrypt",
            "/keys/../encrypt",
            "/keys/k/encrypt/",
            "/keys/k/l/encrypt",
            "/keys/k%20/encrypt",
            "/keys/k/sign",
            "/keys/é/encrypt",
        ] {
            assert_eq!(route(&format!("{STORE}{rest}"), STORE), None, "{rest}");
        }
        for path in ["/kms/xks/v1/health", "/a/b/c/kms/xks/v1/health", "/a/b/kms/xks/v2/health"] {
            assert_eq!(route(path, STORE), None, "{path}");
        }
        let long = format!("{STORE}/keys/{}/encrypt", "x".repeat(129));
        assert_eq!(route(&long, STORE), None);
        let deep = format!("/{}/kms/xks/v1", "d".repeat(115));
        assert_eq!(route(&format!("{deep}/keys/{}/metadata", "x".repeat(128)), &deep), None);
    }
}
