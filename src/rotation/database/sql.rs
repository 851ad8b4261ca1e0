//! Names and texts in SQL, so that they stay names and texts whatever they hold; and the one thing of
//! a database's own SQL that is read and said again: MySQL's grants.
use std::collections::BTreeSet;

/// A name as PostgreSQL reads it.
pub(super) fn postgres_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text for PostgreSQL. Has no need of `standard_conforming_strings`.
pub(super) fn postgres_text(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    match doubled.contains('\\') {
        true => format!("E'{}'", doubled.replace('\\', "\\\\")),
        false => format!("'{doubled}'"),
    }
}

/// A text for MySQL or MariaDB in a session with `NO_BACKSLASH_ESCAPES`, as ours are.
pub(super) fn mysql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An account of MySQL or MariaDB: a name alone is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub user: String,
    pub host: String,
}

impl Account {
    /// What `CURRENT_USER()` says. A host has no `@`, a name may.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, host) = text.rsplit_once('@')?;
        Some(Self { user: user.to_owned(), host: host.to_owned() })
    }

    pub fn sql(&self) -> String {
        format!("{}@{}", mysql_text(&self.user), mysql_text(&self.host))
    }
}

/// One word of a statement that a database wrote.
#[derive(Debug, PartialEq, Eq)]
struct Word<'a> {
    at: usize,
    text: &'a str,
    /// What the quotes held; none if there were none.
    quoted: Option<String>,
}

impl Word<'_> {
    /// Whether it is this word, and no name.
    fn is(&self, word: &str) -> bool {
        self.quoted.is_none() && self.text == word
    }
}

/// A row of `SHOW GRANTS` that is not what this module knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUnderstood;

/// A row of `SHOW GRANTS FOR from`, said for another account. None if the row is about neither, such as
/// a role's. The passwords and limits that MariaDB shows beside the grants are left out.
pub(super) fn grant_for(
    row: &str,
    from: &Account,
    to: &Account,
) -> Result<Option<String>, NotUnderstood> {
    let grant = Grant::parse(row, from)?;
    Ok(grant.map(|Grant { head, before_account, options, .. }| {
        let options: String =
            options.iter().map(|option| format!(" WITH {option} OPTION")).collect();
        format!("{head}{before_account} {}{options}", to.sql())
    }))
}

/// A row of `SHOW GRANTS` that is about one account.
///
/// MariaDB writes the names of columns without quotes, and whoever may make a table chooses them. So a
/// row is taken only if it has the parts of a grant once each, in their order, and nothing after them.
struct Grant<'a> {
    /// All before the account, as it stands.
    head: &'a str,
    /// The same, but for the verb.
    words: Vec<Word<'a>>,
    verb: &'a str,
    before_account: &'static str,
    options: Vec<&'static str>,
}

impl<'a> Grant<'a> {
    fn parse(row: &'a str, account: &Account) -> Result<Option<Self>, NotUnderstood> {
        let mut words = words(row).ok_or(NotUnderstood)?;
        let verb = words.first().ok_or(NotUnderstood)?.text;
        let before_account = match verb {
            "GRANT" => "TO",
            "REVOKE" => "FROM",
            "SET" => "FOR",
            _ => return Err(NotUnderstood),
        };
        let places = |wanted: &str| -> Vec<usize> {
            words.iter().enumerate().filter(|(_, word)| word.is(wanted)).map(|(n, _)| n).collect()
        };
        let [place] = places(before_account)[..] else { return Err(NotUnderstood) };
        let ons = places("ON");
        if ons.len() > 1 || ons.iter().any(|on| *on > place) {
            return Err(NotUnderstood);
        }
        let rest = words.split_off(place);
        if !balanced(&words) {
            return Err(NotUnderstood);
        }
        let [before, user, at, host, options @ ..] = &rest[..] else { return Ok(None) };
        let (Some(user), "@", Some(host)) = (&user.quoted, at.text, &host.quoted) else {
            // A role's name stands alone.
            return Ok(None);
        };
        if *user != account.user || *host != account.host {
            return Ok(None);
        }
        let head = row.get(..before.at).ok_or(NotUnderstood)?;
        words.remove(0);
        let said = |option: &&str| {
            let wanted = ["WITH", *option, "OPTION"];
            options.windows(3).any(|three| three.iter().map(|word| word.text).eq(wanted))
        };
        let options = ["GRANT", "ADMIN"].into_iter().filter(said).collect();
        Ok(Some(Self { head, words, verb, before_account, options }))
    }
}

/// A privilege, the column that it is for, if any, and where. A role is had nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    name: String,
    column: Option<String>,
    place: String,
}

