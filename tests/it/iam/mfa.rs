//! Virtual MFA devices: made, enabled with two codes, listed, taken away, deleted.
use crate::support::failed;
use crate::world::{ACCOUNT, World, allow};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::identity::{User, mfa};
use serde_json::{Value, json};

/// RFC 6238, written a second time: what the telephone shows `steps` from now.
pub fn code(world: &World, seed: &str, steps: i64) -> String {
    let mut bits = String::new();
    for c in seed.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        bits += &format!("{value:05b}");
    }
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let step = world.server.clock.now().secs() / 30 + steps;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 15);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// A device of this name: its serial number and its seed.
pub async fn device(world: &World, name: &str) -> (String, String) {
    let made = world.iam("CreateVirtualMFADevice", json!({"VirtualMFADeviceName": name})).await;
    let device = &made["VirtualMFADevice"];
    let seed = B64.decode(device["Base32StringSeed"].as_str().unwrap()).unwrap();
    let serial = device["SerialNumber"].as_str().unwrap().to_owned();
    (serial, String::from_utf8(seed).unwrap())
}

/// What enables a device for a user now.
pub fn enabling(world: &World, user: &str, serial: &str, seed: &str) -> Value {
    json!({"UserName": user, "SerialNumber": serial,
        "AuthenticationCode1": code(world, seed, -1), "AuthenticationCode2": code(world, seed, 0)})
}

async fn verifies(world: &World, user: &str, serial: &str, code: &str) -> bool {
    let mut tx = world.server.store.begin();
    let user = User::load(&mut tx, &ACCOUNT.parse().unwrap(), user).await.unwrap().unwrap();
    let now = world.server.clock.now();
    let good = mfa::verify(&mut tx, &user, serial, code, now).await.unwrap().is_some();
    tx.commit().await.unwrap();
    good
}

