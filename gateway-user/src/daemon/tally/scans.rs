//! What follows where a source tries too many heads: a ban, as the kernel bans, of who has shown to be at its address; else a notice.

use std::collections::{BTreeMap, HashSet};

use gateway_common::{
    limit::{
        CellKey, name_hash,
        window::{How, Ring},
    },
    policy::{
        Policy,
        image::{LIMIT_HEAD, LIMIT_SUSPEND},
    },
    text::Steps,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{
        Core,
        cell::{Clocks, Named, of_source},
    },
    REST, heads, nanoseconds, words,
};
use crate::{
    config::{Config, Limit, Over},
    control::views::OverView,
    journal::ChangeKind,
    policy::charged::addr,
};

/// How often sources that are over a limit and not banned are told: addresses can be forged, so there may be thousands.
const TOLD: SignedDuration = SignedDuration::from_mins(10);
/// So many of them are named at once.
const NAMED: usize = 3;
/// So many are shown by `status`.
const SHOWN: usize = 8;

/// The terms of a ban, where the kernel reads them from the image.
struct Terms {
    limit: u64,
    time: u64,
}

impl Steps for Terms {}

impl Policy for Terms {
    fn cell(&self, index: u32) -> u64 {
        match index {
            LIMIT_HEAD => self.limit,
            LIMIT_SUSPEND => self.time,
            _ => 0,
        }
    }

    fn dialled(&self, _: u32) -> u8 {
        0
    }
}

fn limit_of<'c>(config: &'c Config, key: &CellKey) -> Option<&'c Limit> {
    config.limits.iter().find(|limit| !limit.heads.is_empty() && name_hash(limit.name.as_bytes()) == key.limit)
}

/// Whether a trunk is the source, or one of the /64 that it is.
fn is_of_trunk(config: &Config, source: u64) -> bool {
    let source = of_source(source);
    let mut networks = config.trunks.iter().flat_map(|trunk| &trunk.sources);
    networks.any(|network| network.contains(source.address) || source.contains(network.address))
}

impl Core {
    /// Adds up the heads that were tried since the last look, and bans or tells who is over a limit.
    pub(super) fn count_heads(&mut self, config: &Config) {
        if config.limits.iter().all(|limit| limit.heads.is_empty()) {
            self.tally.heads.clear();
            return;
        }
        let clocks = self.clocks();
        let present = |source: u64| self.gateway.present_until(source).is_ok_and(|until| clocks.kernel < until);
        let heads = &mut self.tally.heads;
        heads.count(config);
        heads.forget_old(|key| limit_of(config, key), clocks.kernel);
        heads.make_room(present);
        if let Err(error) = self.act_on_heads(config, clocks) {
            tracing::error!(
                "a source tries one number behind many heads and cannot be banned; trying again: {error:#}"
            );
        }
        self.tell_of_heads(config, clocks);
        self.watch_if_due();
    }

    /// Bans who is over a limit, if it is present. Who is known or a trunk by now has nothing to answer for.
    fn act_on_heads(&mut self, config: &Config, clocks: Clocks) -> anyhow::Result<()> {
        let now = clocks.kernel;
        let mut over = Vec::new();
        for (key, suspect) in &mut self.tally.heads.suspects {
            let Some(limit) = limit_of(config, key) else { continue };
            if suspect.is_over(&limit.heads, now) {
                suspect.over.get_or_insert(now);
                over.push((*key, limit));
            } else {
                (suspect.over, suspect.told) = (None, false);
            }
        }
        if over.is_empty() {
            return Ok(());
        }
        let known: HashSet<u64> = self.gateway.known()?.into_iter().map(|(source, _)| addr(source).source()).collect();
        for (key, limit) in over {
            if is_of_trunk(config, key.value) || known.contains(&key.value) {
                self.tally.heads.forget(&key);
            } else if limit.over == Over::Ban {
                self.ban_over(key, limit, now)?;
            }
        }
        Ok(())
    }

    /// Bans a source as the kernel does, if it is present and not banned. What led to a ban counts for no other one.
    fn ban_over(&mut self, key: CellKey, limit: &Limit, now: u64) -> anyhow::Result<()> {
        let cell = CellKey::of_ban(key.value);
        let mut ring = self.gateway.cell(&cell)?.unwrap_or(Ring::FRESH);
        if now < ring.until {
            // It goes on while it is banned: that is no news.
            if let Some(suspect) = self.tally.heads.suspects.get_mut(&key) {
                suspect.over = None;
            }
            return Ok(());
        }
        if now >= self.gateway.present_until(key.value)? {
            return Ok(());
        }
        let terms = Terms { limit: key.limit.into(), time: limit.ban.map_or(0, nanoseconds) };
        ring.ask(&terms, How(How::TRIP | How::BAN), now);
        self.gateway.set_cell(&cell, Some(&ring))?;
        self.tally.heads.forget(&key);
        self.standing.look_again();
        Ok(())
    }

