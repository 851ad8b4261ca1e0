//! A vendor's library in the server's own process is finalised once, after its last use, whatever ends the
//! program in an orderly way: some crash if their own exit handlers find them at work. One that hangs is
//! left as it is.
use super::support::{Faulty, HELLO, Job, Keys, crowd};
use crate::client::Client;
use crate::harness::{machine, run};
use serde_json::json;

/// C_Initialize came first, C_Finalize last, and neither twice.
fn finalised_once(what: &str, called: &[String]) {
    let count = |name: &str| called.iter().filter(|called| *called == name).count();
    assert!(called.len() > 10, "{what}: {called:?}");
    assert_eq!((count("C_Initialize"), count("C_Finalize")), (1, 1), "{what}");
    let open: Vec<&str> = called.iter().map(String::as_str).collect();
    // Neither does anything run after it: exit handlers would pull libraries away beneath other devices'
    // threads.
    assert_eq!(open.last(), Some(&"C_Finalize"), "{what}: {:?}", &open[open.len() - 5..]);
}

/// That the library would say so.
#[test]
fn exit_handlers_that_run_are_seen() {
    let faulty = Faulty::new();
    faulty.rules("C_Initialize 1 exit 3");
    assert_eq!(run(faulty.command(&["root", "status"])).status.code(), Some(3));
    assert_eq!(faulty.calls("exit-handlers"), 1);
}

#[test]
fn a_server_that_is_stopped_finalises_its_module_after_the_last_use() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    let inside = |client: &mut Client| keys.use_inside(client);
    let jobs = [Job("inside", &inside), Job("inside", &inside)];
    crowd(&faulty.deployment, &process, &jobs, |seen| seen.wait("inside", "OK", 20));
    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    finalised_once("serve", &faulty.called());
}

#[test]
fn a_module_in_which_a_call_hangs_is_not_finalised_and_the_server_ends() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let mut client = faulty.deployment.client(&process);
    let keys = Keys::new(&mut client);
    faulty.rules("C_EncryptInit * hang");
    let body = json!({"KeyId": keys.inside, "Plaintext": HELLO});
    let failed = client.kms("Encrypt", body).unwrap_err();
    assert_eq!(failed.code(), "KMSInvalidStateException");
    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    assert_eq!(faulty.calls("C_Finalize"), 0, "C_Finalize beside a call that hangs");
    assert_eq!(faulty.calls("exit-handlers"), 0, "exit handlers beside a call that hangs");
}

#[test]
fn commands_that_open_a_device_finalise_its_module_also_when_they_fail() {
    let faulty = Faulty::new();
    faulty.rules("");
    for (names, code) in
        [(&["root", "status"][..], 0), (&["root", "drill"], 0), (&["root", "add-wrap", "none"], 1)]
    {
        let done = run(faulty.command(names));
        assert_eq!(done.status.code(), Some(code), "{done:#?}");
        finalised_once(&names.join(" "), &faulty.called());
    }
}
