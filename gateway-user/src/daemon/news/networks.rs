//! Accounts of telephones outside, and the networks that they registered from.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use gateway_common::call::Call;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{News, counted, listed, shown};
use crate::{config::Network, policy::charged::address};

/// How long what registers after the installation is only learned: telephones register at least once an hour, since PBXs grant
/// no more (RFC 3261 section 10.2.1.1 suggests 3,600 seconds).
const LEARNING: SignedDuration = SignedDuration::from_hours(1);
/// Accounts that are remembered; that of the longest ago goes first. Each has a password that held, so no flood fills it.
const ACCOUNTS: usize = 4096;
/// Networks of an account; one that was in more is a mobile telephone's, and no further one is news.
const NETWORKS: usize = 16;
/// How often it is noted that an account is still in a network.
const NOTED: SignedDuration = SignedDuration::from_hours(24);

/// Where an account was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Networks, each with when it was there last, to a day.
    pub(super) networks: Vec<(Network, Timestamp)>,
    /// Whether it was in too many to tell each.
    pub(super) roams: bool,
}

impl Account {
    fn last(&self) -> Option<Timestamp> {
        self.networks.iter().map(|(_, last)| *last).max()
    }
}

/// An account in a network that is new to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    account: u64,
    network: Network,
    time: Timestamp,
    /// Where it was last; `None` for an account that never registered from outside.
    before: Option<Network>,
    roams: bool,
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one: what one subscriber or site has, or one neighbourhood.
fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(v4) => Network { address: Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(), prefix_len: 24 },
        IpAddr::V6(v6) => Network { address: Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).into(), prefix_len: 48 },
    }
}

impl News {
    /// Notes whose credentials the PBX took, and from where. Only `known` sources count: whoever forges an answer of the PBX
    /// makes no source known.
    pub(super) fn note_accounts(&mut self, calls: &[Call], known: &[(IpAddr, u64)], now: Timestamp) {
        let known: HashSet<IpAddr> = known.iter().map(|(source, _)| *source).collect();
        let seen: BTreeSet<(u64, IpAddr)> = calls
            .iter()
            .filter(|call| call.line != 0 && call.has_shown_credentials())
            .map(|call| (call.line, address(call.caller)))
            .filter(|(_, source)| known.contains(source))
            .collect();
        for (account, source) in seen {
            self.note_account(account, network(source), now);
        }
    }

    fn note_account(&mut self, account: u64, network: Network, now: Timestamp) {
        let accounts = &mut self.kept.accounts;
        if !accounts.contains_key(&account)
            && accounts.len() >= ACCOUNTS
            && let Some(oldest) = accounts.iter().min_by_key(|(_, it)| it.last()).map(|(oldest, _)| *oldest)
        {
            accounts.remove(&oldest);
        }
        let it = accounts.entry(account).or_default();
        if let Some((_, last)) = it.networks.iter_mut().find(|(other, _)| *other == network) {
            if now.duration_since(*last).abs() >= NOTED {
                *last = now;
                self.dirty = true;
            }
            return;
        }
        let before = it.networks.iter().max_by_key(|(_, last)| *last).map(|(network, _)| *network);
        let told = it.roams;
        if it.networks.len() >= NETWORKS {
            it.roams = true;
            if let Some(oldest) = it.networks.iter().enumerate().min_by_key(|(_, (_, last))| *last).map(|(at, _)| at) {
                it.networks.swap_remove(oldest);
            }
        }
        it.networks.push((network, now));
        self.dirty = true;
        if self.kept.learned && !told {
            self.arrived.push(Arrived { account, network, time: now, before, roams: it.roams });
        }
    }

    /// What was learned since the beginning, once it has taken long enough; `None` before, afterwards, and of nothing.
    pub(super) fn learned(&mut self, now: Timestamp) -> Option<String> {
        if self.kept.learned || now.duration_since(self.kept.since).abs() < LEARNING {
            return None;
        }
        self.kept.learned = true;
        self.dirty = true;
        let accounts = &self.kept.accounts;
        let networks: BTreeSet<String> =
            accounts.values().flat_map(|it| &it.networks).map(|(network, _)| network.to_string()).collect();
        (!accounts.is_empty()).then(|| {
            format!(
                "{} registered from outside since {}, from {}: {}. From now on an account in a network that is new to it is told \
                 at once. `tollgate report --exposure` lists them: look whether all are yours",
                counted(accounts.len(), "account"),
                shown(self.kept.since),
                counted(networks.len(), "network"),
                listed(networks.into_iter())
            )
        })
    }
}

pub(super) fn told(arrived: &[Arrived]) -> String {
    const DO: &str = "If nobody of yours is there, somebody has the password: change it";
    if let [it] = arrived {
        let before = it.before.map_or_else(
            || "; it never registered from outside before".to_owned(),
            |before| format!("; last it was in {before}"),
        );
        let roams = if it.roams { "; it roams, so no further network of it is told" } else { "" };
        return format!(
            "the account #{:016x} registered from {} since {}, where it never was{before}{roams}. {DO}, and `tollgate block {}`",
            it.account,
            it.network,
            shown(it.time),
            it.network
        );
    }
    let since = arrived.iter().map(|it| it.time).min().unwrap_or_default();
    let which = arrived.iter().map(|it| format!("#{:016x} from {}", it.account, it.network));
    format!(
        "{} registered from networks where they never were since {}: {}. {DO}; `tollgate report --exposure` lists them",
        counted(arrived.len(), "account"),
        shown(since),
        listed(which)
    )
}

