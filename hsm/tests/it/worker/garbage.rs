//! Helpers that answer with something else than the answer.

use super::support::{key, on_faulty, start, unavailable, wrap};
use crate::timing::{SOON, timed, wait_until};
use claviger_hsm::Hsm;
use std::path::Path;
use std::thread;

/// The third answer on is changed as the mode says. No call may get anything but an error, in
/// time; the helper must be dead, and the error say why.
fn is_killed<F: Fn()>(test: F, mode: &str, says: &str) {
    on_faulty(test, mode, |config, _| {
        let hsm = start(config);
        // Makes a witness besides.
        let wrapped = wrap(&hsm, b"aad").unwrap();
        let pid = hsm.status().pid.unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let (result, took) = timed(|| hsm.unwrap(&wrapped, b"aad"));
                    // Of an answer that came twice the first is right.
                    if mode != "twice" || result.is_err() {
                        unavailable(result, "");
                    } else {
                        assert_eq!(result, Ok(key()));
                    }
                    assert!(took < SOON, "{took:?}");
                });
            }
        });
        // Killed, and waited for: no zombie is left.
        wait_until("it is gone", || !Path::new(&format!("/proc/{pid}")).exists());
        let said = hsm.status().last_end.unwrap();
        assert!(said.contains(says), "{says:?} is missing in: {said}");
    });
}

#[test]
fn random_bytes() {
    is_killed(random_bytes, "random", "it sent a frame of");
}

#[test]
fn an_oversized_frame() {
    is_killed(an_oversized_frame, "oversized", "a frame of 4294967295 bytes");
}

#[test]
fn an_undersized_frame() {
    is_killed(an_undersized_frame, "undersized", "a frame of 7 bytes");
}

#[test]
fn half_a_frame_and_the_end() {
    is_killed(half_a_frame_and_the_end, "cut-short", "exited with status 0");
}

#[test]
fn half_a_frame_and_silence() {
    is_killed(half_a_frame_and_silence, "stalled", "it hung and was killed");
}

#[test]
fn an_answer_to_a_question_that_nobody_asked() {
    is_killed(an_answer_to_a_question_that_nobody_asked, "another-number", "which nobody made");
}

#[test]
fn an_answer_given_twice() {
    is_killed(an_answer_given_twice, "twice", "which nobody made");
}

#[test]
fn an_answer_of_another_kind() {
    is_killed(an_answer_of_another_kind, "another-answer", "it answered with Done, wanted Secret");
}

#[test]
fn an_answer_with_bytes_left_over() {
    is_killed(an_answer_with_bytes_left_over, "longer", "1 bytes after a message");
}

#[test]
fn an_answer_without_a_message() {
    is_killed(an_answer_without_a_message, "empty", "no message");
}

#[test]
fn a_flood() {
    is_killed(a_flood, "flood", "it sent a frame of 0 bytes");
}

#[test]
fn a_closed_socket_of_a_process_that_lives() {
    is_killed(a_closed_socket_of_a_process_that_lives, "closed", "it closed its socket");
}
