//! What answers in place of external key store proxies, where a test is not about one: healthy while a
//! store is made or changed, not there when it is to be connected, and without any key.
use bytes::Bytes;
use claviger::external::{Proxies, Transport, Way};
use claviger::outgoing::{Answer, OutgoingError};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex};

const HOSTS: [&str; 8] = ["proxy", "private", "foreign", "t", "o", "other", "own", "third"];

#[derive(Clone, Debug, Default)]
pub enum Says {
    #[default]
    Usual,
    /// It has every key, and each is like this.
    Key(Value),
    /// It refuses whatever is asked.
    Refuses(u16, &'static str),
    /// Its answers are of another protocol.
    Garbage,
    /// Nobody is there.
    Nothing,
}

#[derive(Debug, Default)]
pub struct StandIn(Mutex<Says>);

impl StandIn {
    pub fn says(&self, says: Says) {
        *self.0.lock().unwrap() = says;
    }

    pub fn proxies(self: &Arc<Self>) -> Proxies {
        let way = |host: &str| Way::over(&format!("https://{host}.example.com"), self.clone());
        Proxies::of(HOSTS.iter().map(|host| way(host)).collect())
    }

    fn answer(&self, path: &str, body: &Value) -> Result<(u16, Value), OutgoingError> {
        let away = || OutgoingError::Io(Error::from(ErrorKind::ConnectionRefused));
        let connects = body["requestMetadata"]["kmsOperation"] == "ConnectCustomKeyStore";
        let health = json!({
            "xksProxyFleetSize": 1, "xksProxyVendor": "v", "xksProxyModel": "m", "ekmVendor": "v",
            "ekmFleetDetails": [{"id": "1", "model": "m", "healthStatus": "ACTIVE"}],
        });
        match self.0.lock().unwrap().clone() {
            Says::Nothing => Err(away()),
            Says::Garbage => Ok((200, json!("<html>"))),
            Says::Refuses(status, name) => Ok((status, json!({"errorName": name}))),
            Says::Usual | Says::Key(_) if path.ends_with("/health") => match connects {
                true => Err(away()),
                false => Ok((200, health)),
            },
            Says::Key(key) if path.ends_with("/metadata") => Ok((200, key)),
            Says::Usual | Says::Key(_) => Ok((404, json!({"errorName": "KeyNotFoundException"}))),
        }
    }
}

#[async_trait::async_trait]
impl Transport for StandIn {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, OutgoingError> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (status, answer) = self.answer(&path, &serde_json::from_slice(&body).unwrap())?;
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, headers: HeaderMap::new(), body: answer.to_string().into() })
    }
}
