//! docs/external-keys.md is held to the code: its tables name the fields that the sections have.
use std::collections::BTreeSet;

/// What stands between single backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The fields that a section has, as its parser names them when it meets another.
fn fields_of<T: serde::de::DeserializeOwned>() -> BTreeSet<String> {
    let unknown = toml::from_str::<T>("no_such_key = 1").err().expect("an unknown field");
    let fields = code_spans(unknown.message()).into_iter().map(str::to_owned);
    fields.filter(|name| name != "no_such_key").collect()
}

#[test]
fn the_keys_of_external_keys_are_those_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/external-keys.md");
    let text = std::fs::read_to_string(path).unwrap();
    let documented = |table: &str| -> BTreeSet<String> {
        let rows = text.lines().filter(|row| row.starts_with("| `"));
        let of_table = rows.filter(|row| row.split('|').nth(2).unwrap().contains(table));
        of_table
            .flat_map(|row| code_spans(row.split('|').nth(1).unwrap()))
            .map(str::to_owned)
            .collect()
    };
    let without = |mut fields: BTreeSet<String>, tables: &[&str]| {
        assert!(tables.iter().all(|table| fields.remove(*table)), "{fields:?}");
        fields
    };
    let section = without(fields_of::<claviger::config::Xks>(), &["tls", "store"]);
    assert_eq!(documented("`[xks]`"), section);
    assert_eq!(documented("`[xks.tls]`"), fields_of::<claviger::config::XksTls>());
    let store = without(fields_of::<claviger::xks::Settings>(), &["key"]);
    assert_eq!(documented("`[[xks.store]]`"), store);
    assert_eq!(documented("`[[xks.store.key]]`"), fields_of::<claviger::xks::KeySettings>());
    let (_, proxies) = text.split_once("| key of `[[external_proxy]]`").unwrap();
    let rows = proxies.lines().filter(|row| row.starts_with("| `"));
    let named: BTreeSet<String> = rows
        .map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned())
        .collect();
    assert_eq!(named, fields_of::<claviger::external::Settings>());
}
