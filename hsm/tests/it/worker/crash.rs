//! The device crashes, exits, hangs or panics inside the helper.

use super::support::{key, lives, on_faulty, root, signal, start, unavailable, wrap};
use crate::timing::{MS, SOON, Stop, now, timed, wait_until};
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

fn notes(path: &Path, what: &str) -> usize {
    let notes = std::fs::read_to_string(path).unwrap_or_default();
    notes.lines().filter(|line| *line == what).count()
}

#[test]
fn however_it_ends_the_error_says_how_and_it_works_again() {
    on_faulty(however_it_ends_the_error_says_how_and_it_works_again, "device", |config, path| {
        let hsm = start(config);
        let wrapped = wrap(&hsm, b"aad").unwrap();
        let ways = [
            ("do exit", "exited with status 3"),
            ("do abort", "ended by signal 6"),
            ("do segv", "ended by signal 11"),
        ];
        for (order, how) in ways {
            let before = hsm.status().pid.unwrap();
            let result = wrap(&hsm, order.as_bytes());
            unavailable(result, how);
            assert!(!lives(before), "{order}: {before} lives");
            let took = wait_until("it works again", || {
                hsm.unwrap(&wrapped, b"aad").is_ok_and(|opened| opened == key())
            });
            assert!(took < SOON, "{order}: {took:?}");
            assert!(hsm.status().last_end.unwrap().contains(how));
            // Once more at most, and only in a helper that was started for it.
            assert!((1..=2).contains(&notes(path, order)), "{order}");
        }
        let status = hsm.status();
        assert_eq!(status.starts, notes(path, "open") as u64);
        assert!(lives(status.pid.unwrap()));
    });
}

#[test]
fn after_a_long_life_it_is_replaced_at_once_and_the_call_is_made_again() {
    on_faulty(
        after_a_long_life_it_is_replaced_at_once_and_the_call_is_made_again,
        "device",
        |config, path| {
            let hsm = start(config);
            wrap(&hsm, b"aad").unwrap();
            thread::sleep(2100 * MS);
            signal("KILL", hsm.status().pid.unwrap());
            // Nobody notices: the first helper lived long enough.
            wrap(&hsm, b"aad").unwrap();
            thread::sleep(2100 * MS);
            unavailable(wrap(&hsm, b"do abort"), "signal 6");
            assert_eq!(notes(path, "do abort"), 2, "a wrap changes nothing: made twice");
        },
    );
}

#[test]
fn the_making_of_a_key_is_not_repeated() {
    on_faulty(the_making_of_a_key_is_not_repeated, "device", |config, path| {
        let hsm = start(config);
        thread::sleep(2100 * MS);
        unavailable(hsm.create_root_key(&RootKeyId::new("claviger/crash/1")), "signal 6");
        assert_eq!(notes(path, "create"), 1);
        wait_until("it works again", || wrap(&hsm, b"aad").is_ok());
        assert_eq!(notes(path, "create"), 1);
    });
}

#[test]
fn a_call_that_hangs_beside_others_gets_the_helper_killed_and_they_do_not_notice() {
    on_faulty(
        a_call_that_hangs_beside_others_gets_the_helper_killed_and_they_do_not_notice,
        "device",
        |config, path| {
            let hsm = start(config);
            wrap(&hsm, b"aad").unwrap();
            thread::sleep(2100 * MS);
            let pid = hsm.status().pid.unwrap();
            let (done, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                let hung = scope.spawn(|| timed(|| wrap(&hsm, b"do hang")));
                for _ in 0..3 {
                    scope.spawn(|| {
                        while !stop.load(Ordering::SeqCst) {
                            // Through the kill as well: the helper had lived long.
                            let wrapped = wrap(&hsm, b"aad").unwrap();
                            assert_eq!(hsm.unwrap(&wrapped, b"aad"), Ok(key()));
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
                let _stop = Stop(&stop);
                let (result, took) = hung.join().unwrap();
                unavailable(result, "no answer within 0.5 s; its helper process is busy");
                assert!((500 * MS..SOON).contains(&took), "{took:?}");
                assert!(lives(pid), "others were answered meanwhile");
                let took = wait_until("it is killed all the same", || !lives(pid));
                assert!((500 * MS..SOON).contains(&took), "{took:?}");
                thread::sleep(200 * MS);
            });
            assert!(done.load(Ordering::SeqCst) > 10, "{done:?}");
            assert_eq!(notes(path, "do hang"), 1, "what hung is not made again");
            wrap(&hsm, b"aad").unwrap();
            assert_eq!(hsm.status().starts, 2);
        },
    );
}

#[test]
fn a_call_that_hangs_alone_gets_the_helper_killed_at_its_deadline() {
    on_faulty(
        a_call_that_hangs_alone_gets_the_helper_killed_at_its_deadline,
        "device",
        |config, path| {
            let hsm = start(config);
            wrap(&hsm, b"aad").unwrap();
            let pid = hsm.status().pid.unwrap();
            let (result, took) = timed(|| wrap(&hsm, b"do hang"));
            unavailable(result, "no answer within 0.5 s; its helper process was killed");
            assert!((500 * MS..SOON).contains(&took), "{took:?}");
            wait_until("it is dead", || !lives(pid));
            assert_eq!(notes(path, "do hang"), 1, "what hung is not made again");
            wait_until("it works again", || wrap(&hsm, b"aad").is_ok());
        },
    );
}

#[test]
fn when_all_its_threads_hang_it_is_replaced() {
    on_faulty(when_all_its_threads_hang_it_is_replaced, "device", |mut config, _| {
        config.threads = 2;
        let hsm = start(config);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let (result, took) = timed(|| wrap(&hsm, b"do hang"));
                    unavailable(result, "");
                    assert!(took < SOON, "{took:?}");
                });
            }
        });
        wait_until("it works again", || wrap(&hsm, b"aad").is_ok());
    });
}

