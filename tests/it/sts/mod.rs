//! STS: who calls, and sessions from their making to their end.
mod assume_role;
mod bounded;
mod caller_identity;
mod denials;
pub mod doors;
pub mod issuer;
mod messages;
mod outbound;
mod revocation;
mod sessions;
pub mod web_identity;

use crate::world::{ACCOUNT, Failed, REGION, Someone, World, table};
use claviger::authorize::{Caller, Conditions, Resource, authorize};
use claviger::call::Arrival;
use claviger::identity::{NewRole, Role, Session};
use claviger::types::Tags;
use serde_json::{Value, json};

/// Temporary credentials.
#[derive(Clone, Debug)]
pub struct Temporary {
    pub who: Someone,
    pub token: String,
}

impl Temporary {
    /// Out of an answer of STS.
    pub fn of(answer: &Value) -> Self {
        let text = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
        let who = Someone {
            access_key_id: text("AccessKeyId"),
            secret: text("SecretAccessKey"),
            account: ACCOUNT.into(),
        };
        Self { who, token: text("SessionToken") }
    }
}

pub fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

/// A trust policy that lets one principal do all that there is to assuming a role.
pub fn trust(principal: &str) -> Value {
    trust_if(principal, json!({}))
}

pub fn trust_if(principal: &str, condition: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": condition,
    }]})
}

/// A request to assume a role of [`ACCOUNT`] as session `s1`, and more members.
pub fn assuming(role: &str, more: Value) -> Value {
    let mut body = json!({"RoleArn": role_arn(role), "RoleSessionName": "s1"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

impl World {
    /// A new role of [`ACCOUNT`] with one policy and sessions of up to two hours.
    pub async fn role(&self, name: &str, trust: Value, policy: Value) -> String {
        self.tagged_role(name, trust, policy, Tags::default()).await
    }

    pub async fn tagged_role(&self, name: &str, trust: Value, policy: Value, tags: Tags) -> String {
        let root = self.caller(&self.root).await;
        let new = NewRole {
            account: ACCOUNT.parse().unwrap(),
            name: name.into(),
            path: "/".into(),
            description: String::new(),
            trust: trust.to_string(),
            max_session_seconds: 7200,
            boundary: None,
            tags,
        };
        let arn = new.arn();
        let what = Resource { arn: arn.clone(), kind: "AWS::IAM::Role", tags: Tags::default() };
        let allowed =
            authorize(&root, "iam:CreateRole", what, Conditions::default(), None).unwrap();
        let mut tx = self.server.store.begin();
        let (random, now) = (self.server.random.clone(), self.server.clock.now());
        let role = Role::create(&allowed, &mut tx, new, &*random, now).await.unwrap();
        let mut role = Role::clone(&role);
        role.policies.put("policy".into(), policy.to_string(), 10_240, "").unwrap();
        role.save(&allowed, &mut tx).unwrap();
        tx.commit().await.unwrap();
        arn.to_string()
    }

    pub async fn delete_role(&self, name: &str) {
        let root = self.caller(&self.root).await;
        let mut tx = self.server.store.begin();
        let role = Role::find(&mut tx, &ACCOUNT.parse().unwrap(), name).await.unwrap();
        let what =
            Resource { arn: role.arn.clone(), kind: "AWS::IAM::Role", tags: Tags::default() };
        let allowed =
            authorize(&root, "iam:DeleteRole", what, Conditions::default(), None).unwrap();
        let mut role = Role::clone(&role);
        role.policies.remove("role", "policy").unwrap();
        role.delete(&allowed, &mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Assumes a role with success.
    pub async fn assume(&self, who: &Someone, role: &str, more: Value) -> Temporary {
        let body = assuming(role, more);
        Temporary::of(&self.call_as(who, "sts", "AssumeRole", body).await.unwrap())
    }

    /// Who the credentials stand for now, if for anybody.
    pub async fn caller_of(&self, session: &Temporary) -> Option<Caller> {
        let id = &session.who.access_key_id;
        let opened = Session::open(&self.server.root, id, &session.token)?;
        if opened.has_expired(self.server.clock.wall()) {
            return None;
        }
        let mut tx = self.server.store.begin();
        opened.caller(&mut tx, &self.server.services, id).await.unwrap()
    }

    /// Calls an operation with temporary credentials.
    pub async fn with(
        &self,
        session: &Temporary,
        service: &str,
        name: &str,
        body: Value,
    ) -> Result<Value, Failed> {
        let caller = self.caller_of(session).await.expect("a live session");
        let entry = table(service).find(name).unwrap_or_else(|| panic!("no operation {name}"));
        let random = &self.server.random;
        let arrival = Arrival {
            request_id: random.uuid().to_string().into(),
            event_id: random.uuid().to_string().into(),
            region: REGION.parse().unwrap(),
            source_ip: "127.0.0.1".parse().unwrap(),
            endpoint: None,
            user_agent: "test".into(),
            tls: None,
        };
        let body = serde_json::to_vec(&body).unwrap();
        match entry.run(&self.server, &caller, &arrival, &body).await {
            Ok(body) if body.is_empty() => Ok(Value::Null),
            Ok(body) => Ok(serde_json::from_slice(&body).unwrap()),
            Err(fault) => {
                assert!(fault.status < 500, "{name} failed inside: {fault:?}");
                Err(Failed { code: fault.code.into(), message: fault.message().to_owned() })
            }
        }
    }

    pub async fn may_with(
        &self,
        session: &Temporary,
        service: &str,
        name: &str,
        body: Value,
    ) -> bool {
        match self.with(session, service, name, body).await {
            Ok(_) => true,
            Err(error) => {
                assert!(error.code.starts_with("AccessDenied"), "{name}: {error:?}");
                false
            }
        }
    }
}