    /// Tells who is over a limit and was not banned: of each limit once, then what came on top ten minutes later.
    fn tell_of_heads(&mut self, config: &Config, clocks: Clocks) {
        let mut untold: BTreeMap<u32, Vec<(u64, CellKey)>> = BTreeMap::new();
        let suspects = self.tally.heads.suspects.iter().filter(|(_, suspect)| !suspect.told);
        for (since, key) in suspects.filter_map(|(key, suspect)| Some((suspect.over?, *key))) {
            untold.entry(key.limit).or_default().push((since, key));
        }
        for (limit, mut sources) in untold {
            sources.sort_unstable_by_key(|(since, key)| (*since, key.value));
            let Some(first) = sources.first().map(|(_, key)| *key).filter(|_| self.may_tell(limit, clocks.wall, TOLD))
            else {
                continue;
            };
            let Some(limit) = limit_of(config, &first) else { continue };
            let told = self.said_of(limit, &first, &sources, clocks.kernel);
            tracing::warn!("{told}");
            self.keep(ChangeKind::OverLimit, told, None);
            for (_, key) in sources {
                if let Some(suspect) = self.tally.heads.suspects.get_mut(&key) {
                    suspect.told = true;
                }
            }
        }
        if self.tally.heads.left_out > 0 && self.may_tell(0, clocks.wall, REST) {
            let told = format!(
                "{} sources outside that tried numbers behind several heads were forgotten: {} of them, and {} heads of \
                 theirs, are as many as the daemon remembers. Those that have not shown to be at their address went first",
                std::mem::take(&mut self.tally.heads.left_out),
                heads::SOURCES,
                heads::REMEMBERED
            );
            tracing::error!("{told}");
            self.keep(ChangeKind::Uncounted, told, None);
        }
    }

    /// Whether it is long enough ago that this was told.
    fn may_tell(&mut self, what: u32, now: Timestamp, rest: SignedDuration) -> bool {
        let told = &mut self.tally.heads.told;
        let may = told.get(&what).is_none_or(|last| now.duration_since(*last).abs() >= rest);
        if may {
            told.insert(what, now);
        }
        may
    }

    fn said_of(&self, limit: &Limit, first: &CellKey, sources: &[(u64, CellKey)], now: u64) -> String {
        let names: Vec<String> = sources.iter().take(NAMED).map(|(_, key)| of_source(key.value).to_string()).collect();
        let who = match (sources.len(), names.as_slice()) {
            (1, [one]) => format!("{one} is"),
            (count, _) if count > NAMED => format!("{} and {} other sources are", names.join(", "), count - NAMED),
            _ => format!("{} are", names.join(", ")),
        };
        let level =
            self.tally.heads.suspects.get(first).map(|it| words::of_heads(&limit.heads, |of| it.within(of, now)));
        let (level, word) = (level.unwrap_or_default().join(", "), of_source(first.value));
        let done = if limit.over == Over::Ban {
            "Who has not shown to receive what is sent to it may be forged, and is banned once it has"
        } else {
            "That limit only warns, and nothing was stopped"
        };
        format!(
            "{who} over [limit.{}]: {level}. {done}: `tollgate block {word}` stops a source at once, `tollgate resume {word}` begins \
             the count anew",
            limit.name
        )
    }

    /// The sources that are over a limit on heads, for `status`: those that were first, and how many there are beside them.
    pub(super) fn sources_over(&self, clocks: Clocks) -> Vec<OverView> {
        let mut over: BTreeMap<u32, Vec<(u64, CellKey)>> = BTreeMap::new();
        for (key, suspect) in &self.tally.heads.suspects {
            if let Some(since) = suspect.over {
                over.entry(key.limit).or_default().push((since, *key));
            }
        }
        let mut views = Vec::new();
        for mut sources in over.into_values() {
            sources.sort_unstable_by_key(|(since, key)| (*since, key.value));
            let others = sources.len().saturating_sub(SHOWN);
            for (place, (since, key)) in sources.iter().take(SHOWN).enumerate() {
                let (Some(limit), Some(suspect)) = (limit_of(&self.config, key), self.tally.heads.suspects.get(key))
                else {
                    continue;
                };
                let named = Named::of(&self.config, &self.in_force, key);
                let beside = if place == 0 && others > 0 { format!(", and {others} more") } else { String::new() };
                views.push(OverView {
                    limit: limit.name.clone(),
                    what: format!("{}{beside}", named.what()),
                    over: words::of_heads(&limit.heads, |of| suspect.within(of, clocks.kernel)).join(", "),
                    action: limit.over.as_str().into(),
                    since: clocks.wall_of(*since),
                    undo: format!("tollgate resume {}", named.word()),
                });
            }
        }
        views
    }

    /// How full the windows of sources that are over a limit are.
    pub(super) fn levels_of_heads(&self, now: u64) -> Vec<(CellKey, Vec<String>)> {
        let over = self.tally.heads.suspects.iter().filter(|(_, suspect)| suspect.over.is_some());
        over.filter_map(|(key, suspect)| {
            let limit = limit_of(&self.config, key)?;
            Some((*key, words::of_heads(&limit.heads, |of| suspect.within(of, now))))
        })
        .collect()
    }
}
