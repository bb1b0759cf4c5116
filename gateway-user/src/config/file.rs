//! Reading a text file that an operator names.

use std::{fs, io::Read, path::Path};

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

/// The text of a file of at most `largest` octets, without a byte order mark.
pub(super) fn read_text(path: &Path, largest: u64) -> Result<String, Unreadable> {
    let failed = |error: &std::io::Error| {
        let path = path.display();
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                whole("there is no such file", format!("write it, or correct the path ({path})"))
            }
            std::io::ErrorKind::PermissionDenied => {
                whole("no permission to read it", format!("run as root, or chmod a+r {path}"))
            }
            _ => whole(format!("cannot be read: {error}"), format!("look at {path} with ls -l")),
        }
    };
    let mut file = fs::File::open(path).map_err(|e| failed(&e))?;
    let before = file.metadata().map_err(|e| failed(&e))?;
    if before.is_dir() {
        return Err(whole("is a folder", "name the file in it"));
    }
    let mut octets = Vec::new();
    (&mut file).take(largest + 1).read_to_end(&mut octets).map_err(|e| failed(&e))?;
    if octets.len() as u64 > largest {
        let message = format!("is larger than {} MiB", largest >> 20);
        return Err(whole(message, "look whether it is the right file"));
    }
    let after = file.metadata().map_err(|e| failed(&e))?;
    let changed = before.modified().ok() != after.modified().ok() || before.len() != after.len();
    if before.is_file() && (changed || after.len() != octets.len() as u64) {
        return Err(whole("changed while it was read", "try again when whoever writes it has finished"));
    }
    if octets.starts_with(b"\xef\xbb\xbf") {
        octets.drain(..3);
    }
    let line_of = |octets: &[u8], offset: usize| {
        let before = octets.iter().take(offset);
        before.filter(|&&octet| octet == b'\n').count() + 1
    };
    if let Some(offset) = octets.iter().position(|&octet| octet == 0) {
        let complaint = Complaint::new("holds a NUL octet, so it is no text", "look whether it is the right file");
        return Err(Unreadable { line: line_of(&octets, offset), complaint });
    }
    String::from_utf8(octets).map_err(|error| {
        let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
        let remedy = "save it as UTF-8; names and comments in another encoding are the usual cause";
        Unreadable { line, complaint: Complaint::new("is not UTF-8", remedy) }
    })
}
