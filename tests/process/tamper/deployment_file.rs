//! (e) Every byte of deployment.json flipped: refused in words, or it still means the same.
use super::{Outcome, Sound, edit};
use crate::harness::machine;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_flipped_bit_in_the_deployment_file_is_refused_or_harmless() {
    let _busy = machine(false);
    let sounds = [Sound::new(), Sound::new()];
    let (next, refused, harmless) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let text = |sound: &Sound| std::fs::read(sound.copy().path("deployment.json")).unwrap();
    let length = sounds.iter().map(|sound| text(sound).len()).min().unwrap();
    std::thread::scope(|scope| {
        for sound in &sounds {
            scope.spawn(|| {
                let mut copy = sound.copy();
                let whole = text(sound);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= length {
                        break;
                    }
                    let bit = 1 << (at % 8);
                    let path = copy.path("deployment.json");
                    std::fs::write(&path, &whole).unwrap();
                    edit(&path, |bytes| bytes[at] ^= bit);
                    let place = format!("bit {bit:#04x} of byte {at} of deployment.json");
                    match sound.visit(&copy, &place) {
                        Outcome::Refused => refused.fetch_add(1, Ordering::Relaxed),
                        // What is left: letters of the MAC's hexadecimal digits that are capital
                        // now.
                        Outcome::Unharmed => {
                            // It was written to.
                            copy = sound.copy();
                            harmless.fetch_add(1, Ordering::Relaxed)
                        }
                        Outcome::Noticed => {
                            panic!("{place}: a wrong key was taken for the right one")
                        }
                    };
                }
            });
        }
    });
    let (refused, harmless) = (refused.into_inner(), harmless.into_inner());
    eprintln!("{length} bytes of deployment.json: {refused} refused, {harmless} harmless");
    assert!(refused > length / 2);
}
