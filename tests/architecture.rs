//! The arrows of ARCHITECTURE.md and the sizes of files, checked. A module may use only what stands
//! in its line.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ARROWS: &[(&str, &[&str])] = &[
    // Leaves.
    ("types", &[]),
    ("random", &[]),
    ("attest", &[]),
    ("memory", &[]),
    ("failpoints", &[]),
    ("clock", &["failpoints", "types"]),
    ("devices", &[]),
    ("outgoing", &[]),
    ("federation", &["outgoing"]),
    ("machines", &["types"]),
    ("monitor", &[]),
    ("policy", &[]),
    ("functions", &["outgoing", "policy", "types"]),
    ("primitives", &["random"]),
    ("device_bench", &["random"]),
    ("sigv4", &[]),
    ("wire", &["types"]),
    ("external", &["outgoing", "sigv4", "types"]),
    // What stands on them.
    ("seal", &["random"]),
    ("quotas", &["clock", "primitives", "types"]),
    ("audit", &["failpoints", "types"]),
    ("authorize", &["policy", "types"]),
    ("store", &["failpoints", "memory", "random", "seal"]),
    ("root_of_trust", &["devices", "memory", "primitives", "random", "seal", "store", "types"]),
    ("backup", &["failpoints", "root_of_trust", "seal", "store"]),
    ("nodes", &["root_of_trust", "seal", "store", "types"]),
    ("services", &["authorize", "policy", "seal", "store", "types"]),
    (
        "identity",
        &[
            "authorize",
            "memory",
            "policy",
            "primitives",
            "quotas",
            "random",
            "root_of_trust",
            "seal",
            "services",
            "store",
            "types",
        ],
    ),
    ("last_use", &["identity", "seal", "store", "types"]),
    (
        "keys",
        &[
            "authorize",
            "devices",
            "external",
            "last_use",
            "memory",
            "policy",
            "primitives",
            "quotas",
            "random",
            "seal",
            "sigv4",
            "store",
            "types",
        ],
    ),
    (
        "secrets",
        &["authorize", "keys", "last_use", "policy", "quotas", "random", "seal", "store", "types"],
    ),
    ("simulate", &["authorize", "identity", "keys", "policy", "secrets", "store", "types"]),
    // The pipeline and what it carries.
    (
        "call",
        &[
            "audit",
            "authorize",
            "clock",
            "devices",
            "external",
            "failpoints",
            "federation",
            "functions",
            "last_use",
            "machines",
            "monitor",
            "nodes",
            "policy",
            "primitives",
            "quotas",
            "random",
            "root_of_trust",
            "seal",
            "services",
            "store",
            "types",
            "wire",
        ],
    ),
    (
        "api",
        &[
            "authorize",
            "call",
            "devices",
            "external",
            "federation",
            "functions",
            "identity",
            "keys",
            "last_use",
            "machines",
            "memory",
            "policy",
            "primitives",
            "quotas",
            "random",
            "seal",
            "secrets",
            "services",
            "sigv4",
            "simulate",
            "store",
            "types",
            "wire",
        ],
    ),
    (
        "xks",
        &[
            "audit",
            "authorize",
            "call",
            "devices",
            "external",
            "keys",
            "last_use",
            "quotas",
            "sigv4",
            "store",
            "types",
            "wire",
        ],
    ),
    (
        "control",
        &[
            "attest",
            "audit",
            "authorize",
            "backup",
            "call",
            "devices",
            "identity",
            "keys",
            "policy",
            "root_of_trust",
            "secrets",
            "services",
            "simulate",
            "store",
            "types",
        ],
    ),
    (
        "rotation",
        &[
            "api",
            "audit",
            "authorize",
            "call",
            "clock",
            "federation",
            "functions",
            "identity",
            "memory",
            "monitor",
            "nodes",
            "outgoing",
            "policy",
            "quotas",
            "random",
            "root_of_trust",
            "secrets",
            "store",
            "types",
            "wire",
        ],
    ),
    (
        "background",
        &["call", "keys", "nodes", "root_of_trust", "secrets", "services", "store", "types"],
    ),
    (
        "http",
        &[
            "api",
            "audit",
            "authorize",
            "background",
            "call",
            "clock",
            "devices",
            "identity",
            "machines",
            "policy",
            "random",
            "seal",
            "sigv4",
            "store",
            "types",
            "wire",
            "xks",
        ],
    ),
    (
        "config",
        &[
            "devices",
            "external",
            "federation",
            "functions",
            "machines",
            "outgoing",
            "policy",
            "quotas",
            "services",
            "store",
            "types",
            "xks",
        ],
    ),
    ("torture", &["clock", "failpoints", "sigv4"]),
    (
        "cli",
        &[
            "api",
            "attest",
            "audit",
            "background",
            "backup",
            "call",
            "clock",
            "config",
            "control",
            "device_bench",
            "devices",
            "external",
            "failpoints",
            "federation",
            "functions",
            "http",
            "identity",
            "last_use",
            "machines",
            "memory",
            "monitor",
            "nodes",
            "outgoing",
            "policy",
            "quotas",
            "random",
            "root_of_trust",
            "rotation",
            "secrets",
            "services",
            "store",
            "torture",
            "types",
            "xks",
        ],
    ),
];
/// 500 lines is where a file is split.
const LONGEST_FILE: usize = 500;
/// The median file of a house that is easy to read.
const MEDIAN_FILE: usize = 150;

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The first folder or file name below `src`, without its ending.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a text names by `crate::…`, the code of tests left out: tests may look anywhere.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for after in line.split("crate::").skip(1) {
            let name: String =
                after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                used.insert(name);
            }
        }
    }
    used
}

