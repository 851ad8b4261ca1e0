//! Real sockets: several listeners of one server, proxies before them, and headers that lie.
use super::{Client, Request, Response, code_of};
use crate::endpoints::{HERE, VPC, if_so};
use crate::support::policy;
use crate::world::{Someone, World};
use claviger::call::Endpoint;
use claviger::http::{Admin, Entrance, Front, Limits, Listener, Proxies};
use claviger::policy::Network;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves the world at another listener.
async fn at(world: &World, socket: &str, endpoint: bool, trusted: &[&str]) -> Client {
    let trusted = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
    let endpoint = endpoint.then(|| Arc::new(Endpoint::new(HERE.into(), VPC.into())));
    let entrance = Entrance { endpoint, proxies: Proxies::new(trusted) };
    let admin = Admin::new(world.server.clone());
    let front = Front::new(world.server.clone(), Some(admin), None).at(entrance);
    let tcp = TcpListener::bind(socket).await.unwrap();
    let host = tcp.local_addr().unwrap().to_string();
    let listener = Listener::new(tcp, None, Arc::new(front), Limits::default()).unwrap();
    tokio::spawn(listener.serve(std::future::pending()));
    Client { host, now: world.server.clock.wall().secs() }
}

const LOOPBACK: &str = "127.0.0.1:0";

fn list_keys(client: &Client, who: &Someone, forwarded: &[&str]) -> Request {
    let request = client.sign(client.json("TrentService.ListKeys", &json!({})), who, "kms");
    // As proxies do, after the client has signed.
    forwarded.iter().fold(request, |request, value| request.with("X-Forwarded-For", value))
}

/// Whether the request came as far as it may, and from where the event says it did.
async fn asked(world: &World, client: &Client, request: &Request) -> (bool, String) {
    let answer = client.send(request).await;
    let code = code_of(&answer);
    assert!(code.is_none() || code.as_deref() == Some("AccessDeniedException"), "{answer:?}");
    (code.is_none(), world.last_event().source_ip_address.to_string())
}

async fn someone_if(world: &World, name: &str, condition: Value) -> Someone {
    world.user(name, policy(&[if_so(&condition)])).await
}

#[tokio::test]
async fn a_trusted_proxys_word_is_taken_and_nobody_elses() {
    let world = World::new().await;
    let office = json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}});
    let who = someone_if(&world, "ann", office).await;
    let behind = at(&world, LOOPBACK, false, &["127.0.0.0/8"]).await;
    for (forwarded, may, from) in [
        (&["10.1.2.3"][..], true, "10.1.2.3"),
        (&["192.0.2.1"], false, "192.0.2.1"),
        (&["10.1.2.3, 127.0.0.9"], true, "10.1.2.3"),
        (&["10.1.2.3", "127.0.0.9"], true, "10.1.2.3"),
        // What the client wrote before the proxy did.
        (&["10.1.2.3, 192.0.2.1"], false, "192.0.2.1"),
        (&["10.1.2.3", "192.0.2.1"], false, "192.0.2.1"),
        (&["10.1.2.3, 192.0.2.1, 127.0.0.9"], false, "192.0.2.1"),
        (&["127.0.0.9, 192.0.2.1"], false, "192.0.2.1"),
        (&["<script>, 10.1.2.3"], true, "10.1.2.3"),
        (&["2001:db8::7"], true, "2001:db8::7"),
        (&["2001:db9::7"], false, "2001:db9::7"),
        (&["::ffff:10.1.2.3"], true, "10.1.2.3"),
        // The proxy for itself.
        (&[], false, "127.0.0.1"),
    ] {
        let request = list_keys(&behind, &who, forwarded);
        let found = asked(&world, &behind, &request).await;
        assert_eq!(found, (may, from.to_owned()), "{forwarded:?}");
    }
    // The same words from whom nobody trusts: another proxy is named, or none.
    for trusted in [&["192.0.2.0/24", "127.0.0.2", "::1"][..], &[]] {
        let client = at(&world, LOOPBACK, false, trusted).await;
        for forwarded in ["10.1.2.3", "10.1.2.3, 127.0.0.2", "malformed", ""] {
            let request = list_keys(&client, &who, &[forwarded]);
            let found = asked(&world, &client, &request).await;
            assert_eq!(found, (false, "127.0.0.1".to_owned()), "{trusted:?} {forwarded:?}");
        }
    }
    // No other header is taken from anybody.
    for name in ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "x-forwarded"] {
        let request = list_keys(&behind, &who, &[]).with(name, "10.1.2.3");
        assert_eq!(asked(&world, &behind, &request).await.1, "127.0.0.1", "{name}");
    }
}

