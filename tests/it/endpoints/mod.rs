//! Listeners that are VPC endpoints, in process: what policies know of a request that came through
//! one, what the endpoint's own policy lets through, and what neither reaches.
mod keys;
mod policies;
mod services;

use crate::support::policy;
use crate::world::{Failed, REGION, Someone, World, table};
use claviger::call::{Arrival, Endpoint};
use serde_json::{Value, json};
use std::sync::Arc;

pub const HERE: &str = "vpce-1a2b3c4d5e6f70819";
pub const THERE: &str = "vpce-9f8e7d6c5b4a39281";
pub const VPC: &str = "vpc-1a2b3c4d";
pub const DENIED: &str = "AccessDeniedException";

/// A way to the server: from an address, over the API's listener or through an endpoint.
#[derive(Clone, Debug)]
pub struct Way {
    pub address: &'static str,
    pub endpoint: Option<Arc<Endpoint>>,
}

pub fn straight(address: &'static str) -> Way {
    Way { address, endpoint: None }
}

pub fn through(id: &str, vpc: &str, address: &'static str) -> Way {
    let endpoint = Endpoint::new(id.to_owned(), vpc.to_owned());
    Way { address, endpoint: Some(Arc::new(endpoint)) }
}

/// Through [`HERE`], whose policy has these statements.
pub fn guarded(statements: &[Value]) -> Way {
    let endpoint = Endpoint::new(HERE.to_owned(), VPC.to_owned());
    let endpoint = endpoint.with_policy(&policy(statements).to_string()).unwrap();
    Way { address: "10.1.2.3", endpoint: Some(Arc::new(endpoint)) }
}

impl World {
    /// Calls an operation as the front does for a request that came this way.
    pub async fn over(
        &self,
        way: &Way,
        who: &Someone,
        service: &str,
        name: &str,
        body: Value,
    ) -> Result<Value, Failed> {
        let arrival = Arrival {
            request_id: self.server.random.uuid().to_string().into(),
            event_id: self.server.random.uuid().to_string().into(),
            region: REGION.parse().unwrap(),
            source_ip: way.address.parse().unwrap(),
            endpoint: way.endpoint.clone(),
            user_agent: "test".into(),
            tls: None,
        };
        let entry = table(service).find(name).unwrap();
        let (caller, body) = (self.caller(who).await, serde_json::to_vec(&body).unwrap());
        match entry.run(&self.server, &caller, &arrival, &body).await {
            Ok(body) if body.is_empty() => Ok(Value::Null),
            Ok(body) => Ok(serde_json::from_slice(&body).unwrap()),
            Err(fault) => {
                assert!(fault.status < 500, "{name} failed inside: {fault:?}");
                Err(Failed { code: fault.code.into(), message: fault.message().to_owned() })
            }
        }
    }

    pub async fn may_over(&self, way: &Way, who: &Someone, name: &str, body: Value) -> bool {
        match self.over(way, who, "kms", name, body).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.code, DENIED, "{name}: {error:?}");
                false
            }
        }
    }
}

/// Allows all of KMS, under this condition.
pub fn if_so(condition: &Value) -> Value {
    json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition})
}
