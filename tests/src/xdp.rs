//! An XDP program that lets everything pass.
//!
//! A veth end takes what the other end sends back with `XDP_TX` at once only if it has an XDP program itself; a network card
//! needs none.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use anyhow::{Context, Result};

use crate::{link, netns::Namespace};

/// Lets everything pass that arrives on an interface, until it is dropped.
#[derive(Debug)]
pub struct Pass {
    _link: OwnedFd,
}

/// The head of `union bpf_attr` for BPF_PROG_LOAD (`linux/bpf.h`).
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: *const u64,
    license: *const libc::c_char,
    log: [u32; 4],
    kern_version: u32,
    prog_flags: u32,
}

/// The same for BPF_LINK_CREATE.
#[repr(C)]
struct Create {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

impl Pass {
    /// Attaches the program.
    ///
    /// # Errors
    /// Where there is no such interface, or it has a program already.
    pub fn attach(namespace: &Namespace, interface: &str) -> Result<Self> {
        const BPF_PROG_LOAD: libc::c_long = 5;
        const BPF_LINK_CREATE: libc::c_long = 28;
        const BPF_PROG_TYPE_XDP: u32 = 6;
        const BPF_XDP: u32 = 37;
        /// Large segments stay whole.
        const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
        /// `r0 = XDP_PASS; exit`.
        const PROGRAM: [u64; 2] = [0x0000_0002_0000_00b7, 0x95];
        const LICENSE: &CStr = c"MIT";
        let load = Load {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: 2,
            insns: PROGRAM.as_ptr(),
            license: LICENSE.as_ptr(),
            log: [0; 4],
            kern_version: 0,
            prog_flags: BPF_F_XDP_HAS_FRAGS,
        };
        let program = bpf(BPF_PROG_LOAD, &load).context("cannot load an XDP program: run as root (CAP_BPF)")?;
        let create = Create {
            prog_fd: program.as_raw_fd() as u32,
            target_ifindex: link::index(namespace, interface)?,
            attach_type: BPF_XDP,
            flags: 0,
        };
        // The kernel looks for the interface in the namespace of the thread that asks.
        let link = namespace.run(|| {
            bpf(BPF_LINK_CREATE, &create).with_context(|| format!("cannot attach an XDP program to {interface}"))
        })?;
        Ok(Self { _link: link })
    }
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper in the crates at hand")]
fn bpf<T>(command: libc::c_long, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads size_of::<T>() octets at `attr`, which outlives the call, and so does what it points at.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