#[tokio::test]
async fn addresses_of_both_families() {
    let world = World::new().await;
    let six = someone_if(&world, "six", json!({"IpAddress": {"aws:SourceIp": "::1"}})).await;
    let four = json!({"IpAddress": {"aws:SourceIp": "127.0.0.1"}});
    let four = someone_if(&world, "four", four).await;
    let forwarded = &["198.51.100.7"][..];
    for (socket, trusted, forwarded, from) in [
        ("[::1]:0", &[][..], forwarded, "::1"),
        ("[::1]:0", &["127.0.0.0/8"], forwarded, "::1"),
        ("[::1]:0", &["::1"], forwarded, "198.51.100.7"),
        ("[::1]:0", &["::1"], &[], "::1"),
        // IPv4 in an IPv6 coat is IPv4, on the socket and in the configuration.
        ("[::ffff:127.0.0.1]:0", &[], forwarded, "127.0.0.1"),
        ("[::ffff:127.0.0.1]:0", &["127.0.0.0/8"], forwarded, "198.51.100.7"),
        (LOOPBACK, &["::ffff:127.0.0.1/128"], forwarded, "198.51.100.7"),
        (LOOPBACK, &["::1"], forwarded, "127.0.0.1"),
    ] {
        let client = at(&world, socket, false, trusted).await;
        for (who, address) in [(&six, "::1"), (&four, "127.0.0.1")] {
            let found = asked(&world, &client, &list_keys(&client, who, forwarded)).await;
            assert_eq!(found, (from == address, from.to_owned()), "{socket} {trusted:?}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_understood_is_refused() {
    let world = World::new().await;
    let client = at(&world, LOOPBACK, false, &["127.0.0.0/8"]).await;
    let text = "The X-Forwarded-For header is malformed.";
    for forwarded in ["", "unknown", "10.1.2.3, unknown", "10.1.2.3,,127.0.0.9", "for=10.1.2.3"] {
        let before = world.events().len();
        let answer = client.send(&list_keys(&client, &world.root, &[forwarded])).await;
        assert_eq!(answer.status, 400, "{forwarded:?}");
        assert_eq!(code_of(&answer).as_deref(), Some("ValidationException"));
        assert_eq!(answer.message(), text);
        let event =
            super::one_refusal(&world, before, &answer, Some(world.root.access_key_id.as_str()));
        assert_eq!(event.source_ip_address, "127.0.0.1");
        // Nobody was asked who it is.
        assert_eq!(event.user_identity.arn, None);
    }
    let form = client.form("Action=GetCallerIdentity&Version=2011-06-15");
    let request = client.sign(form, &world.root, "sts").with("x-forwarded-for", "unknown");
    let answer = client.send(&request).await;
    assert_eq!((answer.status, code_of(&answer).as_deref()), (400, Some("ValidationError")));
    assert_eq!(answer.message(), text);
}

#[tokio::test]
async fn a_header_never_becomes_an_endpoint() {
    let world = World::new().await;
    let who = someone_if(&world, "ann", json!({"StringLike": {"aws:SourceVpce": "*"}})).await;
    let (open, endpoint) =
        (at(&world, LOOPBACK, false, &[]).await, at(&world, LOOPBACK, true, &[]).await);
    let forged = |client: &Client| {
        let headers =
            ["x-amzn-vpce-id", "x-amz-source-vpce", "x-amz-vpc-endpoint-id", "sourcevpce"];
        let plain = client.json("TrentService.ListKeys", &json!({}));
        let lying = headers.iter().fold(plain, |request, name| request.with(name, HERE));
        client.sign(lying, &who, "kms")
    };
    assert!(!asked(&world, &open, &forged(&open)).await.0);
    assert_eq!(world.last_event().vpc_endpoint_id, None);
    assert!(asked(&world, &endpoint, &forged(&endpoint)).await.0);
    assert_eq!(world.last_event().vpc_endpoint_id.as_deref(), Some(HERE));
    // The host name that a client chooses is not the listener that it reached.
    let mut request = open.json("TrentService.ListKeys", &json!({}));
    request.set("host", &format!("{HERE}.kms.eu-west-1.vpce.amazonaws.com"));
    assert!(!asked(&world, &open, &open.sign(request, &who, "kms")).await.0);
}

#[tokio::test]
async fn an_endpoint_behind_a_proxy_knows_the_client() {
    let world = World::new().await;
    let condition = json!({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"},
        "StringEquals": {"aws:SourceVpce": HERE, "aws:SourceVpc": VPC},
        "Null": {"aws:SourceIp": "true"}});
    let who = someone_if(&world, "ann", condition).await;
    for (endpoint, trusted, forwarded, may) in [
        (true, &["127.0.0.1"][..], "10.1.2.3", true),
        (true, &["127.0.0.1"], "192.0.2.1", false),
        (true, &[], "10.1.2.3", false),
        (false, &["127.0.0.1"], "10.1.2.3", false),
    ] {
        let client = at(&world, LOOPBACK, endpoint, trusted).await;
        let request = list_keys(&client, &who, &[forwarded]);
        let found = asked(&world, &client, &request).await.0;
        assert_eq!(found, may, "{endpoint} {trusted:?} {forwarded}");
    }
}

/// A proxy's connections are local ones perhaps; who is behind it is not.
#[tokio::test]
async fn pages_for_this_machine_are_not_for_proxies_and_endpoints() {
    let world = World::new().await;
    for (endpoint, trusted, there) in
        [(false, &[][..], true), (true, &[], false), (false, &["192.0.2.1"], false)]
    {
        let client = at(&world, LOOPBACK, endpoint, trusted).await;
        for path in ["/healthz", "/metrics"] {
            let mut request = client.form("");
            (request.method, request.uri) = ("GET", path.to_owned());
            let answer: Response = client.send(&request).await;
            assert_eq!(answer.status == 200, there, "{path} {endpoint} {trusted:?}");
        }
    }
}
