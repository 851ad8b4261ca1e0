//! (b) to (d) Rows edited with the store's own engine, by somebody who knows its tables.
use super::{Outcome, SOON, Sound};
use crate::harness::wait_until;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::json;
use std::path::Path;

/// As `src/store/engine.rs` has it: a row is its revision, eight bytes, and what is sealed.
const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const STATE: TableDefinition<'static, (), &[u8]> = TableDefinition::new("state");
const PUT_BACK: &str = "rows were put back, removed or added";

type Row = (Vec<u8>, Vec<u8>);

fn rows(store: &Path) -> Vec<Row> {
    let database = Database::open(store).unwrap();
    let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
    let row = |row: Result<_, redb::StorageError>| {
        let (key, value): (redb::AccessGuard<'_, &[u8]>, redb::AccessGuard<'_, &[u8]>) =
            row.unwrap();
        (key.value().to_vec(), value.value().to_vec())
    };
    table.iter().unwrap().map(row).collect()
}

/// Puts rows, or removes those without a value.
fn put(store: &Path, rows: &[(&[u8], Option<&[u8]>)]) {
    let database = Database::open(store).unwrap();
    let change = database.begin_write().unwrap();
    {
        let mut table = change.open_table(ROWS).unwrap();
        for (key, value) in rows {
            match value {
                Some(value) => drop(table.insert(*key, *value).unwrap()),
                None => drop(table.remove(*key).unwrap()),
            }
        }
    }
    change.commit().unwrap();
}

fn table_of(key: &[u8]) -> String {
    let name = key.split(|byte| *byte == 0).next().unwrap();
    String::from_utf8(name.to_vec()).unwrap()
}

fn named(rows: &[Row], table: &str) -> Vec<Row> {
    let found: Vec<Row> = rows.iter().filter(|(key, _)| table_of(key) == table).cloned().collect();
    assert!(found.len() > 1, "no rows of {table}");
    found
}

fn tables(rows: &[Row]) -> Vec<String> {
    let mut tables: Vec<String> = rows.iter().map(|(key, _)| table_of(key)).collect();
    tables.dedup();
    tables
}

#[test]
fn swapped_rows_are_refused_or_noticed() {
    let sound = Sound::new();
    let all = rows(&sound.copy().store());
    let mut visited = 0;
    for table in tables(&all) {
        let of_table: Vec<&Row> = all.iter().filter(|(key, _)| table_of(key) == table).collect();
        let [(one, first), (two, second), ..] = of_table[..] else { continue };
        let copy = sound.copy();
        put(&copy.store(), &[(one, Some(second)), (two, Some(first))]);
        if first[..8] == second[..8] {
            // Of one commit: the revisions still add up, but neither row opens in its new place.
            assert_ne!(sound.visit(&copy, &table), Outcome::Unharmed, "{table}");
        } else {
            sound.refuses(&copy, &[PUT_BACK]);
        }
        // Only what is sealed, and each keeps its revision: the sum is right.
        let copy = sound.copy();
        let (mixed_one, mixed_two) =
            ([&first[..8], &second[8..]].concat(), [&second[..8], &first[8..]].concat());
        put(&copy.store(), &[(one, Some(&mixed_one)), (two, Some(&mixed_two))]);
        let outcome = sound.visit(&copy, &format!("{table}, revisions kept"));
        assert_ne!(outcome, Outcome::Unharmed, "{table}: nobody read the swapped rows");
        visited += 1;
    }
    assert!(visited >= 4, "too few tables: {:?}", tables(&all));
}

#[test]
fn a_row_that_was_put_back_is_refused() {
    let mut sound = Sound::new();
    let copy = sound.copy();
    let before = rows(&copy.store());
    let process = sound.try_serve(&copy).unwrap();
    let mut client = sound.deployment.client(&process);
    client.kms("DisableKey", json!({"KeyId": "alias/key-0"})).unwrap_err();
    let key = client.kms("DescribeKey", json!({"KeyId": "alias/key-0"})).unwrap();
    let id = key["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    client.kms("DisableKey", json!({"KeyId": id})).unwrap();
    client.kms("DeleteAlias", json!({"AliasName": "alias/key-1"})).unwrap();
    client
        .query("iam", "DeleteUserPolicy", &[("UserName", "user-0"), ("PolicyName", "p")])
        .unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
    let after = rows(&copy.store());
    let changed: Vec<&Row> = before.iter().filter(|row| !after.contains(row)).collect();
    assert!(changed.len() >= 3, "{changed:?}");
    for (key, old) in &changed {
        let now = after.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_slice());
        put(&copy.store(), &[(key, Some(old))]);
        sound.refuses(&copy, &[PUT_BACK]);
        put(&copy.store(), &[(key, now)]);
    }
    // Undone again, it starts.
    let process = sound.try_serve(&copy).unwrap();
    drop(process.stop());
    // One that is told to look while it serves stops as soon as it has looked. (Not a row that it writes by itself.)
    let (key, old) = changed.iter().find(|(key, _)| table_of(key) == "key").unwrap();
    put(&copy.store(), &[(key, Some(old))]);
    sound.deployment.more = "[store]\nverify = \"while-serving\"\n".into();
    sound.gives_up(&copy, &[PUT_BACK]);
    let now = after.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_slice());
    put(&copy.store(), &[(key, now)]);
    let process = sound.try_serve(&copy).unwrap();
    let told = || process.stderr().contains("are those that were last acknowledged");
    wait_until(SOON, "nothing is said of the rows", told);
    let mut client = sound.deployment.client(&process);
    let key = client.kms("DescribeKey", json!({"KeyId": id})).unwrap();
    assert_eq!(key["KeyMetadata"]["KeyState"], "Disabled");
}

#[test]
fn a_row_that_was_removed_or_added_is_refused() {
    let sound = Sound::new();
    let all = rows(&sound.copy().store());
    for table in tables(&all) {
        let (key, _) = all.iter().find(|(key, _)| table_of(key) == table).unwrap();
        let copy = sound.copy();
        put(&copy.store(), &[(key, None)]);
        sound.refuses(&copy, &[PUT_BACK]);
    }
    let copy = sound.copy();
    let (key, value) = &named(&all, "key")[0];
    put(&copy.store(), &[(&[key.as_slice(), b"x"].concat(), Some(value))]);
    sound.refuses(&copy, &[PUT_BACK]);
    // The last of all rows, and without the state besides: still not a new store.
    let copy = sound.copy();
    let gone: Vec<(&[u8], Option<&[u8]>)> =
        all.iter().map(|(key, _)| (key.as_slice(), None)).collect();
    put(&copy.store(), &gone);
    sound.refuses(&copy, &[PUT_BACK]);
    let database = Database::open(copy.store()).unwrap();
    let change = database.begin_write().unwrap();
    assert!(change.open_table(STATE).unwrap().remove(()).unwrap().is_some());
    change.commit().unwrap();
    drop(database);
    sound.refuses(&copy, &["it was emptied or replaced"]);
}
