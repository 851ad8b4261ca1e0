//! What holds for every operation of every service: whoever may do nothing is refused, whoever is
//! nobody all the more, and no body whatever brings the server down.
mod bodies;
mod bounds;
mod credentials;
mod doors;
mod shapes;
pub mod things;
mod unauthenticated;

use crate::world::{Someone, World, table};
use claviger::api::SERVICES;
use claviger::wire::Fault;
use things::Things;

#[tokio::test]
async fn whoever_may_do_nothing_is_refused_everywhere() {
    let world = World::new().await;
    let things = Things::new(&world).await;
    let nobody = world.nobody().await;
    let mut calls = 0;
    for service in SERVICES {
        for entry in service.operations {
            let body = things.request(&world, service.signing_name, entry.name).await;
            let before = (world.server.store.acknowledged(), world.events().len());
            let outcome =
                world.call_as(&nobody, service.signing_name, entry.name, body.clone()).await;
            calls += 1;
            // No policy can forbid these; of the unsigned, the token decides.
            let free = ["GetCallerIdentity", "GetSessionToken"].contains(&entry.name);
            if free || entry.unsigned {
                assert!(outcome.is_ok());
                continue;
            }
            let error = outcome.expect_err(entry.name);
            assert!(
                ["AccessDenied", "AccessDeniedException"].contains(&error.code.as_str()),
                "{} {body}: {error:?}",
                entry.name
            );
            // One event, or two where a secret asked its key; and nothing was written.
            assert!((1..=2).contains(&(world.events().len() - before.1)), "{}", entry.name);
            assert_eq!(world.server.store.acknowledged(), before.0, "{}", entry.name);
            let event = world.last_event();
            assert_eq!(event.event_name, entry.name);
            assert_eq!(event.error_code, Some(error.code));
            assert_eq!(event.response_elements, None);
        }
    }
    assert_eq!(calls, SERVICES.iter().map(|service| service.operations.len()).sum::<usize>());
    assert_eq!(table("kms").operations.len(), 56);
}

/// Otherwise the test above would refuse what nobody could do.
#[tokio::test]
async fn the_same_requests_are_good_for_root() {
    let shared = World::new().await;
    let things = Things::new(&shared).await;
    for service in SERVICES {
        for entry in service.operations {
            let (service, name) = (service.signing_name, entry.name);
            let outcome = match service {
                // Every request of KMS has a key of its own.
                "kms" => {
                    let body = things.request(&shared, service, name).await;
                    shared.call(service, name, body).await
                }
                _ => {
                    let world = World::new().await;
                    let things = Things::new(&world).await;
                    let body = things.request(&world, service, name).await;
                    world.call(service, name, body).await
                }
            };
            let expected = match name {
                "DeleteUser" => Some("DeleteConflict"),
                // A root has no roles.
                "AssumeRole" => Some("AccessDenied"),
                // And is no service.
                "GetDelegatedAccessToken" => Some("AccessDenied"),
                "ChangePassword" => Some("InvalidUserType"),
                // There is no function in this world.
                "RotateSecret" => Some("InvalidRequestException"),
                _ => None,
            };
            let code = outcome.err().map(|error| error.code);
            assert_eq!(code.as_deref(), expected, "{service} {name}");
        }
    }
}

/// Sends a body. Whatever it is, the fault is the sender's, and the error one that AWS's model gives
/// the operation, or that all operations have.
async fn survive(
    world: &World,
    who: &Someone,
    service: &str,
    name: &str,
    body: &[u8],
) -> Option<Fault> {
    let fault = world.raw(who, service, name, body).await.err()?;
    let text = || String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned();
    assert!(fault.status < 500, "{name} {}: {fault:?}", text());
    assert!(is_modelled(service, name, fault.code), "{name} {}: {fault:?}", text());
    Some(fault)
}

/// AWS: the errors "that are common to the API actions of all AWS services".
const COMMON: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "MalformedInput",
    "SerializationException",
    "ValidationError",
    "ValidationException",
];

fn is_modelled(service: &str, name: &str, code: &str) -> bool {
    // The model has the member and forgets its error.
    if (name, code) == ("DescribeKey", "InvalidGrantTokenException") {
        return true;
    }
    let model = (table(service).model)();
    let own = model.operation(name).unwrap().errors();
    let mut codes = own.map(|shape| &*model.error(shape).unwrap().code);
    // AWS's STS answers it for tags; its model does not say so.
    let of_tags = service == "sts" && code == "InvalidParameterValue";
    of_tags || COMMON.contains(&code) || codes.any(|own| own == code)
}
