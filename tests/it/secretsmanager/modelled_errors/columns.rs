//! Errors that many operations have alike.
use super::subject::{Subject, request};
use super::{attempt, not_found, on, with};
use crate::kms::modelled_errors::failing::Scene;
use crate::world::Failed;
use serde_json::json;

/// An ARN, but no secret's.
const ODD: &str = "arn:aws:secretsmanager:eu-west-1:111122223333:s";

pub async fn produce(operation: &str, error: &str) -> Option<Failed> {
    if error == "InternalServiceError" {
        let scene = Scene::new().await;
        let body = request(&scene.world, operation).await;
        return Some(scene.without_store("secretsmanager", operation, body).await);
    }
    let Subject { world, body: good } = Subject::of(operation).await;
    let bad = match error {
        "ResourceNotFoundException" => on(good.clone(), "absent")?,
        "InvalidParameterException" => on(good.clone(), ODD)?,
        "InvalidRequestException" => on(good.clone(), "deleted")?,
        "InvalidNextTokenException" => with(good.clone(), json!({"NextToken": "x"})),
        _ => return None,
    };
    let refused = attempt(&world, operation, bad).await;
    match error {
        "ResourceNotFoundException" => assert_eq!(refused, not_found(), "{operation}"),
        "InvalidRequestException" => assert_eq!(refused, super::scheduled(), "{operation}"),
        _ => {}
    }
    // It was that member and nothing else.
    world.sm(operation, good).await;
    Some(refused)
}
