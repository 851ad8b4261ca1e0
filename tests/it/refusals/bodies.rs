//! Bodies that are no requests, and requests with values that no member has.
use super::survive;
use super::things::Things;
use crate::world::World;
use claviger::api::SERVICES;
use serde_json::{Value, json};

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    let deep_object = "{\"a\":".repeat(200) + "1" + &"}".repeat(200);
    for service in SERVICES {
        for entry in service.operations {
            let (service, name) = (service.signing_name, entry.name);
            for body in [
                "{",
                "}",
                "[]",
                "null",
                "1",
                "\"x\"",
                "{}{}",
                "{\"a\"}",
                "{\"a\":}",
                "{'a':1}",
                "{\"a\":1,}",
                "\u{feff}{}",
                "{\"a\":\"\\ud800\"}",
                "{\"a\":1e999}",
                "NaN",
                deep.as_str(),
                deep_object.as_str(),
            ] {
                let fault = survive(&world, &world.root, service, name, body.as_bytes()).await;
                let code = fault.expect(name).code;
                assert!(
                    ["SerializationException", "MalformedInput"].contains(&code),
                    "{name} {body}: {code}"
                );
            }
            for body in [&b"\xff\xfe"[..], b"{\"a\":\"\xc3\x28\"}", b"\0", b"{\"\0\":0}", b" "] {
                for who in [&world.root, &nobody] {
                    survive(&world, who, service, name, body).await;
                }
            }
        }
    }
}

/// Values of every JSON type, in the place of each member.
fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("x"),
        json!("é\u{1f980}"),
        json!("a".repeat(70_000)),
        json!("../../etc"),
        json!("arn:"),
        json!("alias/"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!([1]),
        json!(["", ""]),
        json!({}),
        json!({"": null}),
        json!({"a": {"b": []}}),
    ]
}

#[tokio::test]
async fn members_of_other_types_do_no_harm() {
    let world = World::new().await;
    let things = Things::new(&world).await;
    let nobody = world.nobody().await;
    for service in SERVICES {
        let model = (service.model)();
        for entry in service.operations {
            let operation = model.operation(entry.name).unwrap();
            let sample = operation.sample_input();
            let (service, name) = (service.signing_name, entry.name);
            let valid = things.request(&world, service, name).await;
            for base in [sample, valid] {
                for who in [&world.root, &nobody] {
                    survive(&world, who, service, name, base.to_string().as_bytes()).await;
                    for member in operation.input().members() {
                        for value in strange() {
                            let mut body = base.clone();
                            body[member.name()] = value;
                            survive(&world, who, service, name, body.to_string().as_bytes()).await;
                        }
                    }
                }
            }
        }
    }
    // Whatever root's requests did meanwhile, the server still serves.
    world.key().await;
}
