//! Reading captures: pcap (microseconds and nanoseconds, either byte order) and pcapng, packet by packet.
//!
//! Records are cut out of the file here, so that every error knows its packet and its octet and no length in a file
//! decides how much memory is taken; what stands in a record is read by `pcap_parser`.

mod link;
mod message;
mod pcapng;
mod records;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

pub use link::{LinkType, to_ethernet};
pub(crate) use message::{Message, message};

use pcapng::Pcapng;
use records::{Input, Pcap};

/// The longest frame that is read: libpcap's own largest snapshot length (MAXIMUM_SNAPLEN).
pub const LONGEST_FRAME: usize = 256 * 1024;

/// One captured packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured: nanoseconds since 1970 by the clock of the capture. A packet without a time has that of
    /// the one before it.
    pub time_ns: u64,
    /// What the data begins with.
    pub link: LinkType,
    /// The octets that were captured.
    pub data: Vec<u8>,
    /// How many octets it had on the wire; more than `data` where the capture was cut.
    pub original_len: u32,
}

/// Why a capture cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{file}: cannot be opened: {source}; check the path and its permissions")]
    Open {
        /// The file as it was named.
        file: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Reading failed half way.
    #[error("{file}: cannot be read at octet {offset}: {source}; copy the file to a sound disk and try again")]
    Read {
        /// The file as it was named.
        file: String,
        /// Where.
        offset: u64,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{file}: is not pcap or pcapng: take one with tcpdump -w; a raw SIP message is for `replay --sip`")]
    NotCapture {
        /// The file as it was named.
        file: String,
    },
    /// It is compressed.
    #[error("{file}: is compressed with {with}; unpack it with {with} -d first")]
    Compressed {
        /// The file as it was named.
        file: String,
        /// The program that unpacks it.
        with: &'static str,
    },
    /// It ends inside a record.
    #[error(
        "{file}: ends inside packet {packet}, whose record begins at octet {offset}: the capture was cut off; \
         copy it again, or go on with the {} before it",
        packets(*.packet - 1)
    )]
    Truncated {
        /// The file as it was named.
        file: String,
        /// The packet, from 1.
        packet: u64,
        /// Where its record begins.
        offset: u64,
    },
    /// A record contradicts itself.
    #[error(
        "{file}: packet {packet}, at octet {offset}: {what}; the file is damaged: write it anew with \
         tcpdump -r {file} -w NEW.pcap"
    )]
    Malformed {
        /// The file as it was named.
        file: String,
        /// The packet, from 1.
        packet: u64,
        /// Where its record begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A frame is longer than any network carries.
    #[error(
        "{file}: packet {packet}, at octet {offset}: {length} octets, longer than any frame; \
         the file is damaged, or was captured with a snapshot length above 262144"
    )]
    TooLong {
        /// The file as it was named.
        file: String,
        /// The packet, from 1.
        packet: u64,
        /// Where its record begins.
        offset: u64,
        /// Its length.
        length: u64,
    },
    /// A kind of network that carries no IP as we know it.
    #[error(
        "{file}: packet {packet}: link type {link} is not read; capture on an Ethernet interface, or with \
         tcpdump -i any"
    )]
    Link {
        /// The file as it was named.
        file: String,
        /// The packet, from 1.
        packet: u64,
        /// The number of the link type, as registered by tcpdump.org.
        link: i32,
    },
}

/// `1 packet`, `2 packets`.
fn packets(n: u64) -> String {
    format!("{n} packet{}", if n == 1 { "" } else { "s" })
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Done,
}

/// The packets of a capture, in the order of the file. After an error it ends.
pub struct Capture {
    input: Input,
    format: Format,
}

/// Opens a capture.
pub fn open(path: &Path) -> Result<Capture, CaptureError> {
    let name = path.display().to_string();
    let open = || {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory));
        }
        Ok(file)
    };
    match open() {
        Ok(file) => Capture::new(name, BufReader::with_capacity(1 << 16, file)),
        Err(source) => Err(CaptureError::Open { file: name, source }),
    }
}

impl Capture {
    /// Reads a capture from anything; `name` is what errors call it.
    pub fn new(name: String, reader: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let mut input = Input::new(name, Box::new(reader));
        let mut magic = Vec::new();
        input.fill(&mut magic, 4)?;
        let format = match *magic.as_slice() {
            [0x0a, 0x0d, 0x0d, 0x0a] => Format::Pcapng(Pcapng::new(&mut input, magic)?),
            [0xd4, 0xc3, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0xc3, 0xd4]
            | [0x4d, 0x3c, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0x3c, 0x4d]
            | [0x34, 0xcd, 0xb2, 0xa1] => Format::Pcap(Pcap::new(&mut input, magic)?),
            [0x1f, 0x8b, ..] => {
                return Err(CaptureError::Compressed { file: input.name(), with: "gzip" });
            }
            [0x28, 0xb5, 0x2f, 0xfd] => {
                return Err(CaptureError::Compressed { file: input.name(), with: "zstd" });
            }
            [0xfd, b'7', b'z', b'X'] => {
                return Err(CaptureError::Compressed { file: input.name(), with: "xz" });
            }
            _ => return Err(CaptureError::NotCapture { file: input.name() }),
        };
        Ok(Self { input, format })
    }
}

impl Iterator for Capture {
    type Item = Result<Packet, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input),
            Format::Done => return None,
        };
        if !matches!(next, Ok(Some(_))) {
            self.format = Format::Done;
        }
        next.transpose()
    }
}