#[tokio::test]
async fn a_device_is_made_enabled_used_and_deleted() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let made = world
        .iam(
            "CreateVirtualMFADevice",
            json!({"VirtualMFADeviceName": "Phone", "Path": "/team/",
                "Tags": [{"Key": "a", "Value": "b"}]}),
        )
        .await;
    let shown = &made["VirtualMFADevice"];
    let serial = format!("arn:aws:iam::{ACCOUNT}:mfa/team/Phone");
    assert_eq!(shown["SerialNumber"], serial);
    assert_eq!(shown["Tags"], json!([{"Key": "a", "Value": "b"}]));
    let picture = B64.decode(shown["QRCodePNG"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    let seed = B64.decode(shown["Base32StringSeed"].as_str().unwrap()).unwrap();
    let seed = String::from_utf8(seed).unwrap();
    assert_eq!(seed.len(), 64);
    // The event knows of the device, not of its seed.
    let event = serde_json::to_string(&world.last_event()).unwrap();
    assert!(event.contains(&serial) && !event.contains(&seed), "{event}");

    let again = world.iam_fails("CreateVirtualMFADevice", json!({"VirtualMFADeviceName": "phone"}));
    assert_eq!(again.await.code, "EntityAlreadyExists");
    world.iam("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    let listed = world.iam("ListMFADevices", json!({"UserName": "ann"})).await;
    assert_eq!(listed["MFADevices"][0]["SerialNumber"], serial);
    assert_eq!(listed["MFADevices"][0]["UserName"], "ann");
    for (status, count) in [("Assigned", 1), ("Unassigned", 0), ("Any", 1)] {
        let body = json!({"AssignmentStatus": status});
        let listed = world.iam("ListVirtualMFADevices", body).await;
        let devices = listed["VirtualMFADevices"].as_array().unwrap();
        assert_eq!(devices.len(), count, "{status}");
        for device in devices {
            assert_eq!(device["User"]["UserName"], "ann");
            assert!(device.get("Base32StringSeed").is_none() && device.get("QRCodePNG").is_none());
        }
    }

    // The code that enabled it is used up; the next is good once.
    assert!(!verifies(&world, "ann", &serial, &code(&world, &seed, 0)).await);
    assert!(verifies(&world, "ann", &serial, &code(&world, &seed, 1)).await);
    assert!(!verifies(&world, "ann", &serial, &code(&world, &seed, 1)).await);
    world.advance(60).await;
    assert!(!verifies(&world, "ann", &serial, &code(&world, &seed, 2)).await);
    assert!(!verifies(&world, "ann", &serial, "").await);
    assert!(verifies(&world, "ann", &serial, &code(&world, &seed, 0)).await);

    let conflict = world.iam_fails("DeleteVirtualMFADevice", json!({"SerialNumber": serial})).await;
    let text = "Cannot delete entity, must deactivate MFA device first.";
    assert_eq!(conflict, failed("DeleteConflict", text));
    world
        .iam("DeleteAccessKey", {
            let keys = world.iam("ListAccessKeys", json!({"UserName": "ann"})).await;
            json!({"UserName": "ann", "AccessKeyId": keys["AccessKeyMetadata"][0]["AccessKeyId"]})
        })
        .await;
    world.iam("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "policy"})).await;
    let conflict = world.iam_fails("DeleteUser", json!({"UserName": "ann"})).await;
    assert_eq!(
        conflict,
        failed("DeleteConflict", "Cannot delete entity, must delete MFA device first.")
    );
    let body = json!({"UserName": "ann", "SerialNumber": serial});
    world.iam("DeactivateMFADevice", body.clone()).await;
    assert_eq!(world.iam_fails("DeactivateMFADevice", body).await.code, "NoSuchEntity");
    assert!(!verifies(&world, "ann", &serial, &code(&world, &seed, 1)).await);
    world.iam("DeleteVirtualMFADevice", json!({"SerialNumber": serial})).await;
    let gone = world.iam_fails("DeleteVirtualMFADevice", json!({"SerialNumber": serial})).await;
    assert_eq!(gone.code, "NoSuchEntity");
    world.iam("DeleteUser", json!({"UserName": "ann"})).await;
}

#[tokio::test]
async fn two_codes_in_a_row_enable_and_nothing_else() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let (serial, seed) = device(&world, "phone").await;
    let at = |steps| code(&world, &seed, steps);
    let refused =
        failed("InvalidAuthenticationCode", "Authentication code for device is not valid.");
    for (first, second) in [
        (at(0), at(0)),
        (at(0), at(2)),
        (at(1), at(0)),
        (at(-3), at(-2)),
        (at(1), at(2)),
        ("000000".to_owned(), at(0)),
        (at(-1), "000000".to_owned()),
    ] {
        let body = json!({"UserName": "ann", "SerialNumber": serial,
            "AuthenticationCode1": first, "AuthenticationCode2": second});
        assert_eq!(world.iam_fails("EnableMFADevice", body).await, refused);
    }
    for (body, code) in [
        (
            json!({"UserName": "ann", "SerialNumber": serial, "AuthenticationCode1": "12345",
            "AuthenticationCode2": "123456"}),
            "ValidationError",
        ),
        (
            json!({"UserName": "ann", "SerialNumber": "GAHT12345678", "AuthenticationCode1": "123456",
            "AuthenticationCode2": "123456"}),
            "NoSuchEntity",
        ),
        (enabling(&world, "bob", &serial, &seed), "NoSuchEntity"),
    ] {
        assert_eq!(world.iam_fails("EnableMFADevice", body).await.code, code);
    }
    world.iam("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    let again = world.iam_fails("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    assert_eq!(again.code, "EntityAlreadyExists");
    // Off and on again: not with a code that was used.
    let body = json!({"UserName": "ann", "SerialNumber": serial});
    world.iam("DeactivateMFADevice", body).await;
    let again = world.iam_fails("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    assert_eq!(again, refused);
}

#[tokio::test]
async fn a_user_has_eight_devices_and_another_account_none_of_them() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    for n in 0..9 {
        let (serial, seed) = device(&world, &format!("phone{n}")).await;
        let outcome =
            world.call("iam", "EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
        let code = outcome.err().map(|error| error.code);
        assert_eq!(code.as_deref(), (n == 8).then_some("LimitExceeded"), "{n}");
        let other = world.other_root();
        let body = json!({"SerialNumber": serial});
        let refused = world.fails(&other, "iam", "DeleteVirtualMFADevice", body).await;
        assert_eq!(refused.code, "NoSuchEntity");
    }
    let other = world.other_root();
    let listed = world.call_as(&other, "iam", "ListVirtualMFADevices", json!({})).await.unwrap();
    assert_eq!(listed["VirtualMFADevices"], json!([]));
}

#[tokio::test]
async fn codes_cannot_be_guessed_at_leisure() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let bob = world.user("bob", allow(&["s3:*"])).await;
    let (serial, seed) = device(&world, "phone").await;
    world.iam("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    let asking = |code: String| json!({"SerialNumber": &serial, "TokenCode": code});
    let right = || asking(code(&world, &seed, 0));
    world.advance(60).await;
    for _ in 0..5 {
        let wrong = asking(code(&world, &seed, -20));
        assert_eq!(world.fails(&ann, "sts", "GetSessionToken", wrong).await.code, "AccessDenied");
    }
    // Not even the right one is looked at now, and no device of others answers in its place.
    assert_eq!(world.fails(&ann, "sts", "GetSessionToken", right()).await.code, "Throttling");
    assert_eq!(world.fails(&bob, "sts", "GetSessionToken", right()).await.code, "AccessDenied");
    world.advance(300).await;
    world.call_as(&ann, "sts", "GetSessionToken", right()).await.unwrap();
}

/// A code that was right is used up, whatever becomes of the call that brought it.
#[tokio::test]
async fn a_code_is_used_up_by_a_call_that_fails() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let (serial, seed) = device(&world, "phone").await;
    world.iam("EnableMFADevice", enabling(&world, "ann", &serial, &seed)).await;
    world.advance(60).await;
    let code = code(&world, &seed, 0);
    let asking = |more: i64| json!({"SerialNumber": &serial, "TokenCode": &code, "MinimumSessionTokenSize": more});
    let too_long = world.fails(&ann, "sts", "GetSessionToken", asking(4096)).await;
    assert_eq!(too_long.code, "ValidationError");
    let again = world.fails(&ann, "sts", "GetSessionToken", asking(1)).await;
    assert_eq!(again.code, "AccessDenied", "{again:?}");
}
