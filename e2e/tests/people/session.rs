//! Logging in, projects, and the kubeconfig that `kubectl` reads too.
use std::{fs, os::unix::fs::PermissionsExt as _};

use berth_testkit::installed;

use crate::{Person, one_line, with_people};

#[test]
fn from_login_to_logout() {
    let berth = with_people();
    let (api, nick) = (
        berth.api.as_str(),
        berth.api.trim_start_matches("https://").replace('.', "-"),
    );
    let ann = Person::new(&berth, "ann");
    let authority = ann.authority();

    assert_eq!(
        one_line(ann.types("whoami")),
        "error: no server is known: log in with 'berth login SERVER', or name a kubeconfig with --kubeconfig"
    );
    let untrusted = one_line(ann.berth(&["login", api, "-u", "ann", "-p", "secret"]));
    assert!(untrusted.contains("--certificate-authority"), "{untrusted}");
    let trusted = ["login", api, "-u", "ann", "--certificate-authority", &authority];
    let wrong = ann.answering("wrong\n", &trusted).refused();
    assert!(wrong.contains("Login failed (401 Unauthorized)"), "{wrong}");
    assert!(
        !ann.kubeconfig().exists(),
        "nothing is remembered of a login that failed"
    );

    let first = ann.answering("secret\n", &trusted).ok();
    assert!(
        first.starts_with("Login successful.\n\nYou don't have any projects."),
        "{first}"
    );
    assert_eq!(
        fs::metadata(ann.kubeconfig()).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(ann.types("whoami").ok(), "ann\n");
    assert_eq!(ann.types("whoami -c").ok(), format!("/{nick}/ann\n"));
    assert_eq!(ann.types("whoami --show-server").ok(), format!("{api}\n"));
    let token = ann.token();
    assert!(token.starts_with("sha256~"));
    assert_eq!(
        ann.types("projects").ok(),
        "You are not a member of any projects. You can request a project to be created with the 'new-project' command.\n"
    );

    let made = ann
        .berth(&["new-project", "shop", "--display-name", "The Shop"])
        .ok();
    assert!(
        made.starts_with(&format!("Now using project \"shop\" on server \"{api}\".\n")),
        "{made}"
    );
    assert_eq!(ann.types("whoami -c").ok(), format!("shop/{nick}/ann\n"));
    assert_eq!(
        ann.types("projects").ok(),
        format!(
            "You have one project on this server: \"shop\".\n\nUsing project \"shop\" on server \"{api}\".\n"
        )
    );
    assert_eq!(
        one_line(ann.types("new-project shop")),
        "Error from server (AlreadyExists): project.project.openshift.io \"shop\" already exists"
    );
    let made = ann.types("new-project till --skip-config-write").ok();
    assert!(
        made.starts_with(&format!("Project \"till\" created on server \"{api}\".\n")),
        "{made}"
    );
    assert_eq!(
        ann.types("projects").ok(),
        format!(
            "You have access to the following projects and can switch between them with 'berth project <projectname>':\n\n  \
             * shop - The Shop\n    till\n\nUsing project \"shop\" on server \"{api}\".\n"
        )
    );
    assert_eq!(ann.types("projects -q").ok(), "shop\ntill\n");
    assert_eq!(
        ann.types("project").ok(),
        format!("Using project \"shop\" on server \"{api}\".\n")
    );
    assert_eq!(
        ann.types("project till").ok(),
        format!("Now using project \"till\" on server \"{api}\".\n")
    );
    assert_eq!(
        ann.types("project till").ok(),
        format!("Already on project \"till\" on server \"{api}\".\n")
    );
    assert_eq!(ann.types("project -q").ok(), "till\n");
    let elsewhere = one_line(ann.types("project kube-system"));
    assert!(
        elsewhere.starts_with("error: You are not a member of project \"kube-system\"."),
        "{elsewhere}"
    );
    assert_eq!(ann.types("project -q").ok(), "till\n");

    // A session that still works is kept, also when another server would be asked for a password.
    let again = ann.types("login -u ann").ok();
    assert!(
        again.starts_with(&format!(
            "Logged into \"{api}\" as \"ann\" using existing credentials.\n"
        )),
        "{again}"
    );
    assert_eq!(ann.token(), token);
    let other = Person::new(&berth, "other");
    let with_token = format!("--token={token}");
    let said = other
        .berth(&["login", api, &with_token, "--certificate-authority", &authority])
        .ok();
    assert!(
        said.starts_with(&format!(
            "Logged into \"{api}\" as \"ann\" using the token provided.\n"
        )),
        "{said}"
    );

    assert_eq!(
        ann.types("logout").ok(),
        format!("Logged \"ann\" out on \"{api}\"\n")
    );
    assert!(!fs::read_to_string(ann.kubeconfig()).unwrap().contains(&token));
    for person in [&ann, &other] {
        let said = one_line(person.types("whoami"));
        assert!(
            said.starts_with("error: You must be logged in to the server (Unauthorized)"),
            "{said}"
        );
    }
    assert!(
        one_line(ann.types("whoami -t")).starts_with("error: no token is currently in use for this session")
    );
    assert!(one_line(ann.types("logout")).starts_with("error: You must have a token in order to logout."));
    let expired = one_line(ann.berth(&["login", api, &with_token]));
    assert_eq!(expired, "error: The token provided is invalid or expired");
    // The next login replaces the dead session.
    let back = ann.answering("secret\n", &["login", "-u", "ann"]).ok();
    assert!(back.starts_with("Login successful.\n"), "{back}");
    assert_eq!(ann.types("project -q").ok(), "till\n");
    assert!(!berth.output().contains(&token) && !berth.output().contains("secret\n"));
}

#[test]
fn kubectl_and_berth_share_the_kubeconfig() {
    if !installed("kubectl") {
        return;
    }
    let berth = with_people();
    let ann = Person::logged_in(&berth, "ann");
    let _ = ann.types("new-project shop").ok();
    let _ = ann.types("new-project yes --skip-config-write").ok();
    assert!(
        ann.kubectl(&["get", "imagestreams"]).success,
        "kubectl is in the project"
    );
    assert_eq!(
        ann.kubectl(&["config", "current-context"]).ok(),
        ann.types("whoami -c").ok()
    );

    // What kubectl writes, berth reads; what kubectl put there, berth keeps.
    for change in [
        &["config", "set-context", "--current", "--namespace=yes"][..],
        &["config", "set-credentials", "robot", "--token=1e3"],
        &["config", "set", "preferences.colors", "true"],
    ] {
        let _ = ann.kubectl(change).ok();
    }
    assert_eq!(ann.types("project -q").ok(), "yes\n");
    let _ = ann.types("project shop").ok();
    let view = |path: &str| {
        ann.kubectl(&["config", "view", "--raw", "-o", &format!("jsonpath={path}")])
            .ok()
    };
    assert_eq!(view("{.users[?(@.name==\"robot\")].user.token}"), "1e3");
    assert_eq!(view("{.preferences.colors}"), "true");
    let _ = ann.types("project yes").ok();
    assert_eq!(
        view("{.contexts[?(@.context.namespace==\"yes\")].context.namespace}")
            .split(' ')
            .next(),
        Some("yes")
    );
    assert!(ann.kubectl(&["get", "imagestreams", "-n", "yes"]).success);

    // The administrator's file, first in a list: its entries are found, the session stays where it is.
    let list = format!(
        "{}:{}",
        ann.kubeconfig().display(),
        berth.data().join("admin.kubeconfig").display()
    );
    let whoami = |arguments: &[&str]| {
        let mut command = ann.command(berth_testkit::berth::binary());
        berth_testkit::process::run(command.env("KUBECONFIG", &list).arg("whoami").args(arguments)).ok()
    };
    assert_eq!(whoami(&[]), "ann\n");
    assert_eq!(whoami(&["--context", "admin"]), "system:admin\n");
    assert_eq!(whoami(&["--context=admin", "--as=bob"]), "bob\n");
    assert_eq!(whoami(&["--user=admin"]), "system:admin\n");
    let missing = one_line(ann.types("whoami --context nowhere"));
    assert_eq!(missing, "error: context \"nowhere\" does not exist");
}

#[test]
fn a_browser_logs_in() {
    if !installed("python3") {
        return;
    }
    let berth = with_people();
    let ann = Person::new(&berth, "ann");
    let browser = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/people/browser.py");
    let mut command = ann.command(berth_testkit::berth::binary());
    command
        .args([
            "login",
            &berth.api,
            "--web",
            "--certificate-authority",
            &ann.authority(),
        ])
        .env("BROWSER", browser);
    let said = berth_testkit::process::run(&mut command);
    assert!(
        said.stderr
            .contains("Opening login URL in the default browser: https://"),
        "{}",
        said.stderr
    );
    let said = said.ok();
    assert!(said.starts_with("Login successful.\n"), "{said}");
    assert_eq!(ann.types("whoami").ok(), "ann\n");
}

#[test]
fn mistakes_are_told_in_one_line() {
    let berth = with_people();
    let ann = Person::logged_in(&berth, "ann");
    for (line, want) in [
        (
            "login ftp://host",
            "error: \"ftp://host\" is not a server: it must begin with https://",
        ),
        (
            "login https://127.0.0.1:1 -u ann -p x",
            "The connection to the server https://127.0.0.1:1 was refused",
        ),
        (
            "login -u an:n -p x",
            "error: a user name for a login has no colon",
        ),
        (
            "project nowhere",
            "error: You are not a member of project \"nowhere\".",
        ),
        ("new-project UPPER", "Error from server ("),
        ("new-project kube-mine", "Error from server ("),
        (
            "policy add-role-to-user view bob -n default",
            "Error from server (Forbidden): ",
        ),
        (
            "policy add-role-to-user view bob -n default --role-namespace other",
            "error: role binding in namespace",
        ),
        (
            "registry login --auth-basic nothing",
            "error: --auth-basic must be USER:PASSWORD",
        ),
        (
            "registry login --registry a/b",
            "error: --registry must be HOST or HOST:PORT",
        ),
        ("whoami --kubeconfig /proc/self/mem", "error: "),
    ] {
        let said = one_line(ann.types(line));
        assert!(said.contains(want), "{line}: {said}");
    }
}

#[test]
fn shells_learn_the_commands() {
    let berth = with_people();
    let ann = Person::new(&berth, "ann");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = ann.berth(&["completion", shell]).ok();
        assert!(script.contains("new-project"), "{shell}");
    }
    let script = ann.home.join("complete.bash");
    fs::write(&script, ann.types("completion bash").ok()).unwrap();
    let mut bash = ann.command("bash");
    let line = "source complete.bash; COMP_WORDS=(berth who); COMP_CWORD=1; _berth berth who berth; echo ${COMPREPLY[@]}";
    assert_eq!(
        berth_testkit::process::run(bash.args(["-c", line])).ok(),
        "whoami\n"
    );
}

#[test]
fn a_password_does_not_show_on_a_terminal() {
    if !installed("python3") {
        return;
    }
    let berth = with_people();
    let ann = Person::new(&berth, "ann");
    let script = r#"
import os, pty, sys
shown = b""
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], ["berth"] + sys.argv[2:])
asked = False
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
    if not asked and shown.rstrip().endswith(b"Username:"):
        os.write(terminal, b"ann\n")
    if not asked and shown.rstrip().endswith(b"Password:"):
        asked = True
        os.write(terminal, b"secret\n")
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
    let mut python = ann.command("python3");
    python.args(["-c", script]).arg(berth_testkit::berth::binary());
    python.args(["login", &berth.api, "--certificate-authority", &ann.authority()]);
    let shown = berth_testkit::process::run(&mut python).ok();
    assert!(shown.contains("Authentication required for https://"), "{shown}");
    assert!(
        shown.contains("Username: ann") && shown.contains("Password: "),
        "{shown}"
    );
    assert!(
        shown.contains("Login successful.") && !shown.contains("secret"),
        "{shown}"
    );
}
