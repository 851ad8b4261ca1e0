//! What lies under the temporary name, and a store whose damage a backup would carry on.
use super::*;
use crate::store::{Export, SealedRow, StoreError};
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[tokio::test]
async fn one_process_writes_a_file() {
    let small = Small::new().await;
    let (file, partial) = (small.path("one.backup"), small.path("one.backup.partial"));
    let hold = File::create(&partial).unwrap();
    hold.lock().unwrap();
    let refused = small.back_up_to(&file, &Watch::default()).unwrap_err();
    assert!(matches!(refused, BackupError::Busy { .. }), "{refused}");
    assert!(partial.exists());
    drop(hold);
    small.check(&small.back_up("one.backup")).unwrap();
}

/// It may have been put there by somebody else, to be read by him, or as another name of a file of ours.
#[tokio::test]
async fn what_lies_there_is_neither_written_to_nor_followed() {
    let small = Small::new().await;
    let (file, partial) = (small.path("one.backup"), small.path("one.backup.partial"));
    let ours = small.path("ours");
    std::fs::write(&ours, vec![1; 1 << 20]).unwrap();
    std::fs::set_permissions(&ours, Permissions::from_mode(0o666)).unwrap();
    std::fs::hard_link(&ours, &partial).unwrap();
    small.check(&small.back_up("one.backup")).unwrap();
    assert_eq!(std::fs::read(&ours).unwrap(), vec![1; 1 << 20]);
    let made = file.metadata().unwrap();
    assert_eq!((made.permissions().mode() & 0o777, made.nlink()), (0o600, 1));

    std::fs::remove_file(&file).unwrap();
    let in_the_way = |make: &dyn Fn()| {
        make();
        let refused = small.back_up_to(&file, &Watch::default()).unwrap_err().to_string();
        assert!(refused.contains("one.backup.partial: is no file"), "{refused}");
        assert!(partial.symlink_metadata().is_ok() && !file.exists());
    };
    in_the_way(&|| std::os::unix::fs::symlink(&ours, &partial).unwrap());
    std::fs::remove_file(&partial).unwrap();
    in_the_way(&|| {
        let made = std::process::Command::new("mkfifo").arg(&partial).status().unwrap();
        assert!(made.success());
    });
    assert_eq!(std::fs::read(&ours).unwrap().len(), 1 << 20);
    // Where the name itself is taken.
    let dir = small.path("dir");
    std::fs::create_dir(&dir).unwrap();
    let refused = small.back_up_to(&dir, &Watch::default()).unwrap_err().to_string();
    assert!(refused.contains("is a directory: name the file"), "{refused}");
    std::os::unix::fs::symlink("nowhere", small.path("link")).unwrap();
    let refused = small.back_up_to(&small.path("link"), &Watch::default()).unwrap_err();
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
}

/// Rows on their way out of a store that is not as it was written.
#[derive(Debug)]
struct Damaged {
    rows: Box<dyn Export>,
    change: fn(&mut Vec<SealedRow>),
}

impl Export for Damaged {
    fn state(&self) -> Option<&Bytes> {
        self.rows.state()
    }

    fn next(&mut self, bytes: usize) -> Result<Vec<SealedRow>, StoreError> {
        let mut some = self.rows.next(bytes)?;
        if !some.is_empty() {
            (self.change)(&mut some);
        }
        Ok(some)
    }
}

/// It would take the place of the last good one.
#[tokio::test]
async fn of_a_damaged_store_there_is_no_backup() {
    let small = Small::new().await;
    let (file, watch) = (small.path("one.backup"), Watch::default());
    type Change = fn(&mut Vec<SealedRow>);
    let changes: [(&str, Change); 3] = [
        ("39 rows are not those", |some| drop(some.remove(3))),
        ("does not authenticate", |some| some[3].1.0 += 1),
        ("does not authenticate", |some| some[3].2 = some[4].2.clone()),
    ];
    for (words, change) in changes {
        let mut exported = small.store.export().unwrap();
        exported.rows = Box::new(Damaged { rows: exported.rows, change });
        let created = create(&file, exported, &small.root, CREATED.into(), &watch, |_| Ok(()));
        let refused = created.unwrap_err().to_string();
        assert!(refused.contains("the store is damaged") && refused.contains(words), "{refused}");
        assert!(!file.exists() && !small.path("one.backup.partial").exists());
    }
}

/// In a directory in which others may write.
#[tokio::test]
async fn what_somebody_puts_under_the_temporary_name_gets_no_other() {
    let small = Small::new().await;
    let (file, partial) = (small.path("one.backup"), small.path("one.backup.partial"));
    let swap = |_: &Made| {
        std::fs::rename(&partial, small.path("taken")).unwrap();
        std::fs::write(&partial, "theirs").unwrap();
        Ok(())
    };
    let (exported, watch) = (small.store.export().unwrap(), Watch::default());
    create(&file, exported, &small.root, CREATED.into(), &watch, swap).unwrap();
    small.check(&file).unwrap();
}
