//! Since when other nodes are seen to be silent. What the database says of when a node was last heard of is
//! not enough: while the database itself was away nobody could say anything.
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A node that lives says something several times within this, once the database takes it.
const WATCHED: Duration = Duration::from_secs(30);
/// Who did not look for so long begins anew.
const BREAK: Duration = Duration::from_secs(15);

/// For each silent node, the first and the last look that found it so.
#[derive(Debug, Default)]
pub(super) struct Silence(HashMap<String, (Instant, Instant)>);

impl Silence {
    /// Takes note of all that are silent `now`; answers those that were so at every look for long enough.
    pub(super) fn look(&mut self, silent: Vec<String>, now: Instant) -> Vec<String> {
        let before = std::mem::take(&mut self.0);
        let since = |id: &String| {
            let seen = before.get(id).filter(|(_, last)| now.duration_since(*last) < BREAK);
            seen.map_or(now, |(first, _)| *first)
        };
        self.0 = silent.into_iter().map(|id| (id.clone(), (since(&id), now))).collect();
        let long = |(first, _): &(Instant, Instant)| now.duration_since(*first) >= WATCHED;
        self.0.iter().filter(|(_, seen)| long(seen)).map(|(id, _)| id.clone()).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is meant; no decision rests on a date")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_something_within_the_time_is_not_gone() {
        let (mut silence, began) = (Silence::default(), now());
        let mut look = |seconds: u64, ids: &[&str]| {
            let silent = ids.iter().map(ToString::to_string).collect();
            let mut gone = silence.look(silent, began + Duration::from_secs(seconds));
            gone.sort_unstable();
            gone
        };
        for second in 0..30 {
            // The one is heard of after a while, as after an outage of the database.
            let silent: &[&str] = if second < 6 { &["dead", "live"] } else { &["dead"] };
            assert!(look(second, silent).is_empty(), "{second}");
        }
        assert_eq!(look(30, &["dead", "live"]), ["dead"]);
        // Nobody looked meanwhile.
        assert!(look(200, &["dead", "live"]).is_empty());
        for second in (201..230).step_by(7) {
            assert!(look(second, &["dead", "live"]).is_empty(), "{second}");
        }
        assert_eq!(look(231, &["dead", "live"]), ["dead", "live"]);
    }
}
