//! A database that is reached over TLS, as the configuration says it.
use super::support::Nodes;
use crate::databases::{self, Postgres};
use serde_json::json;
use std::path::Path;

/// Fails unless there are connections of ours and all of them speak TLS.
const ALL_ENCRYPTED: &str = "DO $$ BEGIN
    ASSERT (SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'claviger'), 'not all connections are encrypted';
    END $$";

pub fn the_database_is_reached_over_tls_and_by_its_name() {
    let database = Postgres::start();
    let mut nodes = Nodes::on(&database, 2);
    let plain: Vec<String> = nodes.all.iter().map(|node| node.more.clone()).collect();
    configure(&mut nodes, &plain, |section| section, &database.ca_file);
    let served = nodes.serve();
    let made = nodes.all[0].client(&served[0]).kms("CreateKey", json!({})).unwrap();
    let body = json!({"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": "YQ=="});
    nodes.all[1].client(&served[1]).kms("Encrypt", body).unwrap();
    nodes.execute(ALL_ENCRYPTED);
    drop(served);

    let stranger = nodes.all[0].dir.path().join("stranger.pem");
    std::fs::write(&stranger, databases::stranger()).unwrap();
    let elsewhere = |section: String| section.replace("@127.0.0.1:", "@localhost:");
    configure(&mut nodes, &plain, |section| section, &stranger);
    nodes.all[0].run("serve").assert(7, &["store unavailable"]);
    configure(&mut nodes, &plain, elsewhere, &database.ca_file);
    nodes.all[0].run("serve").assert(7, &["store unavailable"]);
    configure(&mut nodes, &plain, |section| section, &stranger.with_file_name("none.pem"));
    nodes.all[0].run("serve").assert(3, &["store.tls_ca"]);
}

/// Lets all nodes speak TLS, with this authority. `plain`: their sections without.
fn configure(nodes: &mut Nodes, plain: &[String], change: impl Fn(String) -> String, ca: &Path) {
    for (node, plain) in nodes.all.iter_mut().zip(plain) {
        let section = change(plain.replace("?sslmode=disable", ""));
        node.more = format!("{section}tls_ca = {ca:?}\n");
        node.write_config(&node.text(&node.data()));
    }
}
