//! A 201 is a promise: what was acknowledged survives SIGKILL and a full disk, and nothing half-written shows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use berth_testkit::{Berth, Process, eventually, image::digest, process::run};

const THREADS: &str = "8";

fn pusher(berth: &Berth, mode: &str, token: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pusher.py");
    let url = format!("https://{}", berth.registry);
    let authority = berth.data().join("ca.crt");
    [
        &script.display().to_string(),
        mode,
        &url,
        &authority.display().to_string(),
        token,
        "demo/app",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn start_pushing(berth: &Berth, token: &str, seed: u32, count: u32, size: u32) -> Process {
    let mut arguments = pusher(berth, "push", token);
    arguments.extend([
        THREADS.to_owned(),
        count.to_string(),
        seed.to_string(),
        size.to_string(),
    ]);
    let log = berth.scratch().join(format!("pushed-{seed}"));
    Process::start("python3", &arguments, &log, |_| {}).unwrap()
}

/// Waits for a pusher to end by itself and returns its lines.
fn finished(mut pushing: Process) -> Vec<String> {
    eventually("the pusher ends", || pushing.ended().unwrap());
    pushing.output().lines().map(str::to_owned).collect()
}

fn check(berth: &Berth, token: &str, lines: &[String]) -> String {
    let mut command = Command::new("python3");
    command
        .args(pusher(berth, "check", token))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.join("\n").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        berth.output()
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every blob file of the storage holds the bytes that its name promises.
fn blobs_are_whole(volume: &Path) {
    let root = volume.join("docker/registry/v2/blobs/sha256");
    for prefix in fs::read_dir(root).unwrap() {
        for blob in fs::read_dir(prefix.unwrap().path()).unwrap() {
            let folder = blob.unwrap().path();
            let data = folder.join("data");
            if data.exists() {
                let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
                assert_eq!(
                    digest(&fs::read(&data).unwrap()),
                    format!("sha256:{name}"),
                    "{}",
                    data.display()
                );
            }
        }
    }
}

#[test]
fn acknowledged_pushes_survive_sigkill() {
    let rounds: u32 =
        std::env::var_os("BERTH_CRASH_ROUNDS").map_or(5, |text| text.to_str().unwrap().parse().unwrap());
    let mut berth = Berth::start();
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let pushing = start_pushing(&berth, &token, round, 100_000, 30_000);
        eventually("a push is acknowledged", || {
            pushing.output().contains("ACK").then_some(())
        });
        // Another moment each round, in no step with the pushes.
        thread::sleep(Duration::from_millis(u64::from(round * 397 % 701)));
        berth.kill();
        let lines = finished(pushing);
        acknowledged.extend(lines.into_iter().filter(|line| line.starts_with("ACK ")));
        berth.start_again();
        check(&berth, &token, &acknowledged);
        blobs_are_whole(&berth.volume());
    }
    assert!(
        acknowledged.len() > rounds as usize,
        "{} pushes were acknowledged",
        acknowledged.len()
    );
    println!("{} pushes acknowledged over {rounds} kills", acknowledged.len());
}

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::Builder::new()
            .prefix("berth-small-disk")
            .tempdir()
            .unwrap();
        let said = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path()));
        if !said.success {
            eprintln!(
                "SKIPPED: a small file system needs the right to mount: {}",
                said.stderr.trim()
            );
        }
        said.success.then(|| Self(folder))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.0.path()));
    }
}

#[test]
fn a_full_disk_gives_clean_errors_and_recovers() {
    let Some(disk) = Tmpfs::mount("48m") else { return };
    let scratch = tempfile::Builder::new().prefix("berth-test").tempdir().unwrap();
    let berth = Berth::start_on(scratch, disk.0.path().join("data"), &[]);
    berth.create_project("demo");
    let token = berth.token_with_role("demo", "pusher", "system:image-builder");
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0_u8; 24 << 20]).unwrap();

    // More than fits: some are acknowledged, the rest refused with an error that names the cause.
    let mut lines = finished(start_pushing(&berth, &token, 1, 8, 600_000));
    let refused: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("ERR "))
        .cloned()
        .collect();
    assert!(!refused.is_empty(), "the disk was never full: {lines:?}");
    for line in &refused {
        assert!(
            line.starts_with("ERR 5"),
            "a full disk is the server's condition: {line}"
        );
        assert!(
            line.contains("space") || line.contains("full"),
            "it names the cause: {line}"
        );
    }
    // Reading goes on while the disk is full.
    check(&berth, &token, &lines);

    fs::remove_file(&filler).unwrap();
    let after = finished(start_pushing(&berth, &token, 2, 1, 100_000));
    assert!(
        after.iter().all(|line| line.starts_with("ACK ")),
        "space returned: {after:?}\n{}",
        berth.output()
    );
    lines.extend(after);
    check(&berth, &token, &lines);
    blobs_are_whole(&berth.volume());
}
