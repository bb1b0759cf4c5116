//! The receivers that every figure is compared with.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    macros::xdp,
    programs::XdpContext,
};

/// Drops whatever comes.
#[xdp]
pub fn drop(_: XdpContext) -> u32 {
    XDP_DROP
}

/// Passes whatever comes.
#[xdp]
pub fn pass(_: XdpContext) -> u32 {
    XDP_PASS
}
