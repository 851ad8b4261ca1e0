//! Who gets nothing, although the handshake succeeded.
use super::authority::{SPIFFE, request};
use super::{ALL, Place, ROLE, machines, said, trust, trusting};
use crate::sts::role_arn;
use crate::world::{ACCOUNT, World, allow};
use http::{HeaderValue, Method};
use rcgen::{DnType, SanType};
use serde_json::{Value, json};

#[tokio::test]
async fn only_the_handshake_proves_a_certificate() {
    let place = Place::new().await;
    let mut connection = place.connect(None).await.unwrap();
    let pem = place.authority.pem().replace('\n', " ");
    let mut asking = request("");
    for name in [
        "x-forwarded-client-cert",
        "x-client-cert",
        "x-amzn-mtls-clientcert-leaf",
        "ssl-client-cert",
    ] {
        asking.headers_mut().insert(name, HeaderValue::from_str(&pem).unwrap());
    }
    let spoken = "URI=spiffe://example.org/payroll;Subject=\"CN=payroll\"";
    asking.headers_mut().append("x-forwarded-client-cert", spoken.parse().unwrap());
    let (status, code, text) = said(connection.send(asking).await.unwrap());
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    assert_eq!(text, "The client showed no certificate in the TLS handshake");
    let event = serde_json::to_value(place.world.last_event()).unwrap();
    assert_eq!(event["eventName"], "CreateSession");
    assert_eq!(event["errorCode"], "AccessDeniedException");
    assert_eq!(event["userIdentity"]["type"], "Unknown");
}

#[tokio::test]
async fn a_name_that_is_nearly_configured_is_not() {
    let all = [
        ("certificate", SPIFFE, ROLE, None),
        ("dns", "host.example.org", ROLE, None),
        ("common_name", "printer", ROLE, None),
    ];
    let place = Place::with(machines(&all), None).await;
    place.world.role(ROLE, trust(json!({})), allow(&["kms:ListKeys"])).await;
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let strangers = [
        vec![uri("spiffe://example.org/payroll/x")],
        vec![uri("spiffe://example.org/Payroll")],
        vec![uri("spiffe://example.org/payrol")],
        // Two ids are none (SPIFFE X.509-SVID).
        vec![uri(SPIFFE), uri("spiffe://example.org/other")],
        vec![uri("spiffe://example.org/other"), uri(SPIFFE)],
        // The right text in the wrong kind of name.
        vec![dns("printer")],
        vec![uri("host.example.org")],
        vec![dns("host.example.org.evil.example")],
        vec![dns("*.example.org")],
        vec![SanType::Rfc822Name("payroll@example.org".try_into().unwrap())],
        vec![],
    ];
    for names in strangers {
        let identity = place.authority.issue(|params| params.subject_alt_names.clone_from(&names));
        let (status, _, text) = place.refused(&identity, "").await;
        let expected = (403, "No role is configured for the certificate");
        assert_eq!((status, text.as_str()), expected, "{names:?}");
    }
    for common_names in [&["Printer"][..], &["printer "], &["printer", "payroll"]] {
        let identity = place.authority.issue(|params| {
            params.subject_alt_names.clear();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for name in common_names {
                let kind = match params.distinguished_name.get(&DnType::CommonName) {
                    // The library keeps one value of a kind; this is the same kind by its number.
                    Some(_) => DnType::CustomDnType(vec![2, 5, 4, 3]),
                    None => DnType::CommonName,
                };
                params.distinguished_name.push(kind, *name);
            }
        });
        assert_eq!(place.refused(&identity, "").await.0, 403, "{common_names:?}");
    }
    let event = serde_json::to_value(place.world.last_event()).unwrap();
    assert!(
        event["userIdentity"]["principalId"].as_str().unwrap().contains("serial number 0a1b2c")
    );
}

