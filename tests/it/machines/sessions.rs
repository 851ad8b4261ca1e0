//! What a machine gets: whose session it is, what it may do, when it ends, and what the log says.
use super::authority::{Authority, SERIAL, SPIFFE, request};
use super::{Place, ROLE, machines, said, temporary, trust};
use crate::sts::role_arn;
use crate::support::policy;
use crate::world::{ACCOUNT, NOW_SECS, allow};
use rcgen::{CertificateParams, DnType, SerialNumber, date_time_ymd};
use serde_json::{Value, json};

/// Seconds from the world's beginning to the first day of 2100.
const TO_2100: i64 = 4_102_444_800 - NOW_SECS;

fn until_2100(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2100, 1, 1);
}

#[tokio::test]
async fn a_certificate_becomes_a_session_of_its_role() {
    let place = Place::new().await;
    let identity = place.authority.issue(|_| {});
    let (status, answer) = place.ask(&identity, "").await.unwrap();
    assert_eq!(status, 200);
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    let expected = ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"];
    assert_eq!(names, expected);
    assert_eq!(answer["Version"], 1);
    assert_eq!(answer["Expiration"], "2026-01-01T01:00:00Z");
    let session = temporary(&answer);
    let me = place.world.with(&session, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert_eq!(
        me["Arn"],
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{}", hex::encode(SERIAL))
    );
    assert!(place.world.may_with(&session, "kms", "ListKeys", json!({})).await);
    assert!(!place.world.may_with(&session, "kms", "ListAliases", json!({})).await);
}

#[tokio::test]
async fn the_session_carries_what_the_certificate_says() {
    let place = Place::with(machines(&[("common_name", "payroll", ROLE, None)]), None).await;
    let condition = |key: &str, value: &str| {
        policy(&[json!({"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*",
            "Condition": {"StringEquals": {key: value}}})])
    };
    let identity = place.authority.issue(|_| {});
    for (key, value, other) in [
        ("aws:PrincipalTag/x509Subject/CN", "payroll", "payrol"),
        ("aws:PrincipalTag/x509Subject/OU", "wages", "wage"),
        ("aws:PrincipalTag/x509Issuer/CN", "machines of example.org", "machines"),
        ("aws:PrincipalTag/x509SAN/URI", SPIFFE, "spiffe://example.org/other"),
        ("aws:PrincipalTag/x509SAN/DNS", "payroll.example.org", "example.org"),
        ("aws:SourceIdentity", "payroll", "other"),
        ("aws:PrincipalArn", &role_arn(ROLE), &role_arn("other")),
    ] {
        for (value, may) in [(value, true), (other, false)] {
            place.world.role(ROLE, trust(json!({})), condition(key, value)).await;
            let session = place.session(&identity).await;
            let found = place.world.may_with(&session, "kms", "ListKeys", json!({})).await;
            assert_eq!(found, may, "{key} = {value}");
            place.world.delete_role(ROLE).await;
        }
    }
}

#[tokio::test]
async fn the_log_says_which_certificate_got_what_and_nothing_secret() {
    let place = Place::new().await;
    let (_, answer) = place.ask(&place.authority.issue(|_| {}), "").await.unwrap();
    let event = serde_json::to_value(place.world.last_event()).unwrap();
    assert_eq!(event["eventSource"], "rolesanywhere.amazonaws.com");
    assert_eq!(event["eventName"], "CreateSession");
    assert_eq!(event["recipientAccountId"], ACCOUNT);
    assert_eq!(event["userIdentity"]["accountId"], ACCOUNT);
    let arn = format!("arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:subject/payroll");
    assert_eq!(event["userIdentity"]["arn"], arn);
    assert_eq!(event["resources"][0]["ARN"], role_arn(ROLE));
    assert_eq!(event["requestParameters"]["roleArn"], role_arn(ROLE));
    let certificate = &event["requestParameters"]["certificate"];
    assert_eq!(certificate["serialNumber"], hex::encode(SERIAL));
    assert_eq!(certificate["attributes"]["x509SAN/URI"], SPIFFE);
    let set = &event["responseElements"]["credentialSet"][0];
    assert_eq!(set["credentials"]["accessKeyId"], answer["AccessKeyId"]);
    assert_eq!(set["sourceIdentity"], "payroll");
    assert_eq!(event["tlsDetails"]["tlsVersion"], "TLSv1.3");
    let text = event.to_string();
    for secret in ["SecretAccessKey", "SessionToken"] {
        assert!(!text.contains(answer[secret].as_str().unwrap()), "{secret}");
    }
}

#[tokio::test]
async fn who_has_several_roles_names_one() {
    let all = [
        ("certificate", SPIFFE, ROLE, None),
        ("dns", "PAYROLL.example.org", "printer", Some(900)),
        ("common_name", "somebody else", "vault", None),
        // The same role by another name is no other role.
        ("common_name", "payroll", ROLE, Some(900)),
    ];
    let place = Place::with(machines(&all), None).await;
    for role in [ROLE, "printer", "vault"] {
        place.world.role(role, trust(json!({})), allow(&["kms:ListKeys"])).await;
    }
    let identity = place.authority.issue(|_| {});
    let (status, code, text) = place.refused(&identity, "").await;
    assert_eq!((status, code.as_str()), (400, "ValidationException"));
    assert!(text.contains(&role_arn(ROLE)) && text.contains(&role_arn("printer")), "{text}");
    assert!(!text.contains("vault"), "{text}");
    let body = json!({"role": role_arn("printer")}).to_string();
    let (status, answer) = place.ask(&identity, &body).await.unwrap();
    assert_eq!((status, answer["Expiration"].as_str().unwrap()), (200, "2026-01-01T00:15:00Z"));
    let body = json!({"role": role_arn("vault")}).to_string();
    let (status, code, text) = place.refused(&identity, &body).await;
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    assert_eq!(text, "No role is configured for the certificate");
}

#[tokio::test]
async fn no_session_outlives_its_certificate() {
    let place = Place::new().await;
    let identity = place.authority.issue(until_2100);
    let mut connection = place.connect(Some(&identity)).await.unwrap();
    place.world.clock.advance(TO_2100 - 1800);
    let (_, answer) = connection.ask("").await.unwrap();
    assert_eq!(answer["Expiration"], "2100-01-01T00:00:00Z");
    let session = temporary(&answer);
    place.world.clock.advance(1799);
    assert!(place.world.caller_of(&session).await.is_some());
    place.world.clock.advance(1);
    assert!(place.world.caller_of(&session).await.is_none());
    // The connection is older than the certificate's end, and no use any more.
    place.world.clock.advance(1);
    let (status, code, text) = said(connection.ask("").await.unwrap());
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));
    assert!(text.contains("expired"), "{text}");
}

