//! curl signs the requests, as in AWS's test client and in the specification's appendix D.
#![expect(clippy::disallowed_methods, reason = "curl signs by the machine's clock")]

use super::{ID, PATH, Place, SECRET, THEIRS, decrypt_body, encrypt_body, unb64};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Curl {
    place: Place,
}

impl Curl {
    /// curl signs by the machine's clock.
    async fn new() -> Self {
        let place = Place::new().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        place.world.clock.advance(i64::try_from(now).unwrap() - place.now());
        Self { place }
    }

    /// The status and the answer.
    async fn post(&self, what: &str, user: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{PATH}{what}", self.place.address);
        let scope = format!("aws:amz:{THEIRS}:kms-xks-proxy");
        let mut child = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
            .args(["-H", "Content-Type:application/json", "--aws-sigv4", &scope])
            .args(["--user", user, "--data-binary", "@-", "--write-out", "\n%{http_code}", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl 7.75 or later is installed");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(body.to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "curl: {:?}", output.status);
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

#[tokio::test]
async fn curl_asks_all_apis() {
    let curl = Curl::new().await;
    let user = format!("{ID}:{SECRET}");
    let health =
        json!({"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r"}});
    assert_eq!(curl.post("/health", &user, &health).await.0, 200);
    let metadata = json!({"requestMetadata": super::metadata("DescribeKey")});
    for key in ["kms", "device"] {
        let what = |last: &str| format!("/keys/{key}/{last}");
        let (status, answer) = curl.post(&what("metadata"), &user, &metadata).await;
        assert_eq!((status, &answer["keyStatus"]), (200, &json!("ENABLED")));
        let mut body = encrypt_body(&[7; 4096]);
        body["additionalAuthenticatedData"] = json!(super::b64(&[8; 8192]));
        body["ciphertextDataIntegrityValueAlgorithm"] = json!("SHA_256");
        let (status, sealed) = curl.post(&what("encrypt"), &user, &body).await;
        assert_eq!(status, 200, "{sealed}");
        let opens = decrypt_body(&sealed, Some(&[8; 8192]));
        let (status, opened) = curl.post(&what("decrypt"), &user, &opens).await;
        assert_eq!(status, 200, "{opened}");
        assert_eq!(unb64(&opened["plaintext"]), [7; 4096]);
        for wrong in [format!("Invalid{user}"), format!("{ID}:Invalid{SECRET}")] {
            let (status, answer) = curl.post(&what("metadata"), &wrong, &metadata).await;
            assert_eq!(status, 401);
            assert_eq!(answer["errorName"], "AuthenticationFailedException");
        }
    }
}
