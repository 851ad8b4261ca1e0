//! AWS's own test suite (`tests/data/sigv4`), every case in its header and its query form.

use std::fs;
use std::path::PathBuf;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};

use super::super::text::hex;
use super::super::{canonical, *};
use sha2::{Digest as _, Sha256};

const SECRET: &str = super::SECRET;

/// A path that only S3 leaves as it is; all other services normalise it (RFC 3986), as we do.
const S3_PATH: &str = "S3-only: path not normalised";
/// The suite's request line has a raw space, which HTTP cannot carry; `http::Uri` refuses it.
const RAW_SPACE: &str = "raw space in the request line";
/// The token was added after signing, so anybody could have added it: it is refused.
const UNSIGNED_TOKEN: &str = "session token not signed";

/// The cases which do not verify, and why.
const EXCEPTIONS: [(&str, &str); 9] = [
    ("get-relative-relative-unnormalized", S3_PATH),
    ("get-relative-unnormalized", S3_PATH),
    ("get-slash-dot-slash-unnormalized", S3_PATH),
    ("get-slash-pointless-dot-unnormalized", S3_PATH),
    ("get-slash-unnormalized", S3_PATH),
    ("get-slashes-unnormalized", S3_PATH),
    ("get-space-normalized", RAW_SPACE),
    ("get-space-unnormalized", RAW_SPACE),
    ("post-sts-header-after", UNSIGNED_TOKEN),
];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/sigv4")
}

fn read(case: &str, file: &str) -> Option<String> {
    fs::read_to_string(directory().join(case).join(file)).ok()
}

/// Reads a request as hyper would: folded lines are joined, values trimmed.
fn request(text: &str) -> Result<(Parts, Vec<u8>), http::Error> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let head = head.replace("\n ", " ");
    let mut lines = head.lines();
    let line = lines.next().unwrap();
    let (method, rest) = line.split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap_or(rest);
    let mut request = Request::builder().method(method).uri(target.as_bytes()).body(())?;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes())?;
        request.headers_mut().append(name, HeaderValue::from_str(value.trim())?);
    }
    // The suite ends a request without body by two more line ends, or three.
    Ok((request.into_parts().0, body.trim_end_matches('\n').into()))
}

fn verify_all((head, body): &(Parts, Vec<u8>)) -> Result<(), AuthError> {
    let claim = parse(head)?;
    let scope = claim.scope();
    let service = if scope.service == "lambda" { "lambda" } else { "service" };
    let expect = Expect { now: claim.date().seconds(), skew: 300, regions: &|_| true, service };
    check_scope_and_time(&claim, &expect)?;
    // `double-encode-path` is signed with `Credentials::for_tests` of aws-credential-types.
    let secret = match claim.access_key_id() {
        "ANOTREAL" => "notrealrnrELgWzOk3IfjzDKtFBhDby",
        _ => SECRET,
    };
    verify(&claim, head, body, &SigningKey::derive(secret, scope.date, scope.region, scope.service))
}

fn canonical_text((head, body): &(Parts, Vec<u8>)) -> String {
    let claim = parse(head).unwrap();
    let mut out = Vec::new();
    let payload_hash = hex(&Sha256::digest(body).into());
    canonical::write(&mut out, head, claim.signed_headers(), &payload_hash).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_case_verifies_or_is_an_exception_with_a_reason() {
    let mut seen = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let exception = EXCEPTIONS.iter().find(|(name, _)| *name == case).map(|(_, why)| *why);
        for form in ["header", "query"] {
            let Some(text) = read(&case, &format!("{form}-signed-request.txt")) else { continue };
            seen += 1;
            let request = match (request(&text), exception) {
                (Err(_), Some(RAW_SPACE)) => continue,
                (request, _) => request.unwrap(),
            };
            let result = verify_all(&request);
            match exception {
                Some(UNSIGNED_TOKEN) if form == "header" => assert_eq!(
                    result,
                    Err(AuthError::HeaderNotSigned("x-amz-security-token".into()))
                ),
                Some(_) => assert_eq!(result, Err(AuthError::SignatureMismatch), "{case} {form}"),
                None => assert_eq!(result, Ok(()), "{case} {form}"),
            }
            // `double-encode-path` was signed on another day than its canonical text says.
            if exception.is_none() && case != "double-encode-path" {
                let expected = read(&case, &format!("{form}-canonical-request.txt")).unwrap();
                assert_eq!(canonical_text(&request), expected, "{case} {form}");
            }
        }
    }
    // 38 cases in both forms, and two in the header's form only.
    assert_eq!(seen, 78);
}
