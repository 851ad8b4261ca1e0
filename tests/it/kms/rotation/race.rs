//! Rotations in the middle of a crowd that encrypts.
use super::DAY;
use crate::support::id_of;
use crate::world::World;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use claviger::background;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

const WRITERS: usize = 200;
const ROTATIONS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_encrypted_meanwhile_decrypts() {
    let world = Arc::new(World::new().await);
    let client = Client::new(&world.sdk(&world.root).await);
    let key = world.key().await;
    let first = world.material(&key).await;
    let rotations = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move {
            for _ in 0..ROTATIONS {
                client.rotate_key_on_demand().key_id(&key).send().await.unwrap();
            }
        }
    });
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (client, key) = (client.clone(), key.clone());
            tokio::spawn(async move {
                let text = format!("text {n}");
                let sealed =
                    client.encrypt().key_id(&key).plaintext(Blob::new(text.clone())).send().await;
                let blob = sealed.unwrap().ciphertext_blob.unwrap();
                // At once, while rotations go on, and again when all is over.
                let opened = client.decrypt().ciphertext_blob(blob.clone()).send().await.unwrap();
                assert_eq!(opened.plaintext().unwrap().as_ref(), text.as_bytes());
                (text, blob, opened.key_material_id.unwrap())
            })
        })
        .collect();
    let mut sealed = Vec::new();
    for writer in writers {
        sealed.push(writer.await.unwrap());
    }
    rotations.await.unwrap();

    let known: Vec<String> = world
        .all_material(&key)
        .await
        .iter()
        .map(|entry| entry["KeyMaterialId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(known.len(), ROTATIONS + 1);
    assert_eq!(known[0], first);
    assert_eq!(*known.last().unwrap(), world.material(&key).await);
    let mut used = BTreeSet::new();
    for (text, blob, material) in sealed {
        let opened = client.decrypt().ciphertext_blob(blob).send().await.unwrap();
        assert_eq!(opened.plaintext().unwrap().as_ref(), text.as_bytes());
        assert_eq!(opened.key_material_id(), Some(material.as_str()));
        assert!(known.contains(&material), "{material}");
        used.insert(material);
    }
    assert!(used.len() > 1, "the rotations were all before or after the writing");
    assert_eq!(world.rotations().len(), ROTATIONS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rivals_rotate_one_after_the_other_and_never_beyond_the_limit() {
    let world = Arc::new(World::new().await);
    let key = world.key().await;
    let rivals: Vec<_> = (0..40)
        .map(|_| {
            let (world, key) = (world.clone(), key.clone());
            tokio::spawn(async move {
                let body = json!({"KeyId": key});
                world.call("kms", "RotateKeyOnDemand", body).await
            })
        })
        .collect();
    let mut done = 0;
    for rival in rivals {
        match rival.await.unwrap() {
            Ok(answer) => {
                assert_eq!(answer["KeyId"], id_of(&key));
                done += 1;
            }
            Err(error) => {
                let codes = ["LimitExceededException", "ThrottlingException"];
                assert!(codes.contains(&error.code.as_str()), "{error:?}");
            }
        }
    }
    assert!((1..=25).contains(&done), "{done}");
    let all = world.all_material(&key).await;
    assert_eq!(all.len(), done + 1, "one material for each rotation, and none without");
    let current = all.iter().filter(|entry| entry["KeyMaterialState"] == "CURRENT");
    assert_eq!(current.count(), 1);
    assert_eq!(world.rotations().len(), done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_background_rotates_among_those_who_encrypt_and_those_who_change_the_key() {
    let world = Arc::new(World::new().await);
    let key = world.key().await;
    world.rotate_every(&key, 90).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (world, key) = (world.clone(), key.clone());
            tokio::spawn(async move {
                if n % 10 == 0 {
                    let tags = json!([{"TagKey": n.to_string(), "TagValue": ""}]);
                    let body = json!({"KeyId": key, "Tags": tags});
                    // Too many rivals are asked to slow down; nothing else may go wrong.
                    let tagged = world.call("kms", "TagResource", body).await;
                    let code = tagged.err().map(|error| error.code);
                    assert!(code.is_none_or(|code| code == "ThrottlingException"));
                }
                let blob = world.hello(&key).await;
                let material = world.opened_by(&blob).await;
                (blob, material)
            })
        })
        .collect();
    for _ in 0..10 {
        world.clock.advance(90 * DAY);
        background::sweep(&world.server).await;
    }
    let mut used = BTreeSet::new();
    for writer in writers {
        let (blob, material) = writer.await.unwrap();
        assert_eq!(world.opened_by(&blob).await, material);
        used.insert(material);
    }
    // A look that lost against a change leaves the work to the next one.
    world.advance(0).await;
    let all = world.all_material(&key).await;
    assert_eq!(all.len(), world.rotations().len() + 1);
    assert!(all.len() > 1 && all.len() <= 11, "{}", all.len());
    assert!(used.len() > 1, "the rotations were all before or after the writing");
    let (_, next) = world.schedule(&key).await.unwrap();
    assert!(next > world.server.clock.now().secs());
}
