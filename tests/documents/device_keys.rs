//! The keys of the device sections, beside docs/operations.md.
use super::{code_spans, read, root, section};
use claviger::devices;
use std::collections::{BTreeMap, BTreeSet};

/// The fields that a section takes, as it says itself when it is given another.
fn fields<T: serde::de::DeserializeOwned>() -> BTreeSet<String> {
    let Err(unknown) = toml::from_str::<T>("no_such_key = 1") else { panic!("it takes anything") };
    let mut fields: BTreeSet<String> =
        code_spans(unknown.message()).into_iter().map(str::to_owned).collect();
    assert!(fields.remove("no_such_key"), "{unknown}");
    fields
}

#[test]
fn the_keys_of_a_device_are_those_of_the_table() {
    let text = read(&root().join("docs/operations.md"));
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in section(&text, "## Devices").lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for of in code_spans(cells[2]) {
            let key = cells[1].trim_matches('`').to_owned();
            assert!(documented.entry(of.to_owned()).or_default().insert(key), "{row}");
        }
    }
    let mut pkcs11 = fields::<devices::Pkcs11>();
    assert_eq!(documented["[pkcs11]"], pkcs11);
    // Refused there: they stand beside the name.
    pkcs11.remove("cluster");
    pkcs11.remove("accounts");
    assert_eq!(documented["[device.pkcs11]"], pkcs11);
    assert_eq!(documented["[[device]]"], fields::<devices::Settings>());
    assert_eq!(documented["[device.tpm]"], fields::<devices::Tpm>());
}

#[test]
fn the_devices_are_those_of_the_profiles() {
    let text = read(&root().join("docs/hardware.md"));
    let profiles = claviger_hsm::profile::Profile::all().unwrap();
    let named: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `profile` | `")?.strip_suffix("` |"))
        .collect();
    assert_eq!(named, profiles.iter().map(|profile| &profile.name).collect::<Vec<_>>());
    for (profile, after) in profiles.iter().zip(text.split("| `profile` |").skip(1)) {
        let rows = after.split("\n## ").next().unwrap();
        let wraps: Vec<String> = profile.wraps.iter().map(ToString::to_string).collect();
        let process = if profile.helper { "a process of its own" } else { "the server's process" };
        for part in [wraps.join(", ").as_str(), &profile.pin_form, process]
            .into_iter()
            .chain(profile.notes.as_deref())
        {
            assert!(rows.contains(part), "{}: {part} is missing", profile.name);
        }
        assert_eq!(rows.contains("keys can be copied"), profile.software, "{}", profile.name);
    }
}