#[tokio::test]
async fn the_roles_trust_policy_decides() {
    let service = json!({"Service": "rolesanywhere.amazonaws.com"});
    let equals = |key: &str, value: &str| json!({"StringEquals": {key: value}});
    let good = [
        trust(json!({})),
        trust(equals("aws:PrincipalTag/x509Subject/CN", "payroll")),
        trust(equals("aws:PrincipalTag/x509SAN/URI", SPIFFE)),
        trust(equals("aws:PrincipalTag/x509SAN/DNS", "payroll.example.org")),
        trust(equals("aws:PrincipalTag/x509Issuer/CN", "machines of example.org")),
        trust(equals("aws:RequestTag/x509Subject/OU", "wages")),
        trust(equals("sts:SourceIdentity", "payroll")),
        trust(equals("sts:RoleSessionName", "0a1b2c")),
        trust(equals("aws:PrincipalServiceName", "rolesanywhere.amazonaws.com")),
        trust(equals("aws:SourceAccount", ACCOUNT)),
        trust(
            json!({"Bool": {"aws:PrincipalIsAWSService": "true", "aws:SecureTransport": "true"}}),
        ),
        trust(json!({"IpAddress": {"aws:SourceIp": "127.0.0.1/32"}})),
    ];
    let denying = |condition: Value| {
        let mut document = trust(json!({}));
        let mut deny = document["Statement"][0].clone();
        deny["Effect"] = json!("Deny");
        deny["Condition"] = condition;
        document["Statement"].as_array_mut().unwrap().push(deny);
        document
    };
    let bad = [
        trust(equals("aws:PrincipalTag/x509Subject/CN", "Payroll")),
        trust(equals("aws:PrincipalTag/x509SAN/URI", "spiffe://example.org/other")),
        trust(equals("aws:PrincipalTag/x509Issuer/CN", "another")),
        trust(equals("aws:PrincipalTag/x509Subject/L", "payroll")),
        trust(equals("aws:RequestTag/x509Subject/OU", "sales")),
        trust(equals("sts:SourceIdentity", "somebody")),
        trust(equals("sts:ExternalId", "x")),
        trust(equals("aws:PrincipalServiceName", "ec2.amazonaws.com")),
        trust(equals("aws:SourceAccount", "444455556666")),
        trust(json!({"Bool": {"aws:PrincipalIsAWSService": "false"}})),
        trust(json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        trusting(service.clone(), &["sts:AssumeRole", "sts:TagSession"], json!({})),
        trusting(service.clone(), &["sts:AssumeRole", "sts:SetSourceIdentity"], json!({})),
        trusting(service, &["sts:TagSession", "sts:SetSourceIdentity"], json!({})),
        trusting(json!({"Service": "ec2.amazonaws.com"}), ALL, json!({})),
        trusting(json!({"AWS": ACCOUNT}), ALL, json!({})),
        denying(json!({})),
        denying(equals("aws:PrincipalTag/x509Subject/OU", "wages")),
    ];
    let place = Place::with(machines(&[("certificate", SPIFFE, ROLE, None)]), None).await;
    let identity = place.authority.issue(|_| {});
    let arn = format!("arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:subject/payroll");
    for (documents, may) in [(&good[..], true), (&bad[..], false)] {
        for document in documents {
            place.world.role(ROLE, document.clone(), allow(&["kms:ListKeys"])).await;
            let (status, answer) = place.ask(&identity, "").await.unwrap();
            assert_eq!(status == 200, may, "{document}: {answer}");
            if !may {
                let (_, code, text) = said((status, answer));
                assert_eq!(code, "AccessDeniedException");
                let begins = format!("User: {arn} is not authorized to perform: sts:");
                assert!(text.starts_with(&begins), "{text}");
                assert!(text.ends_with(&role_arn(ROLE)), "{text}");
                let event = place.world.last_event();
                assert_eq!(event.error_code.as_deref(), Some("AccessDeniedException"));
                assert_eq!(event.recipient_account_id, ACCOUNT);
            }
            place.world.delete_role(ROLE).await;
        }
    }
    // A role that does not exist looks like one that says no.
    let (status, _, text) = place.refused(&identity, "").await;
    let expected = format!(
        "User: {arn} is not authorized to perform: sts:AssumeRole on resource: {}",
        role_arn(ROLE)
    );
    assert_eq!((status, text), (403, expected));
}

#[tokio::test]
async fn a_machines_trust_is_nobody_elses() {
    let place = Place::new().await;
    let root = &place.world.root;
    let ann = place.world.user("ann", allow(&["*"])).await;
    for who in [root, &ann] {
        let body = crate::sts::assuming(ROLE, json!({}));
        place.world.call_as(who, "sts", "AssumeRole", body).await.unwrap_err();
    }
}

#[tokio::test]
async fn what_a_request_may_be() {
    let place = Place::new().await;
    let identity = place.authority.issue(|_| {});
    let long = format!("{{\"role\": \"{}\"}}", "a".repeat(5000));
    for body in [
        "[]",
        "{",
        "{\"role\": 1}",
        "{\"roles\": []}",
        "null",
        "\"x\"",
        "role=x",
        long.as_str(),
        "{\"role\":null,\"certificate\":\"x\"}",
    ] {
        let (status, code, _) = place.refused(&identity, body).await;
        assert_eq!((status, code.as_str()), (400, "ValidationException"), "{body}");
    }
    for body in ["", "{}", "{\"role\": null}", " {} "] {
        assert_eq!(place.ask(&identity, body).await.unwrap().0, 200, "{body}");
    }
    let mut connection = place.connect(Some(&identity)).await.unwrap();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let mut asking = request("");
        *asking.method_mut() = method;
        assert_eq!(said(connection.send(asking).await.unwrap()).0, 405);
    }
    for path in ["/machine-credentials/", "//machine-credentials", "/Machine-Credentials"] {
        let mut asking = request("");
        *asking.uri_mut() = path.parse().unwrap();
        let (status, code, _) = said(connection.send(asking).await.unwrap());
        assert_eq!((status, code.as_str()), (400, "UnknownOperationException"), "{path}");
    }
}

