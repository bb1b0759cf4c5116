//! What limits and the floor have stopped for a time: who is told, what `list` shows, how it is lifted.

use std::collections::{HashMap, HashSet};

use gateway_common::{
    Reason, Verdict,
    judged::Who,
    limit::{CellKey, FLOOR_CELL, Table, window::Ring},
    policy::image::Key,
};
use jiff::Timestamp;

use super::{
    Core, Event,
    cell::{Clocks, Named, Site},
    core::refused,
    used,
};
use crate::{
    control::{
        protocol::ErrorView,
        views::{ChangedView, ListView},
    },
    journal::ChangeKind,
    what::What,
};

/// Cells of lines, sources and networks that the kernel has room for; half of them full, idle ones are removed.
const ROOM: usize = 16_384;
/// The same for bans.
const ROOM_OF_BANS: usize = 4_096;

/// The same for the channels of limits on calls at once.
const ROOM_OF_CHANNELS: usize = 8_192;

/// What the daemon knows of the cells.
#[derive(Default)]
pub(super) struct Standing {
    /// The suspensions that were told: since when, and what it was called.
    told: HashMap<CellKey, (u64, String)>,
    /// Whether an event tells of something new.
    due: bool,
    /// Calls that no cell was free for, as far as that was told.
    uncounted: u64,
}

impl Standing {
    /// Notes an event that may tell of a suspension, and says whether it is one.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let limited = matches!(
            event.reason,
            Reason::Suspended
                | Reason::Floor
                | Reason::SourceLimit
                | Reason::NetworkLimit
                | Reason::LineLimit
                | Reason::SiteLimit
                | Reason::DestinationLimit
        );
        self.due |= event.reason == Reason::Banned;
        let tells = limited && event.who != Who::Unproved && event.verdict != Verdict::Pass;
        self.due |= tells;
        tells
    }

    /// Has every cell looked at as soon as may be.
    pub(super) const fn look_again(&mut self) {
        self.due = true;
    }

    /// Notes a suspension that was told by whoever asked for it.
    pub(super) fn is_told(&mut self, key: CellKey, since: u64, what: String) {
        self.told.insert(key, (since, what));
    }
}

impl Core {
    /// Tells what is suspended anew, if an event said that something may be.
    pub(super) fn watch_if_due(&mut self) {
        if std::mem::take(&mut self.standing.due) {
            self.watch();
        }
    }

    /// Looks at every cell: tells what is suspended anew and what has ended, notes the countries that were called, makes
    /// room. What cannot be read is tried again the next time.
    pub(super) fn watch(&mut self) {
        let cells = match self.gateway.cells() {
            Ok(cells) => cells,
            Err(error) => {
                tracing::warn!("cannot read what limits have suspended; trying again: {error:#}");
                return;
            }
        };
        let clocks = self.clocks();
        self.tell_suspensions(&cells, clocks);
        used::keep(self, &cells, clocks);
        self.tell_uncounted();
        self.make_room(&cells, clocks);
        self.make_room_for_calls();
    }

    pub(super) fn clocks(&self) -> Clocks {
        Clocks { wall: self.now(), kernel: self.gateway.clock() }
    }

    fn tell_suspensions(&mut self, cells: &[(CellKey, Ring)], clocks: Clocks) {
        let mut standing = HashMap::new();
        for (key, ring) in cells.iter().filter(|(_, ring)| clocks.kernel < ring.until) {
            let named = Named::of(&self.config, &self.in_force, key);
            let name = named.what();
            if self.standing.told.get(key).is_none_or(|(since, _)| *since != ring.since) {
                let told = named.suspension(ring, clocks, self.config.mode, self.over_limit(key));
                tracing::warn!("{told}");
                self.keep(ChangeKind::Suspended, told, None);
            }
            standing.insert(*key, (ring.since, name));
        }
        let ended: Vec<String> = self
            .standing
            .told
            .iter()
            .filter(|(key, _)| !standing.contains_key(key))
            .map(|(_, (_, name))| format!("the suspension of {name} has ended"))
            .collect();
        self.standing.told = standing;
        for told in ended {
            tracing::info!("{told}");
            self.keep(ChangeKind::Resumed, told, None);
        }
    }

