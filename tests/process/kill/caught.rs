//! A torture that finds nothing proves nothing unless it finds what is there: here the program that is
//! tortured is one that loses something.
use super::torture;
use crate::harness::machine;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A program that does something before its starts as a server, and is claviger otherwise. `$data` is the
/// directory, `$starts` how many starts there were with this one.
fn traitor(dir: &Path, treason: &str) -> String {
    let text = format!(
        "#!/bin/sh\nset -e\nif [ \"$1\" = serve ]; then\n\
         node=$(dirname \"$3\"); data=$node/data\n\
         echo start >>\"$node/starts\"; starts=$(wc -l <\"$node/starts\")\n\
         {treason}\n\
         fi\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_claviger")
    );
    let path = dir.join("traitor");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the report says when this happens.
fn found(treason: &str) -> String {
    let _busy = machine(false);
    let dir = tempfile::tempdir().unwrap();
    let program = traitor(dir.path(), treason);
    let (exit, report) = torture(dir.path(), 20, None, &["--program", &program, "--lanes", "1"]);
    assert_eq!(exit.status.code(), Some(1), "{exit:#?}");
    assert_eq!(
        (&report["seed"], &report["troubles"]),
        (&super::seed().into(), &serde_json::json!([]))
    );
    let violations = report["violations"].as_array().unwrap();
    let [violation] = violations.as_slice() else { panic!("{violations:#?}") };
    let kept = Path::new(violation["directory"].as_str().unwrap());
    assert!(kept.join("node-0/data/store").exists() && kept.join("node-0/output").exists());
    violation["what"].as_str().unwrap().to_owned()
}

#[test]
fn a_directory_that_was_put_back() {
    let what = found(
        "if [ \"$starts\" -eq 3 ]; then cp -a \"$data\" \"$node/old\"; fi\n\
         if [ \"$starts\" -eq 5 ]; then rm -rf \"$data\"; mv \"$node/old\" \"$data\"; fi",
    );
    assert!(what.contains("acknowledged was") || what.contains("has the events"), "{what}");
}

/// What was logged in the last second would come back: it waits in the store until it is known to be logged.
#[test]
fn a_log_that_was_cut_in_half() {
    let cut = "[ \"$starts\" -ne 5 ] || {\n\
         log=$(ls \"$data\"/audit/*.log | tail -n 1); python3 -c '\n\
         import sys\n\
         path = sys.argv[1]\n\
         whole = open(path, \"rb\").read()\n\
         lines = whole.rstrip(b\"\\0\").splitlines(True)\n\
         kept = b\"\".join(lines[:len(lines) // 2])\n\
         open(path, \"wb\").write(kept.ljust(len(whole), b\"\\0\"))\n\
         ' \"$log\"\n\
         }";
    let what = found(cut);
    // The last: what was logged since ends elsewhere than what was read before.
    let noticed = ["has the events []", "does not start", "audit log: "];
    assert!(noticed.iter().any(|words| what.contains(words)), "{what}");
}

/// It lives and answers nothing any more, from the moment at which the first of those who write was answered.
#[test]
fn a_server_that_hangs_under_load() {
    let what = found(
        r#"
        count() { cat "$data"/audit/*.log | grep -ac "userAgent\":\"$1" || :; }
        later() { while kill -0 $$ && [ "$(count "$1")" -le "$2" ]; do sleep 0.01; done; }
        if [ "$starts" -ge 3 ]; then
            checks=$(count torture-check)
            { later torture-check "$checks"; later torture/ "$(count torture/)"; kill -STOP $$; } \
                >/dev/null 2>&1 &
        fi"#,
    );
    // The last two: where a fault was to come, after which a server takes writes again or none.
    let noticed = ["acknowledges no write", "no answer", "later than", "still acknowledges"];
    assert!(noticed.iter().any(|words| what.contains(words)), "{what}");
}
