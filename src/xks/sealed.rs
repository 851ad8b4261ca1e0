//! What stands in the proxy's place while the deployment is sealed: whoever asks gets the protocol's word
//! for it at once, instead of waiting for nothing. No key is there, no signature is looked at (the log, in
//! which a refused one belongs, is closed too), and nothing is done.
use super::error::XksError;
use super::proxy::{PING, refused};
use super::route::route;
use super::settings::Settings;
use crate::wire::{Fault, ServiceError};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};

/// The key stores of the configuration, none of which can be served.
#[derive(Clone, Debug)]
pub struct SealedProxy {
    paths: Vec<String>,
}

impl SealedProxy {
    pub fn new(settings: &[Settings]) -> Self {
        Self { paths: settings.iter().map(Settings::path).collect() }
    }

    /// "Failure of a dependency layer", in the words of the specification; GetHealthStatus says the same,
    /// and load balancers are told to look elsewhere.
    pub fn answer(&self, head: &Parts) -> Response<Bytes> {
        let path = head.uri.path();
        let known = head.uri.query().is_none()
            && self.paths.iter().any(|store| route(path, store).is_some());
        if head.method == Method::GET && path == PING {
            return refused(&sealed());
        }
        if !known {
            return refused(&XksError::InvalidUriPath.fault());
        }
        if head.method != Method::POST {
            let mut response = refused(&XksError::Method.fault());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        refused(&sealed())
    }
}

fn sealed() -> Fault {
    XksError::Internal("sealed".into()).fault()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn everything_is_answered_and_nothing_is_done() {
        let store = json!({"prefix": "/a", "account": "111122223333", "region": "eu-west-1",
            "credentials": ["/x"], "key": []});
        let proxy = SealedProxy::new(&[serde_json::from_value(store).unwrap()]);
        let ask = |method: &str, path: &str| {
            let (head, ()) =
                http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
            let answer = proxy.answer(&head);
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert!(body.get("errorMessage").is_none_or(|text| !text.to_string().contains("seal")));
            (answer.status().as_u16(), body["errorName"].as_str().unwrap().to_owned())
        };
        let internal = (500, "InternalException".to_owned());
        for what in ["health", "keys/k/metadata", "keys/k/encrypt", "keys/k/decrypt"] {
            assert_eq!(ask("POST", &format!("/a/kms/xks/v1/{what}")), internal, "{what}");
            assert_eq!(ask("GET", &format!("/a/kms/xks/v1/{what}")).0, 405, "{what}");
        }
        assert_eq!(ask("GET", "/ping"), internal);
        for path in ["/b/kms/xks/v1/health", "/a/kms/xks/v1/health?a=b", "/"] {
            assert_eq!(ask("POST", path), (404, "InvalidUriPathException".into()), "{path}");
        }
    }
}
