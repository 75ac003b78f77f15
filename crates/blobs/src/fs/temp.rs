//! Private files on their way to a name.

use std::{fs::File, os::fd::AsFd as _, sync::Arc};

use rustix::fs::{AtFlags, OFlags};

use super::{FILE_MODE, root::Root};
use crate::{BlobPath, Error, Result};

/// A private file. Unless it is renamed, dropping it removes it.
pub(super) struct Temp {
    root: Arc<Root>,
    name: String,
    renamed: bool,
}

impl Temp {
    /// Writes `bytes` into a private file, which is synced if it shall be `durable`. `path` is where it will go, for errors.
    pub(super) fn write(root: &Arc<Root>, path: &BlobPath, bytes: &[u8], durable: bool) -> Result<Temp> {
        // Without anything to write, the age of a file that is used again would not change.
        let spare = if bytes.is_empty() { None } else { Self::spare(root) };
        let used = spare.is_some();
        let (temp, file) = match spare {
            Some(spare) => spare,
            None => Self::create(root).map_err(|errno| Error::system("create", path, errno))?,
        };
        write_all(&file, bytes, path)?;
        if used {
            let size = bytes.len() as u64;
            let cut = rustix::fs::fstat(&file).and_then(|stat| match u64::try_from(stat.st_size) {
                Ok(held) if held > size => rustix::fs::ftruncate(&file, size),
                _ => Ok(()),
            });
            cut.map_err(|errno| Error::system("truncate", path, errno))?;
        }
        if durable {
            // Data before name: otherwise a power failure could leave the name with nothing behind it.
            rustix::fs::fdatasync(file.as_fd()).map_err(|errno| Error::system("sync", path, errno))?;
        }
        Ok(temp)
    }

    fn create(root: &Arc<Root>) -> rustix::io::Result<(Temp, File)> {
        let name = root.temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(root.fd(), name.as_str(), flags, FILE_MODE)?;
        Ok((Self::new(root, name), File::from(file)))
    }

    /// A file that was discarded, still with its content.
    fn spare(root: &Arc<Root>) -> Option<(Temp, File)> {
        let name = root.spares().take_file()?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(root.fd(), name.as_str(), flags, FILE_MODE).ok()?;
        Some((Self::new(root, name), File::from(file)))
    }

    fn new(root: &Arc<Root>, name: String) -> Temp {
        Temp {
            root: Arc::clone(root),
            name,
            renamed: false,
        }
    }

    /// The name, relative to the root.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Says that the file has left its private place.
    pub(super) fn forget(mut self) {
        self.renamed = true;
    }
}

fn write_all(file: &File, mut bytes: &[u8], path: &BlobPath) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::system("write", path, errno)),
        }
    }
    Ok(())
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.renamed {
            // If even this fails, the file is removed by age at the next start.
            let _ = rustix::fs::unlinkat(self.root.fd(), self.name.as_str(), AtFlags::empty());
        }
    }
}
