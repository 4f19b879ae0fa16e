//! The policy folder, read from disk: which files, how large, as text.
//!
//! Here and not in `policy/`, which does no I/O. `check`, start and reload read it the same way.

use crate::diagnostic::{MAX_FILE_BYTES, Source};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More files than this are no policy folder.
const MAX_FILES: usize = 1024;

/// Why the policy folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder itself.
    #[error("cannot read the policy folder `{path}`")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One file in it.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One file is too large.
    #[error("`{path}` is larger than {} KiB", most >> 10)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that it may have.
        most: usize,
    },
    /// One file is not text.
    #[error("`{path}` is not UTF-8 from line {line} on")]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not.
        line: usize,
    },
    /// Nothing to read. That is a mistake, not a policy: a folder that was mounted too late looks so.
    #[error("there is no `*.yaml` in `{path}`")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Too much to read.
    #[error("there are more than {MAX_FILES} files in `{path}`")]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// The folder's `*.yaml` and `*.yml`, by name. Hidden files are left out: editors put theirs there.
///
/// # Errors
///
/// Where the folder or one of the files cannot be read whole, or there is none.
pub fn read(dir: &Path) -> Result<Vec<Source>, ReadError> {
    let folder = |source| ReadError::Folder { path: dir.to_path_buf(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(folder)? {
        let path = entry.map_err(folder)?.path();
        if is_policy(&path) {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(ReadError::TooMany { path: dir.to_path_buf() });
        }
    }
    if paths.is_empty() {
        return Err(ReadError::Empty { path: dir.to_path_buf() });
    }
    paths.sort();
    paths.into_iter().map(read_file).collect()
}

fn is_policy(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    !hidden && yaml
}

/// One file that people write, bounded, as text.
///
/// # Errors
///
/// Where it is no regular file, larger than [`MAX_FILE_BYTES`], not UTF-8 or cannot be read.
pub fn read_file(path: PathBuf) -> Result<Source, ReadError> {
    read_at_most(path, MAX_FILE_BYTES)
}

/// The same for a file that may be larger.
///
/// # Errors
///
/// Where it is no regular file, larger than so many bytes, not UTF-8 or cannot be read.
pub fn read_at_most(path: PathBuf, most: usize) -> Result<Source, ReadError> {
    let file = open_at_most(&path, most)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    if let Err(source) = file.take(limit).read_to_end(&mut bytes) {
        return Err(ReadError::File { path, source });
    }
    if bytes.len() > most {
        return Err(ReadError::TooLarge { path, most });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { path, text }),
        Err(error) => {
            let until = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes().iter().take(until).filter(|byte| **byte == b'\n').count();
            Err(ReadError::NotText { path, line })
        }
    }
}

/// A file of at most so many bytes, opened.
///
/// # Errors
///
/// Where it is no regular file, larger than that, or cannot be opened.
pub fn open_at_most(path: &Path, most: usize) -> Result<File, ReadError> {
    let failed = |source| ReadError::File { path: path.to_owned(), source };
    // Asked before it is opened: opening a pipe would wait for a writer.
    let looked = fs::metadata(path).map_err(failed)?;
    if !looked.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    if usize::try_from(looked.len()).map_or(true, |size| size > most) {
        return Err(ReadError::TooLarge { path: path.to_owned(), most });
    }
    File::open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_files_are_read_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("b.yaml", "b"), ("a.yml", "a"), (".c.yaml", "c"), ("d.txt", "d"), ("e.yaml~", "e")]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let texts: Vec<_> = read(dir.path()).unwrap().into_iter().map(|source| source.text).collect();
        assert_eq!(texts, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_nothing_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(ReadError::Empty { .. })));
        assert!(matches!(read(&dir.path().join("x")), Err(ReadError::Folder { .. })));
        fs::write(dir.path().join("a.yaml"), "version: 1\n").unwrap();
        for (make, want) in [
            (Box::new(|path: &Path| fs::create_dir(path).unwrap()) as Box<dyn Fn(&Path)>, "cannot read"),
            (Box::new(|path| fs::write(path, b"a\n\xff\n").unwrap()), "from line 2"),
            (
                Box::new(|path| fs::write(path, vec![b' '; MAX_FILE_BYTES + 1]).unwrap()),
                "larger than 1024 KiB",
            ),
            (Box::new(|path| std::os::unix::fs::symlink("nowhere", path).unwrap()), "cannot read"),
        ] {
            let path = dir.path().join("b.yaml");
            make(&path);
            let said = read(dir.path()).unwrap_err().to_string();
            assert!(said.contains(want) && said.contains("b.yaml"), "{said}");
            if path.is_dir() { fs::remove_dir(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
        }
    }
}
