//! The log as its users see it: records, chain, tampering, rotation, failure.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::parameters::{camel, pick};
use super::*;
use crate::types::Timestamp;

pub(super) const KEY: [u8; 32] = [7; 32];
pub(super) const CLUSTER: [u8; 16] = *b"cluster-cluster-";
pub(super) const SMALL: Options =
    Options { durability: Durability::Strict, segment_bytes: 1 << 20, chunk_bytes: 1 << 20 };

pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("audit-test-{}-{n}", std::process::id()));
        _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// A directory that does not exist yet.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn event(id: &str) -> Event {
    Event {
        event_version: "1.11".into(),
        user_identity: Arc::new(UserIdentity {
            identity_type: Some(IdentityType::IamUser),
            principal_id: Some("AIDAEXAMPLE".into()),
            arn: Some("arn:aws:iam::111122223333:user/Alice".into()),
            account_id: Some("111122223333".into()),
            access_key_id: Some("AKIAEXAMPLE".into()),
            user_name: Some("Alice".into()),
            ..UserIdentity::default()
        }),
        event_time: Timestamp(1_767_225_600_000),
        event_source: "kms.amazonaws.com".into(),
        event_name: "Encrypt".into(),
        aws_region: "us-west-2".into(),
        source_ip_address: "192.0.2.1".into(),
        user_agent: "aws-cli/2".into(),
        error_code: None,
        error_message: None,
        request_parameters: Some(json!({"keyId": "alias/x", "encryptionContext": {"Tenant": "1"}})),
        response_elements: None,
        additional_event_data: None,
        service_event_details: None,
        request_id: "6f1c2a50-0000-4000-8000-000000000001".into(),
        event_id: id.into(),
        read_only: true,
        resources: vec![Resource {
            account_id: "111122223333".into(),
            resource_type: "AWS::KMS::Key".into(),
            arn: "arn:aws:kms:us-west-2:111122223333:key/1234abcd".into(),
        }],
        event_type: EventType::AwsApiCall,
        management_event: true,
        recipient_account_id: "111122223333".into(),
        shared_event_id: None,
        store_revision: None,
        vpc_endpoint_id: None,
        vpc_endpoint_account_id: None,
        event_category: "Management".into(),
        tls_details: Some(TlsDetails {
            tls_version: "TLSv1.3".into(),
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            client_provided_host_header: "localhost".into(),
            key_exchange: Some("X25519MLKEM768".into()),
        }),
    }
}

fn open(dir: &Path) -> (Log, Recovery) {
    Log::open_with(dir, &KEY, CLUSTER, SMALL).unwrap()
}

fn check(dir: &Path) -> Result<Report, AuditError> {
    verify(dir, &KEY, CLUSTER)
}

fn segment(dir: &Path, k: u64) -> PathBuf {
    dir.join(format!("{k:08}.log"))
}

/// A closed log of `count` records.
async fn closed(dir: &Path, count: u64) -> Head {
    let (log, _) = open(dir);
    for n in 1..=count {
        assert_eq!(log.append(&event(&format!("id-{n}"))).await.unwrap(), n);
    }
    log.close().await.unwrap();
    log.head()
}

