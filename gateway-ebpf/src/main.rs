//! The XDP programs: readers over the packet, maps, entry points. Every decision is gateway-common's.
//!
//! One entry point for each side of the gateway, plain and for multi-buffer frames. On any other target than BPF this
//! is an empty program, so that the workspace builds, lints and documents with stable Rust alone.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics, asm_experimental_arch), allow(internal_features))]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        unreachable_pub,
        reason = "packets and maps are reached by pointers, and programs are exported"
    )
)]

#[cfg(target_arch = "bpf")]
mod answer;
#[cfg(target_arch = "bpf")]
mod calls;
#[cfg(target_arch = "bpf")]
mod canonical;
#[cfg(target_arch = "bpf")]
mod cells;
#[cfg(target_arch = "bpf")]
mod channels;
#[cfg(target_arch = "bpf")]
mod counters;
#[cfg(target_arch = "bpf")]
mod entry;
#[cfg(target_arch = "bpf")]
mod env;
#[cfg(target_arch = "bpf")]
mod exported;
#[cfg(target_arch = "bpf")]
mod facts;
#[cfg(target_arch = "bpf")]
mod front;
#[cfg(target_arch = "bpf")]
mod judge;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod next;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod reset;
#[cfg(target_arch = "bpf")]
mod told;
#[cfg(target_arch = "bpf")]
mod window;
#[cfg(target_arch = "bpf")]
mod windows;

#[cfg(not(target_arch = "bpf"))]
fn main() {}

/// A reachable panic would be an endless loop, which the verifier refuses: no panic can reach a kernel.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
