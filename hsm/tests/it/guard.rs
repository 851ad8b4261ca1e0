//! The guard around a device that hangs, fails, panics and recovers on command.

mod moody;

use self::moody::{Mood, Moody};
use crate::timing::{MS, SOON, now, timed, wait_until};
use claviger_hsm::{
    Circuit, GuardConfig, Guarded, Hsm, HsmError, KeyBytes, Pace, RootKeyId, SoftwareHsm,
    WrappedKey, suite,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

fn root() -> RootKeyId {
    RootKeyId::new("claviger/test/rk-d/1")
}

fn key() -> KeyBytes {
    KeyBytes::new(vec![5; 32])
}

fn config() -> GuardConfig {
    GuardConfig {
        threads: 4,
        queue: 64,
        deadline: 600 * MS,
        slow_deadline: 2000 * MS,
        spare_threads: 4,
        ..GuardConfig::default()
    }
}

fn guarded(config: GuardConfig) -> (Arc<Moody>, Guarded) {
    let device = Moody::new();
    let guard = Guarded::new(Arc::<Moody>::clone(&device), config).unwrap();
    (device, guard)
}

fn wrap(guard: &Guarded) -> Result<WrappedKey, HsmError> {
    guard.wrap(&root(), &key(), b"aad")
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, HsmError>, says: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains(says), "{says:?} is missing in: {error}");
}

#[test]
fn passes_the_suite() {
    let device = Arc::new(SoftwareHsm::seeded([1; 32]));
    let guard = Guarded::new(device, GuardConfig::default()).unwrap();
    suite::all(&guard);
    suite::resident::all(&guard);
}

#[test]
fn a_call_that_hangs_ends_at_its_deadline_and_others_do_not_notice() {
    let (device, guard) = guarded(config());
    device.set(Mood::HangsAtTimes);
    thread::scope(|scope| {
        let hung = scope.spawn(|| timed(|| guard.wrap(&root(), &key(), b"hang")));
        wait_until("it hangs", || guard.status().in_flight == 1);
        let mut others = 0;
        while !hung.is_finished() {
            wrap(&guard).unwrap();
            others += 1;
        }
        assert!(others > 1, "{others} others");
        let (result, took) = hung.join().unwrap();
        unavailable(result, "no answer within 0.6 s");
        assert!((600 * MS..SOON).contains(&took), "{took:?}");
    });
    wait_until("the thread is lost", || guard.status().hanging == 1);
    let status = guard.status();
    assert_eq!((status.timeouts, status.in_flight), (1, 0));
    assert_eq!(status.circuit, Circuit::Closed);
    assert!(status.last_error.unwrap().contains("no answer within 0.6 s"));
    device.set(Mood::Works);
    wait_until("the thread is back", || guard.status().hanging == 0);
}

#[test]
fn lost_threads_are_replaced_up_to_a_bound_then_calls_fail_at_once() {
    let (device, guard) =
        guarded(GuardConfig { threads: 2, spare_threads: 1, failures: 1000, ..config() });
    device.set(Mood::HangsAtTimes);
    for lost in 1..=3 {
        let result = guard.wrap(&root(), &key(), b"hang");
        unavailable(result, "no answer");
        wait_until("the thread is lost", || guard.status().hanging == lost);
    }
    let (result, took) = timed(|| wrap(&guard));
    unavailable(result, "3 of 3 hang in it");
    assert!(took < SOON, "{took:?}");
    assert_eq!(guard.status().refused, 1);
    device.set(Mood::Works);
    wait_until("a thread is back", || wrap(&guard).is_ok());
    wait_until("all threads are back", || guard.status().hanging == 0);
    wrap(&guard).unwrap();
}

