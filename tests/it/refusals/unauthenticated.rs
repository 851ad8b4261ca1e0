//! Every operation over HTTP, asked by nobody: without a signature, or with one that is not good.
use crate::front::{Client, Request, code_of};
use crate::world::{REGION, Someone, World};
use claviger::api::SERVICES;
use claviger::call::{ServiceTable, Speech};
use serde_json::json;

/// What AWS answers: services that speak JSON, and those that speak Query with their status.
const ANSWERS: [(&str, &str, &str, u16); 7] = [
    ("unsigned", "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403),
    ("garbled", "IncompleteSignatureException", "IncompleteSignature", 400),
    ("unknown key", "UnrecognizedClientException", "InvalidClientTokenId", 403),
    ("wrong secret", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
    ("altered", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
    ("other service", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
    ("too old", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
];

struct Scene {
    world: World,
    client: Client,
}

impl Scene {
    fn bent(&self, request: &Request, service: &str, how: &str) -> Request {
        let (root, client) = (&self.world.root, &self.client);
        let signed = || client.sign(request.clone(), root, service);
        match how {
            "unsigned" => request.clone(),
            "garbled" => request.clone().with("authorization", "AWS4-HMAC-SHA256 Credential=x"),
            "unknown key" => {
                let stranger = Someone { access_key_id: "AKIAABSENT".into(), ..root.clone() };
                client.sign(request.clone(), &stranger, service)
            }
            "wrong secret" => {
                let forger = Someone { secret: "guessed".into(), ..root.clone() };
                client.sign(request.clone(), &forger, service)
            }
            "altered" => {
                let mut request = signed();
                // What changes nothing of its meaning.
                let more = if request.body == b"{}" { " " } else { "&a=b" };
                request.body.extend_from_slice(more.as_bytes());
                request
            }
            "other service" => client.sign(request.clone(), root, "s3"),
            _ => {
                let then = self.world.server.clock.wall().secs() - 3600;
                client.sign_at(request.clone(), root, (REGION, service), then, None)
            }
        }
    }
}

#[tokio::test]
async fn nobody_does_anything() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let scene = Scene { world, client };
    let mut requests = 0;
    for service in SERVICES {
        for entry in service.operations.iter().filter(|entry| !entry.unsigned) {
            let request = match service.speech {
                Speech::Json { target_prefix } => {
                    let target = format!("{target_prefix}.{}", entry.name);
                    scene.client.json(&target, &json!({}))
                }
                Speech::Query { version } => {
                    scene.client.form(&format!("Action={}&Version={version}", entry.name))
                }
            };
            for (how, of_json, of_query, status) in ANSWERS {
                let (code, status) = match service.speech {
                    Speech::Json { .. } => (of_json, 400),
                    Speech::Query { .. } => (of_query, status),
                };
                let written = scene.world.server.store.acknowledged();
                let bent = scene.bent(&request, service.signing_name, how);
                let answer = scene.client.send(&bent).await;
                let what = format!("{} {how}: {}", entry.name, answer.text());
                assert_eq!(code_of(&answer).as_deref(), Some(code), "{what}");
                assert_eq!(answer.status, status, "{what}");
                let event = scene.world.last_event();
                assert_eq!(
                    (&*event.event_name, event.error_code.as_deref()),
                    (entry.name, Some(code))
                );
                // Whose key it claims to be is no identity.
                assert_eq!(event.user_identity.arn, None, "{what}");
                assert_eq!(scene.world.server.store.acknowledged(), written, "{what}");
                requests += 1;
            }
        }
    }
    let signed =
        |service: &&ServiceTable| service.operations.iter().filter(|entry| !entry.unsigned).count();
    let operations: usize = SERVICES.iter().map(signed).sum();
    assert_eq!(requests, operations * ANSWERS.len());
}
