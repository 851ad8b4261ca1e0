//! What a call under way takes in memory: 64 of them at once should leave room in a core's cache.
use crate::world::{REGION, World};
use claviger::api::SERVICES;

/// Bytes. Rare branches with large states of their own are boxed.
const MOST: usize = 16 * 1024;

#[tokio::test]
async fn a_call_under_way_is_small() {
    let world = World::new().await;
    let (caller, arrival) = (&world.caller(&world.root).await, &world.arrival(REGION));
    let mut sizes: Vec<(usize, &str)> = SERVICES
        .iter()
        .flat_map(|service| service.operations)
        .map(|entry| {
            (size_of_val(&*entry.begin(&world.server, caller, arrival, b"{}")), entry.name)
        })
        .collect();
    sizes.sort_unstable();
    eprintln!("{sizes:?}");
    let large: Vec<_> = sizes.into_iter().filter(|(size, _)| *size > MOST).collect();
    assert!(large.is_empty(), "{large:?}");
}
