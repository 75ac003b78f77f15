//! The kubeconfig: the files that `kubectl`, `oc` and `berth` share.
//!
//! Several files form one configuration: of entries with the same name the first file's counts. An entry is changed in the file
//! that holds it; what this program does not know is kept. A file is replaced whole, by a rename, with mode 0600, under the
//! same lock file that `kubectl` takes.
mod entry;
mod file;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use self::file::{File, Lock};
pub(crate) use self::{entry::Section, file::replace};
use crate::{
    Environment,
    error::{Result, failed},
};

/// Which files form the configuration.
#[derive(Clone, Debug)]
pub struct Paths {
    files: Vec<PathBuf>,
}

impl Paths {
    /// The file `explicit` if given, else the list in `KUBECONFIG`, else `~/.kube/config`.
    ///
    /// # Errors
    /// When none of them is known.
    pub fn new(explicit: Option<&Path>, environment: &Environment) -> Result<Self> {
        if let Some(path) = explicit {
            return Ok(Self {
                files: vec![path.to_owned()],
            });
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for path in environment.kubeconfig.iter().flat_map(std::env::split_paths) {
            if !path.as_os_str().is_empty() && !files.contains(&path) {
                files.push(path);
            }
        }
        if files.is_empty() {
            let home = environment.home.as_ref();
            let home = home
                .ok_or_else(|| failed("neither HOME nor KUBECONFIG is set; name a file with --kubeconfig"))?;
            files.push(home.join(".kube").join("config"));
        }
        Ok(Self { files })
    }

    /// Reads the files; those that do not exist are empty.
    ///
    /// # Errors
    /// When one cannot be read or is no kubeconfig.
    pub fn load(&self) -> Result<Kubeconfig> {
        let files = self
            .files
            .iter()
            .map(|path| File::read(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Kubeconfig { files })
    }

    /// Applies `change` to what the files hold now, and writes those that it changed. It is called twice: the first time
    /// shows which files have to be locked.
    ///
    /// # Errors
    /// When a file cannot be read, locked or written; nothing is changed then in that file.
    pub fn edit(&self, change: impl Fn(&mut Kubeconfig)) -> Result<()> {
        let mut draft = self.load()?;
        change(&mut draft);
        let locks = draft
            .changed()
            .map(|file| Lock::take(&file.path))
            .collect::<Result<Vec<_>>>()?;
        let mut config = self.load()?;
        change(&mut config);
        for file in config.changed() {
            file.write()?;
        }
        drop(locks);
        Ok(())
    }
}

/// What the files say together.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    files: Vec<File>,
}

impl Kubeconfig {
    /// Whether no file has anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.iter().all(|file| file.content.is_empty())
    }

    /// Name of the context in use.
    pub(crate) fn current_context(&self) -> Option<&str> {
        let names = self
            .files
            .iter()
            .filter_map(|file| file.content.get("current-context")?.as_str());
        names.into_iter().find(|name| !name.is_empty())
    }

    /// The body of an entry.
    pub(crate) fn get(&self, section: Section, name: &str) -> Option<&Map<String, Value>> {
        self.files
            .iter()
            .find_map(|file| section.find(&file.content, name))
    }

    /// A text field of an entry.
    pub(crate) fn text(&self, section: Section, name: &str, field: &str) -> Option<&str> {
        let value = self.get(section, name)?.get(field)?.as_str()?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// Every entry of a section, each name once.
    pub(crate) fn entries(&self, section: Section) -> Vec<(String, Map<String, Value>)> {
        let mut entries: Vec<(String, Map<String, Value>)> = Vec::new();
        for file in &self.files {
            for (name, body) in section.entries(&file.content) {
                if !entries.iter().any(|(known, _)| known == name) {
                    let mut body = body.clone();
                    section.anchor(&mut body, file.path.parent().unwrap_or(Path::new("")));
                    entries.push((name.to_owned(), body));
                }
            }
        }
        entries
    }

    /// An entry with its relative paths made absolute, so that it may be used from another folder or put into another file.
    pub(crate) fn anchored(&self, section: Section, name: &str) -> Option<Map<String, Value>> {
        self.entries(section)
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, body)| body)
    }

    /// Changes an entry where it is, or adds one to the first file.
    pub(crate) fn set(&mut self, section: Section, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let holder = self
            .files
            .iter()
            .position(|file| section.find(&file.content, name).is_some());
        let file = holder.unwrap_or_else(|| self.default_file());
        change(section.entry(&mut self.files[file].content, name));
    }

    /// Changes every entry of a section, also those that another file hides.
    pub(crate) fn set_all(&mut self, section: Section, mut change: impl FnMut(&mut Map<String, Value>)) {
        for file in &mut self.files {
            section.each(&mut file.content, &mut change);
        }
    }

    /// Makes `context` the one in use, in the file that says which one is.
    pub(crate) fn use_context(&mut self, context: &str) {
        let said = |file: &File| {
            let name = file.content.get("current-context").and_then(Value::as_str);
            name.is_some_and(|name| !name.is_empty())
        };
        let file = self
            .files
            .iter()
            .position(said)
            .unwrap_or_else(|| self.default_file());
        self.files[file]
            .content
            .insert("current-context".to_owned(), context.into());
    }

    /// Everything as one document, for a client library.
    pub(crate) fn merged(&self) -> Value {
        let list = |section: Section| -> Value {
            let entries = self.entries(section).into_iter();
            entries
                .map(|(name, body)| json!({"name": name, section.field(): body}))
                .collect()
        };
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": list(Section::Clusters),
            "users": list(Section::Users),
            "contexts": list(Section::Contexts),
            "current-context": self.current_context().unwrap_or_default(),
        })
    }

    /// Where a new entry goes: the first file that exists, else the last one.
    fn default_file(&self) -> usize {
        let existing = self.files.iter().position(|file| file.existed);
        existing.unwrap_or(self.files.len().saturating_sub(1))
    }

    fn changed(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_changed())
    }
}

#[cfg(test)]
mod tests;
