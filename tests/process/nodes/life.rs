//! How nodes come and go, and what of the root of trust they share.
use super::support::{Nodes, ids, nodes_command};
use crate::client::{Failed, get};
use crate::harness::{Port, machine, now, wait_until};
use crate::roots::recovery;
use crate::roots::support::{Work, command, root, root_json, root_of};
use crate::setup::Deployment;
use std::time::Duration;

pub fn a_node_joins_what_it_can_open_and_nothing_else() {
    let mut nodes = Nodes::first();
    // A second deployment has no place in the database.
    let mut second = Deployment::blank(true);
    second.more = nodes.all[0].more.clone();
    second.write_config(&second.text(&second.data()));
    second.run("init").assert(5, &["has a deployment already", "claviger join"]);
    // Another token opens nothing.
    second.run("join").assert(4, &["this is not the token", "add-wrap", "--shares"]);
    assert!(!second.data().join("deployment.json").exists());
    // Tables of a newer version are left alone, by whoever.
    nodes.execute("UPDATE schema_version SET version = 99, compatible_from = 99");
    nodes.blank().run("join").assert(5, &["version 99"]);
    nodes.all[0].run("serve").assert(5, &["version 99"]);
    nodes.execute("UPDATE schema_version SET version = 1, compatible_from = 1");
    // What failed is tried again in the same directory, and done once.
    let node = &nodes.all[1];
    let joined = node.run("join");
    assert!(joined.status.success(), "{joined:#?}");
    node.run("join").assert(5, &["is a deployment already"]);
    node.run("init").assert(5, &["is a deployment already"]);
    let (file, first) = (node.data(), nodes.all[0].data());
    let read = |data: std::path::PathBuf| std::fs::read(data.join("deployment.json")).unwrap();
    assert_eq!(read(file), read(first), "they share one");

    // Nor does a node of another deployment get in.
    let other = Nodes::first();
    let mut stranger = other.all.into_iter().next().unwrap();
    stranger.more = nodes.all[0].more.clone();
    stranger.write_config(&stranger.text(&stranger.data()));
    stranger.run("serve").assert(5, &["belongs to another deployment"]);
    // A wrong copy opens nothing.
    nodes.execute("UPDATE deployment SET revision = revision + 1");
    nodes.all[0].run("serve").assert(5, &["another number", "was changed"]);
    // Who does not reach the database may do so later; who names none has to name one.
    let closed = Port::free();
    let nobody = format!("url = \"postgresql://postgres@127.0.0.1:{}/a\"", closed.number);
    for (line, code, reason) in [
        (nobody.as_str(), 7, "store unavailable"),
        ("url = \"postgresql://postgres@db.example/a?sslmode=disable\"", 3, "without TLS"),
        ("schema = \"pg_mine\"", 3, "lower-case letters"),
    ] {
        nodes.blank();
        let node = nodes.all.last_mut().unwrap();
        let (name, _) = line.split_once(' ').unwrap();
        let others = node.more.lines().filter(|other| !other.starts_with(name));
        node.more = others.chain([line]).collect::<Vec<_>>().join("\n") + "\n";
        node.write_config(&node.text(&node.data()));
        node.run("join").assert(code, &[reason]);
    }
}

pub fn nodes_are_listed_and_one_that_is_removed_ends_for_good() {
    let nodes = Nodes::new(3);
    let mut served = nodes.serve();
    let listed = nodes_command(&nodes.all[0], &["list"]);
    assert!(listed.status.success(), "{listed:#?}");
    let all = ids(&listed.stdout);
    assert_eq!(all.len(), 3, "{listed:#?}");
    assert_eq!(all.iter().filter(|(_, is_this)| *is_this).count(), 1);
    assert_eq!(listed.stdout.matches("opens by claviger/").count(), 3, "{listed:#?}");
    let own = |node: &Deployment| {
        let all = ids(&nodes_command(node, &["list"]).stdout);
        all.into_iter().find(|(_, is_this)| *is_this).unwrap().0
    };
    let (first, last) = (own(&nodes.all[0]), own(&nodes.all[2]));
    nodes_command(&nodes.all[0], &["remove", &first]).assert(1, &["the node that was asked"]);
    nodes_command(&nodes.all[0], &["remove", "nobody"]).assert(1, &["no node of this id"]);
    let removed = nodes_command(&nodes.all[0], &["remove", &last]);
    assert!(removed.status.success(), "{removed:#?}");
    // It ends by itself, and does not come back under its name.
    wait_until(Duration::from_secs(20), "the node ends", || !served[2].is_alive());
    assert!(served[2].stderr().contains("was removed"), "{}", served[2].stderr());
    nodes.all[2].run("serve").assert(5, &["was removed from the deployment", "claviger join"]);
    assert_eq!(ids(&nodes_command(&nodes.all[1], &["list"]).stdout).len(), 2);
    // The others go on.
    Work::new(&nodes.all[0], &served[0]).check(&nodes.all[1], &served[1]);
    let events = crate::events::read(&nodes.all[0].data().join("audit"));
    let of_removal: Vec<_> =
        events.iter().filter(|event| event["eventName"] == "RemoveNode").collect();
    // Two that were refused: one of them began.
    assert_eq!(of_removal.len(), 4, "{of_removal:#?}");
    // One that writes no more until it is restarted is to be sent no calls.
    assert_eq!(get(served[0].address, "/readyz").unwrap().status, 200);
    nodes.execute("UPDATE head SET state = '\\x00'");
    let made = nodes.all[0].client(&served[0]).kms("CreateKey", serde_json::json!({}));
    assert!(matches!(made, Err(Failed::Fault { status: 500.., .. })), "{made:?}");
    let ready = get(served[0].address, "/readyz").unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("store takes no writes"), "{}", ready.text());
}

