//! What is answered while the deployment is sealed: no device that could open it can be reached. It is
//! said openly, every call is refused as AWS refuses one in times of trouble, and nothing is done.
use super::admin::page;
use super::answer::{Answer, respond};
use super::target::target;
use super::{Handler, Incoming};
use crate::random::{Random, SystemRandom};
use crate::wire::Fault;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::watch;

const JSON: &str = "application/json";
/// When a client may ask again, in seconds: devices are looked for about as often.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Why it is sealed, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    /// Whether it takes an operator: waiting will not open it.
    pub operator_needed: bool,
}

/// Stands where the API will stand.
#[derive(Clone, Debug)]
pub struct Sealed {
    why: watch::Receiver<Why>,
    /// Whether health is told on this listener.
    health: bool,
    /// Whether there is an API on this listener.
    api: bool,
}

impl Sealed {
    pub fn new(why: watch::Receiver<Why>, health: bool, api: bool) -> Self {
        Self { why, health, api }
    }

    fn state(&self, status: StatusCode) -> Response<Bytes> {
        let why = self.why.borrow();
        let text = json!({
            "status": "sealed",
            "reason": why.reason,
            "operatorNeeded": why.operator_needed,
        });
        page(status, JSON, format!("{text}\n"))
    }
}

impl Handler for Sealed {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        if self.health && request.head.method == Method::GET {
            match request.head.uri.path() {
                // The process is well. One that was started anew would be sealed too, and might try a
                // PIN again that was refused.
                "/healthz" => return self.state(StatusCode::OK),
                "/readyz" => return self.state(StatusCode::SERVICE_UNAVAILABLE),
                _ => {}
            }
        }
        if !self.api {
            return page(StatusCode::NOT_FOUND, JSON, "{}\n".into());
        }
        let (protocol, meant) = match target(&request.head, &request.body) {
            Ok(target) => (target.meant.service.protocol(), Some(target.meant)),
            Err((protocol, _)) => (protocol, None),
        };
        let random: &dyn Random = &SystemRandom;
        let outcome = Err(Fault::unavailable());
        let answer = Answer { protocol, meant, outcome };
        let mut response = respond(answer, &random.uuid().to_string());
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, target: Option<&str>, body: &str) -> Incoming {
        let mut builder = http::Request::builder().method(method).uri(path);
        if let Some(target) = target {
            builder = builder.header("x-amz-target", target);
        } else if method == "POST" {
            builder = builder.header("content-type", "application/x-www-form-urlencoded");
        }
        let (head, ()) = builder.body(()).unwrap().into_parts();
        let peer = "127.0.0.1:1".parse().unwrap();
        let body = Bytes::from(body.to_owned());
        Incoming { head, body, peer, tls: None, certificate: None }
    }

    fn sealed(health: bool, api: bool) -> (watch::Sender<Why>, Sealed) {
        let why = Why { reason: "the token \"a\" is away".into(), operator_needed: false };
        let (tell, why) = watch::channel(why);
        (tell, Sealed::new(why, health, api))
    }

    #[tokio::test]
    async fn health_says_why_and_follows_what_changes() {
        let (tell, sealed) = sealed(true, true);
        for (path, status) in [("/healthz", 200), ("/readyz", 503)] {
            let answer = sealed.handle(request("GET", path, None, "")).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-type"], JSON);
            let text: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(text["status"], "sealed");
            assert_eq!(text["reason"], "the token \"a\" is away");
            assert_eq!(text["operatorNeeded"], false);
        }
        tell.send_replace(Why { reason: "wrong PIN".into(), operator_needed: true });
        let answer = sealed.handle(request("GET", "/readyz", None, "")).await;
        let text = String::from_utf8(answer.into_body().to_vec()).unwrap();
        assert!(text.contains("wrong PIN") && text.contains("true"), "{text}");
    }

    #[tokio::test]
    async fn every_call_is_refused_in_its_protocol_and_told_nothing() {
        let (_tell, sealed) = sealed(false, true);
        let encrypt = request("POST", "/", Some("TrentService.Encrypt"), "{}");
        let caller = request("POST", "/", None, "Action=GetCallerIdentity&Version=2011-06-15");
        for (request, xml) in [
            (encrypt, false),
            (request("POST", "/", Some("TrentService.NoSuch"), "not json"), false),
            (request("GET", "/readyz", None, ""), false),
            (caller, true),
        ] {
            let answer = sealed.handle(request).await;
            assert_eq!(answer.status(), 503);
            assert_eq!(answer.headers()["retry-after"], "5");
            assert!(answer.headers().contains_key("x-amzn-requestid"));
            let text = String::from_utf8(answer.into_body().to_vec()).unwrap();
            assert!(text.contains("ServiceUnavailable") && !text.contains("token"), "{text}");
            assert_eq!(text.starts_with('<'), xml, "{text}");
        }
    }

    #[tokio::test]
    async fn a_listener_for_health_has_no_api() {
        let (_tell, sealed) = sealed(true, false);
        let encrypt = request("POST", "/", Some("TrentService.Encrypt"), "{}");
        assert_eq!(sealed.handle(encrypt).await.status(), 404);
    }
}
