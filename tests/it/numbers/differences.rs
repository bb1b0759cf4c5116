//! What is listed in `tests/data`: where Tollgate and libphonenumber differ, and which codes can be read in two ways.

use std::collections::BTreeSet;

use gateway_user::numbering::Region;

const LIBRARY: &str = include_str!("../../data/numbers-library.tsv");
const CODES: &str = include_str!("../../data/numbers-codes.tsv");

/// Both lists, and how often they were needed.
pub(super) struct Differences {
    library: Vec<[&'static str; 4]>,
    codes: Vec<[&'static str; 4]>,
    used: BTreeSet<&'static str>,
    /// Numbers of which libphonenumber says something else.
    pub(super) explained: u64,
    /// Dialled strings that can be read otherwise.
    pub(super) ambiguous: u64,
}

fn rows(text: &'static str) -> Vec<[&'static str; 4]> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let row = <[&str; 4]>::try_from(columns).unwrap_or_else(|columns| panic!("{columns:?} are not four columns"));
        assert!(row.iter().all(|column| !column.is_empty()), "{line}: an empty column");
        row
    };
    lines.map(row).collect()
}

impl Differences {
    /// Reads both.
    pub(super) fn load() -> Self {
        Self { library: rows(LIBRARY), codes: rows(CODES), used: BTreeSet::new(), explained: 0, ambiguous: 0 }
    }

    /// Whether it is listed that of this number libphonenumber says `expected` and Tollgate `found`.
    pub(super) fn explains(&mut self, number: &str, expected: &str, found: &str) -> bool {
        let fits = |row: &&[&str; 4]| number.starts_with(row[0]) && row[1] == expected && row[2] == found;
        let Some(row) = self.library.iter().find(fits) else { return false };
        self.used.insert(row[0]);
        self.explained += 1;
        true
    }

    /// Whether it is listed that what a region dials in front of a number can be read in two ways.
    pub(super) fn is_ambiguous(&mut self, outside: Option<&str>, caller: &Region, front: &str) -> bool {
        let outside = outside.unwrap_or("-");
        let fits = |row: &&[&str; 4]| {
            row[0].split(',').any(|listed| listed == outside)
                && row[1]
                    .split(',')
                    .any(|listed| listed == caller.code || listed.strip_prefix('+') == caller.calling_code)
                && row[2].split(',').any(|code| match code.strip_suffix('*') {
                    Some(head) => front.contains(head),
                    None => front.ends_with(code),
                })
        };
        let Some(row) = self.codes.iter().find(fits) else { return false };
        self.used.insert(row[3]);
        self.ambiguous += 1;
        true
    }

    /// Rows that explained nothing.
    pub(super) fn unused(&self) -> Vec<String> {
        let unused = |row: &&[&'static str; 4], name: usize| !self.used.contains(row[name]);
        let library = self.library.iter().filter(|row| unused(row, 0));
        library.chain(self.codes.iter().filter(|row| unused(row, 3))).map(|row| row.join(" ")).collect()
    }
}
