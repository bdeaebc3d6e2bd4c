//! What a program reads on its standard input.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{ChildStdin, Stdio};
use std::thread;

/// What is sent to a program.
#[derive(Debug, Clone, Copy)]
pub enum Input<'i> {
    /// Bytes, which are few: they are copied.
    Bytes(&'i [u8]),
    /// A file, from its beginning. The program reads it itself: it does not come into this process's memory, whatever its size.
    File(&'i File),
}

impl Input<'_> {
    /// The end of the file at once.
    pub const NOTHING: Input<'static> = Input::Bytes(&[]);

    pub(super) fn stdio(self) -> io::Result<Stdio> {
        match self {
            Input::Bytes(_) => Ok(Stdio::piped()),
            Input::File(mut file) => {
                file.rewind()?;
                Ok(Stdio::from(file.try_clone()?))
            }
        }
    }

    /// Begins to write into the pipe, if there is one. A program that ends without reading its input closes the pipe: its exit status tells, and not this
    /// write.
    pub(super) fn feed(self, pipe: Option<ChildStdin>) -> Option<thread::JoinHandle<()>> {
        let (Input::Bytes(bytes), Some(mut pipe)) = (self, pipe) else {
            return None;
        };
        let bytes = bytes.to_vec();
        Some(thread::spawn(move || drop(pipe.write_all(&bytes))))
    }
}
