//! Typed records: where a kind of record lives and how its key looks.
use super::StoreError;
use crate::seal::Table;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// A kind of record. Its key is a list of parts, the leading ones being what it is listed by.
pub trait Record: Serialize + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static {
    /// The table's name: part of every row's key and of its associated data.
    const TABLE: Table;
    /// Whether decoded records may stay in memory after the call that read them.
    const CACHED: bool = true;
    /// Whether a written row is read back, opened and compared before its commit is acknowledged:
    /// for what cannot be made again, such as key material.
    const READ_BACK: bool = false;
    /// Whether of several calls that miss it at once one opens it, and the others wait for that: for keys. Not
    /// for what is often not there, which nobody can remember.
    const OPENED_ONCE: bool = false;
}

/// `table NUL part NUL part …`. No part may hold a NUL, so no two lists of parts give one key, and
/// a prefix of parts is a prefix of the key.
pub fn row_key(table: Table, parts: &[&str]) -> Result<Bytes, StoreError> {
    let table = table.name();
    let size = table.len() + parts.iter().map(|p| p.len() + 1).sum::<usize>();
    let mut key = Vec::with_capacity(size);
    key.extend_from_slice(table.as_bytes());
    for part in parts {
        if part.as_bytes().contains(&0) {
            return Err(StoreError::Corrupt("a key part holds a NUL".into()));
        }
        key.push(0);
        key.extend_from_slice(part.as_bytes());
    }
    Ok(key.into())
}

/// Every key that begins with these parts and has more.
pub(super) fn under(table: Table, parts: &[&str]) -> Result<std::ops::Range<Bytes>, StoreError> {
    let prefix = row_key(table, parts)?;
    let bound = |last: u8| [&prefix[..], &[last]].concat().into();
    Ok(bound(0)..bound(1))
}

/// The table and the parts of a key.
pub(super) fn parts(key: &[u8]) -> impl Iterator<Item = &str> {
    key.split(|b| *b == 0).map(|part| std::str::from_utf8(part).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Table = Table::new("t");

    #[test]
    fn keys_are_unambiguous() {
        assert_ne!(row_key(T, &["a", "bc"]).unwrap(), row_key(T, &["ab", "c"]).unwrap());
        assert!(row_key(T, &["a\0b"]).is_err());
        let range = under(T, &["a"]).unwrap();
        assert!(range.contains(&row_key(T, &["a", ""]).unwrap()));
        assert!(range.contains(&row_key(T, &["a", "\u{10ffff}"]).unwrap()));
        assert!(!range.contains(&row_key(T, &["ab", "x"]).unwrap()));
        assert!(!range.contains(&row_key(T, &["a"]).unwrap()));
        assert_eq!(parts(&row_key(T, &["a", "b"]).unwrap()).collect::<Vec<_>>(), ["t", "a", "b"]);
    }
}
