//! XDP programs that make traffic and take it, for `cargo xtask bench`.
//!
//! `drop` and `pass` are what every figure is compared with. `generate` is run by `BPF_PROG_TEST_RUN` with live frames: it
//! varies the frame at hand and sends it. On any other target than BPF this is an empty program, so that the workspace
//! builds, lints and documents with stable Rust alone.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        unreachable_pub,
        reason = "packets and maps are reached by pointers, and programs are exported"
    )
)]

#[cfg(target_arch = "bpf")]
mod generate;
#[cfg(target_arch = "bpf")]
mod take;

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
