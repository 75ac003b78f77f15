use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{DriverExt as _, EntryKind};

fn scratch() -> (FilesystemDriver, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (
        FilesystemDriver::open(&Config::new(directory.path())).unwrap(),
        directory,
    )
}

/// A driver that does everything on blocking threads, as it does on network filesystems.
fn scratch_without_cache() -> (FilesystemDriver, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut root = Root::open(directory.path(), Duration::from_secs(60), &[]).unwrap();
    root.never_inline();
    (
        FilesystemDriver {
            root: Arc::new(root),
            permits: Arc::new(Semaphore::new(4)),
            writers: writer::Writers::default(),
        },
        directory,
    )
}

mod with_the_kernels_cache {
    crate::suite!(super::scratch());
}

mod on_blocking_threads {
    crate::suite!(super::scratch_without_cache());
}

fn path(text: &str) -> BlobPath {
    text.parse().unwrap()
}

fn files_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(this) = open.pop() {
        for entry in std::fs::read_dir(&this).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(
                    entry
                        .path()
                        .strip_prefix(directory)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn files_lie_where_their_paths_say_and_nothing_else_does() {
    let (driver, directory) = scratch();
    driver
        .put(&path("/docker/registry/v2/x/link"), "abc".into())
        .await
        .unwrap();
    let mut writer = driver.append(&path("/docker/u/data"), 0).await.unwrap();
    writer.write("def".into()).await.unwrap();
    let publish = Step::Publish {
        from: path("/docker/u/data"),
        to: path("/docker/b/data"),
    };
    writer.close(vec![publish]).await.unwrap();
    assert_eq!(
        files_below(directory.path()),
        ["docker/b/data", "docker/registry/v2/x/link"]
    );
    assert_eq!(
        std::fs::read(directory.path().join("docker/b/data")).unwrap(),
        b"def"
    );
    // What was renamed into place is recorded as synced.
    assert!(driver.root.unsynced().is_empty_below(&path("/docker/registry")));
    assert!(driver.root.unsynced().is_empty_below(&path("/docker/b")));
}

#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_behind() {
    let (driver, directory) = scratch();
    driver.put(&path("/a"), "file".into()).await.unwrap();
    let steps = vec![
        Step::Put {
            path: path("/b/c"),
            bytes: "x".into(),
        },
        Step::Put {
            path: path("/a/below/a/file"),
            bytes: "y".into(),
        },
    ];
    assert!(matches!(driver.commit(steps).await, Err(Error::Io { .. })));
    assert_eq!(
        files_below(&directory.path().join(root::TEMPORARY)),
        Vec::<String>::new()
    );
    let large = Bytes::from(vec![0; usize::try_from(SMALL_MAX_BYTES).unwrap() + 1]);
    assert!(matches!(
        driver.put(&path("/large"), large).await,
        Err(Error::TooLarge { .. })
    ));
}

#[tokio::test]
async fn the_private_directory_is_not_an_object() {
    let (driver, directory) = scratch();
    for at in ["/.berth", "/.berth/tmp/x"] {
        let at = path(at);
        assert!(
            matches!(driver.put(&at, "x".into()).await, Err(Error::Denied { .. })),
            "{at}"
        );
        assert!(
            matches!(driver.stat(&at).await, Err(Error::Denied { .. })),
            "{at}"
        );
        assert!(
            matches!(driver.delete_tree(&at).await, Err(Error::Denied { .. })),
            "{at}"
        );
        assert!(
            matches!(driver.append(&at, 0).await.err(), Some(Error::Denied { .. })),
            "{at}"
        );
    }
    driver.put(&path("/.berthold"), "x".into()).await.unwrap();
    assert!(directory.path().join(root::TEMPORARY).is_dir());
}

#[tokio::test]
async fn names_that_are_no_paths_are_not_listed() {
    let (driver, directory) = scratch();
    let inside = directory.path().join("d");
    std::fs::create_dir_all(inside.join("sub")).unwrap();
    std::fs::write(inside.join("with space"), "x").unwrap();
    std::fs::write(inside.join("plain"), "x").unwrap();
    std::os::unix::fs::symlink("plain", inside.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", inside.join("dangling")).unwrap();
    let listing = driver.list(&path("/d"), None, 10).await.unwrap();
    let names: Vec<_> = listing
        .entries
        .iter()
        .map(|e| (e.name.as_str(), e.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("link", EntryKind::Object),
            ("plain", EntryKind::Object),
            ("sub", EntryKind::Directory)
        ]
    );
}

#[tokio::test]
async fn deleting_a_tree_does_not_follow_links() {
    let (driver, directory) = scratch();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "x").unwrap();
    std::fs::create_dir_all(directory.path().join("d/e")).unwrap();
    std::os::unix::fs::symlink(outside.path(), directory.path().join("d/e/link")).unwrap();
    std::os::unix::fs::symlink(outside.path(), directory.path().join("link")).unwrap();
    assert!(driver.delete_tree(&path("/d")).await.unwrap());
    assert!(driver.delete_tree(&path("/link")).await.unwrap());
    assert!(outside.path().join("precious").exists());
    assert!(!directory.path().join("link").exists());
}

#[tokio::test]
async fn large_directories_are_deleted() {
    let (driver, directory) = scratch();
    std::fs::create_dir_all(directory.path().join("d/e")).unwrap();
    for n in 0..3000 {
        std::fs::write(directory.path().join(format!("d/e/{n}")), "").unwrap();
    }
    assert!(driver.delete_tree(&path("/d")).await.unwrap());
    assert!(!directory.path().join("d").exists());
}

#[tokio::test]
async fn a_published_upload_is_young() {
    let (driver, directory) = scratch();
    let mut writer = driver.append(&path("/u/data"), 0).await.unwrap();
    writer.write("x".into()).await.unwrap();
    writer.close(vec![]).await.unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(1_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(directory.path().join("u/data"))
        .unwrap();
    file.set_modified(old).unwrap();
    let writer = driver.append(&path("/u/data"), 1).await.unwrap();
    writer
        .close(vec![Step::Publish {
            from: path("/u/data"),
            to: path("/b/data"),
        }])
        .await
        .unwrap();
    let modified = driver.stat(&path("/b/data")).await.unwrap().unwrap().modified;
    assert!(modified.elapsed().unwrap_or_default() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_an_error_not_a_short_answer() {
    let (driver, directory) = scratch();
    driver
        .put(&path("/a"), Bytes::from(vec![7; 100_000]))
        .await
        .unwrap();
    let source = driver.open(&path("/a")).await.unwrap().unwrap();
    std::fs::write(directory.path().join("a"), "short").unwrap();
    assert!(matches!(source.bytes(0..100_000).await, Err(Error::Io { .. })));
    let mut stream = source.stream(0..100_000);
    assert!(futures_util::StreamExt::next(&mut stream).await.unwrap().is_err());
}

#[tokio::test]
async fn a_cold_file_is_read_all_the_same() {
    let (driver, directory) = scratch();
    let whole: Bytes = (0..3_000_000_u32)
        .map(|n| n.to_be_bytes()[3] ^ n.to_be_bytes()[2])
        .collect();
    std::fs::write(directory.path().join("a"), &whole).unwrap();
    let file = std::fs::File::open(directory.path().join("a")).unwrap();
    file.sync_all().unwrap();
    let source = driver.open(&path("/a")).await.unwrap().unwrap();
    for _ in 0..2 {
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let pieces: Vec<Bytes> =
            futures_util::TryStreamExt::try_collect(source.stream(5..whole.len() as u64))
                .await
                .unwrap();
        assert_eq!(pieces.concat(), whole[5..]);
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        assert_eq!(
            source.bytes(1_000_000..1_000_100).await.unwrap(),
            whole[1_000_000..1_000_100]
        );
    }
}

#[test]
fn leftovers_go_when_they_are_old() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join(root::TEMPORARY);
    std::fs::create_dir_all(&temporary).unwrap();
    for (name, age) in [("old", 3600), ("young", 10)] {
        std::fs::write(temporary.join(name), "x").unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(temporary.join(name))
            .unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }
    let config = Config {
        leftover_age: Duration::from_secs(60),
        ..Config::new(directory.path())
    };
    FilesystemDriver::open(&config).unwrap();
    assert_eq!(files_below(directory.path()), [".berth/tmp/young"]);
}

#[test]
fn a_root_that_cannot_be_used_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for root in [file.clone(), file.join("below")] {
        let error = FilesystemDriver::open(&Config::new(&root)).unwrap_err();
        assert!(matches!(error, Error::Root { .. }), "{error}");
    }
    if rustix::process::geteuid().is_root() {
        println!("skipped: permissions mean nothing to root");
        return;
    }
    let locked = directory.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    assert!(matches!(
        FilesystemDriver::open(&Config::new(&locked)),
        Err(Error::Root { .. })
    ));
}

/// A small filesystem of its own, unmounted when dropped.
struct Mount(TempDir);

impl Mount {
    /// `None`, with the reason printed, where mounting is not permitted.
    fn tmpfs(directory: TempDir, options: &str) -> Option<Mount> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: this needs the permission to mount a tmpfs");
        }
        mounted.then_some(Mount(directory))
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", options])
            .arg(self.0.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_recovers() {
    let Some(mount) = Mount::tmpfs(tempfile::tempdir().unwrap(), "size=4m") else {
        return;
    };
    let driver = FilesystemDriver::open(&Config::new(mount.0.path())).unwrap();
    driver.put(&path("/kept/link"), "kept".into()).await.unwrap();
    let megabyte = Bytes::from(vec![1; 1 << 20]);
    let mut writer = driver.append(&path("/u/1/data"), 0).await.unwrap();
    let mut failed = None;
    for _ in 0..8 {
        if let Err(error) = writer.write(megabyte.clone()).await {
            failed = Some(error);
            break;
        }
    }
    let error = failed.expect("four megabytes do not hold eight");
    assert!(
        matches!(error, Error::Full { .. }) && error.is_unavailable(),
        "{error}"
    );
    drop(writer);
    // Small objects need a page, too; what fails leaves nothing visible, and what was there is still readable.
    let error = driver
        .put(&path("/new/link"), megabyte.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(driver.stat(&path("/new/link")).await.unwrap(), None);
    assert_eq!(driver.read(&path("/kept/link")).await.unwrap().unwrap(), "kept");
    assert_eq!(
        files_below(&mount.0.path().join(root::TEMPORARY)),
        Vec::<String>::new()
    );
    // A registry that is restarted on a full disk still serves.
    let again = FilesystemDriver::open(&Config::new(mount.0.path())).unwrap();
    assert_eq!(again.read(&path("/kept/link")).await.unwrap().unwrap(), "kept");
    driver
        .commit(vec![Step::Discard { path: path("/u/1") }])
        .await
        .unwrap();
    driver.put(&path("/new/link"), megabyte).await.unwrap();
    mount.remount("remount,ro");
    let error = driver.put(&path("/new/other"), "x".into()).await.unwrap_err();
    assert!(
        matches!(error, Error::ReadOnly { .. }) && error.is_unavailable(),
        "{error}"
    );
    assert_eq!(driver.read(&path("/kept/link")).await.unwrap().unwrap(), "kept");
}

#[test]
fn a_mount_inside_the_root_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("docker/registry");
    std::fs::create_dir_all(&inside).unwrap();
    let Some(_mount) = Mount::tmpfs(tempfile::tempdir_in(&inside).unwrap(), "size=1m") else {
        return;
    };
    let error = FilesystemDriver::open(&Config::new(root.path())).unwrap_err();
    assert!(error.to_string().contains("another filesystem"), "{error}");
}

/// Writes are cut at multiples of their unit, which frames of any size have to survive.
#[tokio::test]
async fn frames_of_any_size_are_written_in_order() {
    let (driver, directory) = scratch();
    for frame in [1000, 65_536, 70_001, 262_144, 300_000, 3_000_000] {
        let path = path(&format!("/upload/{frame}"));
        let mut want = Vec::new();
        // Twice, so that the second writer begins inside a unit.
        for part in 0..2_u8 {
            let mut writer = driver.append(&path, want.len() as u64).await.unwrap();
            while want.len() < usize::from(part + 1) * 3_333_333 {
                let bytes: Vec<u8> = (0..=250).cycle().skip(want.len() % 251).take(frame).collect();
                writer.write(Bytes::from(bytes.clone())).await.unwrap();
                want.extend(bytes);
                assert_eq!(writer.length(), want.len() as u64);
            }
            assert_eq!(writer.release(Vec::new()).await.unwrap(), want.len() as u64);
        }
        let file = directory.path().join("upload").join(frame.to_string());
        assert!(std::fs::read(file).unwrap() == want, "frames of {frame} bytes");
    }
}

#[tokio::test]
async fn what_fans_out_is_there_from_the_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        fan_out: vec![path("/docker/registry/v2/blobs/sha256")],
        ..Config::new(directory.path())
    };
    for _ in 0..2 {
        let driver = FilesystemDriver::open(&config).unwrap();
        let listing = driver
            .list(&path("/docker/registry/v2/blobs/sha256"), None, 1000)
            .await
            .unwrap();
        assert_eq!(listing.entries.len(), 256);
        assert_eq!(
            (&*listing.entries[0].name, &*listing.entries[255].name),
            ("00", "ff")
        );
        assert!(driver.root.unsynced().is_empty_below(&path("/docker")));
    }
}
