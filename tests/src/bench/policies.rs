//! The policies that are measured.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Result;
use gateway_user::{
    config::{self, ListWriter, Role},
    digits::Digits,
    kernel::Measured,
    policy::{self, PolicyImage},
};

use super::frames::FIRST;

/// Ten digits behind the plus, as many as the deep prefixes have.
const DIGITS: usize = 10;

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How many prefixes are blocked, beside the countries. The first 65,536 begin with +23276 and five digits; the others
    /// are spread over the numbers of other countries.
    pub prefixes: u32,
    /// What is done.
    pub kind: Kind,
}

/// What a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Blocks Sierra Leone. Rates are so high that nobody meets them.
    Roomy,
    /// The same, only counted.
    Monitor,
    /// The ceiling of a policy that names none: 50 requests a second from one source.
    Ceiling,
    /// A limit of the profile: ten INVITEs a second from one source.
    Limit,
    /// The first source is banned, and the limit could ban others.
    Banned,
    /// The first source is the trunk, each of whose calls is told as an event.
    Trunk,
}

impl Policy {
    /// Compiles it.
    ///
    /// # Errors
    /// Where it does not fit into an image.
    pub fn compile(self) -> Result<PolicyImage> {
        let mode = if self.kind == Kind::Monitor { "monitor" } else { "enforce" };
        let ceiling =
            if self.kind == Kind::Ceiling { "" } else { "[ceiling]\nunproved = \"10000000/s\"\nburst = 1000000\n" };
        let (rate, burst) = if self.kind == Kind::Limit { ("10/s", 20) } else { ("10000000/s", 1_000_000) };
        let over = if self.kind == Kind::Banned { "ban" } else { "drop" };
        let trunk =
            if self.kind == Kind::Trunk { format!("[trunk.itsp]\nsources = [\"{FIRST}\"]\n") } else { String::new() };
        let text = format!(
            "mode = \"{mode}\"\n[site]\nregion = \"JP\"\nextensions = \"2-5\"\n\
             [profile.default]\nblock = [\"SL\", \"CU\", \"+881\", \"+882\"]\nlimits = [\"caller\", \"register\"]\n\
             {ceiling}{trunk}\
             [limit.caller]\nkey = \"source\"\nmethod = \"INVITE\"\nrate = \"{rate}\"\nburst = {burst}\nover = \"{over}\"\n\
             [limit.register]\nkey = \"source\"\nmethod = \"REGISTER\"\nrate = \"5/s\"\nburst = 50\n"
        );
        let (mut config, _) = config::parse(&text, None, Path::new("."))?;
        let mut list = ListWriter::new("irsf.txt");
        for number in 0..self.prefixes {
            list.prefix(Digits::new(&prefix(number)), number as usize + 1, None);
        }
        if let Some(profile) = config.profiles.first_mut() {
            profile.block_files.push(Arc::new(list.finish()));
        }
        Ok(policy::compile(&config, &[], &HashMap::new(), 1)?.0)
    }

    /// Loads the filter with this policy, of which `image` is the compiled form, and with what the kind says of the first source.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn load(self, image: &PolicyImage) -> Result<Measured> {
        let mut filter = Measured::new(&image.cells, Role::Wan)?;
        if self.kind == Kind::Banned {
            filter.ban(FIRST.into())?;
        }
        Ok(filter)
    }
}

/// The prefix of this number: +23276 and five digits, then as many digits behind the codes of large countries.
pub fn prefix(number: u32) -> String {
    const OTHERS: [&str; 8] = ["447", "4915", "336", "393", "346", "4870", "908", "919"];
    let Some(other) = number.checked_sub(1 << 16) else { return format!("23276{number:05}") };
    let head = OTHERS[other as usize % OTHERS.len()];
    // An odd factor spreads the numbers, and meets none twice.
    let room = 10u64.pow((DIGITS - head.len()) as u32);
    let rest = u64::from(other / OTHERS.len() as u32) * 7_919 % room;
    format!("{head}{rest:0width$}", width = DIGITS - head.len())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_million_prefixes_are_a_million_different_ones_of_ten_digits() {
        let prefixes: HashSet<String> = (0..1_000_000).map(prefix).collect();
        assert_eq!(prefixes.len(), 1_000_000);
        assert!(prefixes.iter().all(|prefix| prefix.len() == DIGITS && prefix.bytes().all(|b| b.is_ascii_digit())));
    }
}
