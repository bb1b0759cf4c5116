//! What an attack leaves of a site: calls of the provider that complete and the delay of its voice, without a filter, with
//! nftables and with Tollgate.

mod calls;
mod flood;
mod queue;
mod report;
mod site;
mod voice;

use anyhow::{Context, Result, ensure};

pub use report::{Calls, Measured, Outcome, Rates, Voice, head};
use site::{Cpus, Site};

use rustix::process::setpriority_process;

use super::{options::Table, stage::FOREMOST};
use crate::peer::find_program;

/// What comes by the uplink beside the calls of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// INVITEs to a number that is blocked.
    Blocked,
    /// INVITEs to a number that is not, each from a source that appears once.
    Forged,
}

/// What stands between the attack and the PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defence {
    /// Nothing.
    None,
    /// The attack goes to an interface that drops it at once, and not to the site: what the generator itself takes away.
    Elsewhere,
    /// nftables with a file of `tests/peers`.
    Nft(&'static str),
    /// The daemon with the shipped policy in enforce mode, and the provider as its trunk.
    Tollgate,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// Which table it belongs to: that of calls, or that of voice.
    pub table: Table,
    attack: Option<Attack>,
    defence: Defence,
}

/// Every row, in the order of the tables. The first of each is what the others are compared with.
pub fn rows() -> Vec<Row> {
    let row = |name, attack, defence| Row { name, table: Table::Pbx, attack, defence };
    let voice = |name, attack, defence| Row { table: Table::Voice, ..row(name, attack, defence) };
    let (blocked, forged) = (Some(Attack::Blocked), Some(Attack::Forged));
    vec![
        row("PBX, no attack, no filter", None, Defence::None),
        row("PBX, no attack, Tollgate", None, Defence::Tollgate),
        row("PBX, blocked INVITEs, dropped elsewhere", blocked, Defence::Elsewhere),
        row("PBX, blocked INVITEs, no filter", blocked, Defence::None),
        row("PBX, blocked INVITEs, nft, 51 prefixes", blocked, Defence::Nft("nft-prefixes.nft")),
        row("PBX, blocked INVITEs, Tollgate", blocked, Defence::Tollgate),
        row("PBX, forged sources, dropped elsewhere", forged, Defence::Elsewhere),
        row("PBX, forged sources, no filter", forged, Defence::None),
        row("PBX, forged sources, nft, one limit", forged, Defence::Nft("nft-outside.nft")),
        row("PBX, forged sources, Tollgate", forged, Defence::Tollgate),
        voice("voice, no attack, no filter", None, Defence::None),
        voice("voice, no attack, Tollgate", None, Defence::Tollgate),
        voice("voice, blocked INVITEs, dropped elsewhere", blocked, Defence::Elsewhere),
        voice("voice, blocked INVITEs, no filter", blocked, Defence::None),
        voice("voice, blocked INVITEs, nft, 51 prefixes", blocked, Defence::Nft("nft-prefixes.nft")),
        voice("voice, blocked INVITEs, Tollgate", blocked, Defence::Tollgate),
        voice("voice, forged sources, dropped elsewhere", forged, Defence::Elsewhere),
        voice("voice, forged sources, no filter", forged, Defence::None),
        voice("voice, forged sources, nft, one limit", forged, Defence::Nft("nft-outside.nft")),
        voice("voice, forged sources, Tollgate", forged, Defence::Tollgate),
    ]
}

impl Row {
    /// The program that has to be installed, where it is not.
    pub fn missing(&self) -> Option<&'static str> {
        let nft = matches!(self.defence, Defence::Nft(_)).then_some("nft");
        ["kamailio", "sipp"].into_iter().chain(nft).find(|program| find_program(program).is_none())
    }

    /// Measures it; `cpu` is the one of attack and PBX, the last one unless given.
    ///
    /// # Errors
    /// Where something cannot be started, or the attack met another answer than the row is called after.
    pub fn measure(&self, cpu: Option<usize>) -> Result<Measured> {
        let cpus = Cpus::choose(cpu)?;
        setpriority_process(None, FOREMOST).context("cannot go before other processes")?;
        let site = Site::new(self.defence, cpus).context("the site")?;
        let (rates, outcome) = if self.table == Table::Voice {
            let (rates, voice) = voice::measure(&site, self, cpus)?;
            (rates, Outcome::Voice(voice))
        } else {
            let (rates, calls) = calls::measure(&site, self, cpus)?;
            (rates, Outcome::Calls(calls))
        };
        self.check(&rates)?;
        Ok(Measured { row: self.name, rates, outcome })
    }
}

/// The share of what arrives that a filter must stop, calls of the provider included; else the row measured something else.
const ENOUGH: f64 = 0.9;

impl Row {
    fn check(&self, rates: &Rates) -> Result<()> {
        let stopped = match self.defence {
            _ if self.attack.is_none() => return Ok(()),
            Defence::None | Defence::Elsewhere => return Ok(()),
            Defence::Nft(_) => rates.frames - rates.to_pbx,
            Defence::Tollgate => rates.stopped.unwrap_or_default(),
        };
        let Rates { frames, .. } = rates;
        ensure!(
            stopped >= frames * ENOUGH,
            "{stopped:.0} of {frames:.0} frames a second were stopped: it measures something else"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_attack_is_measured_with_every_defence_and_beside_its_generator() {
        let rows = rows();
        let names: HashSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for (table, attack) in [Table::Pbx, Table::Voice]
            .into_iter()
            .flat_map(|table| [Attack::Blocked, Attack::Forged].map(|attack| (table, attack)))
        {
            let of = |row: &&Row| row.table == table && row.attack == Some(attack);
            let mut defences = rows.iter().filter(of).map(|row| row.defence);
            assert_eq!(defences.next(), Some(Defence::Elsewhere));
            assert_eq!(defences.next(), Some(Defence::None));
            assert!(matches!(defences.next(), Some(Defence::Nft(_))));
            assert_eq!((defences.next(), defences.next()), (Some(Defence::Tollgate), None));
        }
    }
}
