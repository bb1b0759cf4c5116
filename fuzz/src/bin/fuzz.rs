//! One target under the engine of libFuzzer, which brings `main`; `cargo xtask fuzz` builds and starts it.
#![no_main]

use std::sync::OnceLock;

use gateway_fuzz::{TARGET, Target, target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn choose() -> &'static Target {
    let name = std::env::var(TARGET).unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        eprintln!("{TARGET}={name:?} names no target; use `cargo xtask fuzz`");
        std::process::exit(2)
    })
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| (CHOSEN.get_or_init(choose).run)(octets));
