//! Whom a call that is asked about comes from: on which side it would arrive.

use std::net::IpAddr;

use crate::{
    config::{Config, Role},
    doctor::rtnetlink,
};

/// Whom a call that is asked about comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// Its address; `None` where none is named.
    pub from: Option<IpAddr>,
    /// The side that it arrives on; `None` where nobody said: then it is outside, and of a line inside.
    pub side: Option<Role>,
    /// How the side is known, for a person.
    pub by: String,
}

impl Caller {
    /// The side of a source as it was asked for; else a trunk's, else that of the interface which the way back to it leads over.
    pub fn of(config: &Config, from: Option<IpAddr>, side: Option<Role>) -> Self {
        let route = |from| rtnetlink::route(from).ok().flatten();
        Self::by(config, from, side, &rtnetlink::links().unwrap_or_default(), route)
    }

    fn by(
        config: &Config,
        from: Option<IpAddr>,
        side: Option<Role>,
        links: &[rtnetlink::Link],
        route: impl Fn(IpAddr) -> Option<u32>,
    ) -> Self {
        if let Some(side) = side {
            return Self { from, side: Some(side), by: format!("as asked with --side {}", side.as_str()) };
        }
        let Some(source) = from else { return Self::default() };
        let is_trunk = config.trunks.iter().any(|trunk| trunk.sources.iter().any(|network| network.contains(source)));
        if is_trunk {
            return Self { from, side: Some(Role::Wan), by: String::new() };
        }
        let role = |name: &str| config.interfaces.iter().find(|it| it.name == name).map(|it| it.role);
        let of = |index: u32| links.iter().find(|link| link.index == index);
        let found = route(source).and_then(of).and_then(|link| {
            // The frames of a VLAN are met on the interface that it rides on.
            let parent = || role(&of(link.parent?)?.name);
            Some((link.name.as_str(), role(&link.name).or_else(parent)?))
        });
        if let Some((name, role)) = found {
            let other = if role == Role::Lan { Role::Wan } else { Role::Lan };
            let by = format!(
                "the route to it leads over {name}, role {}; ask otherwise with --side {}",
                role.as_str(),
                other.as_str()
            );
            return Self { from, side: Some(role), by };
        }
        let by =
            "taken for outside, as no route to it leads over an interface of the policy; ask otherwise with --side lan";
        Self { from, side: Some(Role::Wan), by: by.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config, doctor::rtnetlink::Link};

    const POLICY: &str = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\n\
                          [trunk.itsp]\nsources = [\"203.0.113.10\"]\n";

    #[test]
    fn the_way_back_to_a_source_tells_its_side() {
        let (config, _) = config::parse(POLICY, None, Path::new(".")).unwrap();
        let link = |index, name: &str, parent| Link { index, name: name.into(), parent, ..Link::default() };
        let links = [link(2, "eth0", None), link(3, "eth1", None), link(4, "eth1.7", Some(3)), link(5, "tun0", None)];
        let caller = |last: u8, side| {
            let route = |from: IpAddr| match from {
                IpAddr::V4(v4) => Some(u32::from(v4.octets()[3])),
                IpAddr::V6(_) => None,
            };
            Caller::by(&config, Some([192, 0, 2, last].into()), side, &links, route)
        };
        for (last, side, word) in [
            (2, Role::Wan, "over eth0, role wan; ask otherwise with --side lan"),
            (3, Role::Lan, "over eth1, role lan; ask otherwise with --side wan"),
            (4, Role::Lan, "over eth1.7, role lan"),
            (5, Role::Wan, "taken for outside"),
            (9, Role::Wan, "taken for outside"),
        ] {
            let found = caller(last, None);
            assert_eq!(found.side, Some(side), "{last}");
            assert!(found.by.contains(word), "{last}: {}", found.by);
        }
        assert_eq!(caller(2, Some(Role::Lan)).side, Some(Role::Lan), "what is asked for holds");
        let trunk = Caller::by(&config, Some([203, 0, 113, 10].into()), None, &links, |_| Some(3));
        assert_eq!(trunk.side, Some(Role::Wan), "a trunk is met outside, whatever the route");
        assert_eq!(Caller::of(&config, None, None), Caller::default());
    }
}
