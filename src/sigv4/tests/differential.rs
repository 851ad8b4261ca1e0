//! What AWS's own signer signs, we verify: random requests, signed with aws-sigv4.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::super::*;
use super::{ID, NOW, Random, SECRET};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "HEAD"];
const NAMES: [&str; 9] = [
    "content-type",
    "content-length",
    "x-amz-target",
    "amz-sdk-request",
    "x-amz-meta-b",
    "accept",
    "my-header",
    "x-k8s-aws-id",
    "user-agent",
];
const VALUE: [&str; 12] = ["a", "Z", "0", "  ", " ", "   ", "\"", ",", ";", "=", "a b", "/"];
const PIECE: [&str; 18] = [
    "a", "B", "7", "-", "_", ".", "~", "%20", "%2F", "%c3%a9", "+", "*", "!", "'", "(", ":", "@",
    "$",
];
const SEGMENT: [&str; 15] =
    ["/", "//", "/.", "/..", "a", "b.c", "%20", "%2F", "~", "@", ":", "+", "=", "é", "%zz"];

struct Case {
    head: Parts,
    body: Vec<u8>,
    token: Option<&'static str>,
}

fn case(random: &mut Random) -> Case {
    let mut uri = format!("https://kms.example:8443/{}", random.text(&SEGMENT, 8));
    for piece in 0..random.below(5) {
        uri.push_str(if piece == 0 { "?" } else { "&" });
        uri.push_str(&random.text(&PIECE, 6));
        if random.below(4) > 0 {
            uri.push('=');
            uri.push_str(&random.text(&PIECE, 6));
        }
    }
    let mut request =
        Request::builder().method(random.pick(&METHODS)).uri(uri.as_str()).body(()).unwrap();
    for name in NAMES {
        let times = if name == "my-header" || name == "accept" { 3 } else { 2 };
        for _ in 0..random.below(times) {
            let value = random.text(&VALUE, 8);
            let value = HeaderValue::from_str(value.trim()).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    let body = (0..random.below(300)).map(|_| random.next() as u8).collect();
    let token = [None, Some("FwoGZXIvYXdz//////+/=="), Some("t")][random.below(3)];
    Case { head: request.into_parts().0, body, token }
}

fn sign_with_aws(case: &mut Case, settings: SigningSettings) {
    let credentials = AwsCredentials::new(ID, SECRET, case.token.map(Into::into), None, "test");
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("kms")
        .time(UNIX_EPOCH + Duration::from_secs(NOW as u64))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = case.head.uri.to_string();
    let headers = case.head.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap()));
    let body = SignableBody::Bytes(&case.body);
    let request = SignableRequest::new(case.head.method.as_str(), uri, headers, body).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let mut request = Request::from_parts(case.head.clone(), ());
    instructions.apply_to_request_http1x(&mut request);
    case.head = request.into_parts().0;
}

/// As the server sees it over HTTP/1.1: the authority in the Host header.
fn over_http1(head: &mut Parts) {
    let host = head.uri.authority().unwrap().as_str().to_owned();
    head.headers.insert("host", host.parse().unwrap());
    head.uri = head.uri.path_and_query().unwrap().as_str().parse().unwrap();
}

fn check(case: &Case) -> Result<(), AuthError> {
    let claim = parse(&case.head)?;
    assert_eq!(claim.session_token(), case.token);
    let regions = |region: &str| region == "eu-west-1";
    let expect = Expect { now: NOW, skew: 300, regions: &regions, service: "kms" };
    check_scope_and_time(&claim, &expect)?;
    let scope = claim.scope();
    let key = SigningKey::derive(SECRET, scope.date, scope.region, scope.service);
    verify(&claim, &case.head, &case.body, &key)?;
    let other = SigningKey::derive("other", scope.date, scope.region, scope.service);
    assert_eq!(verify(&claim, &case.head, &case.body, &other), Err(AuthError::SignatureMismatch));
    Ok(())
}

#[test]
fn what_aws_signs_in_a_header_verifies() {
    let mut random = Random(1);
    for round in 0..1000 {
        let mut case = case(&mut random);
        let mut settings = SigningSettings::default();
        if round % 2 == 0 {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        sign_with_aws(&mut case, settings);
        if round % 3 > 0 {
            over_http1(&mut case.head);
        }
        assert_eq!(check(&case), Ok(()), "round {round}: {:?}", case.head);
    }
}

#[test]
fn what_aws_presigns_verifies() {
    let mut random = Random(2);
    for round in 0..1000 {
        let mut case = case(&mut random);
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(900));
        sign_with_aws(&mut case, settings);
        if round % 3 > 0 {
            over_http1(&mut case.head);
        }
        assert_eq!(check(&case), Ok(()), "round {round}: {:?}", case.head);
    }
}

#[test]
fn our_signer_makes_the_signature_of_aws() {
    let mut random = Random(3);
    for round in 0..500 {
        let mut theirs = case(&mut random);
        let mut ours = Case { head: theirs.head.clone(), body: theirs.body.clone(), ..theirs };
        sign_with_aws(&mut theirs, SigningSettings::default());
        let credentials =
            Credentials { access_key_id: ID, secret: SECRET, session_token: ours.token };
        let scope = ("eu-west-1", "kms");
        super::sign(&mut ours.head, &ours.body, &credentials, scope, NOW).unwrap();
        let authorization = |head: &Parts| head.headers["authorization"].clone();
        assert_eq!(authorization(&ours.head), authorization(&theirs.head), "round {round}");
        assert_eq!(check(&ours), Ok(()));
    }
}