#[tokio::test]
async fn a_server_that_knows_no_machines_has_no_such_path() {
    let place = Place::with(machines(&[]), None).await;
    let (status, code, _) = place.refused(&place.authority.issue(|_| {}), "").await;
    assert_eq!((status, code.as_str()), (400, "UnknownOperationException"));
}

#[tokio::test]
async fn a_duration_is_at_most_what_the_role_allows() {
    let place = Place::with(machines(&[("certificate", SPIFFE, ROLE, Some(7201))]), None).await;
    place.world.role(ROLE, trust(json!({})), allow(&["kms:ListKeys"])).await;
    let (status, code, text) = place.refused(&place.authority.issue(|_| {}), "").await;
    assert_eq!((status, code.as_str()), (400, "ValidationException"));
    assert!(text.contains("MaxSessionDuration"), "{text}");
}

#[tokio::test]
async fn names_that_no_policy_could_compare_are_refused() {
    let place = Place::new().await;
    for name in ["a".repeat(257), "two\nlines".to_owned(), "nul\0".to_owned()] {
        let identity = place.authority.issue(|params| {
            params.distinguished_name.push(DnType::OrganizationName, name.as_str());
        });
        let (status, code, text) = place.refused(&identity, "").await;
        assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
        assert!(text.starts_with("A name in the certificate"), "{text}");
    }
}

#[tokio::test]
async fn machines_count_against_the_quota_of_sts() {
    let world = World::with_quotas("[rates]\nsts.Requests = 2").await;
    let place = Place::of(world, machines(&[("certificate", SPIFFE, ROLE, None)]), None).await;
    place.world.role(ROLE, trust(json!({})), allow(&["kms:ListKeys"])).await;
    let identity = place.authority.issue(|_| {});
    for _ in 0..2 {
        assert_eq!(place.ask(&identity, "").await.unwrap().0, 200);
    }
    let (status, code, _) = place.refused(&identity, "").await;
    assert_eq!((status, code.as_str()), (400, "ThrottlingException"));
    assert_eq!(place.world.last_event().error_code.as_deref(), Some("ThrottlingException"));
    place.world.clock.advance(1);
    assert_eq!(place.ask(&identity, "").await.unwrap().0, 200);
    // One quota with those who sign, wherever the machine asks.
    let (root, sts) = (place.world.root.clone(), "GetCallerIdentity");
    let region = place.world.server.regions.first().unwrap().as_str();
    assert_ne!(region, "us-east-1");
    let signed = async || place.world.call_in(&root, "us-east-1", "sts", sts, json!({})).await;
    signed().await.unwrap();
    assert_eq!(signed().await.unwrap_err().code, "Throttling");
    assert_eq!(place.refused(&identity, "").await.1, "ThrottlingException");
}
