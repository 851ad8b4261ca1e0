//! The sum over all rows, which every start compares with what the store says of itself. It reads the whole
//! file: on all processors, each part of the rows by one of them.
use super::backend::{Digest, Mark, StoreError};
use super::engine::{guarded, split};
use redb::{Error, ReadOnlyTable};
use std::num::NonZero;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(super) type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The sum of all rows' marks, and how many rows there are.
pub(super) fn sum(rows: &Rows, mark: &Mark) -> Result<(Digest, u64), StoreError> {
    let cuts = guarded(|| cuts(rows))?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sum = (Digest::default(), 0);
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part > cuts.len() {
                return Ok(sum);
            }
            let to = cuts.get(part).map_or(Bound::Unbounded, |cut| Bound::Excluded(&cut[..]));
            let from = part.checked_sub(1).and_then(|part| cuts.get(part));
            let from = from.map_or(Bound::Unbounded, |cut| Bound::Included(&cut[..]));
            let done = guarded(|| add(rows, (from, to), mark, &mut sum));
            // The others need not go on.
            done.inspect_err(|_| next.store(cuts.len() + 1, Ordering::Relaxed))?;
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(cuts.len() + 1);
    thread::scope(|scope| {
        // One that cannot be started leaves its work to the others.
        let spawn =
            |_| thread::Builder::new().name("store-sum".into()).spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..threads).filter_map(spawn).collect();
        let mut all = work();
        for other in others {
            let died = |_| Err(StoreError::Unavailable("a thread died over the rows".into()));
            let other = other.join().unwrap_or_else(died);
            all = all.and_then(|(sum, rows)| {
                other.map(|(digest, more)| {
                    let mut sum = sum;
                    sum += digest;
                    (sum, rows + more)
                })
            });
        }
        all
    })
}

/// Adds the rows of one part. Each is looked up by its key as well: damage above the rows can leave a walk whole
/// and still lead a lookup astray.
fn add(
    rows: &Rows,
    part: (Bound<&[u8]>, Bound<&[u8]>),
    mark: &Mark,
    (sum, count): &mut (Digest, u64),
) -> Result<(), Error> {
    let mut last = Vec::new();
    for row in rows.range::<&[u8]>(part)? {
        let (key, row) = row?;
        let key = key.value();
        // An engine that walks in circles over a damaged file must not hold us for ever. No key is empty.
        if *key <= *last {
            return Err(Error::Corrupted("rows are out of order".into()));
        }
        if rows.get(key)?.is_none_or(|reached| reached.value() != row.value()) {
            return Err(Error::Corrupted("a row cannot be found by its key".into()));
        }
        *sum += mark(key, split(row.value())?.0);
        *count += 1;
        last.clear();
        last.extend_from_slice(key);
    }
    Ok(())
}

/// Where to cut the rows into parts: before every table, and in a table wherever the first byte changes in which
/// its keys differ. Any cuts would do; these make parts of about a size without knowing anything of the keys.
fn cuts(rows: &Rows) -> Result<Vec<Vec<u8>>, Error> {
    let (mut cuts, mut from) = (Vec::new(), Vec::new());
    while let Some(first) = rows.range::<&[u8]>(&from[..]..)?.next() {
        let first = first?.0.value().to_vec();
        if first < from {
            return Err(Error::Corrupted("rows are out of order".into()));
        }
        // What has no table is the last part.
        let Some(name) = first.iter().position(|byte| *byte == 0) else { return Ok(cuts) };
        let end = [first.get(..name).unwrap_or_default(), &[1]].concat();
        let last = rows.range::<&[u8]>(&first[..]..&end[..])?.next_back();
        let last =
            last.transpose()?.map_or_else(|| first.clone(), |(last, _)| last.value().to_vec());
        let same = first.iter().zip(&last).take_while(|(one, other)| one == other).count();
        cuts.push(first.clone());
        if let (Some(low), Some(high)) = (first.get(same), last.get(same)) {
            let prefix = last.get(..same).unwrap_or_default();
            cuts.extend((*low..*high).map(|byte| [prefix, &[byte + 1]].concat()));
        }
        from = end;
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use super::super::suite::{commit, print};
    use super::super::{Backend, Embedded, Revision};
    use super::*;
    use std::sync::Arc;

    fn cuts_of(store: &Embedded) -> Vec<String> {
        let (rows, _) = store.snapshot().unwrap();
        let text = |cut: Vec<u8>| String::from_utf8(cut).unwrap().replace('\0', "/");
        cuts(&rows).unwrap().into_iter().map(text).collect()
    }

    #[tokio::test]
    async fn parts_are_of_tables_and_of_what_their_keys_begin_with() {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(dir.path()).unwrap();
        assert!(cuts_of(&store).is_empty());
        let sum = store.sum(Arc::new(print)).await.unwrap();
        assert_eq!((sum.digest, sum.rows), (Digest::default(), 0));

        let keys = [
            "alias\0one",
            "key\0a-1",
            "key\0a-2",
            "key\0a-5",
            "key-of\0x",
            "key-of\0xy",
            "none",
            "nor this",
        ];
        let read: Vec<_> = keys.map(|key| (key, 0)).to_vec();
        let write: Vec<_> = keys.map(|key| (key, Some("v"))).to_vec();
        store.commit(commit(7, &read, &write)).await.unwrap();
        let expected =
            ["alias/one", "key/a-1", "key/a-2", "key/a-3", "key/a-4", "key/a-5", "key-of/x"];
        assert_eq!(cuts_of(&store), expected);
        let sum = store.sum(Arc::new(print)).await.unwrap();
        let mut all = Digest::default();
        keys.iter().for_each(|key| all += print(key.as_bytes(), Revision(7)));
        assert_eq!((sum.digest, sum.rows), (all, 8));
    }
}
