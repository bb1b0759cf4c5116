//! What a limit held when it refused a call: kept with the call, since nobody can read it later.

use std::collections::{BTreeSet, HashMap};

use gateway_common::{
    Verdict,
    limit::{CellKey, window::Ring},
};

use super::{
    Core, Event, Held,
    cell::{Clocks, Named},
};
use crate::policy::profile_of;

/// Events of one look at the rings whose cells are read; what comes on top is kept without.
pub(super) const MOST: usize = 4096;
/// Cells that are told of one call: more than two were never what stopped it.
const TOLD: usize = 4;

/// The calls that a cell remembers, how many of what it counts are up, and how full its sums are.
struct Read {
    ring: Option<Ring>,
    up: u32,
    summed: Vec<String>,
}

impl Core {
    /// Hands events of what limits refused to the journal, each with what the limit held, and asks about calls that went on
    /// over one that asks.
    pub(super) fn note_limited(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let clocks = self.clocks();
        // A telephone that runs wild asks for the same cell a thousand times.
        let (mut read, mut over) = (HashMap::new(), Vec::new());
        for mut event in events {
            event.held = self.held(&event, clocks, &mut read, &mut over);
            self.journal.note(event);
        }
        self.ask_about(&over);
    }

    /// What the cells of a call held. Those that it went on over are added to `over`, with the country.
    fn held(
        &self,
        event: &Event,
        clocks: Clocks,
        read: &mut HashMap<CellKey, Read>,
        over: &mut Vec<(CellKey, u16)>,
    ) -> Vec<Held> {
        let Some(profile) = profile_of(&self.config, Some(event.source)) else { return Vec::new() };
        let call = event.charged();
        let mut held = Vec::new();
        for key in call.cells(&self.config, profile, event.time) {
            let named = Named::of(&self.config, &self.in_force, &key);
            let Read { ring, up, summed } = read.entry(key).or_insert_with(|| self.read(&named));
            let counted = ring.is_some() || *up > 0;
            let ring = ring.as_ref().unwrap_or(&Ring::FRESH);
            let mut told = if counted { named.held(ring, *up, event.clock, clocks) } else { None };
            if let Some(told) = &mut told {
                told.windows.extend_from_slice(summed);
            }
            if told.is_some() && event.verdict == Verdict::WouldDrop {
                over.push((key, call.country));
            }
            held.extend(told);
        }
        held.truncate(TOLD);
        held
    }

    fn read(&self, named: &Named<'_>) -> Read {
        let ring = self.gateway.cell(named.key).unwrap_or_else(|error| {
            tracing::warn!("cannot read how full a limit was; the journal lacks that: {error:#}");
            None
        });
        let up = named.at_once().map_or(Ok(0), |_| self.gateway.up_at_once(named.key)).unwrap_or_else(|error| {
            tracing::warn!("cannot read how many calls were up; the journal lacks that: {error:#}");
            0
        });
        Read { ring, up, summed: self.level(named.key) }
    }

    /// The words of `resume` for all that refuses calls now.
    pub(super) fn holding(&self) -> anyhow::Result<BTreeSet<String>> {
        let now = self.gateway.clock();
        let cells = self.gateway.cells()?;
        let named = cells.iter().map(|(key, ring)| (Named::of(&self.config, &self.in_force, key), ring));
        Ok(named.filter(|(named, ring)| named.holds(ring, now)).map(|(named, ring)| named.lift(ring)).collect())
    }
}
