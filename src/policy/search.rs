//! Where a part of a pattern fits a text, in bounded time: looking for the tokens between two `*`
//! takes at most as many steps as the text has bytes for each of these tokens, however long their
//! literals are and however often they nearly fit.

use super::condition_keys::Conditions;
use super::pattern::Case;
use super::template::Token;

/// A text to be compared, with what decides how.
pub(super) struct Text<'t> {
    bytes: &'t [u8],
    request: &'t Conditions<'t>,
    case: Case,
    chars: Option<Chars>,
}

/// Where the characters of a text start. `?` is a character and not a byte, and a step over many of
/// them must not look at each.
struct Chars {
    /// Of each character, and the text's end.
    starts: Vec<usize>,
    /// Of each byte, the number of its character.
    numbers: Vec<usize>,
}

/// A token with its value.
enum Piece<'p> {
    Literal(&'p [u8]),
    Skip(usize),
}

enum Sought<'p> {
    Literal(Finder<'p>),
    Skip(usize),
}

impl<'t> Text<'t> {
    /// `skips`: whether the pattern has a `?`.
    pub fn new(text: &'t str, request: &'t Conditions<'t>, case: Case, skips: bool) -> Text<'t> {
        let chars = (skips && !text.is_ascii()).then(|| Chars::of(text));
        Text { bytes: text.as_bytes(), request, case, chars }
    }

    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    /// Where the text goes on behind these tokens, if they fit its beginning.
    pub fn prefix(&self, tokens: &[Token]) -> Option<usize> {
        tokens.iter().try_fold(0, |at, token| match self.piece(token)? {
            Piece::Skip(n) => self.forward(at, n),
            Piece::Literal(literal) => {
                let end = at + literal.len();
                self.is(at, end, literal).then_some(end)
            }
        })
    }

    /// Where these tokens begin, if they fit the text's end.
    pub fn suffix(&self, tokens: &[Token]) -> Option<usize> {
        tokens.iter().rev().try_fold(self.end(), |end, token| match self.piece(token)? {
            Piece::Skip(n) => self.back(end, n),
            Piece::Literal(literal) => {
                let at = end.checked_sub(literal.len())?;
                self.is(at, end, literal).then_some(at)
            }
        })
    }

    /// Where the text goes on behind the first place, from here on, that these tokens fit. Each
    /// literal is looked for on its own; one that is further away than the others takes all along.
    pub fn find(&self, tokens: &[Token], from: usize) -> Option<usize> {
        let mut pieces = self.sought(tokens, from)?;
        let mut start = from;
        'places: loop {
            let mut at = start;
            for piece in &mut pieces {
                steps::count(1);
                match piece {
                    // What is too long here is too long everywhere behind.
                    Sought::Skip(n) => at = self.forward(at, *n)?,
                    Sought::Literal(finder) => {
                        let found = finder.find(self.bytes, at)?;
                        if found > at {
                            start = self.forward(start, self.distance(at, found)?)?;
                            continue 'places;
                        }
                        at += finder.literal.len();
                    }
                }
            }
            return Some(at);
        }
    }

    /// None if the rest of the text is too short for them.
    fn sought<'p>(&'p self, tokens: &'p [Token], from: usize) -> Option<Vec<Sought<'p>>> {
        let mut room = self.end().checked_sub(from)?;
        let mut all = Vec::with_capacity(tokens.len());
        for token in tokens {
            let piece = self.piece(token)?;
            room = room.checked_sub(match piece {
                Piece::Literal(literal) => literal.len(),
                Piece::Skip(n) => n,
            })?;
            all.push(match piece {
                Piece::Literal(literal) => Sought::Literal(Finder::new(literal, self.case)),
                Piece::Skip(n) => Sought::Skip(n),
            });
        }
        Some(all)
    }

    fn piece<'p>(&'p self, token: &'p Token) -> Option<Piece<'p>> {
        match token {
            Token::Literal(literal) => Some(Piece::Literal(literal.as_bytes())),
            Token::Variable(variable) => {
                variable.value(self.request).map(|value| Piece::Literal(value.as_bytes()))
            }
            Token::Skip(n) => Some(Piece::Skip(*n)),
            Token::Star => None,
        }
    }

