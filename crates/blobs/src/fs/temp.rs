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
        let name = root.temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(root.fd(), name.as_str(), flags, FILE_MODE)
            .map_err(|errno| Error::system("create", path, errno))?;
        let temp = Temp {
            root: Arc::clone(root),
            name,
            renamed: false,
        };
        let file = File::from(file);
        write_all(&file, bytes, path)?;
        if durable {
            // Data before name: otherwise a power failure could leave the name with nothing behind it.
            rustix::fs::fdatasync(file.as_fd()).map_err(|errno| Error::system("sync", path, errno))?;
        }
        Ok(temp)
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
