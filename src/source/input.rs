//! The bytes of a file, plain or compressed, by offset in the decompressed text. Not for lines.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::spool_bound;

/// Whether an error leaves open if a file is there: too many open files, a disk that does not answer. Of a sibling, which may be
/// anybody's, a refused permission says nothing.
pub fn is_no_answer(error: &io::Error, sibling: bool) -> bool {
    let refused = error.kind() == io::ErrorKind::PermissionDenied && sibling;
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound && !refused
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// It is not.
    None,
    /// gzip, several members included.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// An open file.
pub enum Input {
    /// Read in place; no further than the bound, if there is one.
    Plain(File, Option<Arc<AtomicU64>>),
    /// Decompressed as it is read; going back starts again from the front.
    Compressed(Box<Stream>),
}

/// A compressed file being read.
pub struct Stream {
    file: File,
    compression: Compression,
    reader: Box<dyn Read + Send>,
    /// Decompressed bytes that were read ahead of what was asked for.
    window: Vec<u8>,
    /// Offset of the window's first byte.
    start: u64,
}

#[cfg(test)]
thread_local! {
    /// Bytes that were read in this thread: what work is measured by.
    pub(super) static BYTES_READ: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

impl Input {
    /// Opens a file and looks at its first bytes to see whether it is compressed.
    pub fn open(path: &Path) -> io::Result<Input> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut magic = [0; 4];
        let read = file.read_at(&mut magic, 0)?;
        let compression = match &magic[..read] {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            _ => {
                let bound = spool_bound::of(metadata.dev(), metadata.ino());
                return Ok(Input::Plain(file, bound));
            }
        };
        Ok(Input::Compressed(Box::new(Stream::of(file, compression)?)))
    }

    /// The same file, open once more, to be read from anywhere.
    pub fn again(&self) -> io::Result<Input> {
        Ok(match self {
            Input::Plain(file, bound) => Input::Plain(file.try_clone()?, bound.clone()),
            Input::Compressed(stream) => {
                Input::Compressed(Box::new(Stream::of(stream.file.try_clone()?, stream.compression)?))
            }
        })
    }

    /// How it is compressed.
    pub fn compression(&self) -> Compression {
        match self {
            Input::Plain(..) => Compression::None,
            Input::Compressed(stream) => stream.compression,
        }
    }

    /// The file's metadata.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        match self {
            Input::Plain(file, _) => file.metadata(),
            Input::Compressed(stream) => stream.file.metadata(),
        }
    }

    /// Device and inode.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let metadata = self.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Fills `buffer` from an offset of the decompressed text; fewer bytes only at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.read_some_at(buffer, offset);
        #[cfg(test)]
        BYTES_READ.set(BYTES_READ.get() + *read.as_ref().unwrap_or(&0) as u64);
        read
    }

    fn read_some_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Input::Plain(file, bound) => {
                let limit = bound.as_ref().map_or(u64::MAX, |bound| bound.load(Ordering::Acquire));
                let room = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
                let buffer = &mut buffer[..room];
                let mut filled = 0;
                while filled < buffer.len() {
                    match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                        Ok(0) => break,
                        Ok(count) => filled += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(filled)
            }
            Input::Compressed(stream) => stream.read_at(buffer, offset),
        }
    }
}

fn decompress(file: &File, compression: Compression) -> io::Result<Box<dyn Read + Send>> {
    let file = FromStart { file: file.try_clone()?, at: 0 };
    Ok(match compression {
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file))),
        Compression::Zstd => Box::new(zstd::Decoder::new(file)?),
        Compression::None => Box::new(file),
    })
}

/// A file read from its start, wherever others that have it open read.
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Stream {
    fn of(file: File, compression: Compression) -> io::Result<Stream> {
        let reader = decompress(&file, compression)?;
        Ok(Stream { file, compression, reader, window: Vec::new(), start: 0 })
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.start {
            self.reader = decompress(&self.file, self.compression)?;
            self.window.clear();
            self.start = 0;
        }
        // Bytes before the offset are not asked for again while reading forward.
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.window.len());
        self.window.drain(..skip);
        self.start += skip as u64;
        let mut chunk = vec![0; 1 << 16];
        while self.start < offset {
            let want = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(chunk.len());
            match self.reader.read(&mut chunk[..want])? {
                0 => return Ok(0),
                count => self.start += count as u64,
            }
        }
        while self.window.len() < buffer.len() {
            match self.reader.read(&mut chunk)? {
                0 => break,
                count => self.window.extend_from_slice(&chunk[..count]),
            }
        }
        let count = buffer.len().min(self.window.len());
        buffer[..count].copy_from_slice(&self.window[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_compressed_file_is_read_by_the_offsets_of_its_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let text: Vec<u8> = (0..200_000u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let path = folder.path().join("a.gz");
        let mut gzip = flate2::write::GzEncoder::new(File::create(&path).expect("made"), flate2::Compression::fast());
        gzip.write_all(&text).expect("written");
        gzip.finish().expect("finished");
        let mut input = Input::open(&path).expect("opened");
        assert_eq!(input.compression(), Compression::Gzip);
        for offset in [0, 500_000, 500_010, 7, text.len() - 5] {
            let mut buffer = [0; 100];
            let count = input.read_at(&mut buffer, offset as u64).expect("read");
            assert_eq!(buffer[..count], text[offset..text.len().min(offset + 100)]);
        }
        assert_eq!(input.read_at(&mut [0; 4], text.len() as u64 + 9).expect("read"), 0);
    }
}