pub fn a_copy_of_a_nodes_directory_takes_its_place() {
    let nodes = Nodes::new(1);
    let mut first = nodes.all[0].serve();
    let work = Work::new(&nodes.all[0], &first);
    let elsewhere = tempfile::tempdir().unwrap();
    crate::harness::copy_dir(&nodes.all[0].data(), &elsewhere.path().join("data"));
    let port = crate::harness::Port::free();
    let copy = elsewhere.path().join("data");
    let second = nodes.all[0].try_serve_on(&port, &copy, elsewhere.path()).unwrap();
    work.check(&nodes.all[0], &second);
    wait_until(Duration::from_secs(20), "the first one ends", || !first.is_alive());
}

pub fn what_wraps_the_keys_is_changed_on_one_node_and_known_to_all() {
    let _machine = machine(false);
    let nodes = Nodes::new(3);
    let mut served = nodes.serve();
    let (one, other) = (&nodes.all[0], &nodes.all[1]);
    let work = Work::new(one, &served[0]);
    // The third is away meanwhile.
    served.pop().unwrap().stop();
    let old = root_of(&root_json(one, "status", &[]), "pkcs11");

    // The others open by the old root only, until they have looked.
    let rotated = root_json(one, "rotate", &["pkcs11"]);
    assert_eq!(rotated["removed"].as_array().unwrap().len(), 0, "{rotated}");
    assert!(rotated["left"][0].as_str().unwrap().contains("opens the deployment by no other"));
    let new = rotated["wrapped"][0].as_str().unwrap().to_owned();
    let began = now();
    wait_until(Duration::from_secs(20), "the other node opens by the new root", || {
        let listed = nodes_command(other, &["list"]).stdout;
        listed.lines().filter(|line| line.contains("opens by") && line.contains(&new)).count() == 2
    });
    eprintln!("a new root is in use on the other node {:?} after it was made", began.elapsed());
    // The one that is away would not open any more.
    root(one, "retire", &[&old]).assert(1, &["is needed", "opens the deployment by no other"]);
    let third = nodes.all[2].serve();
    wait_until(Duration::from_secs(20), "the old root is needed by nobody", || {
        root(one, "retire", &[&old]).status.success()
    });
    served.push(third);
    for (node, process) in nodes.all.iter().zip(&served) {
        wait_until(Duration::from_secs(10), "each has the new set", || {
            let status = root_json(node, "status", &[]);
            status["file"].is_null() && !status["domainKeys"].to_string().contains(&old)
        });
        work.check(node, process);
        assert_eq!(get(process.address, "/readyz").unwrap().status, 200);
    }
    // And each starts by it.
    for (node, process) in nodes.all.iter().zip(served) {
        process.stop();
        work.check(node, &node.serve());
    }
}

pub fn a_node_that_missed_a_change_learns_it_at_its_start() {
    let nodes = Nodes::new(2);
    let (one, other) = (&nodes.all[0], &nodes.all[1]);
    let mut served = nodes.serve();
    let work = Work::new(one, &served[0]);
    served.pop().unwrap().stop();
    let rewrapped = root_json(one, "rewrap", &[]);
    assert_eq!(rewrapped["wrapped"].as_array().unwrap().len(), 1, "{rewrapped}");
    let file = |node: &Deployment| std::fs::read(node.data().join("deployment.json")).unwrap();
    assert_ne!(file(one), file(other));
    let process = other.serve();
    assert_eq!(file(one), file(other));
    work.check(other, &process);
}

pub fn a_node_with_a_device_of_its_own_joins_by_shares() {
    let nodes = Nodes::first();
    let one = &nodes.all[0];
    let process = one.serve();
    let work = Work::new(one, &process);
    let scratch = tempfile::tempdir().unwrap();
    let (shares, public) = recovery::made(&scratch.path().join("key"));
    root_json(one, "add-wrap", &["--recovery", public.to_str().unwrap()]);
    let mut other = Deployment::blank(true);
    other.more = one.more.clone();
    other.admin = one.admin.clone();
    other.write_config(&other.text(&other.data()));
    let shares: Vec<&str> = shares.iter().map(|path| path.to_str().unwrap()).collect();
    let join = |shares: &[&str]| {
        crate::harness::run(command(&other, &["join"], &[&["--shares"], shares].concat()))
    };
    join(&shares[..1]).assert(1, &["1 of the 2 shares"]);
    let joined = join(&shares[1..]);
    assert!(joined.status.success(), "{joined:#?}");
    assert!(joined.stdout.contains("wrapped by claviger/"), "{joined:#?}");
    let second = other.serve();
    work.check(&other, &second);
    // Each opens by its own, and neither may go.
    let roots = |node: &Deployment| root_of(&root_json(node, "status", &[]), "pkcs11");
    assert_ne!(roots(one), roots(&other));
    wait_until(Duration::from_secs(10), "the first one knows the other's root", || {
        let retired = root(one, "retire", &[&roots(&other), "--lost"]);
        assert!(!retired.status.success(), "{retired:#?}");
        retired.stderr.contains("opens the deployment by no other")
    });
    work.check(one, &process);
}
