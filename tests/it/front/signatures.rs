//! Requests whose signature is not theirs, not for us, or not for now.
use super::{Client, Request, Response, code_of, one_refusal};
use crate::world::{OTHER_REGION, REGION, Someone, World, allow};
use serde_json::json;

const STS: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

struct Scene {
    world: World,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let client = Client::new(&world).await;
        Self { world, client }
    }

    fn json(&self) -> Request {
        self.client.json("TrentService.ListKeys", &json!({}))
    }

    fn signed(&self) -> Request {
        self.client.sign(self.json(), &self.world.root, "kms")
    }

    fn signed_form(&self) -> Request {
        self.client.sign(self.client.form(STS), &self.world.root, "sts")
    }

    /// Sends what must be refused; answers it after looking at its audit record.
    async fn refused(&self, request: &Request, claimed: Option<&str>) -> Response {
        let before = self.world.events().len();
        let answer = self.client.send(request).await;
        assert_ne!(answer.status, 200, "{request:?}");
        let event = one_refusal(&self.world, before, &answer, claimed);
        // A claim is not an identity.
        let identity = &event.user_identity;
        assert_eq!((&identity.arn, &identity.user_name), (&None, &None));
        answer
    }

    /// The same of a JSON and a Query request: AWS's codes and statuses differ.
    async fn both(
        &self,
        json: &Request,
        form: &Request,
        codes: (&str, &str, u16),
        message: Option<&str>,
    ) {
        let (json_code, form_code, form_status) = codes;
        let root = Some(self.world.root.access_key_id.as_str());
        for (request, code, status) in [(json, json_code, 400), (form, form_code, form_status)] {
            let claimed = if code.starts_with("Missing") { None } else { root };
            let answer = self.refused(request, claimed).await;
            assert_eq!(code_of(&answer).as_deref(), Some(code), "{}", answer.text());
            assert_eq!(answer.status, status, "{code}");
            if let Some(message) = message {
                assert_eq!(answer.message(), message, "{code}");
            }
        }
    }
}

const INVALID: (&str, &str, u16) = ("InvalidSignatureException", "SignatureDoesNotMatch", 403);

#[tokio::test]
async fn what_is_signed_well_is_answered() {
    let scene = Scene::new().await;
    let answer = scene.client.send(&scene.signed()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"Keys": [], "Truncated": false})));
    assert_eq!(scene.client.send(&scene.signed_form()).await.status, 200);
    // The same request again, as AWS has no nonce.
    assert_eq!(scene.client.send(&scene.signed()).await.status, 200);
}

