//! The condition keys of the network: each allows and denies, and which are there at all.
use super::{HERE, THERE, VPC, Way, if_so, straight, through};
use crate::support::{delegate, policy};
use crate::world::{ACCOUNT, World};
use serde_json::{Value, json};

/// A condition, the ways on which it holds, and those on which it does not.
type Row = (Value, Vec<Way>, Vec<Way>);

fn rows() -> Vec<Row> {
    let here = || through(HERE, VPC, "10.1.2.3");
    let there = || through(THERE, VPC, "10.1.2.3");
    let elsewhere = || through("vpce-elsewhere", "vpc-2", "192.0.2.1");
    let (inside, outside) = (|| straight("10.1.2.3"), || straight("192.0.2.1"));
    let mut rows = vec![
        (
            json!({"StringEquals": {"aws:SourceVpce": HERE}}),
            vec![here()],
            vec![there(), elsewhere(), inside(), outside()],
        ),
        (
            // What is not there is not equal either.
            json!({"StringNotEquals": {"aws:sourceVpce": HERE}}),
            vec![there(), elsewhere(), inside()],
            vec![here()],
        ),
        (
            json!({"StringEquals": {"aws:SourceVpc": VPC}}),
            vec![here(), there()],
            vec![elsewhere(), inside()],
        ),
        (
            json!({"StringLike": {"aws:SourceVpc": "vpc-?"}}),
            vec![elsewhere()],
            vec![here(), inside()],
        ),
        (
            json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}),
            vec![here(), there(), through(HERE, VPC, "::ffff:10.1.2.3")],
            vec![elsewhere(), inside(), outside(), through(HERE, VPC, "2001:db8::a01:203")],
        ),
        (
            json!({"IpAddress": {"aws:VpcSourceIp": "2001:db8::/32"}}),
            vec![through(HERE, VPC, "2001:db8::7")],
            vec![through(HERE, VPC, "2001:db9::7"), straight("2001:db8::7")],
        ),
        (
            json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            vec![inside(), straight("::ffff:10.1.2.3")],
            vec![outside(), here(), elsewhere(), straight("2001:db8::a01:203")],
        ),
        (
            json!({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}),
            vec![straight("2001:db8::7")],
            vec![straight("2001:db9::7"), through(HERE, VPC, "2001:db8::7")],
        ),
        (
            json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            vec![outside(), here()],
            vec![inside()],
        ),
        (
            json!({"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"},
                "StringEqualsIfExists": {"aws:SourceVpc": VPC}}),
            vec![inside(), here(), there()],
            vec![outside(), elsewhere()],
        ),
    ];
    for key in ["aws:SourceVpce", "aws:SourceVpc", "aws:VpcSourceIp"] {
        let null = |is: &str| json!({"Null": {key: is}});
        rows.push((null("true"), vec![inside()], vec![here(), elsewhere()]));
        rows.push((null("false"), vec![here(), elsewhere()], vec![inside()]));
    }
    rows.push((json!({"Null": {"aws:SourceIp": "true"}}), vec![here()], vec![inside()]));
    rows.push((json!({"Null": {"aws:SourceIp": "false"}}), vec![inside()], vec![here()]));
    rows
}

#[tokio::test]
async fn each_allows_and_denies_in_an_identity_policy() {
    let world = World::new().await;
    for (at, (condition, allowed, denied)) in rows().into_iter().enumerate() {
        let who = world.user(&format!("u{at}"), policy(&[if_so(&condition)])).await;
        for way in &allowed {
            let may = world.may_over(way, &who, "ListKeys", json!({})).await;
            assert!(may, "{condition} over {way:?}");
        }
        for way in &denied {
            let may = world.may_over(way, &who, "ListKeys", json!({})).await;
            assert!(!may, "{condition} over {way:?}");
        }
    }
}

#[tokio::test]
async fn each_allows_and_denies_in_a_key_policy() {
    let world = World::new().await;
    for (condition, allowed, denied) in rows() {
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        let use_it = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Resource": "*",
            "Action": "kms:Encrypt", "Condition": condition});
        let key = world.key_with_policy(policy(&[use_it])).await;
        let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
        for way in &allowed {
            let may = world.may_over(way, &world.root, "Encrypt", body.clone()).await;
            assert!(may, "{condition} over {way:?}");
        }
        for way in &denied {
            let may = world.may_over(way, &world.root, "Encrypt", body.clone()).await;
            assert!(!may, "{condition} over {way:?}");
        }
    }
}

/// The pattern of the KMS developer guide: whatever else is allowed, only through this endpoint.
#[tokio::test]
async fn a_deny_keeps_everybody_to_the_endpoint() {
    let world = World::new().await;
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:sourceVpce": HERE}}});
    let key = world.key_with_policy(policy(&[delegate(), deny])).await;
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    for (way, may) in [
        (through(HERE, VPC, "192.0.2.1"), true),
        (through(THERE, VPC, "192.0.2.1"), false),
        (straight("127.0.0.1"), false),
    ] {
        assert_eq!(world.may_over(&way, &world.root, "Encrypt", body.clone()).await, may);
    }
}

/// Whoever could change the policy from where they ask has not locked themselves out.
#[tokio::test]
async fn the_lock_out_check_asks_from_the_same_place() {
    let world = World::new().await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let only_here = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*",
        "Resource": "*", "Condition": {"StringEquals": {"aws:SourceVpce": HERE}}});
    let policy = policy(&[only_here]).to_string();
    let (key, here) = (world.key().await, through(HERE, VPC, "10.1.2.3"));
    let body = json!({"KeyId": key, "Policy": policy});
    let straight = straight("10.1.2.3");
    let locked = world.over(&straight, &world.root, "kms", "PutKeyPolicy", body.clone()).await;
    assert_eq!(locked.unwrap_err().code, "MalformedPolicyDocumentException");
    world.over(&here, &world.root, "kms", "PutKeyPolicy", body).await.unwrap();
    let body = json!({"KeyId": key});
    assert!(!world.may_over(&straight, &world.root, "GetKeyPolicy", body.clone()).await);
    assert!(world.may_over(&here, &world.root, "GetKeyPolicy", body).await);
}

#[tokio::test]
async fn events_say_through_which_endpoint() {
    let world = World::new().await;
    let nobody = world.nobody().await;
    for (way, id) in [(through(HERE, VPC, "10.1.2.3"), Some(HERE)), (straight("10.1.2.4"), None)] {
        for who in [&world.root, &nobody] {
            let may = world.may_over(&way, who, "ListKeys", json!({})).await;
            assert_eq!(may, who.access_key_id == world.root.access_key_id);
            let event = world.last_event();
            assert_eq!(event.vpc_endpoint_id.as_deref(), id);
            assert_eq!(event.source_ip_address, way.address);
            let text: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
            assert_eq!(text.get("vpcEndpointId").and_then(Value::as_str), id);
        }
    }
}