/// Else each hang would cost a thread until none is left, and the circuit would open only then.
#[test]
fn hangs_open_the_circuit_whatever_is_answered_between_them() {
    let (device, guard) = guarded(GuardConfig { failures: 3, spare_threads: 16, ..config() });
    device.set(Mood::HangsAtTimes);
    for lost in 1..=3 {
        unavailable(guard.wrap(&root(), &key(), b"hang"), "no answer");
        wait_until("the thread is lost", || guard.status().hanging == lost);
        if lost < 3 {
            for _ in 0..10 {
                wrap(&guard).unwrap();
            }
        }
    }
    // It answers probes, so it is given another chance; which it loses by the next hang.
    wait_until("a probe closes it", || wrap(&guard).is_ok());
    unavailable(guard.wrap(&root(), &key(), b"hang"), "no answer");
    // The caller's time ran from the queue, the device's from the start of the call.
    wait_until("the thread is lost", || guard.status().hanging == 4);
    unavailable(wrap(&guard), "has not worked for");
    // Once all have come back, an answer counts again.
    device.set(Mood::Works);
    wait_until("all threads are back", || guard.status().hanging == 0);
    wait_until("it works", || wrap(&guard).is_ok());
    device.set(Mood::HangsAtTimes);
    unavailable(guard.wrap(&root(), &key(), b"hang"), "no answer");
    wrap(&guard).unwrap();
    device.set(Mood::Works);
}

#[test]
fn the_circuit_opens_when_the_device_fails_and_closes_when_it_works() {
    let (device, guard) = guarded(config());
    wrap(&guard).unwrap();
    device.set(Mood::Fails);
    for _ in 0..5 {
        unavailable(wrap(&guard), "no cable");
    }
    assert_ne!(guard.status().circuit, Circuit::Closed);
    // Fails at once, without a call of the device; says since when and why.
    let before = device.calls.load(Ordering::SeqCst) - device.probes.load(Ordering::SeqCst);
    for _ in 0..1000 {
        unavailable(wrap(&guard), "has not worked for");
    }
    unavailable(wrap(&guard), "no cable");
    // Probes back off: 50, 100, 200, 400, 800 ms.
    thread::sleep(1000 * MS);
    let probes = device.probes.load(Ordering::SeqCst);
    let calls = device.calls.load(Ordering::SeqCst);
    assert!((1..=6).contains(&probes), "{probes} probes in a second");
    assert_eq!(calls - probes, before, "a call went through an open circuit");
    device.set(Mood::Works);
    wait_until("it is closed", || guard.status().circuit == Circuit::Closed);
    wrap(&guard).unwrap();
    assert!(guard.status().last_error.unwrap().contains("no cable"));
    // Nobody probes a device that works.
    let probes = device.probes.load(Ordering::SeqCst);
    thread::sleep(200 * MS);
    assert_eq!(device.probes.load(Ordering::SeqCst), probes);
}

#[test]
fn a_device_that_answers_only_probes_is_not_flooded() {
    let (device, guard) = guarded(config());
    device.set(Mood::Pretends);
    let start = now();
    while start.elapsed() < 1500 * MS {
        unavailable(wrap(&guard), "no cable");
    }
    let calls = device.calls.load(Ordering::SeqCst);
    assert!((5..20).contains(&calls), "{calls} calls of a device that does not work");
    device.set(Mood::Works);
    wait_until("it works", || wrap(&guard).is_ok());
}

#[test]
fn errors_about_the_request_never_open_the_circuit() {
    let (_device, guard) = guarded(config());
    let wrapped = wrap(&guard).unwrap();
    for _ in 0..200 {
        assert_eq!(guard.unwrap(&wrapped, b"forged"), Err(HsmError::Authentication));
        let absent = guard.check_root_key(&RootKeyId::new("claviger/absent/1"));
        assert!(matches!(absent, Err(HsmError::NoSuchKey { .. })), "{absent:?}");
        let bad = guard.wrap(&root(), &KeyBytes::new(vec![]), b"");
        assert!(matches!(bad, Err(HsmError::Refused(_))), "{bad:?}");
    }
    let status = guard.status();
    assert_eq!((status.circuit, status.refused, status.last_error), (Circuit::Closed, 0, None));
}

#[test]
fn time_outs_open_the_circuit_and_what_comes_back_late_closes_it_soon() {
    let (device, guard) = guarded(GuardConfig { failures: 3, spare_threads: 16, ..config() });
    device.set(Mood::Hangs);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| unavailable(wrap(&guard), "no answer"));
        }
    });
    wait_until("it is open", || guard.status().circuit != Circuit::Closed);
    let (_, took) = timed(|| unavailable(wrap(&guard), "no answer within 0.6 s"));
    assert!(took < SOON, "{took:?}");
    // Probes that hang cost threads as well, but not one every time.
    wait_until("a probe hangs as well", || guard.status().hanging >= 4);
    thread::sleep(1600 * MS);
    let hanging = guard.status().hanging;
    assert!((4..=7).contains(&hanging), "{hanging} threads lost");
    device.set(Mood::Works);
    wait_until("it is closed", || guard.status().circuit == Circuit::Closed);
    wait_until("all threads are back", || guard.status().hanging == 0);
    wrap(&guard).unwrap();
}