/// What an account of MySQL or MariaDB may do by itself and by its roles' names, and what it may not do
/// all the same: MySQL's partial revokes.
#[derive(Debug, Default)]
pub(super) struct Rights {
    granted: BTreeSet<Right>,
    revoked: BTreeSet<Right>,
}

impl Rights {
    /// Of the rows of `SHOW GRANTS` for this account.
    pub fn of(rows: &[String], account: &Account) -> Result<Self, NotUnderstood> {
        let mut rights = Self::default();
        for row in rows {
            let Some(grant) = Grant::parse(row, account)? else { continue };
            let set = match grant.verb {
                "GRANT" => &mut rights.granted,
                "REVOKE" => &mut rights.revoked,
                _ => continue,
            };
            let on = grant.words.iter().position(|word| word.is("ON"));
            let (what, place) = grant.words.split_at(on.unwrap_or(grant.words.len()));
            let place = joined(place, "");
            for (name, column) in privileges(what) {
                for option in &grant.options {
                    // A role's option is of this role only.
                    let of = if on.is_some() { "" } else { name.as_str() };
                    let name = format!("{of}{option} OPTION");
                    set.insert(Right { name, column: None, place: place.clone() });
                }
                set.insert(Right { name, column, place: place.clone() });
            }
        }
        Ok(rights)
    }

    /// Whether the other account may do all of it. Where that is not certain, it is not so.
    pub fn within(&self, other: &Self) -> bool {
        let has = |right: &Right| {
            // No other right stands for a role.
            if right.place.is_empty() {
                return other.granted.contains(right);
            }
            let everywhere = Right { place: "ON*.*".into(), ..right.clone() };
            [right, &everywhere].into_iter().any(|right| {
                let whole = Right { column: None, ..right.clone() };
                let all = Right { name: "ALL PRIVILEGES".into(), ..whole.clone() };
                let in_all = !right.name.ends_with("OPTION") && right.name != "PROXY";
                other.granted.contains(right)
                    || other.granted.contains(&whole)
                    || (in_all && other.granted.contains(&all))
            })
        };
        self.granted.iter().all(|right| right.name == "USAGE" || has(right))
            && other.revoked.is_subset(&self.revoked)
    }
}

/// `SELECT (a, b), SHOW VIEW`, one by one.
fn privileges(words: &[Word<'_>]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let commas = words.split(|word| {
        match word.quoted.is_none().then_some(word.text) {
            Some("(") => depth += 1,
            Some(")") => depth = depth.saturating_sub(1),
            Some(",") => return depth == 0,
            _ => {}
        }
        false
    });
    for privilege in commas {
        let name_ends = privilege.iter().position(|word| word.is("(")).unwrap_or(privilege.len());
        let (name, columns) = privilege.split_at(name_ends);
        let name = joined(name, if name.iter().any(|word| word.is("@")) { "" } else { " " });
        let columns: Vec<_> = columns.split(|word| word.is(",")).collect();
        for column in columns {
            let column: Vec<_> = column
                .iter()
                .map(|word| word.text)
                .filter(|text| !matches!(*text, "(" | ")"))
                .collect();
            let column = Some(column.join(" ")).filter(|column| !column.is_empty());
            found.push((name.clone(), column));
        }
    }
    found
}

fn joined(words: &[Word<'_>], between: &str) -> String {
    words.iter().map(|word| word.text).collect::<Vec<_>>().join(between)
}

/// The plugins by which `SHOW CREATE USER` says an account is identified; empty if by a password in the
/// ordinary way.
pub(super) fn plugins(row: &str) -> Option<Vec<String>> {
    let words = words(row)?;
    let mut found = Vec::new();
    for pair in words.windows(2) {
        if let [before, word] = pair
            && before.quoted.is_none()
            && matches!(before.text, "VIA" | "OR")
        {
            found.push(word.quoted.clone().unwrap_or_else(|| word.text.to_owned()));
        }
    }
    Some(found)
}

fn balanced(words: &[Word<'_>]) -> bool {
    let mut open = 0_u32;
    for word in words.iter().filter(|word| word.quoted.is_none()) {
        match word.text {
            "(" => open += 1,
            ")" if open == 0 => return false,
            ")" => open -= 1,
            _ => {}
        }
    }
    open == 0
}

/// The words of a statement. None if a quote is open at its end, or if there is a comment or a second
/// statement in it.
fn words(statement: &str) -> Option<Vec<Word<'_>>> {
    let mut found = Vec::new();
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let at = statement.len() - rest.len();
        let length = match first {
            ' ' => {
                rest = rest.get(1..)?;
                continue;
            }
            '`' | '\'' | '"' => quoted_length(rest, first)?,
            c if is_bare(c) => rest.find(|c| !is_bare(c)).unwrap_or(rest.len()),
            '(' | ')' | ',' | '.' | '*' | '@' | '%' => 1,
            _ => return None,
        };
        let (text, after) = rest.split_at_checked(length)?;
        let quoted = matches!(first, '`' | '\'' | '"').then(|| {
            let inner = text.get(1..text.len() - 1).unwrap_or_default();
            inner.replace(&format!("{first}{first}"), &first.to_string())
        });
        found.push(Word { at, text, quoted });
        rest = after;
    }
    Some(found)
}

fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// How long the quoted name at the beginning is, with its quotes. A doubled quote does not end it.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = from + text.get(from..)?.find(quote)? + 1;
        if !text.get(end..)?.starts_with(quote) {
            return Some(end);
        }
        from = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str) -> Account {
        Account { user: user.into(), host: "%".into() }
    }

    fn grant(row: &str) -> Result<Option<String>, NotUnderstood> {
        grant_for(row, &account("app"), &account("app_clone"))
    }

    #[test]
    fn names_and_texts_stay_what_they_are() {
        assert_eq!(postgres_name(r#"a"; DROP ROLE x; --"#), r#""a""; DROP ROLE x; --""#);
        assert_eq!(postgres_text("it's"), "'it''s'");
        assert_eq!(postgres_text(r"a\'b"), r"E'a\\''b'");
        assert_eq!(mysql_text(r"'\"), r"'''\'");
        let account = Account::parse("we@home@10.0.0.%").unwrap();
        assert_eq!(account.sql(), "'we@home'@'10.0.0.%'");
        assert_eq!(Account::parse("nobody"), None);
    }

    #[test]
    fn grants_are_said_for_the_other_account() {
        for (row, wanted) in [
            ("GRANT USAGE ON *.* TO `app`@`%`", "GRANT USAGE ON *.* TO 'app_clone'@'%'"),
            (
                "GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*0123' REQUIRE SSL \
                 WITH MAX_USER_CONNECTIONS 5",
                "GRANT USAGE ON *.* TO 'app_clone'@'%'",
            ),
            (
                "GRANT SELECT, INSERT ON `a``b TO ```.`c` TO 'app'@'%' WITH GRANT OPTION",
                "GRANT SELECT, INSERT ON `a``b TO ```.`c` TO 'app_clone'@'%' WITH GRANT OPTION",
            ),
            (
                "GRANT SELECT (id, name) ON `a`.`t` TO `app`@`%`",
                "GRANT SELECT (id, name) ON `a`.`t` TO 'app_clone'@'%'",
            ),
            ("GRANT `reader`@`%` TO `app`@`%`", "GRANT `reader`@`%` TO 'app_clone'@'%'"),
            (
                "GRANT `reader` TO `app`@`%` WITH ADMIN OPTION",
                "GRANT `reader` TO 'app_clone'@'%' WITH ADMIN OPTION",
            ),
            (
                "REVOKE SELECT ON `mysql`.* FROM `app`@`%`",
                "REVOKE SELECT ON `mysql`.* FROM 'app_clone'@'%'",
            ),
            (
                "SET DEFAULT ROLE `reader` FOR `app`@`%`",
                "SET DEFAULT ROLE `reader` FOR 'app_clone'@'%'",
            ),
        ] {
            assert_eq!(grant(row), Ok(Some(wanted.to_owned())), "{row}");
        }
        // What a role may is not said again: the clone gets the role.
        assert_eq!(grant("GRANT SELECT ON `a`.* TO `reader`"), Ok(None));
        assert_eq!(grant("GRANT SELECT ON `a`.* TO `other`@`%`"), Ok(None));
    }

    #[test]
    fn a_column_with_a_name_made_for_it_grants_nothing() {
        for column in [
            "a) ON *.* TO `app`@`%` -- ",
            "a) ON `mysql`.* TO `app`@`%` #",
            "a) ON `mysql`.* TO `app`@`%`; GRANT SELECT (a",
            "a) ON `mysql`.* TO `app`@`%` /*",
            "a) ON `mysql`.* TO `app`@`%` `",
            "a) ON *.* TO `app`@`%` WITH GRANT OPTION '",
            "a) TO `app`@`%` `",
            "a), DELETE",
            "a TO b",
            "a ON b",
            "`",
            "é\u{0}",
        ] {
            let row = format!("GRANT SELECT ({column}) ON `shop`.`t` TO `app`@`%`");
            assert_eq!(grant(&row), Err(NotUnderstood), "{row}");
        }
        for row in ["", "DROP USER `app`@`%`", "GRANT ALL ON *.*", "GRANT `x"] {
            assert_eq!(grant(row), Err(NotUnderstood), "{row}");
        }
    }

    #[test]
    fn who_may_do_more() {
        let rights = |grants: &[&str], to: &str| {
            let rows: Vec<String> =
                grants.iter().map(|grant| grant.replace("$", &format!("`{to}`@`%`"))).collect();
            Rights::of(&rows, &account(to)).unwrap()
        };
        let usage = "GRANT USAGE ON *.* TO $ IDENTIFIED BY PASSWORD '*01'";
        for (clone, app) in [
            (&[usage][..], &[usage][..]),
            (&[], &[usage]),
            (&["GRANT SELECT ON `s`.* TO $"], &["GRANT INSERT, SELECT ON `s`.* TO $"]),
            (&["GRANT SELECT (a, b) ON `s`.`t` TO $"], &["GRANT SELECT (b, c, a) ON `s`.`t` TO $"]),
            (&["GRANT SELECT (a) ON `s`.`t` TO $"], &["GRANT SELECT ON `s`.`t` TO $"]),
            (&["GRANT SHOW VIEW ON `s`.* TO $"], &["GRANT ALL PRIVILEGES ON `s`.* TO $"]),
            (&["GRANT SHOW VIEW ON `s`.* TO $"], &["GRANT ALL PRIVILEGES ON *.* TO $"]),
            (
                &["GRANT DROP ON `s`.* TO $ WITH GRANT OPTION"],
                &["GRANT DROP ON *.* TO $ WITH GRANT OPTION"],
            ),
            (&["GRANT `r` TO $", "SET DEFAULT ROLE `r` FOR $"], &["GRANT `r` TO $"]),
            (&["GRANT `r`@`%` TO $"], &["GRANT `q`@`%`, `r`@`%` TO $"]),
            (&["GRANT A ON *.* TO $", "REVOKE A ON `m`.* FROM $"], &["GRANT A ON *.* TO $"]),
        ] {
            assert!(rights(clone, "clone").within(&rights(app, "app")), "{clone:?} {app:?}");
        }
        for (clone, app) in [
            (&["GRANT SELECT ON `s`.* TO $"][..], &[usage][..]),
            (&["GRANT INSERT, SELECT ON `s`.* TO $"], &["GRANT SELECT ON `s`.* TO $"]),
            (&["GRANT SELECT ON `s`.* TO $"], &["GRANT SELECT ON `t`.* TO $"]),
            (&["GRANT SELECT ON `s`.`t` TO $"], &["GRANT SELECT (a) ON `s`.`t` TO $"]),
            (&["GRANT SELECT (b) ON `s`.`t` TO $"], &["GRANT SELECT (a) ON `s`.`t` TO $"]),
            (&["GRANT SELECT ON *.* TO $"], &["GRANT ALL PRIVILEGES ON `s`.* TO $"]),
            (&["GRANT DROP ON `s`.* TO $ WITH GRANT OPTION"], &["GRANT DROP ON `s`.* TO $"]),
            (
                &["GRANT DROP ON `s`.* TO $ WITH GRANT OPTION"],
                &["GRANT ALL PRIVILEGES ON *.* TO $"],
            ),
            (&["GRANT PROXY ON 'a'@'%' TO $"], &["GRANT ALL PRIVILEGES ON *.* TO $"]),
            (&["GRANT `r` TO $"], &["GRANT ALL PRIVILEGES ON *.* TO $"]),
            (&["GRANT `r` TO $"], &["GRANT `q` TO $"]),
            (&["GRANT `r` TO $ WITH ADMIN OPTION"], &["GRANT `r` TO $"]),
            (
                &["GRANT `r` TO $ WITH ADMIN OPTION"],
                &["GRANT `r` TO $", "GRANT `q` TO $ WITH ADMIN OPTION"],
            ),
            (&["GRANT A ON *.* TO $"], &["GRANT A ON *.* TO $", "REVOKE A ON `m`.* FROM $"]),
        ] {
            assert!(!rights(clone, "clone").within(&rights(app, "app")), "{clone:?} {app:?}");
        }
        let row = ["GRANT SELECT (a), DELETE) ON `s`.`t` TO `app`@`%`".to_owned()];
        assert!(matches!(Rights::of(&row, &account("app")), Err(NotUnderstood)));
    }

    #[test]
    fn how_an_account_is_identified() {
        let plugins = |row: &str| plugins(row).unwrap();
        assert!(plugins("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*01'").is_empty());
        let two = "CREATE USER `OR`@`%` IDENTIFIED VIA mysql_native_password USING '*01' OR \
                   unix_socket";
        assert_eq!(plugins(two), ["mysql_native_password", "unix_socket"]);
    }
}