async fn append_many(log: &Arc<Log>, tasks: u64, each: u64, bytes: usize) {
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let log = Arc::clone(log);
            tokio::spawn(async move {
                for n in 0..each {
                    let mut event = event(&format!("{task}-{n}"));
                    event.additional_event_data = Some(json!({"pad": "x".repeat(bytes)}));
                    log.append(&event).await.unwrap();
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
}

#[test]
fn an_event_is_spelt_as_cloudtrail_does_and_round_trips() {
    let event = event("e-1");
    let json: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
    assert_eq!(json["eventTime"], "2026-01-01T00:00:00Z");
    assert_eq!(json["sourceIPAddress"], "192.0.2.1");
    assert_eq!(json["requestID"], "6f1c2a50-0000-4000-8000-000000000001");
    assert_eq!(json["eventID"], "e-1");
    assert_eq!(json["userIdentity"]["type"], "IAMUser");
    assert_eq!(json["resources"][0]["ARN"], "arn:aws:kms:us-west-2:111122223333:key/1234abcd");
    assert_eq!(json["resources"][0]["type"], "AWS::KMS::Key");
    let members = json.as_object().unwrap();
    assert_eq!(members.get("responseElements"), Some(&Value::Null));
    assert_eq!(members.get("errorCode"), None);
    assert_eq!(members.get("sharedEventID"), None);
    assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);

    let service = serde_json::to_value(UserIdentity::service("1", "kms.amazonaws.com")).unwrap();
    assert_eq!(service, json!({"accountId": "1", "invokedBy": "kms.amazonaws.com"}));
    for time in ["2026-13-01T00:00:00Z", "99999999999-1-1T1:1Z", "2026-01-01T00:00:00", ""] {
        let mut json = serde_json::to_value(&event).unwrap();
        json["eventTime"] = time.into();
        assert!(serde_json::from_value::<Event>(json).is_err(), "{time}");
    }
}

#[test]
fn what_a_client_makes_long_is_cut() {
    let mut event = event("e");
    event.user_agent = "ü".repeat(5000).into();
    event.request_parameters = Some(json!("x".repeat(300_000)));
    let bytes = event.to_json().unwrap();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["userAgent"].as_str().unwrap().len(), 1024);
    assert_eq!(json["requestParameters"]["omitted"], true);
    assert_eq!(json["responseElements"], Value::Null);
    event.user_agent = format!("a{}", "ü".repeat(600)).into();
    let json: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
    assert_eq!(json["userAgent"].as_str().unwrap().len(), 1023);
}

#[test]
fn parameters_are_an_allow_list_in_camel_case() {
    assert_eq!(camel("KeyId"), "keyId");
    assert_eq!(camel("AWSAccountId"), "aWSAccountId");
    assert_eq!(camel("ARN"), "aRN");
    let request = json!({
        "KeyId": "k", "Plaintext": "secret", "EncryptionContext": {"Department": "E"},
        "Tags": [{"TagKey": "Department", "TagValue": "IT"}],
        "Constraints": {"EncryptionContextSubset": {"Key": {"Deep": 1}}, "Other": 1},
        "Items": [{"Name": "n", "Secret": "s"}, "bare"], "CloudHsmClusterId": "c"
    });
    let allowed = [
        "KeyId",
        "EncryptionContext=",
        "Tags",
        "Constraints.EncryptionContextSubset=",
        "Items.Name",
        "CloudHsmClusterId:clusterId",
        "Absent",
        "Key", // no prefix of KeyId
    ];
    let expected = json!({
        "keyId": "k", "encryptionContext": {"Department": "E"},
        "tags": [{"tagKey": "Department", "tagValue": "IT"}],
        "constraints": {"encryptionContextSubset": {"Key": {"Deep": 1}}},
        "items": [{"name": "n"}], "clusterId": "c"
    });
    assert_eq!(pick(request.clone(), &allowed), Some(expected));
    assert_eq!(pick(request, &[]), Some(json!({})));
    assert_eq!(pick(json!({"KeyId": "scalar"}), &["KeyId.Inner"]), Some(json!({})));
    assert_eq!(pick(json!({"KeyId.Inner": "one"}), &["KeyId.Inner"]), Some(json!({})));
    assert_eq!(date_text(Timestamp(1_660_171_107_000)), "Aug 10, 2022, 10:38:27 PM");
    assert_eq!(date_text(Timestamp(0)), "Jan 1, 1970, 12:00:00 AM");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_round_trip_and_a_reopened_log_goes_on() {
    let temp = TempDir::new();
    let dir = temp.log();
    let head = closed(&dir, 20).await;
    let (log, recovery) = open(&dir);
    let Recovery { records, torn_bytes, last_n, last_mac } = recovery;
    assert_eq!((records, torn_bytes, last_n, last_mac), (20, 0, 20, head.mac));
    assert!(matches!(Log::open_with(&dir, &KEY, CLUSTER, SMALL), Err(AuditError::Locked { .. })));
    assert_eq!(log.append(&event("id-21")).await.unwrap(), 21);
    let live: Vec<_> = read_from(&dir, 20).unwrap().map(|r| r.unwrap().0).collect();
    assert_eq!(live, [20, 21], "a live log can be read");
    assert_eq!(check(&dir).unwrap().records, 21);
    drop(log);
    for record in read_from(&dir, 1).unwrap() {
        let (n, json) = record.unwrap();
        assert_eq!(serde_json::from_slice::<Event>(&json).unwrap(), event(&format!("id-{n}")));
    }
    let ids = event_ids_after(&dir, 18).unwrap();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains("id-19") && ids.contains("id-21"));
    let anchored = |anchor| verify_anchored(&dir, &KEY, CLUSTER, &anchor);
    assert_eq!(anchored(head).unwrap().records, 21);
    let beyond = Head { n: 22, mac: head.mac };
    assert!(matches!(anchored(beyond), Err(AuditError::Shortened { last: 21, anchored: 22 })));
    let other = Head { n: 19, mac: head.mac };
    assert!(matches!(anchored(other), Err(AuditError::Replaced { n: 19 })));
    assert!(verify(&dir, &[8; 32], CLUSTER).is_err());
    assert!(verify(&dir, &KEY, [0; 16]).is_err());
    assert!(Log::open(&dir, &[8; 32], CLUSTER).is_err());
}

#[tokio::test]
async fn only_its_owner_sees_the_log() {
    use std::os::unix::fs::PermissionsExt;
    let temp = TempDir::new();
    let dir = temp.log();
    closed(&dir, 1).await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&segment(&dir, 1)), 0o600);
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o750)).unwrap();
    let refused = Log::open(&dir, &KEY, CLUSTER);
    assert!(matches!(refused, Err(AuditError::Exposed { mode: 0o750, .. })));
}

