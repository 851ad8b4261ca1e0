//! Matching texts against compiled patterns: without recursion, and in at most as many steps as the
//! text has bytes for each wildcard and variable.

use super::condition_keys::Conditions;
use super::error::PolicyError;
use super::search::Text;
use super::template::{Syntax, Token, components, tokens};
use smallvec::SmallVec;

/// What a text may have of wildcards and variables; `?` side by side count as one. No policy in use
/// has a tenth of it, and it bounds what a comparison with a long text takes.
const MAX_WILDCARDS: usize = 256;

/// Whether letters are compared with their case. Without it, ASCII letters only are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Insensitive,
}

impl Case {
    /// Whether two texts are the same.
    pub(super) fn same(self, one: &[u8], other: &[u8]) -> bool {
        match self {
            Case::Sensitive => one == other,
            Case::Insensitive => one.eq_ignore_ascii_case(other),
        }
    }
}

/// A text with wildcards and variables, ready to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Most have one, and it is read for every statement that concerns a caller.
    tokens: SmallVec<[Token; 1]>,
    variables: bool,
    skips: bool,
}

impl Pattern {
    pub fn compile(text: &str, syntax: Syntax) -> Result<Pattern, PolicyError> {
        let tokens = tokens(text, syntax)?;
        let open = tokens.iter().filter(|token| !matches!(token, Token::Literal(_)));
        if open.count() > MAX_WILDCARDS {
            let what = "wildcards and variables in one text";
            return Err(PolicyError::TooMany { what, limit: MAX_WILDCARDS });
        }
        let variables = tokens.iter().any(|token| matches!(token, Token::Variable(_)));
        let skips = tokens.iter().any(|token| matches!(token, Token::Skip(_)));
        Ok(Pattern { tokens: tokens.into(), variables, skips })
    }

    /// Whether every variable has a value. A pattern with one that has none matches nothing.
    pub fn resolves(&self, request: &Conditions<'_>) -> bool {
        !self.variables
            || self.tokens.iter().all(|token| match token {
                Token::Variable(variable) => variable.value(request).is_some(),
                _ => true,
            })
    }

    /// The only text that it matches, if there is only one whatever is asked.
    pub(super) fn literal(&self) -> Option<&str> {
        match &*self.tokens {
            [Token::Literal(literal)] => Some(literal),
            _ => None,
        }
    }

    /// The keys of its variables, as the policy writes them.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Variable(variable) => Some(variable.written()),
            _ => None,
        })
    }

    /// The parts between the `*` are looked for one after the other, each at the first place it fits:
    /// a later one could not do better.
    pub fn matches(&self, text: &str, request: &Conditions<'_>, case: Case) -> bool {
        // Most patterns are a plain text or `*`, and a caller may have a thousand statements.
        match &*self.tokens {
            [Token::Star] => return true,
            [Token::Literal(literal)] => return case.same(text.as_bytes(), literal.as_bytes()),
            _ => {}
        }
        if !self.resolves(request) {
            return false;
        }
        let text = Text::new(text, request, case, self.skips);
        let mut parts = self.tokens.split(|token| matches!(token, Token::Star));
        let Some(at) = text.prefix(parts.next().unwrap_or_default()) else { return false };
        let Some(last) = parts.next_back() else { return at == text.end() };
        let behind = parts.try_fold(at, |at, part| text.find(part, at));
        behind.is_some_and(|at| text.suffix(last).is_some_and(|begin| at <= begin))
    }
}

/// An ARN pattern: "each of the six colon-delimited components of the ARN is checked separately" (IAM
/// User Guide, "ARN condition operators"). The sixth takes the rest, colons included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArnPattern {
    /// `*` alone.
    Any,
    Components(Box<[Pattern]>),
    /// A pattern that becomes an ARN only when its variables are filled in, as `${aws:PrincipalArn}`.
    Whole(Pattern),
}

impl ArnPattern {
    /// `None` for what can never be an ARN.
    pub fn compile(text: &str, syntax: Syntax) -> Result<Option<ArnPattern>, PolicyError> {
        if text == "*" {
            return Ok(Some(ArnPattern::Any));
        }
        let parts = components(text, syntax)?;
        if parts.len() == 6 {
            let parts = parts.into_iter().map(|part| Pattern::compile(part, syntax));
            return Ok(Some(ArnPattern::Components(parts.collect::<Result<_, _>>()?)));
        }
        let whole = Pattern::compile(text, syntax)?;
        Ok(whole.variables.then_some(ArnPattern::Whole(whole)))
    }

