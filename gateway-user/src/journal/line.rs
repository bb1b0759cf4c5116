//! One record a line: its checksum (CRC-32, IEEE 802.3) in hexadecimal, a blank, the record as JSON.
//!
//! A line that a crash cut short, or that the disk damaged, has another checksum and is left out; the others stand. What is
//! kept can be read with `cut -c10-` and no Tollgate.

use super::Entry;

/// Digits of the checksum.
const DIGITS: usize = 8;

/// The line of a record, line end included.
pub(super) fn encode(entry: &Entry) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(entry)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// The record in a line without its end; `None` where it is damaged, or of a kind that this version does not know.
pub(super) fn decode(line: &[u8]) -> Option<Entry> {
    let (sum, rest) = line.split_at_checked(DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if crc32fast::hash(json) != sum {
        return None;
    }
    serde_json::from_slice(json).ok()
}
