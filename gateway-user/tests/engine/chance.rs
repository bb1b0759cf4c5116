//! A reproducible source of chance (Marsaglia's xorshift64).

/// Its state; never zero.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("it is below a usize")
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// So many digits, the first of them not 0.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|i| if i == 0 { self.pick(&["2", "3", "4", "5", "6", "7", "8", "9"]) } else { self.digit() })
            .collect()
    }

    fn digit(&mut self) -> &'static str {
        self.pick(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
    }
}