    /// The keys of its variables, as the policy writes them.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            ArnPattern::Any => &[],
            ArnPattern::Components(parts) => &**parts,
            ArnPattern::Whole(pattern) => std::slice::from_ref(pattern),
        };
        parts.iter().flat_map(Pattern::variables)
    }

    pub fn matches(&self, arn: &str, request: &Conditions<'_>) -> bool {
        match self {
            ArnPattern::Any => true,
            ArnPattern::Whole(pattern) => pattern.matches(arn, request, Case::Sensitive),
            ArnPattern::Components(patterns) => {
                let mut parts = arn.splitn(6, ':');
                patterns.iter().all(|pattern| {
                    parts.next().is_some_and(|part| pattern.matches(part, request, Case::Sensitive))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern, ALL).unwrap().matches(text, &Conditions::new(), Case::Sensitive)
    }

    #[test]
    fn wildcards_beside_their_nearest_misses() {
        for (pattern, yes, no) in [
            ("abc", "abc", "abcd"),
            ("a*", "a", "ba"),
            ("*a", "bca", "ab"),
            ("a*c", "abbc", "abb"),
            ("a?c", "abc", "ac"),
            ("a?c", "aäc", "abbc"),
            ("*??", "äöü", "ä"),
            ("*??", "€€", "€"),
            ("a*b*c", "aXbYbZc", "aXcYb"),
            ("*ab", "aab", "aba"),
            ("", "", "a"),
            ("*aab*", "aaab", "abab"),
            ("ABC", "ABC", "abc"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn case_is_ignored_in_ascii_only() {
        let pattern = Pattern::compile("kms:D*ä", ALL).unwrap();
        let no_case = |text| pattern.matches(text, &Conditions::new(), Case::Insensitive);
        assert!(no_case("KMS:decryptä"));
        assert!(!no_case("KMS:decryptÄ"));
    }

    #[test]
    fn substituted_text_is_literal() {
        let mut request = Conditions::new();
        request.set("aws:username", "*");
        let pattern = Pattern::compile("a/${aws:username}/?*", ALL).unwrap();
        assert!(pattern.matches("a/*/x", &request, Case::Sensitive));
        assert!(!pattern.matches("a/b/x", &request, Case::Sensitive));
    }

    #[test]
    fn a_variable_without_a_value_matches_nothing() {
        let request = Conditions::new();
        let pattern = Pattern::compile("*${aws:username}*", ALL).unwrap();
        assert!(!pattern.resolves(&request));
        assert!(!pattern.matches("", &request, Case::Sensitive));
        assert!(!pattern.matches("${aws:username}", &request, Case::Sensitive));
        let pattern = Pattern::compile("${aws:username, 'me'}*", ALL).unwrap();
        assert!(pattern.matches("me too", &request, Case::Sensitive));
        let mut request = Conditions::new();
        request.set_list("aws:username", ["you", "they"]);
        assert!(!pattern.matches("you", &request, Case::Sensitive), "several values are none");
    }

    #[test]
    fn many_stars_end() {
        // With backtracking over every star this would outlive the universe.
        let pattern = "a*".repeat(100) + "b" + &"?*".repeat(100);
        assert!(!matches(&pattern, &"a".repeat(2048)));
        assert!(!matches(&("*".to_owned() + &"a?".repeat(100) + "b"), &"a".repeat(2048)));
    }

    #[test]
    fn wildcards_of_an_arn_stay_in_their_component() {
        let like = |pattern: &str, arn: &str| {
            let pattern = ArnPattern::compile(pattern, ALL).unwrap();
            pattern.is_some_and(|pattern| pattern.matches(arn, &Conditions::new()))
        };
        let arn = "arn:aws:sns:eu-west-1:111122223333:topic:sub";
        assert!(like("arn:aws:sns:*:111122223333:*", arn));
        assert!(like("arn:aws:sns:*:*:topic:s?b", arn));
        assert!(!like("arn:aws:*:111122223333:topic:sub", arn), "one component short");
        assert!(!like("arn:aws:sns:*", arn), "four components are no ARN");
        assert!(like("*", arn));
        assert!(!like("arn:*:*:*:*:*", "arn:aws:sns"));
        assert!(!like("arn:aws:sns:*:111122223333:t*", "arn:aws:sns:x:y:111122223333:topic"));
    }

    #[test]
    fn a_variable_may_hold_a_whole_arn() {
        let mut request = Conditions::new();
        request.set("aws:PrincipalArn", "arn:aws:iam::111122223333:user/*");
        let pattern = ArnPattern::compile("${aws:PrincipalArn}", ALL).unwrap().unwrap();
        assert!(pattern.matches("arn:aws:iam::111122223333:user/*", &request));
        assert!(!pattern.matches("arn:aws:iam::111122223333:user/a", &request));
    }
}
