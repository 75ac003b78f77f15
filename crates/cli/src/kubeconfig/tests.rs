//! What must hold for kubeconfigs.
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Paths, Section,
    file::{parse, render},
};
use crate::Environment;

fn paths(files: &[&Path]) -> Paths {
    let environment = Environment {
        kubeconfig: Some(std::env::join_paths(files).unwrap()),
        ..Environment::default()
    };
    Paths::new(None, &environment).unwrap()
}

#[test]
fn the_list_of_files_is_found() {
    let home = Environment {
        home: Some("/home/a".into()),
        ..Environment::default()
    };
    let listed = Environment {
        kubeconfig: Some("/b:/c::/b".into()),
        ..home.clone()
    };
    for (explicit, environment, want) in [
        (None, &home, vec!["/home/a/.kube/config"]),
        (None, &listed, vec!["/b", "/c"]),
        (Some(Path::new("/d")), &listed, vec!["/d"]),
    ] {
        let found = Paths::new(explicit, environment).unwrap();
        assert_eq!(
            found.files,
            want.iter().map(Into::into).collect::<Vec<std::path::PathBuf>>()
        );
    }
    assert!(Paths::new(None, &Environment::default()).is_err());
}

#[test]
fn the_first_file_counts_and_is_changed_where_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
    fs::write(
        &first,
        "contexts:\n- name: a\n  context: {cluster: c1, user: u}\n",
    )
    .unwrap();
    fs::write(
        &second,
        "# mine\npreferences: {colors: true}\ncurrent-context: b\ncontexts:\n- name: a\n  context: {cluster: hidden}\n\
         - {name: b, context: {cluster: c2, user: u, extensions: [{name: x, extension: {y: 1}}]}, note: kept}\n\
         clusters: [{name: c2, cluster: {certificate-authority: ca.crt}}]\n",
    )
    .unwrap();
    let paths = paths(&[&first, &second]);
    let config = paths.load().unwrap();
    assert_eq!(config.current_context(), Some("b"));
    assert_eq!(config.text(Section::Contexts, "a", "cluster"), Some("c1"));
    let authority = config.anchored(Section::Clusters, "c2").unwrap();
    assert_eq!(
        authority["certificate-authority"],
        json!(scratch.path().join("ca.crt"))
    );

    let untouched = fs::read(&first).unwrap();
    paths
        .edit(|config| {
            config.set(Section::Contexts, "b", |context| {
                context.insert("namespace".to_owned(), "demo".into());
            });
            config.use_context("b2");
        })
        .unwrap();
    assert_eq!(fs::read(&first).unwrap(), untouched);
    let written = parse(&fs::read_to_string(&second).unwrap()).unwrap();
    assert_eq!(written["current-context"], "b2");
    assert_eq!(written["preferences"], json!({"colors": true}));
    assert_eq!(
        written["contexts"][1],
        json!({"name": "b", "note": "kept", "context": {"cluster": "c2", "user": "u", "namespace": "demo",
               "extensions": [{"name": "x", "extension": {"y": 1}}]}})
    );
    assert_eq!(
        written["clusters"][0]["cluster"]["certificate-authority"],
        "ca.crt"
    );
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o600);
    // What is new goes to the first file that exists.
    paths
        .edit(|config| {
            config.set(Section::Users, "new", |user| {
                user.insert("token".to_owned(), "t".into());
            });
        })
        .unwrap();
    assert!(fs::read_to_string(&first).unwrap().contains("new"));
    assert!(!scratch.path().join("first.lock").exists());
}

#[test]
fn a_new_file_is_made_in_a_new_folder() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("deep/er/config");
    let paths = paths(&[&file]);
    assert!(paths.load().unwrap().is_empty());
    paths.edit(|config| config.use_context("x")).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written = parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        Value::Object(written),
        json!({"apiVersion": "v1", "kind": "Config", "current-context": "x"})
    );
}