#[tokio::test]
async fn a_session_ends_with_its_role_and_by_policy() {
    let place = Place::new().await;
    let identity = place.authority.issue(|_| {});
    let session = place.session(&identity).await;
    // As in AWS: the trust policy decides on new sessions only.
    let body = json!({"RoleName": ROLE,
        "PolicyDocument": super::trusting(json!({"AWS": ACCOUNT}), super::ALL, json!({})).to_string()});
    place.world.iam("UpdateAssumeRolePolicy", body).await;
    assert_eq!(place.refused(&identity, "").await.0, 403);
    assert!(place.world.may_with(&session, "kms", "ListKeys", json!({})).await);
    place.world.clock.advance(10);
    let revoke = policy(&[json!({"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:05Z"}}})]);
    let body = json!({"RoleName": ROLE, "PolicyName": "revoke",
        "PolicyDocument": revoke.to_string()});
    place.world.iam("PutRolePolicy", body).await;
    assert!(!place.world.may_with(&session, "kms", "ListKeys", json!({})).await);
    place.world.iam("DeleteRolePolicy", json!({"RoleName": ROLE, "PolicyName": "revoke"})).await;
    place.world.delete_role(ROLE).await;
    assert!(place.world.caller_of(&session).await.is_none());
}

#[tokio::test]
async fn the_way_through_an_intermediate_authority() {
    let place = Place::new().await;
    let below: Authority = place.authority.intermediate("machines of a site");
    let mut identity = below.issue(|_| {});
    // Without the authority in between nothing leads to one that is known.
    place.ask(&identity, "").await.unwrap_err();
    identity.chain.push(below.der());
    assert_eq!(place.ask(&identity, "").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_machine_without_a_common_name_goes_by_its_uri() {
    let place = Place::new().await;
    let identity = place.authority.issue(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "example");
        params.serial_number = Some(SerialNumber::from_slice(&[0x00, 0x7f]));
    });
    let session = place.session(&identity).await;
    let me = place.world.with(&session, "sts", "GetCallerIdentity", json!({})).await.unwrap();
    assert!(me["Arn"].as_str().unwrap().ends_with("/payroll/7f"), "{me}");
    let event = serde_json::to_value(&place.world.events()[0]).unwrap();
    let set: &Value = &event["responseElements"]["credentialSet"][0];
    assert_eq!(set["sourceIdentity"], SPIFFE);
}

#[tokio::test]
async fn signed_requests_work_with_and_without_a_certificate() {
    let place = Place::new().await;
    let identity = place.authority.issue(|_| {});
    for identity in [None, Some(&identity)] {
        let mut connection = place.connect(identity).await.unwrap();
        let mut asking = request("{}");
        *asking.uri_mut() = "/".parse().unwrap();
        let target = "TrentService.ListKeys".parse().unwrap();
        asking.headers_mut().insert("x-amz-target", target);
        // Unsigned: a certificate is no signature.
        let (status, code, _) = said(connection.send(asking).await.unwrap());
        assert_eq!((status, code.as_str()), (400, "MissingAuthenticationTokenException"));
    }
}
