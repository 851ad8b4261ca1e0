//! For each operation a world, and a request that succeeds in it.
use crate::refusals::things::Things;
use crate::secretsmanager::described::{FUNCTION, with_function};
use crate::secretsmanager::token;
use crate::world::World;
use serde_json::{Value, json};

pub struct Subject {
    pub world: World,
    pub body: Value,
}

impl Subject {
    pub async fn of(operation: &str) -> Self {
        let world = match operation {
            "RotateSecret" => with_function().await,
            _ => World::new().await,
        };
        let body = request(&world, operation).await;
        Self { world, body }
    }
}

/// A request that succeeds where there is what it names.
pub async fn request(world: &World, operation: &str) -> Value {
    let things = Things::new(world).await;
    match operation {
        "RotateSecret" => json!({"SecretId": "s", "ClientRequestToken": token(40),
            "RotationLambdaARN": FUNCTION}),
        _ => things.request(world, "secretsmanager", operation).await,
    }
}
