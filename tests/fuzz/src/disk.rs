//! A disk in memory: no faults of its own, since the fuzzer brings them.

use std::collections::BTreeMap;

use unisono_core::journal::{Disk, DiskError, DiskErrorKind, DiskOperation};

/// Files by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(pub(crate) BTreeMap<String, Vec<u8>>);

impl MemoryDisk {
    fn file(&mut self, operation: DiskOperation, name: &str) -> Result<&mut Vec<u8>, DiskError> {
        let missing = DiskError::new(DiskErrorKind::Missing, operation, name);
        self.0.get_mut(name).ok_or(missing)
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        Ok(self
            .0
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
            .collect())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let missing = DiskError::new(DiskErrorKind::Missing, DiskOperation::Read, name);
        let bytes = self.0.get(name).ok_or(missing)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.0
            .entry(name.to_owned())
            .or_default()
            .extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.file(DiskOperation::Sync, name).map(|_| ())
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        let bytes = self.file(DiskOperation::Truncate, name)?;
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let bytes = std::mem::take(self.file(DiskOperation::Rename, from)?);
        self.0.remove(from);
        self.0.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let missing = DiskError::new(DiskErrorKind::Missing, DiskOperation::Remove, name);
        self.0.remove(name).map(|_| ()).ok_or(missing)
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
