//! Functions that crash, hang, talk too much or want too much: each is a failed step with its reason,
//! nothing of it lives on, and the next step goes well.
#![expect(clippy::disallowed_methods, reason = "these tests measure elapsed time")]
use super::{MISBEHAVING, Stage, write};
use claviger::rotation::{Failure, FailureKind};
use std::time::{Duration, Instant};

/// A step of a function that behaves so, and then one of the same function put right.
async fn failed(behaviour: &str, timeout: u64) -> (Failure, Stage) {
    let rest = format!("timeout = {timeout}");
    let stage = Stage::python(MISBEHAVING, &[("BEHAVIOUR", behaviour)], &rest).await;
    let runner = stage.runner().await;
    let before = Instant::now();
    let failure = stage.step(&runner).await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(timeout + 10), "{behaviour}");
    assert_eq!(failure.kind, FailureKind::Passing, "{behaviour}");
    // What is killed takes a moment to be gone.
    for _ in 0..200 {
        if living(&stage).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(living(&stage), Vec::<String>::new(), "{behaviour}");
    let good = MISBEHAVING.replace("os.environ[\"BEHAVIOUR\"]", "\"good\"");
    write(stage.files.path(), "function.py", &good);
    stage.step(&runner).await.unwrap();
    (failure, stage)
}

/// Processes that the stage's last worker left.
fn living(stage: &Stage) -> Vec<String> {
    let marker = std::fs::read_to_string(stage.place("marker")).unwrap();
    let has = |id: &String| {
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&marker)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(has).collect()
}

fn is_alive(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_raises_is_its_failure_in_one_line() {
    let (failure, _) = failed("raise", 20).await;
    assert_eq!(failure.message, "ValueError: no  [31mand no");
    let log = failure.log.unwrap();
    assert!(log.starts_with("before\n") && log.contains("in lambda_handler"), "{log}");
    let (failure, _) = failed("recurse", 20).await;
    assert!(failure.message.starts_with("RecursionError: "), "{}", failure.message);
    let (failure, _) = failed("unjson", 20).await;
    assert!(failure.message.starts_with("Runtime.MarshalError: "), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_ends_its_process() {
    for (behaviour, reason) in [
        ("exit", "Runtime.ExitError: the function exited with 'enough'"),
        ("_exit", "the function's process ended: exit status: 9"),
        ("kill", "the function's process ended: signal: 9 (SIGKILL)"),
        ("segv", "the function's process ended: signal: 11 (SIGSEGV)"),
        ("shell", "the function's process ended: exit status: 3"),
    ] {
        let (failure, stage) = failed(behaviour, 20).await;
        assert_eq!(failure.message, reason);
        if let Ok(child) = std::fs::read_to_string(stage.place("daemon")) {
            assert!(!is_alive(&child), "{behaviour}");
        }
        assert!(failure.log.unwrap().starts_with("before\n"), "{behaviour}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_not_end() {
    for behaviour in ["loop", "sleep_deaf", "close_all"] {
        let (failure, _) = failed(behaviour, 2).await;
        assert_eq!(failure.message, "Task timed out after 2.00 seconds");
        assert_eq!(failure.log.as_deref(), Some("before\n"), "{behaviour}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_makes_processes() {
    let (failure, _) = failed("fork_bomb", 2).await;
    assert!(failure.message.starts_with("Task timed out"), "{}", failure.message);
    // One that left its group, and kept the pipes.
    let (failure, stage) = failed("daemon", 20).await;
    assert_eq!(failure.message, "the function's process ended: exit status: 7");
    let daemon = std::fs::read_to_string(stage.place("daemon")).unwrap();
    assert!(!is_alive(&daemon));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_wants_too_much() {
    let (failure, _) = failed("hog", 20).await;
    assert!(failure.message.starts_with("MemoryError"), "{}", failure.message);
    let (failure, _) = failed("big_file", 20).await;
    assert!(failure.message.contains("File too large"), "{}", failure.message);
    let (failure, _) = failed("many_files", 20).await;
    assert!(failure.message.contains("Too many open files"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_talks_too_much() {
    let (failure, _) = failed("print_much", 60).await;
    assert_eq!(failure.message, "the function printed too much");
    assert!(failure.log.unwrap().len() <= 4096);
    // What is kept of a long log is its end.
    let stage = Stage::python(MISBEHAVING, &[("BEHAVIOUR", "print_some")], "").await;
    let log = stage.step(&stage.runner().await).await.unwrap().unwrap();
    assert!(log.len() <= 4096 && log.ends_with("line 1999\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_answers_itself() {
    for behaviour in ["garbage", "nonsense"] {
        let (failure, _) = failed(behaviour, 20).await;
        let reasons = [
            "the function's process answered something unreadable",
            "the function's process answered too much",
        ];
        assert!(reasons.contains(&failure.message.as_str()), "{}", failure.message);
    }
    // What it says unasked ends its process, and is no answer to the next step.
    let stage = Stage::python(MISBEHAVING, &[("BEHAVIOUR", "later")], "").await;
    let runner = stage.runner().await;
    stage.step(&runner).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.step(&runner).await.unwrap();
}
