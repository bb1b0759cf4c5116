//! Reading a text file that an operator names.

use std::{
    fs::OpenOptions,
    io::Read as _,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::problem::Complaint;

/// Why a file cannot be read as text.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The line that is at fault, from 1; 0 for the file as a whole.
    pub(super) line: usize,
    pub(super) complaint: Complaint,
}

fn whole(message: impl Into<String>, remedy: impl Into<String>) -> Unreadable {
    Unreadable { line: 0, complaint: Complaint::new(message, remedy) }
}

/// The text of a file of at most `largest` octets, without a byte order mark. A symbolic link is followed: whoever may
/// write the policy says what it names.
pub(super) fn read_text(path: &Path, largest: u64) -> Result<String, Unreadable> {
    read_text_while(path, largest, || {})
}

/// [`read_text`], and what happens meanwhile.
fn read_text_while(path: &Path, largest: u64, meanwhile: impl FnOnce()) -> Result<String, Unreadable> {
    let failed = |error: &std::io::Error| {
        let path = path.display();
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                whole("there is no such file", format!("write it, or correct the path ({path})"))
            }
            std::io::ErrorKind::PermissionDenied => {
                whole("no permission to read it", format!("run as root, or chmod a+r {path}"))
            }
            _ if error.raw_os_error() == Some(libc::ELOOP) => whole(
                "is a chain of symbolic links without an end",
                format!("name the file itself; look at {path} with ls -l"),
            ),
            _ => whole(format!("cannot be read: {error}"), format!("look at {path} with ls -l")),
        }
    };
    // A fifo would keep an opener waiting for whoever writes to it.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(libc::ENXIO) => whole("is a socket or a device", "name a file; copy into one what comes from elsewhere"),
        _ => failed(&error),
    })?;
    let before = file.metadata().map_err(|e| failed(&e))?;
    if before.is_dir() {
        return Err(whole("is a folder", "name the file in it"));
    }
    if !before.is_file() {
        let kind = if before.file_type().is_fifo() { "a pipe" } else { "a device" };
        return Err(whole(format!("is {kind}"), "name a file; copy into one what comes from elsewhere"));
    }
    let too_large = || {
        let message = format!("is larger than {} MiB", largest >> 20);
        whole(message, "look whether it is the right file")
    };
    if before.len() > largest {
        return Err(too_large());
    }
    meanwhile();
    let mut octets = Vec::with_capacity(before.len() as usize + 1);
    (&file).take(largest + 1).read_to_end(&mut octets).map_err(|e| failed(&e))?;
    let after = file.metadata().map_err(|e| failed(&e))?;
    let changed = before.modified().ok() != after.modified().ok() || before.len() != after.len();
    if changed || after.len() != octets.len() as u64 {
        return Err(whole("changed while it was read", "try again when whoever writes it has finished"));
    }
    if octets.starts_with(b"\xef\xbb\xbf") {
        octets.drain(..3);
    }
    let line_of = |octets: &[u8], offset: usize| {
        let before = octets.iter().take(offset);
        before.filter(|&&octet| octet == b'\n').count() + 1
    };
    // Looking whether there is one goes by words, looking where goes by octets.
    if octets.contains(&0)
        && let Some(offset) = octets.iter().position(|&octet| octet == 0)
    {
        let complaint = Complaint::new("holds a NUL octet, so it is no text", "look whether it is the right file");
        return Err(Unreadable { line: line_of(&octets, offset), complaint });
    }
    String::from_utf8(octets).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        let remedy = "save it as UTF-8; names and comments in another encoding are the usual cause";
        Unreadable { line, complaint: Complaint::new("is not UTF-8", remedy) }
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn complaint(path: &Path) -> String {
        read_text(path, 1 << 20).unwrap_err().complaint.to_string()
    }

    #[test]
    fn what_is_no_file_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(complaint(&fifo).starts_with("is a pipe; name a file"), "{}", complaint(&fifo));
        assert!(complaint(Path::new("/dev/zero")).starts_with("is a device; "));
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        assert!(complaint(&dir.path().join("socket")).starts_with("is a socket or a device; "));
        assert!(complaint(dir.path()).starts_with("is a folder; name the file in it"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(complaint(&link).contains("symbolic links without an end"), "{}", complaint(&link));
    }

    #[test]
    fn ten_gigabytes_are_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        fs::File::create(&path).unwrap().set_len(10 << 30).unwrap();
        let mut read = false;
        let refused = read_text_while(&path, 128 << 20, || read = true).unwrap_err();
        assert_eq!(refused.complaint.to_string(), "is larger than 128 MiB; look whether it is the right file");
        assert!(!read, "it is refused by its size");
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_no_file_to_go_by() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        fs::write(&path, "+232\n").unwrap();
        let grown = || fs::File::options().append(true).open(&path).unwrap().write_all(b"+881\n").unwrap();
        let cut = || fs::File::options().write(true).open(&path).unwrap().set_len(2).unwrap();
        for change in [&grown as &dyn Fn(), &cut] {
            let refused = read_text_while(&path, 1 << 20, change).unwrap_err();
            assert!(refused.complaint.message.contains("changed while it was read"), "{}", refused.complaint);
        }
        // What is renamed into its place leaves the one that is read as it was.
        fs::write(dir.path().join("new"), "+1\n").unwrap();
        let text = read_text_while(&path, 1 << 20, || fs::rename(dir.path().join("new"), &path).unwrap());
        assert_eq!(text.unwrap(), "+2");
    }
}
