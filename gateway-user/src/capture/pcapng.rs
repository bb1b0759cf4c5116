//! The blocks of pcapng (draft-ietf-opsawg-pcapng): section, interface, and the three kinds of packet block.

use pcap_parser::{
    Block, EPB_MAGIC, IDB_MAGIC, InterfaceDescriptionBlock, SHB_MAGIC, SPB_MAGIC, parse_block_be, parse_block_le,
    traits::PcapNGPacketBlock,
};

use super::{CaptureError, LONGEST_FRAME, Packet, records::Input};

/// The obsolete Packet Block, which old captures hold.
const OPB_MAGIC: u32 = 2;
/// The longest block that is read: name tables and decryption secrets may be long, a packet with comments is not.
const LONGEST_BLOCK: usize = 16 << 20;
/// As many interfaces as a section may describe.
const MOST_INTERFACES: usize = 65_536;

/// What a packet needs to know of its interface.
struct Interface {
    link: i32,
    snaplen: u32,
    /// Ticks a second; 0 where it does not fit.
    resolution: u128,
    /// Seconds added to every time.
    offset: i64,
}

/// A pcapng file.
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Time of the packet before: Simple Packet Blocks have none.
    last_ns: u64,
    /// The section header, read to recognise the file and taken as the first block.
    first: Option<Vec<u8>>,
}

impl Pcapng {
    /// Reads the first block, of which `head` is the type.
    pub(super) fn new(input: &mut Input, head: Vec<u8>) -> Result<Self, CaptureError> {
        let mut this = Self { big_endian: false, interfaces: Vec::new(), last_ns: 0, first: None };
        this.first = Some(this.block(input, head)?);
        Ok(this)
    }

