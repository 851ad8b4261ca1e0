//! How much one request may ask for: pages end early, and what is too much is refused.
use super::custom;
use crate::support::policy;
use crate::world::World;
use serde_json::{Value, json};

fn statements(number: usize) -> String {
    let one = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
    policy(&vec![one; number]).to_string()
}

#[tokio::test]
async fn a_page_ends_before_its_results_are_too_long() {
    let world = World::new().await;
    let actions: Vec<String> = (0..60).map(|n| format!("s3:Get{n}")).collect();
    let mut body = json!({"PolicyInputList": [statements(400)], "ActionNames": actions,
        "MaxItems": 1000});
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let page = world.iam("SimulateCustomPolicy", body.clone()).await;
        assert!(page.to_string().len() < 6 << 20);
        for result in page["EvaluationResults"].as_array().unwrap() {
            assert_eq!(result["MatchedStatements"].as_array().unwrap().len(), 400);
            found.push(result["EvalActionName"].as_str().unwrap().to_owned());
        }
        pages += 1;
        assert_eq!(page["IsTruncated"], page.get("Marker").is_some());
        let Some(marker) = page.get("Marker") else { break };
        body["Marker"] = marker.clone();
    }
    assert_eq!((found, pages), (actions, 3));
    // Results of one action are not to be parted.
    let buckets = |number: usize| -> Vec<String> {
        (0..number).map(|n| format!("arn:aws:s3:::b/{n}")).collect()
    };
    let body = |number: usize| {
        json!({"PolicyInputList": [statements(400)], "ActionNames": ["s3:GetObject"],
        "ResourceArns": buckets(number)})
    };
    assert_eq!(custom(&world, body(20)).await[0]["EvalDecision"], "allowed");
    let refused = world.iam_fails("SimulateCustomPolicy", body(100)).await;
    assert_eq!(refused.code, "InvalidInput");
    assert!(refused.message.contains("name fewer resources"), "{refused:?}");
}

#[tokio::test]
async fn missing_keys_count_too() {
    let world = World::new().await;
    let number = 200;
    let wanted: serde_json::Map<String, Value> = (0..number)
        .map(|n| (format!("aws:RequestTag/{n}{}", "k".repeat(100)), json!("x")))
        .collect();
    let text = policy(&[json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"StringEquals": wanted}})])
    .to_string();
    let actions: Vec<String> = (0..60).map(|n| format!("s3:Get{n}")).collect();
    let body = json!({"PolicyInputList": [text], "ActionNames": actions, "MaxItems": 1000});
    let page = world.iam("SimulateCustomPolicy", body).await;
    let results = page["EvaluationResults"].as_array().unwrap();
    assert_eq!(results[0]["MissingContextValues"].as_array().unwrap().len(), number);
    assert!(results.len() < actions.len());
    assert_eq!(page["IsTruncated"], true);
}

#[tokio::test]
async fn policies_and_values_have_a_bound_together() {
    let world = World::new().await;
    let body = |texts: [usize; 4], boundary: usize| {
        json!({"PolicyInputList": texts.map(statements), "ActionNames": ["s3:GetObject"],
            "PermissionsBoundaryPolicyInputList": [statements(boundary)]})
    };
    custom(&world, body([500, 500, 500, 499], 1)).await;
    for (texts, boundary) in [([500; 4], 1), ([500, 500, 500, 499], 2)] {
        let refused = world.iam_fails("SimulateCustomPolicy", body(texts, boundary)).await;
        assert_eq!(refused.code, "InvalidInput");
        assert_eq!(refused.message, "The policies have more than 2000 statements.");
    }
    let entry = |name: &str, values: Vec<String>| json!({"ContextKeyName": name, "ContextKeyType": "stringList", "ContextKeyValues": values});
    let body = |entries: Value| {
        json!({"PolicyInputList": [statements(1)], "ActionNames": ["s3:GetObject"],
            "ContextEntries": entries})
    };
    let values = |number: usize| (0..number).map(|n| n.to_string()).collect::<Vec<_>>();
    let long = |length: usize| vec!["x".repeat(length)];
    custom(&world, body(json!([entry("aws:a", values(200)), entry("aws:b", values(56))]))).await;
    custom(&world, body(json!([entry("aws:a", long(2048))]))).await;
    for entries in [
        json!([entry("aws:a", values(200)), entry("aws:b", values(57))]),
        json!([entry("aws:a", long(2049))]),
    ] {
        let refused = world.iam_fails("SimulateCustomPolicy", body(entries)).await;
        assert_eq!(refused.code, "InvalidInput");
        assert!(refused.message.starts_with("Invalid ContextKeyValues of"), "{refused:?}");
    }
}
