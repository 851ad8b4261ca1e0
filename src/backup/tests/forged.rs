//! Edits by somebody who makes all digests anew. Without a key they cannot be told; with one they are, by the
//! MAC, and where the forger has that too, by the rows' own seals and the sum over them.
use super::*;
use crate::backup::header::End;
use crate::seal::{self, Label};
use crate::store::SealedRow;

/// What a forger does to the frames before he makes the digests anew.
type Forge<'f> = &'f dyn Fn(&mut Vec<(Kind, Vec<u8>)>);

/// Writes `frames` with digests of their own. The MAC of the last stays as it was, or is made anew, too.
fn write(small: &Small, name: &str, frames: &[(Kind, Vec<u8>)], with_mac: bool) -> PathBuf {
    let path = small.path(name);
    let mut writer = FrameWriter::new(Vec::new(), &path).unwrap();
    for (kind, payload) in frames {
        let mut payload = payload.clone();
        if *kind == Kind::End && with_mac {
            let mut end: End = serde_json::from_slice(&payload).unwrap();
            let key = small.root.backup_key();
            end.mac = hex::encode(seal::mac(key.expose(), Label::BACKUP, &[&writer.digest()]));
            payload = serde_json::to_vec(&end).unwrap();
        }
        writer.write(*kind, &payload).unwrap();
    }
    std::fs::write(&path, writer.into_inner()).unwrap();
    path
}

fn change_rows(frames: &mut [(Kind, Vec<u8>)], change: &dyn Fn(&mut Vec<SealedRow>)) {
    let count = |rows: &[SealedRow]| rows.len() as u64;
    let mut rows = 0;
    for (kind, payload) in frames.iter_mut() {
        match kind {
            Kind::Rows => {
                let mut some = decode_rows(payload.clone()).unwrap();
                change(&mut some);
                rows += count(&some);
                *payload = encode_rows(&some);
            }
            Kind::End => {
                let mut end: End = serde_json::from_slice(payload).unwrap();
                end.rows = rows;
                *payload = serde_json::to_vec(&end).unwrap();
            }
            Kind::Header | Kind::State => {}
        }
    }
}

fn change_header(frames: &mut [(Kind, Vec<u8>)], from: &str, to: &str) {
    let (_, payload) = &mut frames[0];
    let text = String::from_utf8(payload.clone()).unwrap();
    assert!(text.contains(from), "{from} is missing in {text}");
    *payload = text.replacen(from, to, 1).into_bytes();
}

