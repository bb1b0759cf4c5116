//! Cutting records out of a file, and the records of pcap.

use std::io::Read;

use pcap_parser::{
    LegacyPcapBlock, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::{CaptureError, LONGEST_FRAME, LinkType, Packet};

/// Octets of the file header.
const FILE_HEADER: usize = 24;

/// The file, and how far it has been read.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    /// Octets read.
    offset: u64,
    /// Where the record begins that is being read.
    start: u64,
    /// Packets that have been read whole.
    packets: u64,
}

impl Input {
    pub(super) fn new(name: String, reader: Box<dyn Read + Send>) -> Self {
        Self { name, reader, offset: 0, start: 0, packets: 0 }
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Says that a record begins here.
    pub(super) fn begin(&mut self) {
        self.start = self.offset;
    }

    /// Says that a packet has been read whole.
    pub(super) fn count(&mut self, packet: Packet) -> Packet {
        self.packets += 1;
        packet
    }

    /// Reads until `buffer` holds `length` octets or the file ends. The memory grows with what is there, not with
    /// what a record claims.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<(), CaptureError> {
        let missing = length.saturating_sub(buffer.len());
        match (&mut self.reader).take(missing as u64).read_to_end(buffer) {
            Ok(read) => {
                self.offset += read as u64;
                Ok(())
            }
            Err(source) => Err(CaptureError::Read { file: self.name(), offset: self.offset, source }),
        }
    }

    /// Like `fill`; a file that ends before is cut off.
    pub(super) fn need(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<(), CaptureError> {
        self.fill(buffer, length)?;
        if buffer.len() < length {
            return Err(CaptureError::Truncated { file: self.name(), packet: self.packets + 1, offset: self.start });
        }
        Ok(())
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> CaptureError {
        CaptureError::Malformed { file: self.name(), packet: self.packets + 1, offset: self.start, what: what.into() }
    }

    /// The length of a frame, if it is one that a network carries.
    pub(super) fn frame_length(&self, length: u32) -> Result<usize, CaptureError> {
        if length as usize <= LONGEST_FRAME {
            return Ok(length as usize);
        }
        Err(CaptureError::TooLong {
            file: self.name(),
            packet: self.packets + 1,
            offset: self.start,
            length: u64::from(length),
        })
    }

    /// The link type with this number, if it is one that we read.
    pub(super) fn link(&self, number: i32) -> Result<LinkType, CaptureError> {
        LinkType::from_number(number).ok_or_else(|| CaptureError::Link {
            file: self.name(),
            packet: self.packets + 1,
            link: number,
        })
    }
}

/// A pcap file after its header.
pub(super) struct Pcap {
    header: PcapHeader,
}

impl Pcap {
    /// Reads the rest of the file header, of which `head` is the magic number.
    pub(super) fn new(input: &mut Input, mut head: Vec<u8>) -> Result<Self, CaptureError> {
        input.need(&mut head, FILE_HEADER)?;
        match parse_pcap_header(&head) {
            Ok((_, header)) => Ok(Self { header }),
            Err(_) => Err(CaptureError::NotCapture { file: input.name() }),
        }
    }

    /// The next packet, or `None` at the end.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Packet>, CaptureError> {
        let header_length = if self.header.is_modified_format() { 24 } else { 16 };
        let mut record = Vec::new();
        input.begin();
        input.fill(&mut record, header_length)?;
        if record.is_empty() {
            return Ok(None);
        }
        input.need(&mut record, header_length)?;
        let captured = record.get(8..12).and_then(|octets| octets.try_into().ok()).unwrap_or_default();
        let captured =
            if self.header.is_bigendian() { u32::from_be_bytes(captured) } else { u32::from_le_bytes(captured) };
        let length = input.frame_length(captured)?;
        input.need(&mut record, header_length + length)?;
        let frame = match (self.header.is_modified_format(), self.header.is_bigendian()) {
            (true, _) => parse_pcap_frame_modified(&record),
            (false, true) => parse_pcap_frame_be(&record),
            (false, false) => parse_pcap_frame(&record),
        };
        let Ok((_, frame)) = frame else {
            return Err(input.malformed("its record cannot be read"));
        };
        // The upper bits say whether frames end with a check sequence; those octets follow the IP packet unread.
        let link = input.link(self.header.network.0 & 0x03ff_ffff)?;
        let packet = self.packet(link, &frame);
        Ok(Some(input.count(packet)))
    }

    fn packet(&self, link: LinkType, frame: &LegacyPcapBlock<'_>) -> Packet {
        let unit = if self.header.is_nanosecond_precision() { 1 } else { 1_000 };
        Packet {
            time_ns: u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * unit,
            link,
            data: frame.data.to_vec(),
            original_len: frame.origlen,
        }
    }
}
