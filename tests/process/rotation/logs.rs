//! Whatever the server is told to log, no statement of a rotation's and no password is in it.
use super::built_in::role;
use super::{Database, Secret, function_arn};
use crate::databases::HOST;
use crate::harness::start;
use crate::setup::{ACCOUNT, Deployment};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const FUNCTION: &str = "rotate";
/// The drivers of databases also by their names.
const EVERYTHING: &str = "trace,tokio_postgres=trace,mysql_async=trace";

#[test]
fn the_longest_log_has_no_statement_in_it() {
    let mut deployment = Deployment::blank(false);
    deployment.more = format!(
        "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
         strategy = 'single-user'\nhosts = ['{HOST}']\n",
        function_arn(FUNCTION)
    );
    deployment.init();
    let mut command = deployment.command("serve");
    command.env("CLAVIGER_LOG", EVERYTHING);
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let process = start(command, deployment.dir.path(), |_| Some(address)).unwrap();
    role(&deployment, &process);
    let mut client = deployment.client(&process);
    let mut hidden: Vec<String> =
        ["SCRAM-SHA-256", "ALTER ", "SET PASSWORD", "SELECT "].map(str::to_owned).to_vec();
    for database in [Database::Postgres, Database::MariaDb] {
        let mut secret = Secret::new(&mut client, database, None);
        secret.rotate(&mut client, 1, FUNCTION);
        secret.assert_rotated(&mut client, 1);
        hidden.push(secret.login(&mut client, "AWSCURRENT").unwrap().1);
    }
    // What is logged at the lower levels only.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    let log = process.stop().stderr;
    assert!(log.contains("request refused"), "{log}");
    for text in hidden {
        assert!(!log.contains(&text), "{text}: {log}");
    }
}
