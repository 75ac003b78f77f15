//! The port.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{BlobPath, Result, Source};

/// Largest object that [`Driver::read`] returns and that a [`Step`] writes, in bytes: a manifest and some room.
pub const SMALL_MAX_BYTES: u64 = 5 << 20;

/// Objects by path.
///
/// An object is either there with all its bytes or not there; only objects under [`append`](Self::append) grow. Paths have
/// no directories of their own: one exists as long as something lies below it, though a filesystem may show it a while
/// longer. A path must not be an object and lie above one.
///
/// Any process that shares the storage sees what another one did as soon as the call returned there: nothing that is needed
/// to go on lives in the driver's memory.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Length and age of an object, `None` when there is none.
    async fn stat(&self, path: &BlobPath) -> Result<Option<Stat>>;

    /// A small object whole, `None` when there is none.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) above [`SMALL_MAX_BYTES`].
    async fn read(&self, path: &BlobPath) -> Result<Option<Bytes>>;

    /// An object of any size for reading, `None` when there is none. What was opened stays readable to its end even when
    /// the object is deleted or replaced meanwhile.
    async fn open(&self, path: &BlobPath) -> Result<Option<Source>>;

    /// The names directly below `directory`, sorted bytewise, at most `limit` (at least one) that come after `after`.
    /// Empty when nothing lies below it.
    async fn list(&self, directory: &BlobPath, after: Option<&str>, limit: usize) -> Result<Listing>;

    /// Begins to append to the object, which is created when `offset` is 0 and it does not exist.
    ///
    /// As long as the returned writer lives, no other writer for the same object can be had, in this process or another.
    /// What was appended is seen by [`stat`](Self::stat) and [`open`](Self::open) at the latest when the writer is closed.
    ///
    /// # Errors
    /// [`Error::Offset`](crate::Error::Offset) when the object's length is not `offset`,
    /// [`Error::NotFound`](crate::Error::NotFound) when it does not exist and `offset` is not 0, and
    /// [`Error::Locked`](crate::Error::Locked) while another writer lives.
    async fn append(&self, path: &BlobPath, offset: u64) -> Result<Box<dyn Append>>;

    /// Takes the steps in order. When it returns, all of them are durable, except where a step says otherwise.
    ///
    /// No step is ever seen half done, not even after a crash. On an error, or a crash before the return, any number of the
    /// steps may have been taken, and a later one may survive a power failure while an earlier one does not.
    async fn commit(&self, steps: Vec<Step>) -> Result<()>;

    /// Deletes one object durably; whether there was one.
    async fn delete(&self, path: &BlobPath) -> Result<bool>;

    /// Deletes everything at and below the path durably; whether there was anything. Objects that others write below it
    /// meanwhile may stay.
    async fn delete_tree(&self, path: &BlobPath) -> Result<bool>;

    /// A URL at which a client without credentials may do `method` on the object for `lifetime`, `None` when the storage
    /// has none to give.
    async fn signed_url(
        &self,
        path: &BlobPath,
        method: Method,
        lifetime: Duration,
    ) -> Result<Option<String>> {
        let (_, _, _) = (path, method, lifetime);
        Ok(None)
    }
}