#[test]
fn a_full_queue_refuses_at_once_and_what_waits_is_done() {
    let (device, guard) =
        guarded(GuardConfig { threads: 1, queue: 3, deadline: 5000 * MS, ..config() });
    device.set(Mood::Hangs);
    thread::scope(|scope| {
        let mut calls = vec![scope.spawn(|| wrap(&guard))];
        wait_until("one hangs", || guard.status().in_flight == 1);
        calls.extend((0..3).map(|_| scope.spawn(|| wrap(&guard))));
        wait_until("the queue is full", || guard.status().queued == 3);
        let (result, took) = timed(|| wrap(&guard));
        unavailable(result, "3 calls wait for it already, and 1 are in it");
        assert!(took < SOON, "{took:?}");
        device.set(Mood::Works);
        for call in calls {
            call.join().unwrap().unwrap();
        }
    });
    let status = guard.status();
    assert_eq!((status.queued, status.in_flight, status.refused), (0, 0, 1));
}

#[test]
fn a_wait_in_the_queue_ends_at_the_deadline_and_does_not_tell_against_the_device() {
    let slow = Mood::Slow(400 * MS);
    let (device, guard) = guarded(GuardConfig { threads: 1, failures: 1, ..config() });
    device.set(slow);
    let results: Vec<_> = thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| timed(|| wrap(&guard)))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    // Of what waited too long, one had begun; none was too long in the device.
    let status = guard.status();
    assert_eq!((status.circuit, status.timeouts), (Circuit::Closed, 5), "{status:?}");
    wait_until("it is idle", || wrap(&guard).is_ok());
    assert_eq!((guard.status().hanging, guard.status().last_error), (0, None));
    let busy = |(result, _): &&(Result<WrappedKey, HsmError>, Duration)| {
        result.as_ref().is_err_and(|e| e.to_string().contains("busy with other calls for 0.6 s"))
    };
    assert!(results[..].iter().all(|(_, took)| *took < SOON), "{results:?}");
    assert!(results.iter().filter(busy).count() >= 3, "{results:?}");
    assert!(results.iter().any(|(result, _)| result.is_ok()), "{results:?}");
}

