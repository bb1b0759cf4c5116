//! Attaching to interfaces: in the driver or else in the stack, always by a link that can be pinned.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use aya::{
    Ebpf,
    programs::{
        Xdp, XdpMode,
        links::{FdLink, PinnedLink},
        loaded_programs,
        xdp::{XdpLink, XdpLinkId},
    },
};

use super::{
    load::{os_error, program, program_name, refused},
    pin::{LinkPin, Pins, unlink},
};
use crate::{
    config::{Interface, Role},
    daemon::AttachMode,
    doctor::rtnetlink::{self, Link},
};

/// Longest frame that every driver takes a program for single buffers with.
const ONE_BUFFER_MTU: u32 = 3500;
/// How long the kernel may take to detach.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked.
const TICK: Duration = Duration::from_millis(1);

/// An interface that is filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) role: Role,
    pub(super) mode: AttachMode,
    /// The program that runs, by its name in the object.
    pub(super) program: &'static str,
    pub(super) pin: PathBuf,
    /// Whether it was filtered before, so that only the program was replaced.
    pub(super) replaced: bool,
}

impl Attached {
    /// Its pin.
    pub(super) fn link_pin(&self) -> LinkPin {
        LinkPin { path: self.pin.clone(), interface: self.name.clone(), index: self.index }
    }
}

/// The interfaces by name; an error names those that there are.
pub(super) fn find(interfaces: &[Interface]) -> Result<Vec<Link>> {
    let links =
        rtnetlink::links().context("the kernel does not list its interfaces; `tollgate doctor` looks further")?;
    interfaces
        .iter()
        .map(|interface| {
            links.iter().find(|link| link.name == interface.name).cloned().ok_or_else(|| {
                let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
                anyhow!("there is no interface {}; there are {}", interface.name, names.join(", "))
            })
        })
        .collect()
}

/// Runs the program of `role` on an interface: replaces the one of its pin without a gap, or attaches anew.
pub(super) fn attach(ebpf: &mut Ebpf, pins: &Pins, role: Role, link: &Link) -> Result<Attached> {
    let pin = pins.link(&link.name, link.index);
    let done = |program, mode, replaced| Attached {
        name: link.name.clone(),
        index: link.index,
        role,
        mode,
        program,
        pin: pin.clone(),
        replaced,
    };
    if pin.exists() {
        match replace_fitting(ebpf, &pin, role, link) {
            Ok(program) => {
                let generic = link.xdp.is_some_and(|xdp| xdp.generic);
                let mode = if generic { AttachMode::Generic } else { AttachMode::Driver };
                return Ok(done(program, mode, true));
            }
            // The interface that it was attached to is gone.
            Err(error) if os_error(&error) == Some(libc::ENOLINK) => unlink(&pin)?,
            Err(error) => {
                return Err(refused(error, format!("cannot replace the program on {}", link.name)));
            }
        }
    }
    let (fd_link, program, mode) = attach_anew(ebpf, role, link)?;
    fd_link.pin(&pin).map_err(|error| refused(error, format!("cannot pin the attachment to {}", link.name)))?;
    Ok(done(program, mode, false))
}

/// Replaces the program of a pinned link, without a moment in which none runs.
pub(super) fn replace(ebpf: &mut Ebpf, pin: &Path, name: &str) -> Result<()> {
    let link = PinnedLink::from_pin(pin).with_context(|| format!("cannot open {}", pin.display()))?;
    let link = XdpLink::try_from(FdLink::from(link)).with_context(|| format!("{} is no link of XDP", pin.display()))?;
    let program = program(ebpf, name)?;
    let id = program.attach_to_link(link)?;
    // The pin alone keeps the attachment: whoever removes it detaches.
    drop(program.take_link(id)?);
    Ok(())
}

/// Removes pinned attachments, and waits until the kernel, which does so in the background, has detached them.
pub(super) fn unpin(pins: &[LinkPin]) -> Result<()> {
    let mut waiting = Vec::new();
    for pin in pins {
        let program = PinnedLink::from_pin(&pin.path).ok().and_then(|link| FdLink::from(link).info().ok());
        unlink(&pin.path)?;
        waiting.extend(program.map(|info| (pin, info.program_id())));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let links = rtnetlink::links().context("the kernel does not list its interfaces")?;
        waiting.retain(|(pin, program)| {
            links.iter().any(|link| link.index == pin.index && link.xdp.is_some_and(|xdp| xdp.program == *program))
        });
        let Some((pin, program)) = waiting.first() else { return Ok(()) };
        ensure!(
            Instant::now() < deadline,
            "the program {program} stays attached to {}: another process holds its link; `bpftool link` names it",
            pin.interface
        );
        thread::sleep(TICK);
    }
}