    fn tell_uncounted(&mut self) {
        let Ok(counters) = self.gateway.counters() else { return };
        if counters.uncounted > self.standing.uncounted {
            let more = counters.uncounted - self.standing.uncounted;
            let told = format!(
                "{more} calls were not counted by limits, or sources not banned: all {ROOM} cells of lines, sources and \
                 networks are taken, or all {ROOM_OF_BANS} of bans. `tollgate list lines` shows whose; the windows of the site, \
                 and limits that drop, hold all the same"
            );
            tracing::error!("{told}");
            self.keep(ChangeKind::Uncounted, told, None);
        }
        self.standing.uncounted = counters.uncounted;
    }

    /// Removes cells of which no window holds a call any more, once half the room is taken.
    fn make_room(&mut self, cells: &[(CellKey, Ring)], clocks: Clocks) {
        let taken = cells.iter().filter(|(key, _)| key.table() == Table::Own).count();
        let banned = cells.iter().filter(|(key, _)| key.table() == Table::Bans).count();
        let crowded = |table| match table {
            Table::Own => taken >= ROOM / 2,
            Table::Bans => banned >= ROOM_OF_BANS / 2,
            Table::Shared => false,
        };
        for (key, ring) in cells.iter().filter(|(key, _)| crowded(key.table())) {
            let idle = clocks.kernel >= ring.until
                && Named::of(&self.config, &self.in_force, key).is_idle(ring, clocks.kernel);
            if !idle {
                continue;
            }
            if let Err(error) = self.gateway.set_cell(key, None) {
                tracing::warn!("cannot remove a cell that no limit needs: {error:#}");
                return;
            }
        }
    }

    /// The same of channels that no call holds. A call that comes in between is not held against its limit.
    fn make_room_for_calls(&mut self) {
        let channels = match self.gateway.channels() {
            Ok(channels) if channels.len() < ROOM_OF_CHANNELS / 2 => return,
            Ok(channels) => channels,
            Err(error) => return tracing::warn!("cannot read the channels of limits; trying again: {error:#}"),
        };
        for (key, _) in channels.iter().filter(|(key, up)| *up == 0 && key.table() == Table::Own) {
            if let Err(error) = self.gateway.forget_channels(key) {
                tracing::warn!("{error:#}");
                return;
            }
        }
    }

    /// The cells, as `list` shows them; with `all`, those too that are not suspended.
    pub(super) fn list_cells(&self, all: bool) -> anyhow::Result<Vec<ListView>> {
        let clocks = self.clocks();
        let mut cells = self.gateway.cells()?;
        let mut up: HashMap<CellKey, u32> = self.gateway.channels()?.into_iter().collect();
        let levels = self.levels();
        // A limit on calls at once alone has no other cell, and what the daemon adds up may outlive the kernel's.
        let known: HashSet<CellKey> = cells.iter().map(|(key, _)| *key).collect();
        let alone: HashSet<CellKey> =
            up.keys().chain(levels.keys()).filter(|key| !known.contains(key)).copied().collect();
        cells.extend(alone.into_iter().map(|key| (key, Ring::FRESH)));
        let counts = |key: &CellKey| levels.contains_key(key) || up.get(key).is_some_and(|up| *up > 0);
        cells.retain(|(key, ring)| clocks.kernel < ring.until || all && (ring.admitted > 0 || counts(key)));
        cells.sort_unstable_by_key(|(key, ring)| (ring.until <= clocks.kernel, key.limit, key.kind, key.value));
        let named = cells.iter().map(|(key, ring)| (Named::of(&self.config, &self.in_force, key), ring));
        // A suspension by a limit that the policy has lost is told until it ends; what else counts for nothing is not.
        let shown = named.filter(|(named, ring)| named.is_current() || clocks.kernel < ring.until);
        let views = shown.map(|(named, ring)| {
            let summed = levels.get(named.key).map_or(&[][..], Vec::as_slice);
            named.view(ring, up.remove(named.key).unwrap_or(0), summed, clocks)
        });
        Ok(views.collect())
    }