#[test]
fn making_keys_leaves_threads_for_the_rest() {
    let (device, guard) = guarded(config());
    device.set(Mood::HangsAtTimes);
    thread::scope(|scope| {
        let makers: Vec<_> = (0..10)
            .map(|n| {
                let guard = &guard;
                scope.spawn(move || guard.create_root_key(&RootKeyId::new(format!("claviger/{n}"))))
            })
            .collect();
        wait_until("they hang", || guard.status().in_flight == 2 && guard.status().queued == 8);
        for _ in 0..100 {
            let (wrapped, took) = timed(|| wrap(&guard));
            wrapped.unwrap();
            assert!(took < SOON, "{took:?}");
        }
        assert_eq!((guard.status().in_flight, guard.status().queued), (2, 8));
        device.set(Mood::Works);
        for maker in makers {
            maker.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_panic_in_the_device_is_unavailable_and_costs_no_thread() {
    let (device, guard) = guarded(GuardConfig { failures: 1000, deadline: 8000 * MS, ..config() });
    device.set(Mood::Panics);
    for _ in 0..20 {
        unavailable(wrap(&guard), "panicked");
    }
    device.set(Mood::Works);
    wrap(&guard).unwrap();
    assert_eq!(guard.status().hanging, 0);
}

#[test]
fn a_panic_in_a_callback_costs_no_thread() {
    // To print a panic may take longer than the usual deadline here.
    let (_device, guard) = guarded(GuardConfig { threads: 1, deadline: 8000 * MS, ..config() });
    for _ in 0..5 {
        guard.submit(Pace::Usual, |device| device.probe(), |_| panic!("a bug in the server"));
    }
    wrap(&guard).unwrap();
}

#[test]
fn every_call_is_answered_exactly_once() {
    // Calls take as long as their deadline is, so that answers and time-outs race.
    let (device, guard) = guarded(GuardConfig {
        threads: 8,
        queue: 1000,
        deadline: 20 * MS,
        spare_threads: 8,
        failures: 20,
        ..config()
    });
    device.set(Mood::Slow(20 * MS));
    let (sender, receiver) = channel();
    let calls = 400;
    for call in 0..calls {
        let sender = sender.clone();
        let op = move |device: &dyn Hsm| device.wrap(&root(), &key(), b"aad");
        guard.submit(Pace::Usual, op, move |result| sender.send((call, result)).unwrap());
        if call % 8 == 0 {
            thread::sleep(10 * MS);
        }
    }
    drop(sender);
    let mut answers = vec![0; calls];
    let (mut done, mut late) = (0, 0);
    // Ends when the last callback is dropped, which is after it was called.
    for (call, result) in receiver {
        answers[call] += 1;
        match result {
            Ok(_) => done += 1,
            Err(HsmError::Unavailable(_)) => late += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(answers.iter().all(|&n| n == 1), "{answers:?}");
    assert!(late > 0, "{done} done, {late} late");
}

#[test]
fn closing_the_guard_tells_all_that_wait_and_does_not_wait_for_what_hangs() {
    let (device, guard) = guarded(GuardConfig { threads: 1, ..config() });
    device.set(Mood::Hangs);
    let (sender, receiver) = channel();
    for call in 0..3 {
        let sender = sender.clone();
        guard.submit(
            Pace::Usual,
            |device| device.probe(),
            move |result| {
                sender.send((call, result)).unwrap();
            },
        );
    }
    wait_until("one hangs", || guard.status().in_flight == 1);
    let ((), took) = timed(|| drop(guard));
    assert!(took < SOON, "{took:?}");
    for call in [1, 2] {
        let (told, result) = receiver.recv().unwrap();
        assert_eq!(told, call);
        unavailable(result, "closed");
    }
    device.set(Mood::Works);
    assert_eq!(receiver.recv().unwrap(), (0, Ok(())), "it was inside, and came back");
    drop(sender);
    // The last thread of the guard lets the device go.
    wait_until("the device is let go", || Arc::strong_count(&device) == 1);
}

#[test]
fn no_answer_is_wrong_while_the_device_changes_its_mind() {
    let (device, guard) =
        guarded(GuardConfig { threads: 8, spare_threads: 64, deadline: 60 * MS, ..config() });
    let stop = now() + 4000 * MS;
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..6_u8 {
            let (guard, done) = (&guard, &done);
            scope.spawn(move || {
                while now() < stop {
                    let key = KeyBytes::new(vec![thread; 32]);
                    let (wrapped, took) = timed(|| guard.wrap(&root(), &key, &[thread]));
                    assert!(took < SOON, "{took:?}");
                    let Ok(wrapped) = wrapped else { continue };
                    match guard.unwrap(&wrapped, &[thread]) {
                        Ok(opened) => assert_eq!(opened, key),
                        Err(HsmError::Unavailable(_)) => continue,
                        Err(other) => panic!("{other:?}"),
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let moods = [Mood::Works, Mood::Fails, Mood::Works, Mood::Hangs, Mood::Panics];
        for mood in moods.iter().cycle().take_while(|_| now() < stop) {
            device.set(*mood);
            thread::sleep(130 * MS);
        }
        device.set(Mood::Works);
    });
    wait_until("it works again", || wrap(&guard).is_ok());
    assert!(guard.status().timeouts > 0, "{:?}", guard.status());
    assert!(done.load(Ordering::SeqCst) > 50, "{done:?} calls done");
}

#[test]
fn nothing_secret_is_printed() {
    let device = Arc::new(SoftwareHsm::seeded([0xab; 32]));
    let guard = Guarded::new(device, GuardConfig::default()).unwrap();
    let printed = format!("{guard:?} {:?}", guard.status());
    assert!(printed.starts_with("Guarded { device: DeviceInfo {"), "{printed}");
    assert!(!printed.contains("171"), "{printed}");
    let json = serde_json::to_string(&guard.status()).unwrap();
    assert!(json.contains("\"circuit\":\"closed\""), "{json}");
}