#[tokio::test]
async fn a_record_must_be_one_line_and_not_too_long() {
    let temp = TempDir::new();
    let (log, _) = open(&temp.log());
    for bad in ["", "{\n}", "{\"a\":\"\0\"}"] {
        assert!(matches!(log.append_json(bad.into()).await, Err(AuditError::NotOneLine)));
    }
    let long = vec![b'x'; 256 * 1024 + 1];
    assert!(matches!(log.append_json(long).await, Err(AuditError::TooLarge { .. })));
    log.close().await.unwrap();
    assert!(matches!(log.append(&event("late")).await, Err(AuditError::Closed)));
}

#[tokio::test]
async fn every_flipped_bit_of_a_closed_log_is_seen() {
    let temp = TempDir::new();
    let dir = temp.log();
    closed(&dir, 3).await;
    let path = segment(&dir, 1);
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(check(&dir).is_err(), "bit {} of byte {at}", at % 8);
    }
    // All bits of the header and of the first record's framing.
    for bit in 0..8 * 400 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bad).unwrap();
        assert!(check(&dir).is_err(), "bit {bit}");
    }
    std::fs::write(&path, &good).unwrap();
    assert_eq!(check(&dir).unwrap().records, 3);
}

#[tokio::test]
async fn deleted_swapped_duplicated_and_edited_lines_are_seen() {
    let temp = TempDir::new();
    let dir = temp.log();
    closed(&dir, 5).await;
    let path = segment(&dir, 1);
    let good = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = good.lines().map(Into::into).collect();
    let refused = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert!(matches!(check(&dir), Err(AuditError::Tampered { .. })));
        match Log::open_with(&dir, &KEY, CLUSTER, SMALL) {
            Err(AuditError::Tampered { line, n, .. }) => (line, n),
            other => panic!("opened: {other:?}"),
        }
    };
    assert_eq!(refused(&|lines| drop(lines.remove(3))), (4, 3));
    assert_eq!(refused(&|lines| lines.swap(2, 3)), (3, 2));
    assert_eq!(refused(&|lines| lines.insert(2, lines[2].clone())), (4, 3));
    assert_eq!(refused(&|lines| lines[2] = lines[2].replace("Encrypt", "Decrypt")), (3, 2));
    assert_eq!(refused(&|lines| drop(lines.remove(0))), (1, 0));
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_reported() {
    let temp = TempDir::new();
    let dir = temp.log();
    closed(&dir, 3).await;
    let path = segment(&dir, 1);
    let good = std::fs::read(&path).unwrap();
    let two =
        good.len() - 1 - good[..good.len() - 1].iter().rev().position(|&b| b == b'\n').unwrap();
    let line = good.len() - two;
    // Cut anywhere in the last line; then with zeros after it, as a crash leaves it.
    for cut in (1..line).step_by(97) {
        for zeros in [0, 5000] {
            let mut torn = good[..good.len() - cut].to_vec();
            torn.resize(torn.len() + zeros, 0);
            std::fs::write(&path, &torn).unwrap();
            let (log, recovery) = open(&dir);
            assert_eq!((recovery.last_n, recovery.torn_bytes), (2, (line - cut) as u64));
            assert_eq!(log.append(&event("id-3")).await.unwrap(), 3);
            drop(log);
            assert_eq!(std::fs::read(&path).unwrap(), good, "the same record, the same bytes");
        }
    }
    // Power failed in a batch: pages in its middle are missing, later ones are there.
    let mut holed = good.clone();
    let first = two - line;
    holed[first + 100..first + 300].fill(0);
    std::fs::write(&path, &holed).unwrap();
    assert_eq!(open(&dir).1.last_n, 1);
    // The same hole further from the end than one batch can reach is no crash's doing.
    let mut far = holed.clone();
    far.resize(first + 600 * 1024, b'x');
    std::fs::write(&path, &far).unwrap();
    assert!(matches!(
        Log::open_with(&dir, &KEY, CLUSTER, SMALL),
        Err(AuditError::Tampered { n: 2, .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appenders_over_many_segments() {
    let temp = TempDir::new();
    let dir = temp.log();
    let log = Arc::new(open(&dir).0);
    append_many(&log, 64, 50, 2000).await;
    let head = log.head();
    assert_eq!(head.n, 3200);
    log.close().await.unwrap();
    let report = check(&dir).unwrap();
    assert_eq!((report.records, report.head), (3200, head));
    assert!(report.segments >= 6, "{report:?}");
    assert_eq!(event_ids_after(&dir, 0).unwrap().len(), 3200);
    assert_eq!(read_from(&dir, 3000).unwrap().count(), 201);
    assert!(!dir.join("spare").exists());
    let bytes: u64 =
        (1..=report.segments).map(|k| segment(&dir, k).metadata().unwrap().len()).sum();
    assert_eq!(bytes, report.bytes, "no segment keeps unused space");

    let (log, recovery) = open(&dir);
    assert_eq!((recovery.last_n, recovery.last_mac), (3200, head.mac));
    drop(log);
    // Without a middle segment; with two exchanged; without the last, which only an anchor shows.
    let moved = temp.path().join("moved");
    std::fs::rename(segment(&dir, 3), &moved).unwrap();
    assert!(matches!(check(&dir), Err(AuditError::MissingSegment { segment: 3 })));
    std::fs::rename(segment(&dir, 4), segment(&dir, 3)).unwrap();
    std::fs::rename(&moved, segment(&dir, 4)).unwrap();
    assert!(matches!(check(&dir), Err(AuditError::Tampered { line: 1, .. })));
    std::fs::rename(segment(&dir, 4), &moved).unwrap();
    std::fs::rename(segment(&dir, 3), segment(&dir, 4)).unwrap();
    std::fs::rename(&moved, segment(&dir, 3)).unwrap();
    check(&dir).unwrap();
    std::fs::remove_file(segment(&dir, report.segments)).unwrap();
    check(&dir).unwrap();
    let anchored = verify_anchored(&dir, &KEY, CLUSTER, &head);
    assert!(matches!(anchored, Err(AuditError::Shortened { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_takes_no_one_along() {
    let temp = TempDir::new();
    let log = Arc::new(open(&temp.log()).0);
    for round in 0..40 {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { log.append(&event("e")).await })
            })
            .collect();
        tokio::time::sleep(std::time::Duration::from_micros(round * 50)).await;
        for (task, handle) in tasks.into_iter().enumerate() {
            if task % 3 == 0 {
                handle.abort();
            } else {
                handle.await.unwrap().unwrap();
            }
        }
    }
    log.close().await.unwrap();
    assert_eq!(check(log.dir()).unwrap().head, log.head());
}

/// The last record of a batch is answered first and answers the others: the events of one call, which stand
/// in one batch, are given to the log together. One after the other they would wait for each other.
#[tokio::test]
async fn each_event_of_a_call_gets_its_answer() {
    let temp = TempDir::new();
    let (log, _) = open(&temp.log());
    let calls = (0..16).map(|call| {
        let (log, events) = (&log, [0, 1, 2].map(|n| event(&format!("{call}-{n}"))));
        async move { join_all(events.iter().map(|event| log.record(event))).await }
    });
    let deadline = std::time::Duration::from_secs(30);
    let answers = tokio::time::timeout(deadline, join_all(calls)).await.unwrap();
    assert!(answers.iter().flatten().all(Result::is_ok));
    assert_eq!(log.head().n, 48);
}

#[tokio::test]
async fn after_a_failed_write_everything_is_refused_until_reopened() {
    let temp = TempDir::new();
    let dir = temp.log();
    let (log, _) = open(&dir);
    log.append(&event("id-1")).await.unwrap();
    log.sabotage(std::fs::File::open(segment(&dir, 1)).unwrap()).await;
    for _ in 0..3 {
        let refused = log.append(&event("lost")).await;
        assert!(matches!(refused, Err(AuditError::Failed { .. })), "{refused:?}");
    }
    assert_eq!(log.head().n, 1);
    assert!(log.close().await.is_err());
    let (log, recovery) = open(&dir);
    assert_eq!(recovery.last_n, 1);
    assert_eq!(log.append(&event("id-2")).await.unwrap(), 2);
}

#[tokio::test]
async fn records_are_chained_alike_when_answered_before_the_sync() {
    let temp = TempDir::new();
    let dir = temp.log();
    let options = Options { durability: Durability::Written, ..SMALL };
    let (log, _) = Log::open_with(&dir, &KEY, CLUSTER, options).unwrap();
    for n in 1..=10 {
        assert_eq!(log.append(&event("e")).await.unwrap(), n);
    }
    log.close().await.unwrap();
    assert_eq!(check(&dir).unwrap().records, 10);
}

#[tokio::test]
async fn the_memory_sink_keeps_events_and_can_break() {
    let memory = MemoryAudit::default();
    let sink: &dyn AuditSink = &memory;
    sink.record(&event("a")).await.unwrap();
    memory.broken.store(true, Ordering::SeqCst);
    assert!(sink.record(&event("b")).await.is_err());
    assert_eq!(memory.events(), [event("a")]);
}
