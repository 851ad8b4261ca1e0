//! The condition keys of all services, of IAM, STS and Secrets Manager: what a policy with each of them
//! allows, and what it then does not. Those of KMS are in `kms/condition_keys`.
mod identity;
mod names;
mod policies;
mod replicas;
mod requests;
mod rotation;
mod rows;
mod secrets;

use crate::iam::mfa;
use crate::sts::{self, Temporary, role_arn, trust, web_identity};
use crate::world::{ACCOUNT, World, allow, table};
use claviger::audit::TlsDetails;
use claviger::authorize::Caller;
use claviger::call::Arrival;
use rows::{From, rows};
use serde_json::{Value, json};
use std::collections::HashMap;

const DENIED: &str = "AccessDeniedException";
const SOURCE_IDENTITY: &str = "ann@example.com";
/// How long after the other sessions the one called `late` was made, in seconds.
const LATER: i64 = 60;

/// The provider of web identities.
fn provider() -> String {
    format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/cluster")
}

/// A world with somebody of every kind.
struct Scene {
    world: World,
    callers: HashMap<&'static str, Caller>,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let ann = world.user("ann", allow(&["sts:*"])).await;
        let bob = world.user("bob", allow(&["sts:*"])).await;
        for (name, team) in [("ann", "red"), ("bob", "blue")] {
            let body = json!({"UserName": name, "Tags": [{"Key": "Team", "Value": team}]});
            world.iam("TagUser", body).await;
        }
        world.role("r", trust(ACCOUNT), allow(&["s3:*"])).await;
        let role = world.assume(&ann, "r", json!({})).await;
        let sourced = json!({"SourceIdentity": SOURCE_IDENTITY,
            "Tags": [{"Key": "Team", "Value": "red"}]});
        let sourced = world.assume(&ann, "r", sourced).await;
        let body = json!({"Name": "guest", "Policy": allow(&["kms:*"]).to_string()});
        let federated = world.call_as(&ann, "sts", "GetFederationToken", body).await.unwrap();
        let (serial, seed) = mfa::device(&world, "phone").await;
        world.iam("EnableMFADevice", mfa::enabling(&world, "ann", &serial, &seed)).await;
        let proof = json!({"SerialNumber": serial, "TokenCode": mfa::code(&world, &seed, 1)});
        let proved = world.call_as(&ann, "sts", "GetSessionToken", proof).await.unwrap();
        let plain = world.call_as(&ann, "sts", "GetSessionToken", json!({})).await.unwrap();
        web_identity::cluster(&world).await;
        let claims = sts::issuer::claims(world.server.clock.now().secs());
        let request = web_identity::request(&sts::issuer::token(&claims));
        let web = world.call("sts", "AssumeRoleWithWebIdentity", request).await.unwrap();
        world.advance(LATER).await;
        let late = world.assume(&ann, "r", json!({})).await;

        let mut callers = HashMap::new();
        let other = world.other_root();
        for (name, who) in [("root", &world.root), ("ann", &ann), ("bob", &bob), ("other", &other)]
        {
            callers.insert(name, world.caller(who).await);
        }
        for (name, session) in [
            ("role", role),
            ("sourced", sourced),
            ("late", late),
            ("federated", Temporary::of(&federated)),
            ("proved", Temporary::of(&proved)),
            ("plain", Temporary::of(&plain)),
            ("web", Temporary::of(&web)),
        ] {
            callers.insert(name, world.caller_of(&session).await.expect("a session"));
        }
        Self { world, callers }
    }

    /// What the call ends in, if it is refused.
    async fn ask(&self, from: &From, service: &str, name: &str, body: &Value) -> Option<String> {
        let random = &self.world.server.random;
        let arrival = Arrival {
            request_id: random.uuid().to_string().into(),
            event_id: random.uuid().to_string().into(),
            region: from.region.parse().unwrap(),
            source_ip: from.ip.parse().unwrap(),
            endpoint: None,
            user_agent: from.agent.into(),
            tls: from.tls.then(|| TlsDetails {
                tls_version: "TLSv1.3".into(),
                cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
                client_provided_host_header: "localhost".into(),
                key_exchange: None,
            }),
        };
        let entry = table(service).find(name).unwrap();
        let body = serde_json::to_vec(body).unwrap();
        let caller = &self.callers[from.who];
        let outcome = entry.run(&self.world.server, caller, &arrival, &body).await;
        outcome.err().map(|fault| fault.code.to_owned())
    }

    /// A key that its policy alone opens, to anybody, under one condition.
    async fn key_if(&self, condition: Value) -> String {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
            "Action": "kms:DescribeKey", "Condition": condition});
        self.world.key_with_policy(crate::support::policy(&[statement])).await
    }
}

#[tokio::test]
async fn each_global_key_allows_and_denies() {
    let scene = Scene::new().await;
    for row in rows(&scene.callers) {
        for ((value, from), allowed) in row.values.iter().zip(&row.from).zip([true, false]) {
            let key = scene.key_if(json!({row.operator: {row.key: value}})).await;
            let refused = scene.ask(from, "kms", "DescribeKey", &json!({"KeyId": key})).await;
            let what = format!("{} {} {value:?}, {from:?}", row.operator, row.key);
            assert_eq!(refused.as_deref(), (!allowed).then_some(DENIED), "{what}");
        }
    }
}

/// What a request does not have is no match, and `Null` sees that.
#[tokio::test]
async fn keys_that_are_absent() {
    let scene = Scene::new().await;
    for (key, with, without) in [
        ("aws:username", "ann", "role"),
        ("aws:username", "ann", "root"),
        ("aws:PrincipalTag/Team", "sourced", "role"),
        ("aws:PrincipalTag/Team", "ann", "federated"),
        ("aws:TokenIssueTime", "role", "ann"),
        ("aws:MultiFactorAuthPresent", "plain", "ann"),
        ("aws:MultiFactorAuthAge", "proved", "plain"),
        ("aws:SourceIdentity", "sourced", "role"),
        ("aws:FederatedProvider", "web", "role"),
    ] {
        for (is, allowed, refused) in [("true", without, with), ("false", with, without)] {
            let id = scene.key_if(json!({"Null": {key: is}})).await;
            let body = json!({"KeyId": id});
            for (who, code) in [(allowed, None), (refused, Some(DENIED))] {
                let answer = scene.ask(&From::by(who), "kms", "DescribeKey", &body).await;
                assert_eq!(answer.as_deref(), code, "{key} of {who}, Null {is}");
            }
        }
    }
    // Those that nobody here has.
    for key in names::NOT_SERVED.iter().filter(|(name, _)| name.starts_with("aws:")) {
        let id = scene.key_if(json!({"Null": {key.0: "false"}})).await;
        for who in scene.callers.keys() {
            let answer =
                scene.ask(&From::by(who), "kms", "DescribeKey", &json!({"KeyId": id})).await;
            assert_eq!(answer.as_deref(), Some(DENIED), "{} of {who}", key.0);
        }
    }
}
