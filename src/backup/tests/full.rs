//! A volume without space.
use super::*;
use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

#[test]
fn a_volume_that_is_full_is_said_to_be_full() {
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let refused = FrameWriter::new(full, Path::new("/dev/full")).unwrap_err();
    assert!(refused.to_string().contains("No space left on device"), "{refused}");
}

/// On a small volume of its own: nothing is left of what did not fit, and once there is space it is made.
#[tokio::test]
async fn what_does_not_fit_leaves_nothing() {
    let small = Small::new().await;
    for n in 0..20 {
        small.put(n, &"x".repeat(100_000)).await;
    }
    let disk = small.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("skipped: no right to mount a small disk");
        return;
    }
    let file = disk.join("one.backup");
    let refused = small.back_up_to(&file, &Watch::default());
    let left = std::fs::read_dir(&disk).unwrap().count();
    Command::new("mount").args(["-o", "remount,size=8m"]).arg(&disk).status().unwrap();
    let made = small.back_up_to(&file, &Watch::default());
    let checked = small.check(&file);
    // The restore likewise, into what is left.
    let loaded = disk.join("loaded");
    std::fs::create_dir(&loaded).unwrap();
    std::fs::write(disk.join("ballast"), vec![1; 4 << 20]).unwrap();
    let digest = made.as_ref().map(|made| made.digest.clone()).unwrap_or_default();
    let stopped = load(&file, &loaded, &digest, |_| {});
    Command::new("umount").arg(&disk).status().unwrap();

    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("No space left on device"), "{refused}");
    assert_eq!(left, 0);
    assert!(made.unwrap().bytes > 2_000_000);
    checked.unwrap();
    let stopped = stopped.unwrap_err().to_string();
    assert!(stopped.contains("No space") || stopped.contains("no space"), "{stopped}");
}
