//! What the journal asks of a disk, and how a disk says no.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// One flat directory of files that grow at their end. The process has a real one, the simulator
/// one that forgets what was not synced.
///
/// A disk keeps the order of `sync` calls: what was synced before stays. Anything else may be lost
/// or torn in a power cut, in any order.
pub trait Disk {
    /// Every file with its length in bytes, in the order of the names.
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError>;

    /// Up to `length` bytes from `offset`; fewer at the end of the file.
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError>;

    /// Writes at the end of the file, which is made if it is missing. After an error any prefix of
    /// the bytes may be there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes the content and length of the file durable. After an error nobody can tell which of
    /// the bytes since the last successful sync will survive, and trying again does not help.
    fn sync(&mut self, name: &str) -> Result<(), DiskError>;

    /// Cuts the file to `length` bytes. Not durable before `sync`.
    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError>;

    /// Gives the file another name, in place of the file that had it. Not durable before
    /// `sync_directory`.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes the file. Not durable before `sync_directory`.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;

    /// Makes the names of the files durable: new ones, renamed ones, removed ones.
    fn sync_directory(&mut self) -> Result<(), DiskError>;
}

impl<D: Disk + ?Sized> Disk for &mut D {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        (**self).list()
    }
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        (**self).read(name, offset, length)
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        (**self).append(name, bytes)
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).sync(name)
    }
    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        (**self).truncate(name, length)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        (**self).rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        (**self).remove(name)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        (**self).sync_directory()
    }
}

/// What a failure of a disk means to whoever called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskErrorKind {
    /// There is no room. It goes away when somebody makes some.
    Full,
    /// The device or the file system failed.
    Io,
    /// There is no such file.
    Missing,
}

/// What a disk was asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskOperation {
    /// List the directory.
    List,
    /// Read from a file.
    Read,
    /// Write at the end of a file.
    Append,
    /// Make a file durable.
    Sync,
    /// Cut a file.
    Truncate,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Remove,
    /// Make the directory durable.
    SyncDirectory,
}

/// A disk operation failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DiskError {
    /// What it means.
    pub kind: DiskErrorKind,
    /// What was tried.
    pub operation: DiskOperation,
    /// On which file; empty for the directory.
    pub file: String,
    /// What the system said; may be empty.
    pub detail: String,
}

impl DiskError {
    /// A failure of `operation` on `file`, without anything from the system to quote.
    pub fn new(kind: DiskErrorKind, operation: DiskOperation, file: &str) -> Self {
        Self {
            kind,
            operation,
            file: file.into(),
            detail: String::new(),
        }
    }

    /// Whether the cause is a lack of room.
    pub fn is_full(&self) -> bool {
        self.kind == DiskErrorKind::Full
    }

    /// Whether the cause is that there is no such file.
    pub fn is_missing(&self) -> bool {
        self.kind == DiskErrorKind::Missing
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.operation {
            DiskOperation::List => "list the directory",
            DiskOperation::Read => "read",
            DiskOperation::Append => "write to",
            DiskOperation::Sync => "make durable",
            DiskOperation::Truncate => "cut",
            DiskOperation::Rename => "rename",
            DiskOperation::Remove => "remove",
            DiskOperation::SyncDirectory => "make the directory durable",
        };
        let why = match self.kind {
            DiskErrorKind::Full => "the disk is full",
            DiskErrorKind::Io => "the disk failed",
            DiskErrorKind::Missing => "there is no such file",
        };
        write!(f, "cannot {what}")?;
        if !self.file.is_empty() {
            write!(f, " {}", self.file)?;
        }
        write!(f, ": {why}")?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl core::error::Error for DiskError {}