#[test]
fn a_link_stays_a_link_and_a_lock_is_respected() {
    let scratch = tempfile::tempdir().unwrap();
    let (real, link) = (scratch.path().join("real"), scratch.path().join("link"));
    fs::write(&real, "{}").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let paths = paths(&[&link]);
    paths.edit(|config| config.use_context("x")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains('x'));

    fs::write(scratch.path().join("link.lock"), "").unwrap();
    let error = paths
        .edit(|config| config.use_context("y"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("link.lock"), "{error}");
    assert!(!fs::read_to_string(&real).unwrap().contains('y'));
}

#[test]
fn changes_at_the_same_moment_all_count() {
    const WRITERS: usize = 4;
    const CHANGES: usize = 4;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("config");
    let paths = paths(&[&file]);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let paths = &paths;
            scope.spawn(move || {
                for change in 0..CHANGES {
                    paths
                        .edit(|config| config.set(Section::Users, &format!("{writer}-{change}"), |_| {}))
                        .unwrap();
                }
            });
        }
    });
    let users = paths.load().unwrap().entries(Section::Users);
    assert_eq!(users.len(), WRITERS * CHANGES);
}

#[test]
fn what_is_no_kubeconfig_is_refused_with_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("config");
    for text in ["- a", "just words", "a: [", "\"x\": {"] {
        fs::write(&file, text).unwrap();
        let error = paths(&[&file]).load().unwrap_err().to_string();
        assert!(error.contains("config is not a kubeconfig"), "{text}: {error}");
        assert_eq!(error.lines().count(), 1, "{text}: {error}");
    }
}

/// Words that a careless writer of YAML would turn into something else.
const TRICKY: [&str; 52] = [
    "yes",
    "No",
    "on",
    "y",
    "N",
    "off",
    "null",
    "~",
    "true",
    "1",
    "1e3",
    "0x1f",
    "0o7",
    "012",
    "1_000",
    ".inf",
    "2001-01-01",
    "12:30:45",
    "- a",
    "a: b",
    "a #b",
    "#",
    "&x",
    "*x",
    "!t",
    "%d",
    "@a",
    "`",
    "{",
    "[",
    "|",
    ">",
    "? q",
    ": ",
    " ",
    "",
    "---",
    "...",
    "=",
    "<<",
    "a\nb",
    "\n",
    "a\n",
    "\t",
    "\"",
    "'",
    "\\",
    "\u{feff}",
    "\u{85}",
    "é",
    "a\r\nb",
    "sha256~x",
];

#[test]
fn kubectl_reads_what_is_written() {
    if !berth_testkit::installed("kubectl") {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("config");
    paths(&[&file])
        .edit(|config| {
            for (number, word) in TRICKY.iter().enumerate() {
                config.set(Section::Users, &format!("{number}{word}"), |user| {
                    user.insert("token".to_owned(), (*word).into());
                });
            }
        })
        .unwrap();
    let mut kubectl = std::process::Command::new("kubectl");
    kubectl
        .args(["config", "view", "--raw", "-o", "json", "--kubeconfig"])
        .arg(&file)
        .env("HOME", scratch.path());
    let read: Value = serde_json::from_str(&berth_testkit::process::run(&mut kubectl).ok()).unwrap();
    let users = read["users"].as_array().unwrap();
    assert_eq!(users.len(), TRICKY.len());
    for (number, word) in TRICKY.iter().enumerate() {
        let name = format!("{number}{word}");
        let user = users.iter().find(|user| user["name"] == name.as_str());
        let user = user.unwrap_or_else(|| panic!("{name:?} is not in {read:#}"));
        assert_eq!(
            user["user"]["token"].as_str().unwrap_or_default(),
            *word,
            "{word:?}"
        );
    }
}

fn tricky() -> impl Strategy<Value = String> {
    let words = proptest::sample::select(TRICKY.to_vec());
    prop_oneof![words.prop_map(str::to_owned), "[ -~]{0,24}", "\\PC{0,12}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        tricky().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(tricky(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(fields in proptest::collection::btree_map(tricky(), any_value(), 0..5)) {
        let mut content: Map<String, Value> = fields.into_iter().collect();
        content.insert("apiVersion".to_owned(), "v1".into());
        content.insert("kind".to_owned(), "Config".into());
        let text = render(&content).unwrap();
        prop_assert_eq!(parse(&text), Ok(content), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }
}
