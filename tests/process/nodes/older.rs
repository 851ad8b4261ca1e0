//! A database that was put back to an older state, and a node that had made none of the commits that are lost.
use super::support::Nodes;
use crate::databases::{program, url};
use crate::harness::{now, run, wait_until};
use crate::roots::support::Work;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A program of PostgreSQL's, which must succeed.
fn tool(name: &str, arguments: &[&str], database: &str) {
    let mut command = Command::new(program(name));
    command.args(arguments).args(["--dbname", database]);
    let exit = run(command);
    assert!(exit.status.success(), "{exit:#?}");
}

/// 0 if it was not begun yet.
fn revision(anchor: &Path) -> u64 {
    let text = std::fs::read_to_string(anchor).unwrap();
    let anchor: Option<Value> = serde_json::from_str(&text).ok();
    anchor.map_or(0, |anchor| anchor["revision"].as_u64().unwrap())
}

/// What it says once nothing has been committed for a while: last uses are written later by whoever was asked.
fn quiet(anchor: &Path) -> u64 {
    let (mut since, mut last) = (now(), revision(anchor));
    wait_until(Duration::from_secs(60), "nothing is committed", || {
        let before = std::mem::replace(&mut last, revision(anchor));
        if before != last {
            since = now();
        }
        since.elapsed() > Duration::from_secs(4)
    });
    last
}

pub fn a_node_that_wrote_nothing_recognises_an_older_database() {
    let mut nodes = Nodes::new(2);
    let database = url(nodes.port, "postgres");
    let disk = tempfile::tempdir().unwrap();
    let (anchor, dump) = (disk.path().join("anchor"), disk.path().join("dump"));
    std::fs::write(&anchor, "").unwrap();
    let reader = &mut nodes.all[1];
    reader.more += &format!("anchor = {anchor:?}\n");
    reader.write_config(&reader.text(&reader.data()));
    let served = nodes.serve();
    let work = Work::new(&nodes.all[0], &served[0]);
    work.check(&nodes.all[1], &served[1]);
    quiet(&anchor);
    let (dump_text, schema) = (dump.to_str().unwrap(), nodes.schema.clone());
    let to_file = ["--format=custom", "--schema", &schema, "--file", dump_text];
    tool("pg_dump", &to_file, &database);

    let before = quiet(&anchor);
    Work::new(&nodes.all[0], &served[0]);
    let began = now();
    wait_until(Duration::from_secs(20), "the anchor follows what another node commits", || {
        revision(&anchor) > before
    });
    eprintln!("another node's commit is in the anchor {:?} later", began.elapsed());
    for server in served {
        assert_eq!(server.stop().status.code(), Some(0));
    }
    nodes.execute(&format!("DROP SCHEMA {schema} CASCADE"));
    tool("pg_restore", &["--exit-on-error", dump_text], &database);
    nodes.all[1].run("serve").assert(5, &["was put back to an older state", "docs/postgresql.md"]);
}