    /// The next packet, or `None` at the end.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Packet>, CaptureError> {
        loop {
            let block = if let Some(first) = self.first.take() {
                first
            } else {
                let mut head = Vec::new();
                input.begin();
                input.fill(&mut head, 4)?;
                if head.is_empty() {
                    return Ok(None);
                }
                self.block(input, head)?
            };
            if let Some(packet) = self.read(input, &block)? {
                return Ok(Some(input.count(packet)));
            }
        }
    }

    fn word(&self, octets: &[u8], at: usize) -> u32 {
        let word = octets.get(at..at + 4).and_then(|w| w.try_into().ok()).unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    /// Reads a whole block, of which `block` is the beginning.
    fn block(&mut self, input: &mut Input, mut block: Vec<u8>) -> Result<Vec<u8>, CaptureError> {
        input.need(&mut block, 12)?;
        // The section header's type reads the same in both orders, and its third word tells which one it is.
        if self.word(&block, 0) == SHB_MAGIC {
            self.big_endian = match block.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => true,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => false,
                _ => return Err(input.malformed("a section header without byte order")),
            };
        }
        let length = self.word(&block, 4) as usize;
        if length < 12 || !length.is_multiple_of(4) || length > LONGEST_BLOCK {
            return Err(input.malformed(format!("a block of {length} octets")));
        }
        input.need(&mut block, length)?;
        if self.word(&block, length - 4) as usize != length {
            return Err(input.malformed("a block whose two lengths differ"));
        }
        Ok(block)
    }

    /// Takes a block: the packet in it, or `None` where it holds none.
    fn read(&mut self, input: &Input, block: &[u8]) -> Result<Option<Packet>, CaptureError> {
        let kind = self.word(block, 0);
        match kind {
            OPB_MAGIC => return self.old_packet(input, block).map(Some),
            SHB_MAGIC | IDB_MAGIC | EPB_MAGIC | SPB_MAGIC => {}
            _ => return Ok(None),
        }
        let parsed = if self.big_endian { parse_block_be(block) } else { parse_block_le(block) };
        let Ok((_, parsed)) = parsed else {
            return Err(input.malformed(format!("a block of type {kind} that cannot be read")));
        };
        match parsed {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(idb) => self.interface(input, &idb)?,
            Block::EnhancedPacket(epb) => {
                let ticks = u64::from(epb.ts_high) << 32 | u64::from(epb.ts_low);
                input.frame_length(epb.caplen)?;
                return self.packet(input, epb.if_id, Some(ticks), epb.packet_data(), epb.origlen).map(Some);
            }
            Block::SimplePacket(spb) => {
                let snaplen = self.interfaces.first().map_or(0, |i| i.snaplen);
                let captured = if snaplen == 0 { spb.origlen } else { spb.origlen.min(snaplen) };
                let length = input.frame_length(captured)?;
                let Some(data) = spb.data.get(..length) else {
                    return Err(input.malformed("a packet longer than its block"));
                };
                return self.packet(input, 0, None, data, spb.origlen).map(Some);
            }
            _ => {}
        }
        Ok(None)
    }

    fn interface(&mut self, input: &Input, idb: &InterfaceDescriptionBlock<'_>) -> Result<(), CaptureError> {
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(input.malformed("more than 65536 interfaces"));
        }
        let exponent = u32::from(idb.if_tsresol & 0x7f);
        let base: u128 = if idb.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        // pcap-parser 0.17 reads this option as little-endian whatever the section says.
        let offset = if self.big_endian { idb.if_tsoffset.swap_bytes() } else { idb.if_tsoffset };
        self.interfaces.push(Interface {
            link: idb.linktype.0,
            snaplen: idb.snaplen,
            resolution: base.checked_pow(exponent).unwrap_or(0),
            offset,
        });
        Ok(())
    }

    /// The obsolete Packet Block: interface (16 bits), drops (16), time (2 × 32), captured, original, data.
    fn old_packet(&mut self, input: &Input, block: &[u8]) -> Result<Packet, CaptureError> {
        let interface = match (block.get(8..10), self.big_endian) {
            (Some(&[high, low]), true) | (Some(&[low, high]), false) => u16::from_be_bytes([high, low]),
            _ => return Err(input.malformed("a packet block without a header")),
        };
        let ticks = u64::from(self.word(block, 12)) << 32 | u64::from(self.word(block, 16));
        let length = input.frame_length(self.word(block, 20))?;
        // 8 octets of block header, 20 of packet header, 4 of trailer.
        let Some(data) = block.get(28..block.len() - 4).and_then(|data| data.get(..length)) else {
            return Err(input.malformed("a packet longer than its block"));
        };
        self.packet(input, u32::from(interface), Some(ticks), data, self.word(block, 24))
    }

    fn packet(
        &mut self,
        input: &Input,
        interface: u32,
        ticks: Option<u64>,
        data: &[u8],
        original_len: u32,
    ) -> Result<Packet, CaptureError> {
        debug_assert!(data.len() <= LONGEST_FRAME, "every caller has checked the length");
        let Some(interface) = self.interfaces.get(interface as usize) else {
            return Err(input.malformed(format!("interface {interface} is not described")));
        };
        let link = input.link(interface.link)?;
        if let Some(ticks) = ticks {
            self.last_ns = nanoseconds(ticks, interface.resolution, interface.offset);
        }
        Ok(Packet { time_ns: self.last_ns, link, data: data.to_vec(), original_len })
    }
}

/// Ticks as nanoseconds since 1970, held within what 64 bits carry (until the year 2554).
fn nanoseconds(ticks: u64, resolution: u128, offset: i64) -> u64 {
    const SECOND: i128 = 1_000_000_000;
    // 64 bits of ticks times 30 bits stay far below 128.
    let since = (u128::from(ticks) * SECOND as u128).checked_div(resolution).unwrap_or(0);
    let shifted = i128::try_from(since).unwrap_or(i128::MAX).saturating_add(i128::from(offset) * SECOND);
    u64::try_from(shifted.max(0)).unwrap_or(u64::MAX)
}
