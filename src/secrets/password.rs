//! Random passwords (Secrets Manager API reference, "GetRandomPassword").
//!
//! Every password that fits the rules is as likely as any other: each character is drawn evenly from
//! the whole alphabet, and a password that lacks a type which it must have is thrown away whole. (To
//! put one of each type in first and fill up with others would favour some passwords.)
use super::SecretError;
use crate::random::Random;
use crate::types::SecretText;
use std::fmt;
use zeroize::Zeroizing;

const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const NUMBERS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const SPACE: &str = " ";

/// AWS: the length of a password if the caller names none.
const DEFAULT_LENGTH: usize = 32;
/// How many random bytes are taken at a time.
const BATCH: usize = 256;

/// What a password is to look like.
#[derive(Clone, Debug)]
pub struct PasswordRules {
    pub length: usize,
    /// Characters that must not be in it, of whatever type.
    pub excluded: String,
    pub uppercase: bool,
    pub lowercase: bool,
    pub numbers: bool,
    pub punctuation: bool,
    pub space: bool,
    /// Whether each of the types must be in it. A space may be missing all the same.
    pub each_type: bool,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self {
            length: DEFAULT_LENGTH,
            excluded: String::new(),
            uppercase: true,
            lowercase: true,
            numbers: true,
            punctuation: true,
            space: false,
            each_type: true,
        }
    }
}

/// The characters that a password is made of, and of which types it must have one.
struct Characters {
    all: Vec<u8>,
    required: Vec<Vec<u8>>,
}

/// Makes a password that fits the rules.
///
/// With AWS's types and lengths at least one in two thousand draws fits, also where `excluded` leaves
/// one character of a type: four characters of 32, 1, 1 and 1 with a space between them.
pub fn random_password(
    rules: &PasswordRules,
    random: &dyn Random,
) -> Result<SecretText, SecretError> {
    let Characters { all, required } = rules.characters()?;
    let mut letters = Letters { alphabet: &all, random, bytes: Zeroizing::new(Vec::new()) };
    // As long as it will be from the start: one that grew would leave its beginning behind.
    let mut password = Zeroizing::new(String::with_capacity(rules.length));
    loop {
        password.clear();
        password.extend(letters.by_ref().take(rules.length));
        let has = |kind: &Vec<u8>| password.bytes().any(|letter| kind.contains(&letter));
        if required.iter().all(has) {
            return Ok(SecretText::new(std::mem::take(&mut *password)));
        }
    }
}

impl PasswordRules {
    fn characters(&self) -> Result<Characters, SecretError> {
        let refused = |text: &str| SecretError::InvalidParameter(text.into());
        let left = |kind: &str| -> Vec<u8> {
            kind.bytes().filter(|letter| !self.excluded.as_bytes().contains(letter)).collect()
        };
        let types = [
            (self.uppercase, UPPERCASE),
            (self.lowercase, LOWERCASE),
            (self.numbers, NUMBERS),
            (self.punctuation, PUNCTUATION),
        ];
        let types: Vec<Vec<u8>> =
            types.iter().filter(|(is, _)| *is).map(|(_, kind)| left(kind)).collect();
        let mut all = types.concat();
        if self.space {
            all.extend(left(SPACE));
        }
        if all.is_empty() {
            return Err(refused("All characters have been excluded from selection."));
        }
        let required = if self.each_type { types } else { Vec::new() };
        if required.iter().any(Vec::is_empty) {
            return Err(refused("All characters of the desired type have been excluded."));
        }
        if self.length < required.len().max(1) {
            return Err(refused("Password length is too short based on the required types."));
        }
        Ok(Characters { all, required })
    }
}

/// Characters drawn evenly from an alphabet of at most 256, without end.
struct Letters<'a> {
    alphabet: &'a [u8],
    random: &'a dyn Random,
    bytes: Zeroizing<Vec<u8>>,
}

