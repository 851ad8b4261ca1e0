//! Where randomness enters. Injected like the clock, so that a seeded test repeats byte for byte.
use smol_str::SmolStr;
use std::fmt::Debug;
use std::sync::Mutex;

pub trait Random: Debug + Send + Sync {
    fn fill(&self, out: &mut [u8]);
    /// Fills with what need only be unique, such as the ids of requests: nothing that keeps a secret.
    fn fill_id(&self, out: &mut [u8]) {
        self.fill(out);
    }
}

impl dyn Random + '_ {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
    /// A random (version 4) UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
    /// The same as text, for what need only be unique: requests and events.
    pub fn request_id(&self) -> SmolStr {
        let mut bytes = [0; 16];
        self.fill_id(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        SmolStr::new(id.hyphenated().encode_lower(&mut [0; uuid::fmt::Hyphenated::LENGTH]))
    }
    /// `count` characters drawn evenly from `alphabet` (at most 256 of them).
    pub fn text(&self, count: usize, alphabet: &[u8]) -> String {
        // Rejection sampling: a byte beyond the last whole multiple of the alphabet's size would
        // favour the alphabet's first characters.
        let size = alphabet.len().clamp(1, 256);
        let limit = 256 - 256 % size;
        let mut out = String::with_capacity(count);
        while out.len() < count {
            for byte in self.bytes::<64>() {
                let n = usize::from(byte);
                if n < limit && out.len() < count {
                    out.extend(alphabet.get(n % size).map(|c| char::from(*c)));
                }
            }
            if alphabet.is_empty() {
                break;
            }
        }
        out
    }
}

/// The system's generator.
#[derive(Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::expect_used,
        reason = "without the kernel's generator no answer of this server could be trusted"
    )]
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the kernel's random generator answers");
    }
    /// From a generator of the thread's own, seeded by the kernel: a system call less for each id.
    fn fill_id(&self, out: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), out);
    }
}

/// A generator that repeats: the same seed gives the same bytes in the same order. For tests.
#[derive(Debug)]
pub struct SeededRandom(Mutex<rand::rngs::StdRng>);

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(rand::SeedableRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        let mut generator = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        rand::RngCore::fill_bytes(&mut *generator, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_requests_are_uuids_and_no_two_are_alike() {
        let random: &dyn Random = &SystemRandom;
        let ids: std::collections::HashSet<SmolStr> =
            std::iter::repeat_with(|| random.request_id()).take(1000).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 4, "{id}");
        }
    }

    #[test]
    fn text_uses_the_whole_alphabet_and_only_it() {
        let random: &dyn Random = &SeededRandom::new(1);
        let text = random.text(5000, b"abc");
        assert_eq!(text.len(), 5000);
        for c in ['a', 'b', 'c'] {
            let share = text.matches(c).count();
            assert!((1500..1850).contains(&share), "{c}: {share}");
        }
        assert_eq!(text, (&SeededRandom::new(1) as &dyn Random).text(5000, b"abc"));
    }
}
