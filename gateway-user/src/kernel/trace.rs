//! The filter with traces, in place of the other and on the same state.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Level, Log, Metadata, Record};

use super::{
    events::Events,
    load::{self, Use},
    object::{self, Schema},
};

/// A loaded filter with traces.
pub(super) struct Trace {
    ebpf: Ebpf,
    logger: EbpfLogger<ToLog>,
}

impl Trace {
    /// Loads the filter with traces on the maps in `dir`; `events` tells of its traces too.
    pub(super) fn open(dir: &Path, events: &Events) -> Result<Self> {
        let octets = object::tracing();
        ensure!(
            Schema::of(octets)? == Schema::of(&object::plain()?)?,
            "the filter with traces was built from other sources than the one that runs: build both anew"
        );
        let mut ebpf = load::open(octets, Use::Filter(dir))?;
        let logger = EbpfLogger::init_with_logger(&mut ebpf, ToLog)
            .map_err(|error| anyhow!("this program was built without traces: {error}"))?;
        events.watch(std::os::fd::AsFd::as_fd(&logger))?;
        Ok(Self { ebpf, logger })
    }

    /// Its programs and maps, to look at.
    pub(super) fn shown(&self) -> &Ebpf {
        &self.ebpf
    }

    /// Its programs.
    pub(super) fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Logs the traces that wait.
    pub(super) fn flush(&mut self) {
        self.logger.flush();
    }
}

/// Hands the kernel's traces to the log of the daemon.
#[derive(Clone, Copy, Debug)]
struct ToLog;

impl Log for ToLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let place = record.module_path().unwrap_or_default();
        let text = record.args();
        match record.level() {
            Level::Error => tracing::error!(target: "tollgate::trace", place, "{text}"),
            Level::Warn => tracing::warn!(target: "tollgate::trace", place, "{text}"),
            Level::Info | Level::Debug | Level::Trace => tracing::info!(target: "tollgate::trace", place, "{text}"),
        }
    }

    fn flush(&self) {}
}
