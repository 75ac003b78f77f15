//! The user guide is typed as it stands: every block marked `sh tour` of the README and of each page of `docs/` runs, in
//! order, in one shell per page, against a server of its own.
//!
//! Pages use the default ports; here they are replaced by the ones that were free.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use berth_testkit::{Berth, installed, process::run};

fn blocks(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in markdown.lines() {
        match &mut current {
            None if line.trim() == "```sh tour" => current = Some(String::new()),
            None => {}
            Some(_) if line.trim() == "```" => found.extend(current.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    found
}

fn follow(page: &Path) {
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    if blocks.is_empty() {
        return;
    }
    let scratch = tempfile::Builder::new().prefix("berth-docs").tempdir().unwrap();
    let folder = scratch.path().to_owned();
    let data = folder.join("berth-data");
    let berth = Berth::start_on(scratch, data, &[]);
    let podman = berth.podman("pod");
    let script = format!("set -euo pipefail\nset -x\n{}", blocks.join("\n"))
        .replace("127.0.0.1:5000", &berth.registry)
        .replace("https://127.0.0.1:6443", &berth.api);
    let mut command: Command = podman.command("bash");
    // The pages call the binary by its name.
    let programs = std::env::var_os("PATH").unwrap_or_default();
    let programs = [berth_testkit::berth::binary().parent().unwrap().to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&programs));
    command
        .env("PATH", std::env::join_paths(programs).unwrap())
        .env_remove("KUBECONFIG")
        .env_remove("REGISTRY_AUTH_PREFERENCE");
    command.args(["-c", &script]).current_dir(&folder);
    let said = run(&mut command);
    assert!(
        said.success,
        "{}: {}\n{}\nserver:\n{}",
        page.display(),
        said.stdout,
        said.stderr,
        berth.output()
    );
}

#[test]
fn the_readme_tour_works() {
    if installed("podman") && installed("skopeo") && installed("kubectl") {
        follow(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    }
}

#[test]
fn every_page_of_the_guide_works() {
    if !(installed("podman") && installed("skopeo") && installed("kubectl")) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut pages: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pages.sort();
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text = fs::read_to_string(page).unwrap();
        let commands = text.lines().filter(|line| line.starts_with("```sh")).count();
        assert_eq!(
            commands,
            blocks(&text).len(),
            "{}: a block of commands that no test runs",
            page.display()
        );
        follow(page);
    }
}
