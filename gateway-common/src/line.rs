//! Lines: whose orders are asked for a call of one telephone behind an address.
//!
//! A line is the username of Authorization or Proxy-Authorization, else, for lan sources only, the user of From; always within
//! the profile of the source, so that a name given outside means nothing inside. An order for a line is compiled into a
//! profile of its own, and the image has a table of those, by the digest of the name.
//!
//! The digest is not keyed: whoever can choose a name that collides with another line's could as well use that name.

use crate::policy::{
    Policy,
    image::{LINES, PROFILE_CELLS, PROFILES},
};

/// Slots that a look-up reads at most; the compiler makes the table so large that no line lies further.
pub const PROBES: u32 = 8;
/// Cells of a slot: key, number of the profile.
pub const SLOT_CELLS: u32 = 2;

/// Digest of a name, octet by octet (FNV-1a, 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>). Usernames are compared
/// octet by octet too (RFC 7616 section 3.4), so case counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// The digest of no octet: no line.
    pub const NONE: Self = Self(0xcbf2_9ce4_8422_2325);

    /// The digest with one more octet.
    #[inline(always)]
    pub const fn with(self, octet: u8) -> Self {
        Self((self.0 ^ octet as u64).wrapping_mul(0x0100_0000_01b3))
    }

    /// The digest of a whole name.
    pub fn of(name: &[u8]) -> Self {
        name.iter().fold(Self::NONE, |digest, octet| digest.with(*octet))
    }
}

/// The key of a line in the table of the image: its digest, and the number of the profile of its source. Never 0, which is an
/// empty slot.
#[inline(always)]
pub const fn line_key(digest: u64, profile: u32) -> u64 {
    // The finalizer of SplitMix64: every bit of both counts in the low ones, by which slots are found.
    let mut key = digest ^ (profile as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^= key >> 31;
    if key == 0 { 1 } else { key }
}

/// The cell of the profile that holds for a line of `profile`, the cell of its source's: that of the line's own orders, or
/// `profile` where it has none.
#[inline(always)]
pub fn scope<P: Policy>(policy: &P, digest: u64, profile: u32) -> u32 {
    let head = policy.cell(LINES);
    let (base, mask) = (head as u32, (head >> 32) as u32);
    if base == 0 || digest == Digest::NONE.0 {
        return profile;
    }
    let profiles = policy.cell(PROFILES) as u32;
    let key = line_key(digest, profile.wrapping_sub(profiles) / PROFILE_CELLS);
    let mut i = 0u32;
    while i < PROBES {
        let at = base + SLOT_CELLS * ((key as u32).wrapping_add(i) & mask);
        let found = policy.cell(at);
        if found == key {
            return profiles + policy.cell(at + 1) as u32 * PROFILE_CELLS;
        }
        if found == 0 {
            break;
        }
        i = policy.rolled(i + 1);
    }
    profile
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::text::Steps;

    struct Image(Vec<u64>);

    impl Steps for Image {}

    impl Policy for Image {
        fn cell(&self, index: u32) -> u64 {
            self.0.get(index as usize).copied().unwrap_or(0)
        }

        fn dialled(&self, _: u32) -> u8 {
            0
        }
    }

    const FIRST: u32 = 2000;
    const BASE: u32 = 4000;

    fn cell_of(profile: u32) -> u32 {
        FIRST + profile * PROFILE_CELLS
    }

    /// An image of `slots` slots with these lines: name, profile, the profile of its orders.
    fn image(slots: u32, lines: &[(&str, u32, u64)]) -> Image {
        let mut cells = std::vec![0; (BASE + SLOT_CELLS * slots) as usize];
        cells[PROFILES as usize] = u64::from(FIRST);
        cells[LINES as usize] = u64::from(BASE) | u64::from(slots - 1) << 32;
        for (name, profile, own) in lines {
            let key = line_key(Digest::of(name.as_bytes()).0, *profile);
            let slot = |i: u32| (BASE + SLOT_CELLS * ((key as u32).wrapping_add(i) & (slots - 1))) as usize;
            let free = (0..PROBES).map(slot).find(|at| cells[*at] == 0).expect("the table is large enough");
            cells[free] = key;
            cells[free + 1] = *own;
        }
        Image(cells)
    }

    fn found(image: &Image, name: &str, profile: u32) -> u32 {
        scope(image, Digest::of(name.as_bytes()).0, cell_of(profile))
    }

    #[test]
    fn a_line_is_found_within_its_profile_only() {
        let image = image(16, &[("203", 0, 3), ("204", 0, 4), ("203", 1, 5)]);
        assert_eq!(found(&image, "203", 0), cell_of(3));
        assert_eq!(found(&image, "204", 0), cell_of(4));
        assert_eq!(found(&image, "203", 1), cell_of(5));
        for (name, profile) in [("204", 1), ("203", 2), ("205", 0), ("2033", 0), ("20", 0), ("", 0)] {
            assert_eq!(found(&image, name, profile), cell_of(profile), "{name} in {profile}");
        }
        assert_eq!(found(&Image(std::vec![0; 64]), "203", 0), cell_of(0), "a policy without lines");
    }

    #[test]
    fn case_counts_and_the_digest_is_the_published_one() {
        // Test vectors of the FNV page.
        assert_eq!(Digest::of(b"").0, 0xcbf2_9ce4_8422_2325);
        assert_eq!(Digest::of(b"a").0, 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Digest::of(b"foobar").0, 0x8594_4171_f739_67e8);
        assert_ne!(Digest::of(b"alice").0, Digest::of(b"Alice").0);
    }

    #[test]
    fn a_full_table_ends_the_search_and_none_is_mistaken() {
        let names: Vec<std::string::String> = (0..8).map(|number| std::format!("{}", 200 + number)).collect();
        let lines: Vec<(&str, u32, u64)> = names.iter().map(|name| (name.as_str(), 0, 9)).collect();
        let image = image(8, &lines);
        for (name, ..) in lines {
            assert_eq!(found(&image, name, 0), cell_of(9), "{name}");
        }
        for number in 300..2000 {
            assert_eq!(found(&image, &std::format!("{number}"), 0), cell_of(0));
        }
    }

    #[test]
    fn no_key_is_empty() {
        for digest in [0, 1, u64::MAX, Digest::NONE.0] {
            for profile in 0..4096 {
                assert_ne!(line_key(digest, profile), 0);
            }
        }
    }
}
