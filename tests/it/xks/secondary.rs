//! The secondary authorisation: for whom an external key is.
use super::{Place, Plan, decrypt_body, encrypt_body};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::444455556666:role/payroll";
const KEY: &str = "arn:aws:kms:us-west-2:444455556666:key/1234";

#[tokio::test]
async fn an_external_key_is_for_whom_the_operator_names() {
    let secondary = json!({
        "principals": ["arn:aws:iam::444455556666:role/*", "rds.amazonaws.com"],
        "kms_keys": [KEY],
    });
    let place = Place::with(Plan { secondary, ..Plan::default() }).await;
    let asked = |mut body: Value, principal: &str, key: Option<&str>| {
        body["requestMetadata"]["awsPrincipalArn"] = json!(principal);
        match key {
            Some(key) => body["requestMetadata"]["kmsKeyArn"] = json!(key),
            None => {
                body["requestMetadata"].as_object_mut().unwrap().remove("kmsKeyArn");
            }
        }
        body
    };
    let sealed =
        place.ok("/keys/secondary/encrypt", &asked(encrypt_body(b"a"), ROLE, Some(KEY))).await;
    let opens = decrypt_body(&sealed, None);
    let plain = json!({"requestMetadata": encrypt_body(b"a")["requestMetadata"]});
    let all = [
        ("/keys/secondary/encrypt", encrypt_body(b"a")),
        ("/keys/secondary/decrypt", opens),
        ("/keys/secondary/metadata", plain.clone()),
    ];
    let before = place.world.events().len();
    for (what, body) in &all {
        place.ok(what, &asked(body.clone(), ROLE, Some(KEY))).await;
        place.ok(what, &asked(body.clone(), "rds.amazonaws.com", Some(KEY))).await;
        for (principal, key) in [
            ("arn:aws:iam::111122223333:role/payroll", KEY),
            ("arn:aws:iam::444455556666:user/payroll", KEY),
            ("AWS Internal", KEY),
            ("*", KEY),
            ("", KEY),
            (ROLE, "arn:aws:kms:us-west-2:444455556666:key/12345"),
            (ROLE, "*"),
        ] {
            let body = asked(body.clone(), principal, Some(key));
            assert_eq!(place.refused(what, &body).await, "AccessDeniedException", "{body}");
        }
    }
    // Each of them is in the log, with what was said.
    let events = place.world.events();
    let denied: Vec<_> = events[before..]
        .iter()
        .filter(|event| event.error_code.as_deref() == Some("AccessDeniedException"))
        .collect();
    assert_eq!(denied.len(), 21);
    let shown = denied[0].request_parameters.as_ref().unwrap();
    assert_eq!(shown["requestMetadata"]["kmsRequestId"], "4112f4d6-db54-4af4-ae30-c55a22a8dfae");
    // Before there is a KMS key, there is none to compare.
    place.ok("/keys/secondary/metadata", &asked(plain, ROLE, None)).await;
    // The other keys are for everybody whose signature is good.
    place.ok("/keys/kms/encrypt", &asked(encrypt_body(b"a"), "somebody", Some("a"))).await;
}