    /// Lifts what is suspended for WHAT, and forgets the calls that led to it, or the next one would suspend it again.
    pub(super) fn resume(&mut self, what: &str, who: &str) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let parsed: What =
            what.parse().map_err(|error| ErrorView::usage(format!("`{}`: {error}", what.escape_debug())))?;
        let mut cells = self.gateway.cells().map_err(refused)?;
        let known: HashSet<CellKey> = cells.iter().map(|(key, _)| *key).collect();
        cells.extend(self.tally.cells().filter(|key| !known.contains(key)).map(|key| (*key, Ring::FRESH)));
        let kernel = self.gateway.clock();
        let hit: Vec<(CellKey, Ring)> = cells
            .into_iter()
            .filter(|(key, ring)| Named::of(&self.config, &self.in_force, key).is_meant(&parsed, ring))
            .collect();
        let lifted = hit.iter().filter(|(_, ring)| kernel < ring.until).count();
        if hit.is_empty() && !matches!(parsed, What::Country(_)) {
            return Err(ErrorView::refused(format!(
                "no limit counts or suspends {parsed}: `tollgate list lines` shows what is counted, and the words to type"
            )));
        }
        for (key, ring) in &hit {
            if key.limit != FLOOR_CELL {
                self.gateway.set_cell(key, None).map_err(refused)?;
            } else if key.kind == Key::All as u32 {
                self.gateway.set_cell(key, None).map_err(refused)?;
                self.call_freely(ring.cause as u16)?;
            }
        }
        if let (What::Country(code), true) = (&parsed, self.config.floor) {
            self.call_freely(Site::number(code))?;
        }
        self.standing.told.retain(|key, _| !hit.iter().any(|(it, _)| it == key));
        self.asking.forget(&hit);
        for (key, _) in &hit {
            self.tally.forget(key, kernel);
        }
        let done = match lifted {
            0 => format!("resume {parsed}: nothing was suspended; what was counted begins anew"),
            n => format!("resume {parsed}: {n} {} lifted", if n == 1 { "suspension" } else { "suspensions" }),
        };
        self.keep(ChangeKind::Resumed, done.clone(), Some(who));
        tracing::info!(who, "{done}");
        Ok(ChangedView { in_force: now, ..self.changed(None, done, now) })
    }

    /// Lets the floor count the calls to a country anew, as one that the site has used before.
    fn call_freely(&mut self, country: u16) -> Result<(), ErrorView> {
        let key = CellKey { limit: FLOOR_CELL, kind: Key::Country as u32, value: u64::from(country) };
        if let Some(code) = Site::code(u64::from(country)) {
            self.expect_country(code);
        }
        let ring = Ring { used: 1, first: self.gateway.clock().max(1), ..Ring::FRESH };
        self.gateway.set_cell(&key, Some(&ring)).map_err(refused)
    }

    /// Notes a stop of the daemon: what it knows of countries is on disk.
    pub(super) fn keep_used(&mut self) {
        if let Ok(cells) = self.gateway.cells() {
            let clocks = self.clocks();
            used::keep(self, &cells, clocks);
        }
    }

    /// What was known of countries when the daemon ended is known again.
    pub(super) fn restore_used(&mut self, used: &used::Used) {
        let clocks = self.clocks();
        let known: Vec<u16> = match self.gateway.cells() {
            Ok(cells) => {
                cells.iter().filter(|(key, _)| used::is_of_floor(key)).map(|(key, _)| key.value as u16).collect()
            }
            Err(error) => {
                tracing::warn!("cannot read what the floor counts; countries used before count as new: {error:#}");
                return;
            }
        };
        for (code, first) in used.iter().filter(|(code, _)| !known.contains(&Site::number(code))) {
            let key = CellKey { limit: FLOOR_CELL, kind: Key::Country as u32, value: Site::number(code).into() };
            if let Err(error) = self.gateway.set_cell(&key, Some(&used::ring(*first, clocks))) {
                tracing::warn!("cannot restore that {code} was called before: {error:#}");
                return;
            }
        }
    }

    /// The first call to each country that the floor knows of.
    pub(super) fn first_calls(cells: &[(CellKey, Ring)], clocks: Clocks) -> HashMap<&'static str, Timestamp> {
        let of_floor = cells.iter().filter(|(key, ring)| used::is_of_floor(key) && ring.first != 0);
        of_floor.filter_map(|(key, ring)| Some((Site::code(key.value)?, clocks.wall_of(ring.first)))).collect()
    }
}
