//! Who may command: the server's own user and root, and nobody who comes to the socket otherwise.
use crate::setup::Deployment;
use rustix::process::geteuid;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const NOBODY: u32 = 65534;
const SOCKET: &str = "CLAVIGER_TEST_SOCKET";

/// This very test, run again as somebody else, asks at the socket.
fn ask(socket: &Path) {
    let mut answer = String::new();
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) => return println!("refused: {}", error.kind()),
    };
    // It may hang up before it has read anything.
    let _ = stream.write_all(b"{\"Root\":\"Status\"}\n");
    let _ = stream.read_to_string(&mut answer);
    println!("answered: {answer:?}");
}

fn as_nobody(program: &Path, socket: &Path) -> String {
    let mut again = Command::new(program);
    again.args(["--exact", "--nocapture", "roots::stranger::nobody_else_commands"]);
    again.env(SOCKET, socket).current_dir("/").uid(NOBODY).gid(NOBODY);
    let output = again.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn nobody_else_commands() {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return ask(Path::new(&socket));
    }
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let socket = deployment.data().join("control.sock");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&deployment.data()), mode(&socket)), (0o700, 0o600));
    let mut own = UnixStream::connect(&socket).unwrap();
    own.write_all(b"{\"Root\":\"Status\"}\n").unwrap();
    let mut answer = String::new();
    own.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("output"), "{answer}");
    // To become somebody else takes root.
    if geteuid().is_root() {
        let elsewhere = tempfile::tempdir().unwrap();
        let program = elsewhere.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        open_to_all(elsewhere.path(), 0o755);
        open_to_all(&program, 0o755);
        let said = as_nobody(&program, &socket);
        assert!(said.contains("refused: permission denied"), "{said}");
        // Were the directories open, the socket itself would still refuse.
        open_to_all(deployment.dir.path(), 0o755);
        open_to_all(&deployment.data(), 0o755);
        open_to_all(&socket, 0o666);
        let said = as_nobody(&program, &socket);
        assert!(said.contains("answered: \"\""), "{said}");
        assert!(process.stderr().contains("refused a command of another user"));
    }
    assert_eq!(process.stop().status.code(), Some(0));
}
