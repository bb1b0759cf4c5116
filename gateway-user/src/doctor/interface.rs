//! One network interface.

use std::fs;

use super::{
    Check,
    drivers::{OnAttach, on_attach},
    rtnetlink::{Attached, Link},
};

/// Longest frame that every driver takes an XDP program without fragments for: a page of 4,096 octets less headroom and
/// the tail that the stack wants.
const ONE_BUFFER_MTU: u32 = 3500;

/// Looks at one interface; `link` is `None` where there is none of this name.
pub(super) fn examine(name: &str, link: Option<&Link>) -> Vec<Check> {
    let Some(link) = link else {
        return vec![
            Check::bad("interface", "there is none of this name", "`ip -br link` lists them; mind the namespace")
                .of(name),
        ];
    };
    let checks = [Some(state(link)), Some(driver(link)), mtu(link), Some(xdp(link))];
    checks.into_iter().flatten().map(|check| check.of(name)).collect()
}

fn state(link: &Link) -> Check {
    if link.loopback {
        return Check::note("interface", "this is the loopback", "attach where the packets of others arrive");
    }
    if link.up {
        Check::good("interface", "up")
    } else {
        Check::note("interface", "down", format!("ip link set {} up", link.name))
    }
}

fn driver(link: &Link) -> Check {
    let hardware = fs::read_link(format!("/sys/class/net/{}/device/driver", link.name))
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
    let Some(driver) = hardware.or_else(|| link.kind.clone()) else {
        return Check::note(
            "driver",
            "the kernel does not name it",
            "`tollgate run` says whether it attached in the driver or in the stack",
        );
    };
    of_driver(&driver)
}

fn of_driver(driver: &str) -> Check {
    match on_attach(driver) {
        Some(OnAttach::Keeps) => Check::good("driver", format!("{driver}: runs XDP, and the link stays up")),
        Some(OnAttach::Resets) => Check::note(
            "driver",
            format!("{driver}: runs XDP, and resets the link when the first program comes and the last one goes"),
            "attach when a pause of some seconds is bearable; restarts of the daemon replace the program without one",
        ),
        Some(OnAttach::ResetsAlways) => Check::note(
            "driver",
            format!(
                "{driver}: runs XDP, and resets the link when a program comes or goes, in some kernels at every replacement too"
            ),
            "attach, and restart the daemon, when a pause of some seconds is bearable; changes of the policy need neither",
        ),
        Some(OnAttach::Generic) => Check::note(
            "driver",
            format!(
                "{driver}: has no XDP of its own, so the program runs in the stack, slower and with equal verdicts"
            ),
            "attach to the interface underneath, if there is one: VLANs, PPPoE and bridges are read there",
        ),
        None => Check::note(
            "driver",
            format!("{driver}: not known here"),
            "`tollgate run` says whether it attached in the driver or in the stack; count on a reset of the link",
        ),
    }
}

fn mtu(link: &Link) -> Option<Check> {
    (link.mtu > ONE_BUFFER_MTU).then(|| {
        Check::note(
            "mtu",
            format!("{} octets: frames may span several buffers, and not every driver gives those to XDP", link.mtu),
            format!("if attaching fails, ip link set {} mtu 1500; SIP needs no more", link.name),
        )
    })
}

fn xdp(link: &Link) -> Check {
    match link.xdp {
        None => Check::good("xdp", "no program attached"),
        Some(Attached { program, generic }) => Check::note(
            "xdp",
            format!("program {program} is attached{}", if generic { " in the stack" } else { "" }),
            format!(
                "`bpftool prog show id {program}` names it. If it is not Tollgate's, its owner has to go first; \
                 what was attached by hand goes with `ip link set {} xdp off`",
                link.name
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    fn link() -> Link {
        Link {
            index: 1,
            name: "eth0".into(),
            up: true,
            loopback: false,
            mtu: 1500,
            kind: Some("veth".into()),
            parent: None,
            xdp: None,
        }
    }

    #[test]
    fn an_interface_without_trouble_has_none() {
        assert!(examine("eth0", Some(&link())).iter().all(|check| check.grade == Grade::Good));
    }

    #[test]
    fn trouble_is_told_with_a_remedy() {
        let trouble = Link { up: false, mtu: 9000, xdp: Some(Attached { program: 7, generic: true }), ..link() };
        let checks = examine("eth0", Some(&trouble));
        for name in ["interface", "mtu", "xdp"] {
            let check = checks.iter().find(|check| check.name == name).unwrap();
            assert_eq!(check.grade, Grade::Note);
            assert!(check.remedy.is_some());
        }
        assert_eq!(examine("nope", None)[0].grade, Grade::Bad);
        for driver in ["i40e", "igc", "vlan", "none_such"] {
            let check = of_driver(driver);
            assert_eq!(check.grade, Grade::Note, "{driver}");
            assert!(check.remedy.is_some(), "{driver}");
        }
        assert_eq!(of_driver("virtio_net").grade, Grade::Good);
    }
}
