//! The interfaces of this machine, and the country that its clock is set to.

use std::{fs, path::Path};

use anyhow::Context as _;
use jiff::tz::TimeZone;

use super::Found;
use crate::{
    config::Role,
    doctor::rtnetlink::{self, Address, Link},
    numbering,
};

/// Time zones by country, a part of the time zone database.
const ZONES: &str = "/usr/share/zoneinfo/zone.tab";

/// The interfaces that have addresses, the one of the default route first.
pub fn machine() -> anyhow::Result<Vec<Found>> {
    let cannot = "the kernel does not list its interfaces; run it where a netlink socket may be opened";
    let links = rtnetlink::links().context(cannot)?;
    let addresses = rtnetlink::addresses().context(cannot)?;
    let routes = rtnetlink::default_routes().context(cannot)?;
    Ok(interfaces(&links, &addresses, &routes))
}

/// What attaches where: `routes` are the interfaces of default routes.
fn interfaces(links: &[Link], addresses: &[Address], routes: &[u32]) -> Vec<Found> {
    let own = |link: &Link| -> Vec<String> {
        let own = addresses.iter().filter(|address| address.index == link.index && !address.link_local);
        own.map(|address| format!("{}/{}", address.ip, address.prefix_len)).collect()
    };
    let mut found: Vec<Found> = Vec::new();
    for link in links.iter().filter(|link| link.up && !link.loopback) {
        let (addresses, outside) = (own(link), routes.contains(&link.index));
        if addresses.is_empty() && !outside {
            continue;
        }
        let role = if outside { Role::Wan } else { Role::Lan };
        // VLANs are read where their frames arrive.
        let parent = links.iter().find(|it| link.kind.as_deref() == Some("vlan") && Some(it.index) == link.parent);
        let note = match (link.kind.as_deref(), parent) {
            (Some("vlan"), Some(_)) => Some(format!("{} is a VLAN on it", link.name)),
            (Some("ppp"), _) => Some(format!("{} rides on an Ethernet interface: name that one instead", link.name)),
            (Some(kind), _) if outside => Some(format!("its kind is {kind}")),
            (Some(kind), _) => Some(format!("its kind is {kind}: take it out unless telephones are behind it")),
            (None, _) => None,
        };
        let name = parent.map_or(&link.name, |parent| &parent.name).clone();
        match found.iter_mut().find(|it| it.name == name) {
            Some(known) => {
                known.addresses.extend(addresses);
                // One interface looks at both sides: outside is the side that trusts nobody.
                if outside {
                    known.role = Role::Wan;
                }
            }
            None => found.push(Found { name, role, addresses, note }),
        }
    }
    found.sort_by_key(|it| it.role == Role::Lan);
    found
}

/// The country of this machine's time zone, if one country alone has it and its numbering is known.
pub fn local_region() -> Option<String> {
    region_of(TimeZone::system().iana_name()?, Path::new(ZONES))
}

fn region_of(zone: &str, table: &Path) -> Option<String> {
    let table = fs::read_to_string(table).ok()?;
    let mut regions = table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let (code, _, name) = (columns.next()?, columns.next()?, columns.next()?);
        (name == zone).then(|| code.to_owned())
    });
    let region = regions.next()?;
    numbering::region(&region).map(|_| region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str, kind: Option<&str>, parent: Option<u32>) -> Link {
        Link { index, name: name.into(), up: true, kind: kind.map(Into::into), parent, ..Link::default() }
    }

    fn address(index: u32, ip: &str) -> Address {
        Address { index, ip: ip.parse().unwrap(), prefix_len: 24, link_local: ip.starts_with("fe80") }
    }

    #[test]
    fn the_side_of_the_default_route_is_outside_and_vlans_are_read_below() {
        let lo = Link { loopback: true, ..link(1, "lo", None, None) };
        let down = Link { up: false, ..link(9, "eth9", None, None) };
        let links = [
            lo,
            link(2, "eth0", None, None),
            link(3, "eth0.7", Some("vlan"), Some(2)),
            link(4, "eth1", None, None),
            link(5, "br0", Some("bridge"), None),
            link(6, "eth2", None, None),
            down,
        ];
        let addresses = [
            address(1, "127.0.0.1"),
            address(3, "192.0.2.1"),
            address(4, "198.51.100.1"),
            address(5, "203.0.113.1"),
            address(6, "fe80::1"),
            address(9, "10.0.0.1"),
        ];
        let found = interfaces(&links, &addresses, &[3]);
        let told: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.role, it.note.is_some())).collect();
        assert_eq!(told, [("eth0", Role::Wan, true), ("eth1", Role::Lan, false), ("br0", Role::Lan, true)]);
        assert_eq!(found[0].addresses, ["192.0.2.1/24"]);
        let one = interfaces(&links, &[address(2, "192.0.2.1"), address(3, "10.0.0.1")], &[2]);
        assert_eq!((one.len(), one[0].role, one[0].addresses.len()), (1, Role::Wan, 2));
    }

    #[test]
    fn a_time_zone_names_its_country() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("zone.tab");
        fs::write(&table, "# c\nJP\t+353916+1394441\tAsia/Tokyo\nAQ\t-6617+11031\tAntarctica/Casey\n").unwrap();
        assert_eq!(region_of("Asia/Tokyo", &table).as_deref(), Some("JP"));
        for zone in ["Antarctica/Casey", "Europe/Nowhere"] {
            assert_eq!(region_of(zone, &table), None, "{zone}");
        }
        assert_eq!(region_of("Asia/Tokyo", &dir.path().join("none")), None);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        assert!(machine().unwrap().iter().all(|it| it.name != "lo"));
    }
}
