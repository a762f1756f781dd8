//! The log of the bare loop: over zeros, so that a sync writes nothing but the bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// When so much is written, it begins again at the front.
const BYTES: usize = 16 << 20;

/// A file of zeros that is written from front to end, again and again.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    at: usize,
}

impl LogFile {
    /// Makes the file, and has its zeros written.
    pub fn create(path: &Path) -> io::Result<LogFile> {
        let file = File::create_new(path)?;
        file.write_all_at(&vec![0; BYTES], 0)?;
        file.sync_all()?;
        Ok(LogFile { file, at: 0 })
    }

    /// Writes, and returns when it is durable.
    pub fn append_durably(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at + bytes.len() > BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at as u64)?;
        self.at += bytes.len();
        self.file.sync_data()
    }
}