/// A change to the storage, see [`Driver::commit`].
#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    /// Writes an object, replacing one that may be there.
    Put {
        /// Where.
        path: BlobPath,
        /// What; at most [`SMALL_MAX_BYTES`].
        bytes: Bytes,
    },
    /// Writes an object unless the same bytes are there already: then they stay, are made durable, and their age is
    /// refreshed as by [`Step::Touch`]. What differs was damaged, when the path follows from the content, and is replaced.
    Ensure {
        /// Where.
        path: BlobPath,
        /// What; at most [`SMALL_MAX_BYTES`].
        bytes: Bytes,
    },
    /// Writes an object that may be lost, or cut to nothing, by a power failure: a cheap note that can be made again. It
    /// survives the death of the process.
    Stash {
        /// Where.
        path: BlobPath,
        /// What; at most [`SMALL_MAX_BYTES`].
        bytes: Bytes,
    },
    /// Moves a finished upload to the path that follows from its content. When an object of the same length is there, that
    /// one stays, is made durable, its age is refreshed, and the upload is removed.
    ///
    /// Publish an upload only as a step of [`Append::close`], so that nobody can append to it meanwhile. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound) when there is no upload.
    Publish {
        /// The upload.
        from: BlobPath,
        /// Where it shall be.
        to: BlobPath,
    },
    /// Refreshes the age of an object, and makes sure that it is durable, before something is built on it. Fails with
    /// [`Error::NotFound`](crate::Error::NotFound) when there is none.
    Touch {
        /// The object.
        path: BlobPath,
    },
    /// Deletes everything at and below the path, if there is anything; a power failure may bring it back.
    Discard {
        /// The top.
        path: BlobPath,
    },
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Put { path, bytes } => write!(f, "Put({path}, {} bytes)", bytes.len()),
            Step::Ensure { path, bytes } => write!(f, "Ensure({path}, {} bytes)", bytes.len()),
            Step::Stash { path, bytes } => write!(f, "Stash({path}, {} bytes)", bytes.len()),
            Step::Publish { from, to } => write!(f, "Publish({from} to {to})"),
            Step::Touch { path } => write!(f, "Touch({path})"),
            Step::Discard { path } => write!(f, "Discard({path})"),
        }
    }
}

/// Appends to one object. Dropping it keeps what was written so far, which is then a prefix of what was given to
/// [`write`](Self::write); its length has to be asked for anew.
#[async_trait]
pub trait Append: Send + Sync {
    /// Length of the object, in bytes, with everything given to [`write`](Self::write).
    fn length(&self) -> u64;

    /// Appends bytes. They may still be on their way when it returns, bounded in number, and an error may concern earlier
    /// bytes; after an error the writer is of no more use.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// Makes everything written durable, then takes `then` as [`Driver::commit`] does, and only then lets other writers in.
    /// Returns the length of the object, in bytes.
    ///
    /// If the bytes cannot be made durable, the storage has lost track of them and the object is removed.
    async fn close(self: Box<Self>, then: Vec<Step>) -> Result<u64>;

    /// Writes what is still on its way, takes `then`, and lets other writers in, without making the bytes durable: a power
    /// failure may take them, or leave others in their place. Nothing may be noted down about them that outlives one, such as
    /// a hash state. Returns the length of the object, in bytes.
    async fn release(self: Box<Self>, then: Vec<Step>) -> Result<u64>;
}

/// Length and age of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length, in bytes.
    pub size: u64,
    /// When it was last written or touched.
    pub modified: SystemTime,
}

/// What a signed URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// To read.
    Get,
    /// To ask for length and type.
    Head,
}

/// One page of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The names in order.
    pub entries: Vec<Entry>,
    /// Whether there are names after the last one.
    pub more: bool,
}

/// One name directly below a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last component of the path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// An object.
    Object,
    /// Something lies, or lay, below it.
    Directory,
}

/// Conveniences over [`Driver`].
#[async_trait]
pub trait DriverExt: Driver {
    /// One [`Step::Put`].
    ///
    /// # Errors
    /// As [`Driver::commit`].
    async fn put(&self, path: &BlobPath, bytes: Bytes) -> Result<()> {
        self.commit(vec![Step::Put {
            path: path.clone(),
            bytes,
        }])
        .await
    }

    /// One [`Step::Touch`]; `false` when there is no such object.
    ///
    /// # Errors
    /// As [`Driver::commit`].
    async fn touch(&self, path: &BlobPath) -> Result<bool> {
        match self.commit(vec![Step::Touch { path: path.clone() }]).await {
            Ok(()) => Ok(true),
            Err(crate::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<D: Driver + ?Sized> DriverExt for D {}
