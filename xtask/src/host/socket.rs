//! Unix sockets in folders with long names.

use std::fs::File;
use std::io::Result;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects to the socket `name` in `folder`, however long the folder's path is: `sun_path` holds 107 bytes
/// (unix(7)), so the folder is opened and named through `/proc/self/fd` (proc(5)).
pub fn connect(folder: &Path, name: &str) -> Result<UnixStream> {
    let opened = File::open(folder)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_long_folder_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(120)).join("y".repeat(120));
        std::fs::create_dir_all(&long).unwrap();
        assert!(
            UnixListener::bind(long.join("s")).is_err(),
            "the path is too short for this test"
        );
        let short = folder.path().join("s");
        let _listener = UnixListener::bind(&short).unwrap();
        std::fs::rename(short, long.join("s")).unwrap();
        super::connect(&long, "s").unwrap();
    }
}