    fn is(&self, at: usize, end: usize, literal: &[u8]) -> bool {
        steps::count(literal.len());
        self.bytes.get(at..end).is_some_and(|here| self.case.same(here, literal))
    }

    /// So many characters further.
    fn forward(&self, at: usize, n: usize) -> Option<usize> {
        match &self.chars {
            None => at.checked_add(n).filter(|there| *there <= self.end()),
            Some(chars) => chars.starts.get(chars.numbers.get(at)?.checked_add(n)?).copied(),
        }
    }

    fn back(&self, at: usize, n: usize) -> Option<usize> {
        match &self.chars {
            None => at.checked_sub(n),
            Some(chars) => chars.starts.get(chars.numbers.get(at)?.checked_sub(n)?).copied(),
        }
    }

    /// The characters from one place to a later one.
    fn distance(&self, from: usize, to: usize) -> Option<usize> {
        match &self.chars {
            None => to.checked_sub(from),
            Some(chars) => chars.numbers.get(to)?.checked_sub(*chars.numbers.get(from)?),
        }
    }
}

impl Chars {
    fn of(text: &str) -> Chars {
        steps::count(text.len());
        let (mut starts, mut numbers) = (Vec::new(), Vec::with_capacity(text.len() + 1));
        for (number, (start, char)) in text.char_indices().enumerate() {
            starts.push(start);
            numbers.extend(std::iter::repeat_n(number, char.len_utf8()));
        }
        numbers.push(starts.len());
        starts.push(text.len());
        Chars { starts, numbers }
    }
}

/// Looks for a literal at later and later places, without ever going back in the text (Knuth, Morris
/// and Pratt, "Fast pattern matching in strings").
struct Finder<'p> {
    literal: &'p [u8],
    case: Case,
    /// For each beginning of the literal: how much of its end is a shorter beginning too.
    borders: Vec<usize>,
    /// How much of the text was read.
    read: usize,
    /// How much of the literal ends there.
    held: usize,
}

impl<'p> Finder<'p> {
    fn new(literal: &'p [u8], case: Case) -> Finder<'p> {
        let borders = Vec::with_capacity(literal.len());
        let mut finder = Finder { literal, case, borders, read: 0, held: 0 };
        for (at, byte) in literal.iter().enumerate() {
            finder.held = if at == 0 { 0 } else { finder.extended(*byte) };
            finder.borders.push(finder.held);
        }
        finder.held = 0;
        finder
    }

    /// The first place from here on. `from` never decreases.
    fn find(&mut self, text: &[u8], from: usize) -> Option<usize> {
        if self.read < from {
            (self.read, self.held) = (from, 0);
        }
        while self.held < self.literal.len() || self.read < from + self.literal.len() {
            let byte = *text.get(self.read)?;
            self.held = self.extended(byte);
            self.read += 1;
        }
        self.read.checked_sub(self.literal.len())
    }

    /// How much of the literal ends with this byte, if `held` of it ended before.
    fn extended(&self, byte: u8) -> usize {
        let mut held = self.held;
        loop {
            steps::count(1);
            if self.literal.get(held).is_some_and(|next| self.same(*next, byte)) {
                return held + 1;
            }
            let Some(shorter) = held.checked_sub(1) else { return 0 };
            held = self.borders.get(shorter).copied().unwrap_or_default();
        }
    }

    fn same(&self, one: u8, other: u8) -> bool {
        match self.case {
            Case::Sensitive => one == other,
            Case::Insensitive => one.eq_ignore_ascii_case(&other),
        }
    }
}

#[cfg(not(test))]
mod steps {
    pub fn count(_: usize) {}
}

/// What comparing takes, for the tests that it is bounded.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub fn count(n: usize) {
        STEPS.set(STEPS.get() + n);
    }

    /// Those of this thread since it was last asked.
    pub fn taken() -> usize {
        STEPS.take()
    }
}