#[test]
fn dependencies_point_one_way() {
    let mut all = Vec::new();
    files(&root().join("src"), &mut all);
    let mut wrong = Vec::new();
    for path in &all {
        let module = module_of(path);
        let is_test = path.iter().any(|part| part == "tests")
            || path.file_stem().is_some_and(|stem| stem.to_str().unwrap().ends_with("tests"));
        if ["lib", "main"].contains(&module.as_str()) || is_test {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let allowed = ARROWS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} has no line in ARROWS"));
        for name in used(&text) {
            let macros = ["operations", "service"].contains(&name.as_str());
            if name != module && !macros && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: {module} may not use {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_arrows_have_no_circle() {
    // Every module uses only what stands above it in the list, so no circle can close.
    for (at, (module, allowed)) in ARROWS.iter().enumerate() {
        for name in *allowed {
            let stands_at = ARROWS.iter().position(|(other, _)| other == name);
            assert!(stands_at.is_some_and(|other| other < at), "{module} uses {name} below it");
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut all = Vec::new();
    for folder in ["src", "hsm/src", "hsm/tests", "tests", "benches"] {
        files(&root().join(folder), &mut all);
    }
    let mut lengths = Vec::new();
    for path in &all {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
        let says = text.starts_with("//!") || text.contains("impl Operation for");
        assert!(says, "{} does not say what it is for", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MEDIAN_FILE, "the median file has {median} lines");
}

#[test]
fn only_locked_memory_and_pkcs11s_interface_are_unsafe() {
    let mut all = Vec::new();
    files(&root().join("src"), &mut all);
    files(&root().join("hsm/src"), &mut all);
    for path in &all {
        let text = std::fs::read_to_string(path).unwrap();
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let is_unsafe = code.iter().any(|line| line.contains("unsafe "));
        let may = ["src/memory/arena.rs", "hsm/src/pkcs11/raw.rs"];
        let may = may.iter().any(|file| path.ends_with(file));
        assert!(!is_unsafe || may, "{}", path.display());
    }
}

#[test]
fn no_two_kinds_of_rows_share_a_table() {
    let mut all = Vec::new();
    files(&root().join("src"), &mut all);
    let mut seen = BTreeSet::new();
    for path in &all {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for after in code.split("const TABLE: Table = Table::new(\"").skip(1) {
            let name = after.split('"').next().unwrap().to_owned();
            assert!(seen.insert(name), "{} is not the only one with its table", path.display());
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}
