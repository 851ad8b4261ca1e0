//! A store in PostgreSQL is backed up by PostgreSQL's own tools while it is written to, restored by them into
//! another server, and served from there.
use super::support::{Work, Written, command, text};
use crate::databases::{self, Postgres, fresh, program};
use crate::harness::{Exit, copy_dir, machine, run};
use crate::setup::Deployment;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A program of PostgreSQL's, which must succeed.
fn tool(name: &str, arguments: &[&str]) -> Exit {
    let mut command = Command::new(program(name));
    command.args(arguments);
    let exit = run(command);
    assert!(exit.status.success(), "{exit:#?}");
    exit
}

fn execute(server: &Postgres, statements: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(server.execute(statements));
}

/// The configuration with the store in this database.
fn point_at(deployment: &mut Deployment, server: &Postgres, database: &str, more: &str) {
    let file = deployment.dir.path().join("database");
    std::fs::write(&file, format!("{}?sslmode=disable\n", server.url(database))).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    deployment.more = format!("[store]\nkind = \"postgresql\"\nurl_file = {file:?}\n{more}");
    deployment.write_config(&deployment.text(&deployment.data()));
}

/// A deployment in a database of its own, and its anchor.
fn deployed(server: &Postgres, database: &str) -> (Deployment, String) {
    execute(server, &format!("CREATE DATABASE {database}"));
    let mut deployment = Deployment::blank(true);
    let disk = deployment.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let anchor = format!("anchor = {:?}\n", disk.join("anchor"));
    point_at(&mut deployment, server, database, &anchor);
    deployment.init();
    (deployment, anchor)
}

fn dump(server: &Postgres, database: &str, file: &Path) {
    tool("pg_dump", &["--format=custom", "--file", text(file), "--dbname", &server.url(database)]);
}

fn restore(server: &Postgres, database: &str, file: &Path) {
    execute(server, &format!("CREATE DATABASE {database}"));
    tool("pg_restore", &["--exit-on-error", "--dbname", &server.url(database), text(file)]);
}

#[test]
fn what_pg_dump_and_pg_basebackup_made_under_load_is_restored_and_served() {
    let _machine = machine(false);
    let server = databases::postgres();
    let (database, restored) = (fresh("backed_up"), fresh("restored"));
    let (mut deployment, anchor) = deployed(server, &database);
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "before");
    // Ours is for the embedded store; who could open the rows it says all the same.
    let ours = deployment.dir.path().join("ours.backup");
    let refused = command(&deployment, "backup", &["--to", text(&ours)]);
    refused.assert(1, &["pg_dump", "docs/postgresql.md"]);
    assert!(!ours.exists() && !ours.with_extension("backup.partial").exists());
    let said = command(&deployment, "backup", &["--dry-run"]);
    assert!(said.status.success() && said.stdout.contains("/rk-d/1"), "{said:#?}");

    let file = deployment.dir.path().join("database.dump");
    let mut base = None;
    let written = Written::during(&deployment, &process, || {
        dump(server, &database, &file);
        base = Some(server.base_backup());
    });
    let late = Work::new(&mut deployment.client(&process), "late");
    assert_eq!(process.stop().status.code(), Some(0));
    let kept = deployment.dir.path().join("kept");
    copy_dir(&deployment.data(), &kept);

    // A database of the same server, by pg_restore.
    restore(server, &restored, &file);
    assert_older(&mut deployment, server, &restored, &anchor);
    serve_from(&mut deployment, server, &restored, &work, &written);
    // A whole server, by its files.
    let copy = base.unwrap().serve();
    put_back(&deployment, &kept);
    assert_older(&mut deployment, &copy, &database, &anchor);
    serve_from(&mut deployment, &copy, &database, &work, &written);
    // What was backed up is as it was.
    put_back(&deployment, &kept);
    point_at(&mut deployment, server, &database, &anchor);
    let process = deployment.serve();
    work.assert_there(&mut deployment.client(&process));
    late.assert_there(&mut deployment.client(&process));
    assert_eq!(process.stop().status.code(), Some(0));

    // Rows that a restore left out are missed.
    let last = "SELECT key FROM claviger.rows ORDER BY key DESC LIMIT 1";
    let all_but_one = format!("DELETE FROM claviger.rows WHERE key = ({last})");
    tool("psql", &["--quiet", "--command", &all_but_one, &server.url(&restored)]);
    point_at(&mut deployment, server, &restored, "");
    std::fs::remove_dir_all(deployment.data()).unwrap();
    let refused = deployment.run("join");
    refused.assert(5, &["store corrupt"]);
}

fn put_back(deployment: &Deployment, kept: &Path) {
    let _ = std::fs::remove_dir_all(deployment.data());
    copy_dir(kept, &deployment.data());
}

/// The directory and the anchor know that the database was further.
fn assert_older(deployment: &mut Deployment, server: &Postgres, database: &str, anchor: &str) {
    point_at(deployment, server, database, anchor);
    deployment
        .run("serve")
        .assert(5, &["was put back to an older state", "an empty file", "docs/postgresql.md"]);
    point_at(deployment, server, database, "");
    deployment.run("serve").assert(
        5,
        &["is older than the audit log beside it", "claviger join", "docs/postgresql.md"],
    );
}

/// From an older state a node goes on in a new directory.
fn serve_from(
    deployment: &mut Deployment,
    server: &Postgres,
    database: &str,
    work: &Work,
    written: &Written,
) {
    point_at(deployment, server, database, "");
    std::fs::remove_dir_all(deployment.data()).unwrap();
    let joined = deployment.run("join");
    assert!(joined.status.success(), "{joined:#?}");
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    work.assert_there(&mut client);
    written.assert_no_holes(&mut client);
    Work::new(&mut client, "after").assert_there(&mut client);
    assert_eq!(process.stop().status.code(), Some(0));
}