#[tokio::test]
async fn an_edit_with_new_digests_is_whole_and_not_ours() {
    let small = Small::new().await;
    let early = frames(&small.back_up("early.backup"));
    small.put(5, "a newer value").await;
    let file = small.back_up("one.backup");
    let good = frames(&file);
    let same = write(&small, "same", &good, false);
    assert_eq!(std::fs::read(&same).unwrap(), std::fs::read(&file).unwrap());
    let revision = small.check(&file).unwrap().header.revision;
    let old_row = decode_rows(early[2].1.clone()).unwrap()[5].clone();

    let flip = |some: &mut Vec<SealedRow>| {
        let mut value = some[3].2.to_vec();
        *value.last_mut().unwrap() ^= 1;
        some[3].2 = value.into();
    };
    let swap = |some: &mut Vec<SealedRow>| {
        let (one, other) = (some[1].2.clone(), some[2].2.clone());
        (some[1].2, some[2].2) = (other, one);
    };
    // What is done; what the seals and the sum say of it once the MAC is right.
    let forgeries: [(&str, Forge<'_>, &str); 10] = [
        ("a bit of a row", &|frames| change_rows(frames, &flip), "does not authenticate"),
        ("two rows swapped", &|frames| change_rows(frames, &swap), "does not authenticate"),
        (
            "another revision of a row",
            &|frames| change_rows(frames, &|some| some[4].1.0 += 1),
            "does not authenticate",
        ),
        (
            "a row of another table",
            &|frames| change_rows(frames, &|some| some[0].0 = Bytes::from("another\x000000")),
            "does not authenticate",
        ),
        (
            "a row of no table",
            &|frames| change_rows(frames, &|some| some[0].0 = Bytes::from("NO TABLE")),
            "is of no table",
        ),
        ("a row left out", &|frames| change_rows(frames, &|some| drop(some.remove(7))), "39 rows"),
        (
            "a row as it was before",
            &|frames| change_rows(frames, &|some| some[5] = old_row.clone()),
            "40 rows are not those",
        ),
        ("the state of another moment", &|frames| frames[1] = early[1].clone(), "are not those"),
        ("a state that is none", &|frames| frames[1].1.clear(), "does not authenticate"),
        (
            "another revision in the header",
            &|frames| {
                let (from, to) = (format!("\"revision\":{revision}"), "\"revision\":1".to_owned());
                change_header(frames, &from, &to);
            },
            "its state says",
        ),
    ];
    for (what, forge, words) in forgeries {
        let mut forged = good.clone();
        forge(&mut forged);
        let path = write(&small, "forged", &forged, false);
        assert!(verify(&path, |_| {}).is_ok(), "{what}");
        let refused = small.check(&path).unwrap_err();
        assert!(matches!(refused, BackupError::Broken { .. }), "{what}: {refused}");
        let path = write(&small, "forged", &forged, true);
        let refused = small.check(&path).unwrap_err().to_string();
        assert!(refused.contains("is not what this deployment wrote") || refused.contains(words));
        assert!(refused.contains(words), "{what}: {refused}");
    }
}

/// What no seal covers: the MAC alone finds it.
#[tokio::test]
async fn what_the_header_says_is_vouched_for() {
    let small = Small::new().await;
    let good = frames(&small.back_up("one.backup"));
    for (from, to) in [(CREATED, "2027-11-22T12:00:00Z"), ("software", "softwarf")] {
        let mut forged = good.clone();
        change_header(&mut forged, from, to);
        let path = write(&small, "forged", &forged, false);
        assert!(verify(&path, |_| {}).is_ok(), "{from}");
        let refused = small.check(&path).unwrap_err().to_string();
        assert!(refused.contains("its MAC by the oldest domain key is wrong"), "{refused}");
    }
}

/// Nobody vouches for it before it is printed.
#[tokio::test]
async fn a_header_writes_nothing_but_text_on_a_terminal() {
    let small = Small::new().await;
    let good = frames(&small.back_up("one.backup"));
    for (from, to) in [(CREATED, "\\u001b[2J"), ("software", "soft\\u009bware"), (CREATED, "\\n")] {
        let mut forged = good.clone();
        change_header(&mut forged, from, to);
        let refused = verify(&write(&small, "forged", &forged, false), |_| {}).unwrap_err();
        assert!(refused.to_string().contains("a header that cannot be shown"), "{refused}");
    }
}

/// As one can who has the recovery key's public half: with domain keys of his own, under the same id.
#[tokio::test]
async fn keys_of_ones_own_have_another_fingerprint() {
    let (small, other) = (Small::new().await, Small::new().await);
    let of = |small: &Small| read_header(&small.back_up("one.backup")).unwrap();
    let print = |header: &Header| header.deployment(Path::new("x")).unwrap().fingerprint();
    let (ours, theirs) = (of(&small), of(&other));
    assert_eq!(print(&ours).len(), 64);
    assert_ne!(print(&ours), print(&theirs));
    small.put(1, "later").await;
    std::fs::remove_file(small.path("one.backup")).unwrap();
    assert_eq!(print(&of(&small)), print(&ours));
}

#[tokio::test]
async fn a_backup_of_another_deployment_is_not_ours() {
    let (small, other) = (Small::new().await, Small::new().await);
    let file = other.back_up("one.backup");
    assert!(other.check(&file).is_ok());
    let refused = small.check(&file).unwrap_err().to_string();
    assert!(refused.contains("is not what this deployment wrote"), "{refused}");
}

#[tokio::test]
async fn frames_in_another_order_are_refused_without_a_key() {
    let small = Small::new().await;
    let good = frames(&small.back_up("one.backup"));
    let reversed = |frames: &mut Vec<(Kind, Vec<u8>)>| {
        change_rows(frames, &|some| some.reverse());
    };
    let doubled = |frames: &mut Vec<(Kind, Vec<u8>)>| {
        change_rows(frames, &|some| some.insert(1, some[0].clone()));
    };
    let forgeries: [(&str, Forge<'_>); 8] = [
        ("does not begin with its header", &|frames| drop(frames.remove(0))),
        ("has no state behind its header", &|frames| drop(frames.remove(1))),
        ("has frames in another order", &|frames| frames.insert(2, frames[1].clone())),
        ("has not as many rows as it says", &|frames| drop(frames.remove(2))),
        ("has rows that are out of order", &reversed),
        ("has rows that are out of order", &doubled),
        ("has rows that are none", &|frames| {
            let _ = frames[2].1.pop();
        }),
        ("is not whole", &|frames| drop(frames.pop())),
    ];
    for (words, forge) in forgeries {
        let mut forged = good.clone();
        forge(&mut forged);
        let path = write(&small, "forged", &forged, false);
        let refused = verify(&path, |_| {}).unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
    }
}
