//! The exact counters of the kernel.

use anyhow::{Context as _, Result, anyhow};
use aya::{Ebpf, maps::PerCpuArray};
use gateway_common::{
    Method, Reason, Verdict,
    counters::{ANSWERS_CAPPED, ANSWERS_LOST, ANSWERS_UNFIT, CELLS_FULL, COUNTERS, EVENTS_LOST, by_method, by_reason},
    judge::Side,
};

use crate::daemon::{Answers, Counters};

/// Every counter, summed over the CPUs.
pub(super) fn read(ebpf: &Ebpf) -> Result<Box<[u64; COUNTERS]>> {
    let map = ebpf.map("COUNTERS_MAP").ok_or_else(|| anyhow!("the BPF object has no map COUNTERS_MAP"))?;
    let map: PerCpuArray<_, [u64; COUNTERS]> = map.try_into()?;
    let mut sums = Box::new([0; COUNTERS]);
    for cpu in map.get(&0, 0).context("cannot read the counters")?.iter() {
        for (sum, count) in sums.iter_mut().zip(cpu) {
            *sum += count;
        }
    }
    Ok(sums)
}

/// The counters as the daemon shows them.
pub(super) fn shown(counters: &[u64; COUNTERS]) -> Counters {
    let at = |index: usize| counters.get(index).copied().unwrap_or_default();
    let pairs = Reason::ALL.iter().flat_map(|&reason| Verdict::ALL.map(|verdict| (reason, verdict)));
    let of_pair = |(reason, verdict)| {
        let count = [Side::Wan, Side::Lan].map(|side| at(by_reason(side, reason, verdict))).iter().sum();
        (reason, verdict, count)
    };
    Counters {
        cells: pairs.map(of_pair).filter(|cell| cell.2 != 0).collect(),
        by_method: (0..=u8::MAX)
            .filter_map(Method::from_u8)
            .map(|method| (method, at(by_method(method as u8))))
            .filter(|cell| cell.1 != 0)
            .collect(),
        events_lost: at(EVENTS_LOST),
        answers: Answers {
            capped: at(ANSWERS_CAPPED),
            lost: at(ANSWERS_LOST),
            unfit: at(ANSWERS_UNFIT),
            ..Answers::default()
        },
        uncounted: at(CELLS_FULL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_count_together() {
        let mut counters = [0; COUNTERS];
        counters[by_reason(Side::Wan, Reason::BlockedCountry, Verdict::Drop)] = 3;
        counters[by_reason(Side::Lan, Reason::BlockedCountry, Verdict::Drop)] = 4;
        counters[by_reason(Side::Lan, Reason::Allowed, Verdict::Pass)] = 1;
        counters[by_method(Method::Invite as u8)] = 8;
        counters[EVENTS_LOST] = 2;
        counters[ANSWERS_CAPPED] = 5;
        counters[ANSWERS_LOST] = 6;
        counters[ANSWERS_UNFIT] = 7;
        let shown = shown(&counters);
        assert_eq!(shown.cells, [(Reason::Allowed, Verdict::Pass, 1), (Reason::BlockedCountry, Verdict::Drop, 7)]);
        assert_eq!(shown.by_method, [(Method::Invite, 8)]);
        assert_eq!(shown.events_lost, 2);
        assert_eq!(shown.answers, Answers { given: 0, capped: 5, lost: 6, unfit: 7, error: None });
    }
}
