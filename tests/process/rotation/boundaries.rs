//! A function behind HTTP that is stopped before and after each step while the server is killed.
use super::{DONE, Database, STEPS, Secret, function_arn};
use crate::client::Client;
use crate::databases::HOST;
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

const FUNCTION: &str = "rotate";
/// What passwords begin with.
const PASSWORD: &str = "password of";

fn lets_in(user: &str, password: &str) -> bool {
    Database::Postgres.lets_in(user, user, password)
}

fn password_in(value: &str) -> String {
    let value: Value = serde_json::from_str(value).unwrap();
    value["password"].as_str().unwrap().to_owned()
}

/// Where the function of the test is to stop.
struct Stop {
    step: &'static str,
    /// Before it has done anything, or after it has done all.
    before: bool,
    stopped: Sender<()>,
    go: Receiver<()>,
}

/// A rotation function behind HTTP, written as AWS's templates for one user are.
struct Function {
    listener: TcpListener,
    stop: Arc<Mutex<Option<Stop>>>,
    /// How it reaches the server, once there is one: where, and with which access key.
    server: Arc<Mutex<Option<(SocketAddr, String, String)>>>,
}

impl Function {
    fn serve(self) {
        for stream in self.listener.incoming() {
            let (stop, server) = (self.stop.clone(), self.server.lock().unwrap().clone().unwrap());
            let stream = stream.unwrap();
            // A client of its own: the server that another one talked to may be dead.
            let client = Client::new(server.0, &server.1, &server.2);
            std::thread::spawn(move || answer(stream, &stop, client));
        }
    }
}

fn answer(stream: TcpStream, stop: &Mutex<Option<Stop>>, mut client: Client) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let event: Value = serde_json::from_slice(&body).unwrap();
    let here = |stop: &mut Stop| event["Step"] == stop.step;
    let stop = stop.lock().unwrap().take_if(here);
    let wait = |stop: &Stop| {
        stop.stopped.send(()).unwrap();
        stop.go.recv().unwrap();
    };
    if let Some(stop) = stop.as_ref().filter(|stop| stop.before) {
        // Who asked is dead when it goes on, and this function with it.
        return wait(stop);
    }
    let text = match step(&mut client, &event) {
        Ok(()) => "null".to_owned(),
        Err(what) => json!({"errorMessage": what, "errorType": "Error"}).to_string(),
    };
    if let Some(stop) = &stop {
        return wait(stop);
    }
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
    // The server may be dead by now.
    let _ = reader.get_mut().write_all(format!("{head}{text}").as_bytes());
}

fn step(client: &mut Client, event: &Value) -> Result<(), String> {
    let (secret, token) = (&event["SecretId"], event["ClientRequestToken"].as_str().unwrap());
    let mut call = |name: &str, body: Value| {
        client.secrets(name, body).map_err(|error| format!("{name}: {error}"))
    };
    let current = call("GetSecretValue", json!({"SecretId": secret}))?;
    let pending = call("GetSecretValue", json!({"SecretId": secret, "VersionId": token}));
    let mut value: Value = serde_json::from_str(current["SecretString"].as_str().unwrap()).unwrap();
    let user = value["username"].as_str().unwrap().to_owned();
    if event["Step"] == "createSecret" {
        if pending.is_ok() {
            return Ok(());
        }
        value["password"] = format!("{PASSWORD} {token}").into();
        let put = json!({
            "SecretId": secret, "ClientRequestToken": token, "VersionStages": ["AWSPENDING"],
            "RotationToken": event["RotationToken"], "SecretString": value.to_string(),
        });
        return call("PutSecretValue", put).map(drop);
    }
    let wanted = password_in(pending?["SecretString"].as_str().unwrap());
    match event["Step"].as_str().unwrap() {
        "setSecret" if lets_in(&user, &wanted) => Ok(()),
        "setSecret" if !lets_in(&user, value["password"].as_str().unwrap()) => {
            Err("no password is good".into())
        }
        "setSecret" => {
            Database::Postgres.execute(&[&format!("ALTER ROLE {user} PASSWORD '{wanted}'")]);
            Ok(())
        }
        "testSecret" => lets_in(&user, &wanted).then_some(()).ok_or("refused".into()),
        _ => {
            let from = &current["VersionId"];
            if from == token {
                return Ok(());
            }
            let body = json!({
                "SecretId": secret, "VersionStage": "AWSCURRENT", "MoveToVersionId": token,
                "RemoveFromVersionId": from,
            });
            call("UpdateSecretVersionStage", body).map(drop)
        }
    }
}

#[test]
fn a_kill_at_any_boundary_of_a_step_loses_no_password() {
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let mut deployment = Deployment::blank(false);
    deployment.more = format!(
        "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
         url = 'http://{}'\ntimeout = 60\n",
        function_arn(FUNCTION),
        listener.local_addr().unwrap()
    );
    deployment.init();
    let stop: Arc<Mutex<Option<Stop>>> = Arc::default();
    let function = Function { listener, stop: stop.clone(), server: Arc::default() };
    let server = function.server.clone();
    std::thread::spawn(|| function.serve());

    let mut process = deployment.serve();
    let mut client = deployment.client(&process);
    let (key, key_secret) = deployment.admin.clone();
    *server.lock().unwrap() = Some((process.address, key, key_secret));
    let mut secret = Secret::new(&mut client, Database::Postgres, None);
    let mut n = 0;
    for step in STEPS {
        for before in [true, false] {
            n += 1;
            let ((stopped, is_stopped), (lets_go, go)) = (channel(), channel());
            *stop.lock().unwrap() = Some(Stop { step, before, stopped, go });
            secret.rotate(&mut client, n, FUNCTION);
            is_stopped.recv_timeout(DONE).expect("the step is reached");
            process.kill();
            process = deployment.serve();
            client = deployment.client(&process);
            secret.assert_known(&mut client);
            lets_go.send(()).unwrap();
            secret.assert_rotated(&mut client, n);
        }
    }
    history_is_whole(&secret.history(&deployment, PASSWORD), n);
    process.stop();
    // Also without a server.
    history_is_whole(&secret.history(&deployment, PASSWORD), n);
}

/// Each step is done once in each run: what was written down is not done again. Of what a kill struck the
/// history says so.
fn history_is_whole(history: &[Value], runs: usize) {
    assert_eq!(history.len(), runs);
    for (n, run) in history.iter().enumerate() {
        let attempts = run["attempts"].as_array().unwrap();
        let (done, struck): (Vec<_>, Vec<_>) =
            attempts.iter().partition(|attempt| attempt["error"].is_null());
        let steps: Vec<_> = done.iter().map(|attempt| attempt["step"].clone()).collect();
        assert_eq!(steps, STEPS, "{run:#}");
        let struck: Vec<_> =
            struck.iter().map(|attempt| [&attempt["step"], &attempt["error"]]).collect();
        // Two runs for each step.
        let text = "the server stopped in this step, or was cut off";
        assert_eq!(struck, [[STEPS[n / 2], text]], "{run:#}");
    }
}
