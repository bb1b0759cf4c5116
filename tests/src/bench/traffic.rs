//! The programs of `tests/bench-ebpf`: the bare receivers, and the generator that the kernel runs over live frames.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::loaded_maps,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode},
};
use gateway_user::{daemon::AttachMode, kernel::Repeated};

use super::frames::Sample;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/traffic.bpfel.o"));
/// Frames that the kernel hands on at once, as a driver's poll does (`NAPI_POLL_WEIGHT`).
const BATCH: u32 = 64;
/// linux/bpf.h, struct xdp_md: its `data_end` and its `ingress_ifindex`.
const CONTEXT: usize = 24;
const DATA_END: std::ops::Range<usize> = 4..8;
const INGRESS: std::ops::Range<usize> = 12..16;

/// What a bare receiver does with every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bare {
    /// `XDP_DROP`.
    Drop,
    /// `XDP_PASS`.
    Pass,
}

impl Bare {
    /// The name of the program, and what it is shown as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Pass => "pass",
        }
    }
}

/// A receiver that looks at nothing. It ends with this value.
pub struct Receiver {
    ebpf: Ebpf,
    bare: Bare,
}

impl Receiver {
    /// Loads it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(bare: Bare) -> Result<Self> {
        let mut ebpf = load(&[])?;
        program(&mut ebpf, bare.as_str())?;
        Ok(Self { ebpf, bare })
    }

    /// Attaches it to an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn attach(&mut self, ifindex: u32, mode: AttachMode) -> Result<()> {
        let mode = match mode {
            AttachMode::Driver => XdpMode::Driver,
            AttachMode::Generic => XdpMode::Skb,
        };
        let program = program(&mut self.ebpf, self.bare.as_str())?;
        program.attach_to_if_index(ifindex, mode).context("cannot attach a bare program")?;
        Ok(())
    }

    /// Runs it so often over one frame, which no interface sees.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn repeat(&mut self, frame: &[u8], times: u32) -> Result<Repeated> {
        let program = program(&mut self.ebpf, self.bare.as_str())?;
        let began = Instant::now();
        let run = program.test_run(TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::new() })?;
        Ok(Repeated { all: began.elapsed(), each: run.duration })
    }
}

/// The generator for one kind of frame.
pub struct Generator {
    ebpf: Ebpf,
    frame: Vec<u8>,
}

impl Generator {
    /// Loads it with the places that it varies.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(sample: &Sample) -> Result<Self> {
        Self::paced(sample, Duration::ZERO)
    }

    /// The same, a frame each time that this has passed; less than 2 µs, in which its CPU does nothing else.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn paced(sample: &Sample, every: Duration) -> Result<Self> {
        let places = &sample.places;
        let mut ebpf = load(&[
            ("SOURCE_AT", places.source),
            ("SOURCE_FIRST", places.first_source),
            ("SOURCES", sample.vary.sources),
            ("SUM_AT", places.sum),
            ("SUM", places.sum_of_rest),
            ("NUMBERS", sample.vary.numbers),
            ("NUMBER_AT", places.number),
            ("NUMBER_AGAIN_AT", places.number_again),
            ("CALL_ID_AT", places.call_id),
            ("EVERY", every.as_nanos() as u32),
        ])?;
        program(&mut ebpf, "generate")?;
        Ok(Self { ebpf, frame: sample.frame.clone() })
    }

    /// Sends frames by an interface of the calling thread's network namespace, to its other end, and returns how long one
    /// took to be sent and received, which happen on the same CPU. It is the kernel's own figure, whole nanoseconds: what a
    /// run costs before and after its frames, milliseconds, is not in it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn send(&mut self, ifindex: u32, frames: u32) -> Result<Duration> {
        let mut context = [0; CONTEXT];
        context[DATA_END].copy_from_slice(&(self.frame.len() as u32).to_ne_bytes());
        context[INGRESS].copy_from_slice(&ifindex.to_ne_bytes());
        let program = program(&mut self.ebpf, "generate")?;
        let run = program
            .test_run(TestRunOptions {
                data_in: Some(&self.frame),
                ctx_in: Some(&context),
                repeat: frames,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            })
            .context("the kernel does not send live frames: it takes Linux 5.18 or newer")?;
        Ok(run.duration)
    }

    /// Varies one frame, as [`Generator::send`] does, and returns it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn vary(&mut self) -> Result<Vec<u8>> {
        let mut varied = vec![0; self.frame.len()];
        let program = program(&mut self.ebpf, "generate")?;
        let run = program.test_run(TestRunOptions {
            data_in: Some(&self.frame),
            data_out: Some(&mut varied),
            ..TestRunOptions::new()
        })?;
        ensure!(run.return_value == XDP_TX, "the generator returned {} and sends nothing", run.return_value);
        Ok(varied)
    }
}

/// The kernel's numbers of all BPF maps on this machine.
pub fn maps() -> impl Iterator<Item = u32> {
    loaded_maps().filter_map(Result::ok).map(|map| map.id())
}

/// linux/bpf.h.
const XDP_TX: u32 = 3;

fn load(constants: &[(&str, u32)]) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    loader.btf(None);
    for (name, value) in constants {
        loader.override_global(name, value, true);
    }
    loader.load(OBJECT).context("cannot load the traffic programs: run as root")
}

/// The program of this name, loaded at its first use.
fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name).ok_or_else(|| anyhow!("the traffic object has no program {name}"))?;
    let program: &mut Xdp = program.try_into()?;
    if program.fd().is_err() {
        program.load().with_context(|| format!("cannot load the program {name}: run as root"))?;
    }
    Ok(program)
}
