//! The operations through the AWS SDK for Rust, over HTTP.
use super::idle;
use crate::support::user_arn;
use crate::world::World;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{GrantConstraints, GrantOperation};

#[tokio::test]
async fn a_grant_from_its_creation_to_its_end() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let root = Client::new(&world.sdk(&world.root).await);
    let user = Client::new(&world.sdk(&ann).await);
    let constraints =
        GrantConstraints::builder().encryption_context_subset("Department", "IT").build();
    let create = || {
        root.create_grant()
            .key_id(&key)
            .grantee_principal(user_arn("ann"))
            .retiring_principal(user_arn("ann"))
            .operations(GrantOperation::Encrypt)
            .operations(GrantOperation::Decrypt)
            .constraints(constraints.clone())
            .name("it")
            .send()
    };
    let made = create().await.unwrap();
    assert_eq!(create().await.unwrap().grant_id(), made.grant_id());
    let id = made.grant_id().unwrap();
    let seal = |department: &str| {
        user.encrypt()
            .key_id(&key)
            .plaintext(Blob::new("hello"))
            .encryption_context("Department", department)
            .grant_tokens(made.grant_token().unwrap())
            .send()
    };
    let sealed = seal("IT").await.unwrap();
    let refused = seal("HR").await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("AccessDeniedException"));
    let opened = user
        .decrypt()
        .ciphertext_blob(sealed.ciphertext_blob().unwrap().clone())
        .encryption_context("Department", "IT")
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"hello");

    let listed = root.list_grants().key_id(&key).send().await.unwrap();
    let [grant] = listed.grants() else { panic!("{listed:?}") };
    assert_eq!((grant.grant_id(), grant.name()), (Some(id), Some("it")));
    assert_eq!(grant.operations(), [GrantOperation::Encrypt, GrantOperation::Decrypt]);
    assert_eq!(grant.constraints(), Some(&constraints));
    assert_eq!(grant.grantee_principal(), Some(user_arn("ann").as_str()));
    let retirable =
        root.list_retirable_grants().retiring_principal(user_arn("ann")).send().await.unwrap();
    assert_eq!(retirable.grants(), listed.grants());

    user.retire_grant().key_id(&key).grant_id(id).send().await.unwrap();
    let refused = seal("IT").await.unwrap_err().into_service_error();
    assert_eq!(refused.meta().code(), Some("AccessDeniedException"));
    let error = root.revoke_grant().key_id(&key).grant_id(id).send().await.unwrap_err();
    assert!(error.into_service_error().is_not_found_exception());
    let made = create().await.unwrap();
    root.revoke_grant().key_id(&key).grant_id(made.grant_id().unwrap()).send().await.unwrap();
    assert!(seal("IT").await.is_err());
    let error = root.revoke_grant().key_id(&key).grant_id("x").send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_grant_id_exception());
}
