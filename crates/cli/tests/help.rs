//! What `--help` says is part of the interface: a change of it shows in a review.
use std::fmt::Write as _;

use clap::{CommandFactory as _, Parser};

#[derive(Parser)]
#[command(name = "berth")]
struct Cli {
    #[command(subcommand)]
    _command: berth_cli::Command,
}

fn write(text: &mut String, command: &mut clap::Command, path: &str) {
    let usage = command.render_long_help();
    let _ = writeln!(text, "$ {path} --help\n{usage}");
    for subcommand in command
        .get_subcommands_mut()
        .filter(|command| command.get_name() != "help")
    {
        let path = format!("{path} {}", subcommand.get_name());
        write(text, subcommand, &path);
    }
}

#[test]
fn help_says_what_it_said() {
    let mut root = Cli::command();
    root.build();
    for command in root
        .get_subcommands_mut()
        .filter(|command| command.get_name() != "help")
    {
        let name = command.get_name().to_owned();
        let mut text = String::new();
        write(&mut text, command, &format!("berth {name}"));
        // The flags that every command has are shown once, by whoami.
        if name != "whoami" {
            text = without_connection(&text);
        }
        insta::assert_snapshot!(name, text);
    }
}

fn without_connection(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "Connection:" => inside = true,
            _ if inside && !line.is_empty() && !line.starts_with(' ') => inside = false,
            _ => {}
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[test]
fn a_command_line_is_read_as_oc_reads_it() {
    for (line, fits) in [
        ("berth login -u alice -p secret", true),
        (
            "berth login https://h:6443 --token=t --insecure-skip-tls-verify=true",
            true,
        ),
        ("berth login --server=https://h:6443 -u alice", true),
        ("berth login --web -u alice", false),
        ("berth whoami -t", true),
        ("berth whoami --show-token --show-server", false),
        ("berth project demo -q", true),
        ("berth projects --short", true),
        (
            "berth new-project demo --display-name=a --description=b --skip-config-write",
            true,
        ),
        ("berth new-project", false),
        ("berth policy add-role-to-user view alice -n demo", true),
        ("berth policy -n demo add-role-to-user view -z builder", true),
        (
            "berth policy add-role-to-user view --serviceaccount=builder --rolebinding-name=x",
            true,
        ),
        ("berth policy add-role-to-user view", false),
        ("berth policy add-role-to-group view", false),
        ("berth policy who-can get imagestreams/layers -n demo", true),
        (
            "berth adm policy add-cluster-role-to-user cluster-admin alice",
            true,
        ),
        ("berth adm policy who-can get pods", true),
        ("berth registry login --to=- --skip-check --insecure=true", true),
        ("berth registry login --registry-config=f -z builder", true),
        ("berth registry info --public --internal", false),
    ] {
        let read = Cli::try_parse_from(line.split(' '));
        assert_eq!(
            read.is_ok(),
            fits,
            "{line}: {:?}",
            read.err().map(|error| error.to_string())
        );
    }
}