#[tokio::test]
async fn another_signature_secret_or_body_does_not_match() {
    let scene = Scene::new().await;
    let wrong = Someone { secret: "guess".into(), ..scene.world.root.clone() };
    let sign = |request, service| scene.client.sign(request, &wrong, service);
    let (json, form) = (sign(scene.json(), "kms"), sign(scene.client.form(STS), "sts"));
    scene.both(&json, &form, INVALID, Some(MISMATCH)).await;

    let flip = |request: Request| {
        let value = request.header("authorization").to_owned();
        let (start, last) = value.split_at(value.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        let mut request = request;
        request.set("authorization", &format!("{start}{other}"));
        request
    };
    let (json, form) = (flip(scene.signed()), flip(scene.signed_form()));
    scene.both(&json, &form, INVALID, Some(MISMATCH)).await;

    let body = |mut request: Request, body: &str| {
        request.body = body.as_bytes().to_vec();
        request
    };
    let json = body(scene.signed(), r#"{"Limit":1}"#);
    let form = body(scene.signed_form(), &format!("{STS}&a=b"));
    scene.both(&json, &form, INVALID, Some(MISMATCH)).await;

    let moved = |mut request: Request| {
        request.uri = "/other".into();
        request
    };
    let (json, form) = (moved(scene.signed()), moved(scene.signed_form()));
    scene.both(&json, &form, INVALID, Some(MISMATCH)).await;

    let mut target = scene.signed();
    target.set("x-amz-target", "TrentService.CreateKey");
    scene.both(&target, &form, INVALID, Some(MISMATCH)).await;
    // A hash that vouches for another body.
    let json = scene.signed().with("x-amz-content-sha256", &"0".repeat(64));
    let form = scene.signed_form().with("x-amz-content-sha256", &"0".repeat(64));
    scene.both(&json, &form, INVALID, Some(MISMATCH)).await;
    assert_eq!(scene.world.kms("ListKeys", json!({})).await["Keys"], json!([]));
}

#[tokio::test]
async fn what_decides_must_be_signed() {
    let scene = Scene::new().await;
    // x-amz-target added after signing, with its name left out of the list.
    let mut late =
        scene.client.sign(scene.json().without("x-amz-target"), &scene.world.root, "kms");
    late.set("x-amz-target", "TrentService.ListKeys");
    let root = Some(scene.world.root.access_key_id.as_str());
    let answer = scene.refused(&late, root).await;
    assert_eq!(code_of(&answer).as_deref(), Some("InvalidSignatureException"));
    let text = "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(answer.message(), text);
    for name in ["x-amz-security-token", "x-amz-anything"] {
        let json = scene.signed().with(name, "late");
        let form = scene.signed_form().with(name, "late");
        let text = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
        let answer = scene.refused(&json, root).await;
        assert_eq!(answer.message(), text);
        assert_eq!(scene.refused(&form, root).await.message(), text);
    }
    let json = scene.signed().authorized("host;", "");
    let answer = scene.refused(&json, root).await;
    let text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(answer.message(), text);
    for unsigned in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let json = scene.signed().with("x-amz-content-sha256", unsigned);
        let answer = scene.refused(&json, root).await;
        assert_eq!(code_of(&answer).as_deref(), Some("IncompleteSignatureException"));
    }
}

#[tokio::test]
async fn clocks_may_differ_by_minutes_only() {
    let scene = Scene::new().await;
    let now = scene.client.now;
    let at = |seconds: i64, form: bool| {
        let root = &scene.world.root;
        let (request, service) =
            if form { (scene.client.form(STS), "sts") } else { (scene.json(), "kms") };
        scene.client.sign_at(request, root, (REGION, service), now + seconds, None)
    };
    for (off, form) in [(-300, false), (300, false), (-900, true), (900, true)] {
        assert_eq!(scene.client.send(&at(off, form)).await.status, 200, "{off}");
    }
    scene.both(&at(-301, false), &at(-901, true), INVALID, None).await;
    scene.both(&at(301, false), &at(901, true), INVALID, None).await;
    let root = Some(scene.world.root.access_key_id.as_str());
    let stale = scene.refused(&at(-301, false), root).await;
    assert_eq!(
        stale.message(),
        "Signature expired: 20251231T235459Z is now earlier than 20251231T235500Z \
         (20260101T000000Z - 5 min.)"
    );
    let future = scene.refused(&at(901, true), root).await;
    assert_eq!(
        future.message(),
        "Signature not yet current: 20260101T001501Z is still later than 20260101T001500Z \
         (20260101T000000Z + 15 min.)"
    );
    let json = scene.signed().authorized("/20260101/", "/20251231/");
    let answer = scene.refused(&json, root).await;
    assert!(answer.message().starts_with("Date in Credential scope does not match"));
}

#[tokio::test]
async fn the_scope_is_a_served_region_and_the_right_service() {
    let scene = Scene::new().await;
    let (root, now) = (&scene.world.root, scene.client.now);
    let json = |scope| scene.client.sign_at(scene.json(), root, scope, now, None);
    let form = |scope| scene.client.sign_at(scene.client.form(STS), root, scope, now, None);
    let claimed = Some(root.access_key_id.as_str());
    assert_eq!(scene.client.send(&json((OTHER_REGION, "kms"))).await.status, 200);
    assert_eq!(scene.world.last_event().aws_region, OTHER_REGION);
    for region in ["eu-west-2", "mars-1", "EU-WEST-1", "x"] {
        let answer = scene.refused(&json((region, "kms")), claimed).await;
        assert_eq!(code_of(&answer).as_deref(), Some("InvalidSignatureException"));
        assert_eq!(answer.message(), "Credential should be scoped to a valid region. ");
    }
    let answer = scene.refused(&json((REGION, "secretsmanager")), claimed).await;
    assert_eq!(answer.message(), "Credential should be scoped to correct service: 'kms'. ");
    let answer = scene.refused(&form((REGION, "iam")), claimed).await;
    assert_eq!(answer.message(), "Credential should be scoped to correct service: 'sts'. ");
    assert_eq!((code_of(&answer).as_deref(), answer.status), (Some("SignatureDoesNotMatch"), 403));
    let answer = scene.refused(&json(("mars-1", "s3")), claimed).await;
    let text = "Credential should be scoped to a valid region. Credential should be scoped to \
        correct service: 'kms'. ";
    assert_eq!(answer.message(), text);
    let term = scene.signed().authorized("aws4_request", "aws5_request");
    let answer = scene.refused(&term, claimed).await;
    assert_eq!(
        answer.message(),
        "Credential should be scoped with a valid terminator: 'aws4_request'"
    );
}

#[tokio::test]
async fn unknown_keys_and_needless_tokens_are_unrecognized() {
    let scene = Scene::new().await;
    let unknown = ("UnrecognizedClientException", "InvalidClientTokenId", 403);
    let text = Some("The security token included in the request is invalid.");
    let (root, now) = (&scene.world.root, scene.client.now);
    let token = Some("a session token");
    let json = scene.client.sign_at(scene.json(), root, (REGION, "kms"), now, token);
    let form = scene.client.sign_at(scene.client.form(STS), root, (REGION, "sts"), now, token);
    scene.both(&json, &form, unknown, text).await;
    let stranger = Someone { access_key_id: "AKIANOBODYKNOWSTHIS0".into(), ..root.clone() };
    let json = scene.client.sign(scene.json(), &stranger, "kms");
    let answer = scene.refused(&json, Some("AKIANOBODYKNOWSTHIS0")).await;
    assert_eq!(code_of(&answer).as_deref(), Some("UnrecognizedClientException"));
    assert_eq!(Some(answer.message().as_str()), text);
    assert_eq!(answer.status, 400);
    // A known key's secret under another key's id.
    let ann = scene.world.user("ann", allow(&["*"])).await;
    let mixed = Someone { access_key_id: ann.access_key_id.clone(), ..root.clone() };
    let answer = scene
        .refused(&scene.client.sign(scene.json(), &mixed, "kms"), Some(&ann.access_key_id))
        .await;
    assert_eq!(code_of(&answer).as_deref(), Some("InvalidSignatureException"));
}

#[tokio::test]
async fn what_is_no_signature_is_missing_or_incomplete() {
    let scene = Scene::new().await;
    let missing = ("MissingAuthenticationTokenException", "MissingAuthenticationToken", 403);
    let text = Some("Request is missing Authentication Token");
    scene.both(&scene.json(), &scene.client.form(STS), missing, text).await;
    for (value, claimed) in [
        ("", None),
        ("Basic dXNlcjpwYXNz", None),
        ("Bearer secret-token-of-somebody", None),
        ("AWS4-HMAC-SHA256", None),
        ("AWS4-HMAC-SHA256 Credential=x", Some("x")),
        ("AWS4-HMAC-SHA256 Credential=no+id/of/a/key/at, all", None),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00", None),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00", Some("a")),
        ("AWS4-HMAC-SHA256 nonsense", None),
    ] {
        let mut json = scene.signed();
        json.set("authorization", value);
        let answer = scene.refused(&json, claimed).await;
        let code = code_of(&answer).unwrap();
        assert!(
            ["IncompleteSignatureException", "InvalidSignatureException"].contains(&code.as_str()),
            "{value}: {code}"
        );
        assert!(!answer.text().contains("secret-token") && !answer.text().contains("dXNlcjpw"));
    }
    let events = serde_json::to_string(&scene.world.events()).unwrap();
    assert!(!events.contains("secret-token") && !events.contains("dXNlcjpw"), "{events}");
}

#[tokio::test]
async fn headers_that_decide_come_once() {
    let scene = Scene::new().await;
    for (name, value) in [
        ("x-amz-target", "TrentService.CreateKey"),
        ("x-amz-date", "20260101T000000Z"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e"),
        ("content-type", "application/x-amz-json-1.1"),
    ] {
        let json = scene.signed().with(name, value);
        let answer = scene.refused(&json, Some(&scene.world.root.access_key_id)).await;
        assert_eq!(code_of(&answer).as_deref(), Some("IncompleteSignatureException"), "{name}");
        assert_eq!(answer.message(), format!("The header '{name}' must not be repeated."));
    }
    // Two hosts do not even reach the API.
    let before = scene.world.events().len();
    let answer = scene.client.send(&scene.signed().with("host", "other")).await;
    assert_eq!(answer.status, 400);
    assert!(scene.world.events().len() <= before + 1);
    assert_eq!(scene.world.kms("ListKeys", json!({})).await["Keys"], json!([]));
}