/// The programs to try, the better one first.
fn candidates(role: Role, mtu: u32) -> Vec<&'static str> {
    let (single, frags) = (program_name(role, false), program_name(role, true));
    if mtu > ONE_BUFFER_MTU { vec![frags] } else { vec![single, frags] }
}

fn replace_fitting(ebpf: &mut Ebpf, pin: &Path, role: Role, link: &Link) -> Result<&'static str> {
    let mut last = None;
    for name in candidates(role, link.mtu) {
        match replace(ebpf, pin, name) {
            Ok(()) => return Ok(name),
            Err(error) if os_error(&error) == Some(libc::ERANGE) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| anyhow!("no program fits")))
}

fn attach_anew(ebpf: &mut Ebpf, role: Role, link: &Link) -> Result<(FdLink, &'static str, AttachMode)> {
    let mut reasons = Vec::new();
    for (xdp_mode, mode) in [(XdpMode::Driver, AttachMode::Driver), (XdpMode::Skb, AttachMode::Generic)] {
        for name in candidates(role, link.mtu) {
            let program = program(ebpf, name)?;
            let error = match program.attach_to_if_index(link.index, xdp_mode) {
                Ok(id) => return Ok((pinnable(program, id, &link.name)?, name, mode)),
                Err(error) => Error::from(error),
            };
            match os_error(&error) {
                Some(libc::EBUSY | libc::EEXIST) => return Err(occupied(&link.name)),
                Some(libc::EPERM) => return Err(refused(error, format!("cannot attach to {}", link.name))),
                Some(libc::ENODEV) => bail!("the interface {} has just gone", link.name),
                // The program for several buffers may fit.
                Some(libc::ERANGE) => reasons.push(format!("{name}, {}: the MTU is too large", mode.as_str())),
                _ => {
                    reasons.push(format!("{name}, {}: {error:#}", mode.as_str()));
                    break;
                }
            }
        }
    }
    bail!(
        "the kernel attaches no XDP program to {}: set its MTU to 1500, or attach to the interface underneath \
         ({})",
        link.name,
        reasons.join("; ")
    )
}

/// The link, which outlives this process once it is pinned.
fn pinnable(program: &mut Xdp, id: XdpLinkId, interface: &str) -> Result<FdLink> {
    program.take_link(id)?.try_into().map_err(|error| {
        anyhow!(
            "the kernel attaches to {interface} without a link, so nothing would outlive the daemon: boot Linux 6.1 or \
             newer ({error})"
        )
    })
}

/// What to say where another program is attached.
fn occupied(interface: &str) -> Error {
    let xdp = rtnetlink::links()
        .ok()
        .and_then(|links| links.into_iter().find(|link| link.name == interface))
        .and_then(|link| link.xdp);
    let id = xdp.map_or(0, |xdp| xdp.program);
    let name = program_of(id);
    let who = match (id, &name) {
        (0, _) => "another XDP program".to_owned(),
        (_, None) => format!("the XDP program {id}"),
        (_, Some(name)) => format!("the XDP program {id}, {name},"),
    };
    let ours = [Role::Wan, Role::Lan]
        .into_iter()
        .flat_map(|role| [program_name(role, false), program_name(role, true)])
        .any(|ours| name.as_deref() == Some(ours));
    let remedy = if ours {
        "it looks like a Tollgate with another --pin-dir: `tollgate detach` with that directory removes it".to_owned()
    } else {
        format!(
            "stop its owner (`bpftool prog show id {id}` and `bpftool link` name it); what was attached by hand goes \
             with `ip link set {interface} xdp off`"
        )
    };
    anyhow!("{who} is attached to {interface} already, and an interface takes one: {remedy}")
}

/// The name of a program, where this process may ask for it.
fn program_of(id: u32) -> Option<String> {
    let info = loaded_programs().map_while(Result::ok).find(|info| info.id() == id)?;
    info.name_as_str().filter(|name| !name.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_frames_take_the_program_for_several_buffers() {
        assert_eq!(candidates(Role::Wan, 1500), ["wan", "wan_frags"]);
        assert_eq!(candidates(Role::Lan, 9000), ["lan_frags"]);
    }

    #[test]
    fn an_interface_that_is_not_there_is_told_with_those_that_are() {
        let missing = Interface { name: "nosuch0".into(), role: Role::Wan };
        let error = find(&[missing]).unwrap_err().to_string();
        assert!(error.contains("nosuch0") && error.contains("lo"), "{error}");
    }
}
