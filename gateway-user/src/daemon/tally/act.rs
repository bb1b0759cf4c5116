//! What follows where a sum is over its limit: a suspension, a question or a warning.

use gateway_common::limit::{CellKey, window::Ring};
use jiff::Timestamp;

use super::{
    super::{
        Core,
        cell::{Clocks, Named},
    },
    MOST_CELLS, MOST_REMEMBERED, REST, Rules, words,
};
use crate::{config::Over, control::views::OverView, journal::ChangeKind};

impl Core {
    /// Suspends or tells what is over its limit.
    pub(super) fn act_on_sums(&mut self, rules: &Rules<'_>, clocks: Clocks) {
        let now = clocks.kernel;
        let mut over: Vec<(CellKey, Over, u16)> = Vec::new();
        for (key, sum) in &mut self.tally.sums {
            let Some((limit, tallies)) = rules.get(key) else { continue };
            if words::over(sum, tallies, now).is_none() {
                sum.over = None;
            } else if sum.over.is_none() || limit.over == Over::Suspend {
                over.push((*key, limit.over, sum.country));
            }
        }
        for (key, over, country) in over {
            let first =
                self.tally.sums.get_mut(&key).is_some_and(|sum| sum.over.replace(sum.over.unwrap_or(now)).is_none());
            if over == Over::Suspend {
                if let Err(error) = self.suspend_over(key, country) {
                    tracing::error!("a limit is over and cannot be suspended; trying again: {error:#}");
                }
            } else if first {
                self.warn_over(key);
            }
        }
        self.watch_if_due();
    }

    /// Suspends a cell whose sum is over its limit, or asks first, where the limit asks now.
    fn suspend_over(&mut self, key: CellKey, country: u16) -> anyhow::Result<()> {
        let ring = self.gateway.cell(&key)?;
        if ring.is_some_and(|ring| self.gateway.clock() < ring.until) {
            return Ok(());
        }
        if self.asks(&key).is_some() {
            if !self.asking.knows(&key, self.now()) {
                self.ask_about(&[(key, country)]);
            }
            return Ok(());
        }
        if let Some(time) = self.limit_of(&key).and_then(|limit| limit.suspend) {
            self.latch(&key, &ring.unwrap_or(Ring::FRESH), time, country)?;
            self.standing.look_again();
        }
        Ok(())
    }

    fn warn_over(&self, key: CellKey) {
        let named = Named::of(&self.config, &self.in_force, &key);
        let (Some(why), Some(limit)) = (self.over_limit(&key), self.limit_of(&key)) else { return };
        let told = format!(
            "{} are over [limit.{}]: {why}. That limit only warns, and nothing was stopped: `tollgate international off` stops \
             calls abroad, `tollgate resume {}` begins the count anew",
            named.what(),
            limit.name,
            named.word()
        );
        tracing::warn!("{told}");
        self.keep(ChangeKind::OverLimit, told, None);
    }

    /// What is over a limit that adds up, for `status`.
    pub(in super::super) fn over_limits(&self) -> Vec<OverView> {
        let clocks = self.clocks();
        let over = self.tally.sums.iter().filter_map(|(key, sum)| {
            let named = Named::of(&self.config, &self.in_force, key);
            let (limit, since) = (self.limit_of(key)?, sum.over?);
            Some(OverView {
                limit: limit.name.clone(),
                what: named.what(),
                over: self.over_limit(key)?,
                action: limit.over.as_str().into(),
                since: clocks.wall_of(since),
                undo: format!("tollgate resume {}", named.word()),
            })
        });
        let mut over: Vec<OverView> = over.chain(self.sources_over(clocks)).collect();
        over.sort_by(|one, other| (one.since, &one.limit, &one.what).cmp(&(other.since, &other.limit, &other.what)));
        over
    }

    /// Tells that there was no room, now and then.
    pub(super) fn tell_left_out(&mut self, now: Timestamp) {
        let rests = self.tally.told.is_some_and(|told| now.duration_since(told).abs() < REST);
        if self.tally.left_out == 0 || rests {
            return;
        }
        self.tally.told = Some(now);
        let told = format!(
            "{} calls were not added up by limits on minutes or numbers: {MOST_CELLS} lines, sources and networks, and \
             {MOST_REMEMBERED} calls and numbers of theirs, are as many as the daemon remembers. Those of the site hold all \
             the same",
            std::mem::take(&mut self.tally.left_out)
        );
        tracing::error!("{told}");
        self.keep(ChangeKind::Uncounted, told, None);
    }
}