#[test]
fn a_panic_is_unavailable_and_costs_nothing() {
    on_faulty(a_panic_is_unavailable_and_costs_nothing, "device", |mut config, _| {
        config.threads = 1;
        // To print a panic may take longer than the usual deadline here.
        config.deadline = 8000 * MS;
        let hsm = start(config);
        for _ in 0..5 {
            unavailable(wrap(&hsm, b"do panic"), "panicked");
        }
        wrap(&hsm, b"aad").unwrap();
        assert_eq!(hsm.status().starts, 1);
    });
}

#[test]
fn too_many_calls_wait_outside_and_kill_nothing() {
    on_faulty(too_many_calls_wait_outside_and_kill_nothing, "device", |mut config, _| {
        config.threads = 2;
        let hsm = start(config);
        wrap(&hsm, b"aad").unwrap();
        let results: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> =
                (0..30).map(|_| scope.spawn(|| timed(|| wrap(&hsm, b"do sleep")))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        // 2 threads, 100 ms each, 500 ms: some 8 to 12 are done.
        let done = results.iter().filter(|(result, _)| result.is_ok()).count();
        assert!((4..=14).contains(&done), "{done} done");
        for (result, took) in results {
            assert!(took < SOON, "{took:?}");
            if result.is_err() {
                unavailable(result, "no answer within 0.5 s; its helper process is busy");
            }
        }
        assert_eq!(hsm.status().starts, 1, "a helper that works was killed");
    });
}

#[test]
fn one_that_crashes_every_time_is_not_started_in_a_hot_loop() {
    on_faulty(
        one_that_crashes_every_time_is_not_started_in_a_hot_loop,
        "device",
        |config, path| {
            let hsm = start(config);
            let mut calls = 0_u64;
            let start = now();
            while start.elapsed() < 3000 * MS {
                unavailable(wrap(&hsm, b"do abort"), "");
                calls += 1;
            }
            // 50, 100, 200, 400, 800, 1600 ms.
            let starts = notes(path, "open");
            assert!((3..=8).contains(&starts), "{starts} starts");
            assert!(calls > 100, "{calls} calls: they do not fail at once");
            let said = hsm.probe();
            if said.is_err() {
                unavailable(said, "is started again in");
            }
            wait_until("it works again", || wrap(&hsm, b"aad").is_ok());
        },
    );
}

#[test]
fn answers_are_the_answers_to_their_questions() {
    on_faulty(answers_are_the_answers_to_their_questions, "device", |config, _| {
        let hsm = start(config);
        thread::scope(|scope| {
            for thread in 0..12_u8 {
                let hsm = &hsm;
                scope.spawn(move || {
                    for round in 0..100_u8 {
                        let key = claviger_hsm::KeyBytes::new(vec![thread; 1 + usize::from(round)]);
                        let aad = [thread, round];
                        let wrapped = hsm.wrap(&root(), &key, &aad).unwrap();
                        assert_eq!(hsm.unwrap(&wrapped, &aad), Ok(key));
                        let forged = hsm.unwrap(&wrapped, b"forged");
                        assert_eq!(forged, Err(HsmError::Authentication));
                    }
                });
            }
        });
    });
}

#[test]
fn what_the_module_has_started_ends_with_it() {
    on_faulty(what_the_module_has_started_ends_with_it, "device", |config, path| {
        let hsm = start(config);
        wrap(&hsm, b"do spawn").unwrap();
        let notes = std::fs::read_to_string(path).unwrap();
        let spawned = notes.lines().find_map(|line| line.strip_prefix("spawned ")).unwrap();
        let spawned: u32 = spawned.parse().unwrap();
        assert!(lives(spawned));
        unavailable(wrap(&hsm, b"do exit"), "exited with status 3");
        wait_until("it has ended", || !lives(spawned));
    });
}
