//! One file of a kubeconfig.
use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::error::{Result, failed};

/// Largest kubeconfig, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// How long another program's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// A file and what it holds.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) existed: bool,
    pub(super) content: Map<String, Value>,
    before: Map<String, Value>,
}

impl File {
    /// Reads it; a file that does not exist is empty.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = match fs::metadata(path) {
            Ok(file) if file.len() > MAX_BYTES => {
                return Err(failed(format!(
                    "{} is too large for a kubeconfig",
                    path.display()
                )));
            }
            Ok(_) => Some(fs::read_to_string(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(error)),
        };
        let existed = text.is_some();
        let text = text.unwrap_or_else(|| Ok(String::new()));
        let text = text.map_err(|error| failed(format!("reading {}: {error}", path.display())))?;
        let content =
            parse(&text).map_err(|why| failed(format!("{} is not a kubeconfig: {why}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            existed,
            before: content.clone(),
            content,
        })
    }

    pub(super) fn is_changed(&self) -> bool {
        self.content != self.before
    }

    /// Replaces the file, atomically and readable by its owner only.
    pub(super) fn write(&self) -> Result<()> {
        // A link stays one: what it points to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        replace(&path, render(&self.content)?.as_bytes())
            .map_err(|error| failed(format!("writing {}: {error}", path.display())))
    }
}

/// Replaces the content of the file at `path` in one step; a reader sees the old content or the new one. Its mode is 0600.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

/// Parses YAML (or JSON) into the fields of a kubeconfig.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        _ => Err("it must hold fields, as in \"current-context: NAME\"".to_owned()),
    }
}

/// Writes the fields as YAML.
pub(super) fn render(content: &Map<String, Value>) -> Result<String> {
    let mut content = content.clone();
    content.entry("apiVersion").or_insert(json!("v1"));
    content.entry("kind").or_insert(json!("Config"));
    serde_saphyr::to_string(&content).map_err(|error| failed(format!("writing a kubeconfig: {error}")))
}

/// The first line of an explanation; the others draw the place in the file.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The lock that `kubectl` takes too: a file beside the kubeconfig. Dropping it gives it back.
pub(super) struct Lock(PathBuf);

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = PathBuf::from(name);
        if let Some(folder) = lock.parent() {
            fs::create_dir_all(folder)
                .map_err(|error| failed(format!("creating {}: {error}", folder.display())))?;
        }
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match fs::File::create_new(&lock) {
                Ok(_) => return Ok(Self(lock)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let lock = lock.display();
                    return Err(failed(format!(
                        "another program is writing the kubeconfig; if none is, remove {lock}"
                    )));
                }
                Err(error) => return Err(failed(format!("locking {}: {error}", path.display()))),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