impl Iterator for Letters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        // A byte beyond the last whole multiple of the alphabet's size would favour its beginning.
        let size = self.alphabet.len().max(1);
        let limit = 256 - 256 % size;
        loop {
            let Some(byte) = self.bytes.pop() else {
                self.bytes.resize(BATCH, 0);
                self.random.fill(&mut self.bytes);
                continue;
            };
            if usize::from(byte) < limit {
                return self
                    .alphabet
                    .get(usize::from(byte) % size)
                    .map(|letter| char::from(*letter));
            }
        }
    }
}

impl fmt::Debug for Letters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letters(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use std::collections::{BTreeMap, BTreeSet};

    fn made(rules: &PasswordRules, random: &dyn Random) -> String {
        random_password(rules, random).unwrap().expose().to_owned()
    }

    fn refusal(rules: &PasswordRules) -> String {
        match random_password(rules, &SeededRandom::new(1)) {
            Err(SecretError::InvalidParameter(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Pearson's statistic of how far these counts are from being even.
    fn chi_square(counts: impl Iterator<Item = usize>, expected: f64) -> f64 {
        counts.map(|count| (count as f64 - expected).powi(2) / expected).sum()
    }

    #[test]
    fn the_alphabet_is_exactly_what_was_asked_for() {
        let aws = PasswordRules::default();
        let all = [UPPERCASE, LOWERCASE, NUMBERS, PUNCTUATION].concat();
        assert_eq!(all.len(), 94);
        let cases = [
            (aws.clone(), all.clone()),
            (PasswordRules { space: true, ..aws.clone() }, all.clone() + " "),
            (PasswordRules { uppercase: false, ..aws.clone() }, all.replace(UPPERCASE, "")),
            (PasswordRules { lowercase: false, ..aws.clone() }, all.replace(LOWERCASE, "")),
            (PasswordRules { numbers: false, ..aws.clone() }, all.replace(NUMBERS, "")),
            (PasswordRules { punctuation: false, ..aws.clone() }, all.replace(PUNCTUATION, "")),
            (
                PasswordRules { excluded: "aA0\\\"é ".into(), space: true, ..aws.clone() },
                all.replace(['a', 'A', '0', '\\', '"'], ""),
            ),
            // Without the demand for each type, one may be excluded altogether.
            (
                PasswordRules { excluded: NUMBERS.into(), each_type: false, ..aws.clone() },
                all.replace(NUMBERS, ""),
            ),
        ];
        for (rules, expected) in cases {
            let password = made(&PasswordRules { length: 4096, ..rules }, &SeededRandom::new(1));
            assert_eq!(password.len(), 4096);
            let seen: BTreeSet<char> = password.chars().collect();
            assert_eq!(seen, expected.chars().collect(), "{expected}");
        }
    }

    #[test]
    fn each_type_is_there_unless_that_is_not_asked_for() {
        let random = SeededRandom::new(2);
        let types = [UPPERCASE, LOWERCASE, NUMBERS, PUNCTUATION];
        let complete =
            |password: &str| types.iter().all(|kind| password.contains(|c| kind.contains(c)));
        let shortest = PasswordRules { length: 4, ..PasswordRules::default() };
        assert!((0..500).all(|_| complete(&made(&shortest, &random))));
        let free = PasswordRules { each_type: false, ..shortest };
        let share = (0..2000).filter(|_| complete(&made(&free, &random))).count();
        // 24 × 26 × 26 × 10 × 32 of 94^4.
        assert!((90..180).contains(&share), "{share}");
        // A space is never demanded.
        let rules = PasswordRules { length: 4, space: true, ..PasswordRules::default() };
        assert!((0..500).all(|_| complete(&made(&rules, &random))));
    }

    #[test]
    fn every_character_is_as_likely() {
        let random = SeededRandom::new(3);
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        let rules = PasswordRules { length: 4096, ..PasswordRules::default() };
        for _ in 0..50 {
            for letter in made(&rules, &random).chars() {
                *counts.entry(letter).or_default() += 1;
            }
        }
        let statistic = chi_square(counts.values().copied(), 50.0 * 4096.0 / 94.0);
        // 93 degrees of freedom: beyond it by chance once in a hundred thousand seeds. Bytes taken
        // modulo 94 without more ado give more than 20 000.
        assert!(counts.len() == 94 && statistic < 160.0, "{statistic}");
    }

    #[test]
    fn every_password_that_fits_is_as_likely() {
        // Two capitals, one small letter and one digit.
        let rules = PasswordRules {
            length: 5,
            excluded: [&UPPERCASE[2..], &LOWERCASE[1..], &NUMBERS[1..]].concat(),
            punctuation: false,
            ..PasswordRules::default()
        };
        let mut all: BTreeMap<String, usize> = BTreeMap::new();
        for n in 0..4_usize.pow(5) {
            let word: String =
                (0..5).map(|i| char::from(b"ABa0"[n / 4_usize.pow(i) % 4])).collect();
            if word.contains(['A', 'B']) && word.contains('a') && word.contains('0') {
                all.insert(word, 0);
            }
        }
        let random = SeededRandom::new(4);
        let (each, words) = (100, all.len());
        for _ in 0..each * words {
            *all.get_mut(&made(&rules, &random)).expect("a password that fits") += 1;
        }
        let statistic = chi_square(all.values().copied(), each as f64);
        // About 500 degrees of freedom, of standard deviation 32. Had one of each type been put in
        // first, it would be above 2000.
        assert!(
            (words as f64 - 160.0..words as f64 + 160.0).contains(&statistic),
            "{statistic} of {words}"
        );
    }

    #[test]
    fn what_no_password_can_fit_is_refused() {
        let aws = PasswordRules::default();
        let (short, none, kind) = (
            "Password length is too short based on the required types.",
            "All characters have been excluded from selection.",
            "All characters of the desired type have been excluded.",
        );
        let nothing = PasswordRules {
            uppercase: false,
            lowercase: false,
            numbers: false,
            punctuation: false,
            ..aws.clone()
        };
        let everything = [UPPERCASE, LOWERCASE, NUMBERS, PUNCTUATION, SPACE].concat();
        for (rules, expected) in [
            (PasswordRules { length: 3, ..aws.clone() }, short),
            (PasswordRules { length: 0, each_type: false, ..aws.clone() }, short),
            (nothing.clone(), none),
            (PasswordRules { excluded: everything.clone(), ..aws.clone() }, none),
            (
                PasswordRules {
                    excluded: everything,
                    space: true,
                    each_type: false,
                    ..aws.clone()
                },
                none,
            ),
            (PasswordRules { excluded: NUMBERS.into(), ..aws.clone() }, kind),
        ] {
            assert_eq!(refusal(&rules), expected, "{rules:?}");
        }
        // Three types do with three characters, none with one; spaces alone are a password.
        let three = PasswordRules { length: 3, numbers: false, ..aws.clone() };
        assert_eq!(made(&three, &SeededRandom::new(1)).len(), 3);
        let one = PasswordRules { length: 1, each_type: false, ..aws };
        assert_eq!(made(&one, &SeededRandom::new(1)).len(), 1);
        let spaces = PasswordRules { length: 3, space: true, ..nothing };
        assert_eq!(made(&spaces, &SeededRandom::new(1)), "   ");
    }

    #[test]
    fn the_rarest_password_is_found() {
        // One character of each of three types, in four places.
        let rules = PasswordRules {
            length: 4,
            excluded: [&UPPERCASE[1..], &LOWERCASE[1..], &NUMBERS[1..]].concat(),
            space: true,
            ..PasswordRules::default()
        };
        let random = SeededRandom::new(5);
        for _ in 0..20 {
            let password = made(&rules, &random);
            assert!(["A", "a", "0"].iter().all(|letter| password.contains(letter)), "{password}");
        }
    }

    #[test]
    fn nothing_prints_what_was_drawn() {
        let random = SeededRandom::new(6);
        let letters = Letters { alphabet: b"ab", random: &random, bytes: Zeroizing::new(vec![1]) };
        assert_eq!(format!("{letters:?}"), "Letters(..)");
        let password = random_password(&PasswordRules::default(), &random).unwrap();
        assert_eq!(format!("{password:?}"), "SecretText(..)");
    }
}
