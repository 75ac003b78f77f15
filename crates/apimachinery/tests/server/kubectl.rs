//! An unmodified `kubectl` of every version that is installed, over a socket.
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::Toy;

/// What a command may take; a machine that builds at the same time is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// `kubectl` of the path, and real clients named `kubectl.1.NN` beside it, if there are any.
fn clients() -> Vec<PathBuf> {
    let Ok(main) = std::fs::canonicalize("/usr/bin/kubectl") else {
        return Vec::new();
    };
    let beside = main
        .parent()
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = beside
        .map(|file| file.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("kubectl.1."))
        })
        .collect();
    found.sort();
    // The oldest and the newest stand for those between.
    if found.len() > 2 {
        found = vec![found.swap_remove(0), found.swap_remove(found.len() - 1)];
    }
    found.push(main);
    found
}

struct Served {
    toy: Toy,
    address: String,
    client: PathBuf,
    home: PathBuf,
    tasks: JoinSet<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.abort_all();
        drop(std::fs::remove_dir_all(&self.home));
    }
}

impl Served {
    async fn new(client: PathBuf) -> Self {
        let toy = Toy::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = toy.server.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(server.clone());
                connections.spawn(async move {
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that goes away ends its connection with an error.
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        let home = std::env::temp_dir().join(format!("berth-kubectl-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&home).unwrap();
        let served = Self {
            toy,
            address,
            client,
            home,
            tasks,
        };
        served.ok("create namespace default", "").await;
        served
    }

    async fn run(&self, arguments: &str, stdin: &str) -> Output {
        let mut child = Command::new(&self.client)
            .args(["--server", &self.address, "--cache-dir"])
            .arg(self.home.join("cache"))
            .args(arguments.split(' '))
            .env("HOME", &self.home)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(stdin.as_bytes()).await.unwrap();
        drop(pipe);
        tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .expect("the client hangs")
            .unwrap()
    }

    /// Standard output of a command that succeeds.
    async fn ok(&self, arguments: &str, stdin: &str) -> String {
        let output = self.run(arguments, stdin).await;
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{} {arguments}: {out}{err}",
            self.client.display()
        );
        out.into_owned()
    }

    /// Standard error of a command that fails.
    async fn fails(&self, arguments: &str, stdin: &str) -> String {
        let output = self.run(arguments, stdin).await;
        assert!(!output.status.success(), "{} {arguments}", self.client.display());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

const WIDGET: &str =
    "apiVersion: toys.example.com/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  color: red\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_cannot_tell() {
    for client in clients() {
        let served = Served::new(client).await;
        let ok = async |arguments: &str| served.ok(arguments, "").await;

        let resources = ok("api-resources").await;
        assert!(
            resources.contains("widgets") && resources.contains("wd"),
            "{resources}"
        );
        assert!(ok("api-versions").await.contains("toys.example.com/v1"));
        assert!(ok("version").await.contains("v1.32.0+toy.1"));

        let created = served.ok("create --validate=false -f -", WIDGET).await;
        assert_eq!(created, "widget.toys.example.com/a created\n");
        let again = served.fails("create --validate=false -f -", WIDGET).await;
        assert!(
            again.contains("(AlreadyExists)")
                && again.contains("widgets.toys.example.com \"a\" already exists")
        );
        let shown = ok("get wd").await;
        assert_eq!(
            shown.split_whitespace().collect::<Vec<_>>(),
            ["NAME", "COLOR", "a", "red"],
            "{shown}"
        );
        assert!(ok("get widgets,ns -o wide").await.contains("AGE"));
        assert_eq!(ok("get wd a -o name").await, "widget.toys.example.com/a\n");
        assert_eq!(ok("get wd a -o jsonpath={.spec.color}").await, "red");
        assert!(ok("get wd a -o yaml").await.contains("shout: A"));
        let json: Value = serde_json::from_str(&ok("get wd -o json").await).unwrap();
        assert_eq!(
            (&json["kind"], &json["items"][0]["kind"]),
            (&Value::from("List"), &Value::from("Widget"))
        );
        let columns = ok("get wd -A -o custom-columns=N:.metadata.name,C:.spec.color").await;
        assert!(columns.contains("red"), "{columns}");
        assert!(
            served
                .fails("get wd none", "")
                .await
                .contains("(NotFound): widgets.toys.example.com \"none\" not found")
        );

        let green = WIDGET.replace("red", "green");
        let applied = served.ok("apply --validate=false -f -", &green).await;
        assert_eq!(applied, "widget.toys.example.com/a configured\n");
        let applied = served.ok("apply --validate=false -f -", &green).await;
        assert_eq!(applied, "widget.toys.example.com/a unchanged\n");
        let dry = served
            .ok("apply --validate=false --dry-run=server -f -", WIDGET)
            .await;
        assert_eq!(dry, "widget.toys.example.com/a configured (server dry run)\n");
        assert_eq!(ok("get wd a -o jsonpath={.spec.color}").await, "green");

        let applied = served
            .ok(
                "apply --server-side --validate=false -f -",
                &WIDGET.replace("name: a", "name: s"),
            )
            .await;
        assert_eq!(applied, "widget.toys.example.com/s serverside-applied\n");
        ok("delete wd s").await;

        ok("label wd a size=big").await;
        ok("annotate wd a note=x").await;
        assert!(ok("get wd -l size=big --show-labels").await.contains("size=big"));
        assert_eq!(ok("get wd -l size!=big -o name").await, "");
        assert_eq!(
            ok("get wd --field-selector spec.color=green -o name").await,
            "widget.toys.example.com/a\n"
        );
        ok("patch wd a --type=merge -p {\"spec\":{\"color\":\"grey\"}}").await;
        ok("patch wd a --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/color\",\"value\":\"red\"}]")
            .await;
        let invalid = served
            .fails("patch wd a --type=merge -p {\"spec\":{\"color\":\"blue\"}}", "")
            .await;
        assert!(
            invalid.contains("The Widget \"a\" is invalid: spec.color: Unsupported value: \"blue\""),
            "{invalid}"
        );
        assert!(ok("describe wd a").await.contains("Color:  red"));

        for index in 0..7 {
            served
                .ok(
                    "create --validate=false -f -",
                    &WIDGET.replace("name: a", &format!("name: w{index}")),
                )
                .await;
        }
        assert_eq!(ok("get wd --chunk-size=2 -o name").await.lines().count(), 8);
        let watched = ok("get wd w1 --watch --request-timeout=2s").await;
        assert!(watched.contains("w1"), "{watched}");
        let wait = ok("wait --for=delete wd/none --timeout=5s").await;
        assert_eq!(wait, "");

        // Deleting waits until the objects are gone.
        assert!(ok("delete wd a").await.contains("\"a\" deleted"));
        ok("delete wd -l size=none").await;
        assert_eq!(ok("get wd -o name").await.lines().count(), 7);
        ok("delete wd --all").await;
        assert_eq!(ok("get wd -o name").await, "");
        ok("create configmap c --from-literal=k=v").await;
        assert_eq!(ok("get cm c -o jsonpath={.data.k}").await, "v");
        assert_eq!(ok("get --raw /readyz").await, "ok");
        assert_eq!(served.toy.storage.list("").len(), 0);
    }
}
