//! A directory of the file system as a disk of the journal.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use unisono_core::journal::{Disk, DiskError, DiskErrorKind, DiskOperation};

/// The file whose lock says that a process uses the directory.
pub(crate) const LOCK_NAME: &str = "lock";
/// How many files stay open for writing: the growing segment, and one that replaces another.
const OPEN_FILES_MAX: usize = 4;

/// A directory cannot be used as a disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenDiskError {
    /// Another process has it.
    #[error("{} is in use by another process; nothing was changed", .0.display())]
    InUse(PathBuf),
    /// The system refused.
    #[error("{} cannot be used as a data directory: {source}", path.display())]
    Io {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A flat directory of files, locked against other processes for as long as this value lives.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    /// `None` if the directory is only read, perhaps while another process uses it.
    lock: Option<File>,
    /// Files open for writing, the one used last at the end.
    open: Vec<(String, File)>,
}

impl FileDisk {
    /// Uses the directory, which is made (mode 0700) if it is missing, and locks it.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, OpenDiskError> {
        let directory = directory.into();
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| OpenDiskError::Io { path, source }
        };
        make_directory(&directory).map_err(failed(&directory))?;
        let path = directory.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(&path).map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                directory,
                lock: Some(lock),
                open: Vec::new(),
            }),
            Err(TryLockError::WouldBlock) => Err(OpenDiskError::InUse(directory)),
            Err(TryLockError::Error(source)) => Err(OpenDiskError::Io { path, source }),
        }
    }

    /// Reads the directory without a lock; every change is refused.
    pub fn open_read_only(directory: impl Into<PathBuf>) -> Result<Self, OpenDiskError> {
        let directory = directory.into();
        match fs::read_dir(&directory) {
            Ok(_) => Ok(Self {
                directory,
                lock: None,
                open: Vec::new(),
            }),
            Err(source) => Err(OpenDiskError::Io {
                path: directory,
                source,
            }),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn may_write(&self, operation: DiskOperation, name: &str) -> Result<(), DiskError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let mut error = DiskError::new(DiskErrorKind::Io, operation, name);
        "opened for reading only".clone_into(&mut error.detail);
        Err(error)
    }

    /// The file, open for appending.
    fn writer(
        &mut self,
        name: &str,
        create: bool,
        operation: DiskOperation,
    ) -> Result<&mut File, DiskError> {
        self.may_write(operation, name)?;
        if let Some(at) = self.open.iter().position(|(open, _)| open == name) {
            let file = self.open.remove(at);
            self.open.push(file);
        } else {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(create);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.open(self.path(name));
            let file = file.map_err(|error| disk_error(operation, name, &error))?;
            if self.open.len() >= OPEN_FILES_MAX {
                self.open.remove(0);
            }
            self.open.push((name.to_owned(), file));
        }
        let (_, file) = self.open.last_mut().expect("a file was just put there");
        Ok(file)
    }

    fn close(&mut self, name: &str) {
        self.open.retain(|(open, _)| open != name);
    }
}

impl Disk for FileDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let failed = |error: io::Error| disk_error(DiskOperation::List, "", &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            // Names of ours are plain; whatever else lies there is none of our files.
            if let Ok(name) = entry.file_name().into_string()
                && metadata.is_file()
                && name != LOCK_NAME
            {
                files.push((name, metadata.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let failed = |error: io::Error| disk_error(DiskOperation::Read, name, &error);
        let mut file = File::open(self.path(name)).map_err(failed)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        }
        let left = file
            .metadata()
            .map_err(failed)?
            .len()
            .saturating_sub(offset);
        let length = (length as u64).min(left);
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.writer(name, true, DiskOperation::Append)?;
        file.write_all(bytes)
            .map_err(|error| disk_error(DiskOperation::Append, name, &error))
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let file = self.writer(name, false, DiskOperation::Sync)?;
        file.sync_data()
            .map_err(|error| disk_error(DiskOperation::Sync, name, &error))
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        let file = self.writer(name, false, DiskOperation::Truncate)?;
        file.set_len(length)
            .map_err(|error| disk_error(DiskOperation::Truncate, name, &error))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.may_write(DiskOperation::Rename, from)?;
        fs::rename(self.path(from), self.path(to))
            .map_err(|error| disk_error(DiskOperation::Rename, from, &error))?;
        self.close(to);
        if let Some((open, _)) = self.open.iter_mut().find(|(open, _)| open == from) {
            to.clone_into(open);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.may_write(DiskOperation::Remove, name)?;
        self.close(name);
        fs::remove_file(self.path(name))
            .map_err(|error| disk_error(DiskOperation::Remove, name, &error))
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.may_write(DiskOperation::SyncDirectory, "")?;
        sync_path(&self.directory)
            .map_err(|error| disk_error(DiskOperation::SyncDirectory, "", &error))
    }
}

/// Makes the directory and the names that lead to it durable, readable by its owner only.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_path(Path::new(".")),
        Some(parent) => sync_path(parent),
        None => Ok(()),
    }
}

fn sync_path(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn disk_error(operation: DiskOperation, name: &str, error: &io::Error) -> DiskError {
    let full = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::FileTooLarge,
    ];
    let kind = match error.kind() {
        ErrorKind::NotFound => DiskErrorKind::Missing,
        kind if full.contains(&kind) => DiskErrorKind::Full,
        _ => DiskErrorKind::Io,
    };
    DiskError {
        kind,
        operation,
        file: name.to_owned(),
        detail: error.to_string(),
    }
}
