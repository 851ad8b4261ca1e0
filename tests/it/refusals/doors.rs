//! What holds for every operation of every service where a registered service acts for a user.
use super::things::Things;
use crate::world::World;
use claviger::api::SERVICES;

/// Root may do everything; the service that acts for it may do nothing that we do.
#[tokio::test]
async fn a_service_that_may_do_nothing_is_refused_everywhere() {
    let world = World::new().await;
    let things = Things::new(&world).await;
    let payroll = world.payroll().await;
    let mut calls = 0;
    for table in SERVICES {
        for entry in table.operations.iter().filter(|entry| !entry.unsigned) {
            let (service, name) = (table.signing_name, entry.name);
            let body = things.request(&world, service, name).await;
            let session = world.through(&payroll, &world.root, "idle").await;
            let before = world.server.store.acknowledged();
            let outcome = world.with(&session, service, name, body.clone()).await;
            calls += 1;
            if name == "GetCallerIdentity" {
                assert!(outcome.is_ok());
                continue;
            }
            let error = outcome.expect_err(name);
            let code = match service {
                "kms" | "secretsmanager" => "AccessDeniedException",
                "iam" => "InvalidClientTokenId",
                _ => "AccessDenied",
            };
            assert_eq!(error.code, code, "{name} {body}: {error:?}");
            assert_eq!(world.server.store.acknowledged(), before, "{name}");
        }
    }
    assert!(calls > 150, "{calls}");
}