#[cfg(test)]
mod tests {
    use gateway_common::{
        Reason,
        addr::Addr,
        call::{CREDENTIALS, State},
        judged::Who,
    };
    use jiff::ToSpan as _;

    use super::{
        super::{super::used::Used, Kept},
        *,
    };

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + minute.minutes()
    }

    fn registered(account: u64, host: u32) -> Call {
        Call {
            caller: Addr::v4(host),
            line: account,
            who: Who::Unproved as u8,
            reason: Reason::SipOther as u8,
            state: State::Ended as u8,
            flags: CREDENTIALS,
            ..Call::default()
        }
    }

    fn known(hosts: &[u32]) -> Vec<(IpAddr, u64)> {
        hosts.iter().map(|host| (Ipv4Addr::from_bits(*host).into(), 1)).collect()
    }

    const HOME: u32 = 0xc633_6407;
    const ABROAD: u32 = 0xcb00_7109;

    fn learned() -> News {
        let mut news = News::of(Kept::new(&Used::new(), at(0)));
        news.note_accounts(&[registered(1, HOME), registered(2, HOME + 1)], &known(&[HOME, HOME + 1]), at(0));
        assert_eq!(news.learned(at(59)), None);
        let text = news.learned(at(60)).unwrap();
        assert!(text.starts_with(
            "2 accounts registered from outside since 1970-01-01 00:00 UTC, from 1 network: 198.51.100.0/24. "
        ));
        assert_eq!((news.learned(at(61)), news.arrived.len()), (None, 0), "one notice, and no storm behind it");
        news
    }

    #[test]
    fn an_account_in_a_new_network_is_news_once() {
        let mut news = learned();
        news.note_accounts(&[registered(1, HOME + 9)], &known(&[HOME + 9]), at(61));
        assert_eq!(news.arrived, [], "a neighbour in the same network");
        for _ in 0..2 {
            news.note_accounts(&[registered(1, ABROAD)], &known(&[ABROAD]), at(62));
        }
        assert_eq!(
            told(&news.arrived),
            "the account #0000000000000001 registered from 203.0.113.0/24 since 1970-01-01 01:02 UTC, where it never was; last it \
             was in 198.51.100.0/24. If nobody of yours is there, somebody has the password: change it, and `tollgate block \
             203.0.113.0/24`"
        );
        let mut again = News::of(news.kept.clone());
        again.note_accounts(&[registered(1, ABROAD)], &known(&[ABROAD]), at(99));
        assert_eq!(again.arrived, [], "nor after a restart");
        again.note_accounts(&[registered(3, ABROAD), registered(2, ABROAD)], &known(&[ABROAD]), at(100));
        let text = told(&again.arrived);
        assert!(text.starts_with("2 accounts registered from networks where they never were since"), "{text}");
        assert!(text.chars().count() < 300, "{text}");
    }

    #[test]
    fn only_credentials_that_held_of_a_source_that_is_known_count() {
        let mut news = learned();
        let good = registered(1, ABROAD);
        for (what, call) in [
            ("refused: RFC 3261 section 8.2.6.2 wants a To tag", Call { to_tag: 7, ..good }),
            ("challenged", Call { state: State::Challenged as u8, ..good }),
            ("without credentials", Call { flags: 0, ..good }),
            ("no answer", Call { state: State::Invited as u8, ..good }),
            ("inside", Call { who: Who::Lan as u8, ..good }),
            ("no account", Call { line: 0, ..good }),
        ] {
            news.note_accounts(&[call], &known(&[ABROAD]), at(61));
            assert_eq!(news.arrived, [], "{what}");
        }
        news.note_accounts(&[good], &known(&[HOME]), at(61));
        assert_eq!(news.arrived, [], "not known: the answer was forged");
        // Credentials that hold for a call are as good.
        let called = Call { reason: Reason::Allowed as u8, state: State::Answered as u8, to_tag: 7, ..good };
        news.note_accounts(&[called], &known(&[ABROAD]), at(61));
        assert_eq!(news.arrived.len(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_roams_is_told_once() {
        let mut news = learned();
        for net in 0..64u32 {
            let host = 0x0a00_0001 + (net << 8);
            news.note_accounts(&[registered(1, host)], &known(&[host]), at(61 + i64::from(net)));
        }
        assert_eq!(news.kept.accounts[&1].networks.len(), NETWORKS);
        assert_eq!(news.arrived.len(), NETWORKS, "fifteen networks more, and that it roams");
        assert!(told(&news.arrived[NETWORKS - 1..]).contains("it roams, so no further network of it is told"));
        assert!(!told(&news.arrived[..1]).contains("roams"));
        for account in 0..2 * ACCOUNTS as u64 {
            news.note_account(account + 1, network(Ipv4Addr::from_bits(HOME).into()), at(200));
        }
        assert_eq!(news.kept.accounts.len(), ACCOUNTS);
        assert!(!news.kept.accounts.contains_key(&2), "that of the longest ago is gone");
    }

    #[test]
    fn networks_are_neighbourhoods() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("198.51.100.77"), "198.51.100.0/24");
        assert_eq!(of("::ffff:198.51.100.77"), "198.51.100.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
    }
}
