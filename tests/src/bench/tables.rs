//! What it takes until a million prefixes of a file are in force, and until an order bites among them.

use std::{
    fmt,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use gateway_user::{
    config::{self, Role},
    daemon::{ActiveOrder, OrderRule},
    kernel::{Measured, Prepared, Slot},
    orders::Scope,
    policy::Compiler,
};
use serde::Serialize;

use super::policies::prefix;
use crate::{
    daemon::{Tollgate, find_binary},
    network::{self, Network},
    sip::{Invite, StartLine},
};

/// What the row is called.
pub const NAME: &str = "policy of 1,000,000 prefixes";
const MANY: u32 = 1_000_000;
const LIST: &str = "irsf.txt";
const POLICY: &str = "mode = \"enforce\"\nfloor = false\n[interface.wan0]\n[site]\nregion = \"JP\"\n\
                      [ceiling]\nunproved = \"1000000/s\"\n[profile.default]\nblock = [\"SL\"]\nblock_files = [\"irsf.txt\"]\n";
/// A number that the list leaves alone, and its country.
const CALLED: &str = "+33142685300";
const COUNTRY: &str = "FR";
/// Between two calls: how finely it is told when an order bites.
const EVERY: Duration = Duration::from_micros(500);
/// Calls that go unanswered before the order counts as biting, and how long that may take.
const UNHEARD: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// What it took, in milliseconds: the fastest of several times.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What is measured.
    pub row: &'static str,
    /// Reading the policy and its list from files, with all that is checked of them.
    pub read_ms: f64,
    /// Compiling them to an image.
    pub compile_ms: f64,
    /// Handing the image to the kernel, before any packet meets it.
    pub write_ms: f64,
    /// Putting it into the slot; when that is done no packet meets the former one.
    pub flip_ms: f64,
    /// All of these.
    pub live_ms: f64,
    /// Compiling an order on a country, and one on the prefix of an eighth of the list, where the rest is compiled already.
    pub country_ms: f64,
    /// See [`Figures::country_ms`].
    pub prefix_ms: f64,
    /// From the start of `tollgate block` to the last call that passes.
    pub order_ms: f64,
    /// What the image holds, in MiB; the kernel keeps 32 for each.
    pub image_mib: f64,
}

/// Measures so many times each.
///
/// # Errors
/// Where the kernel takes no policy, or there is no `tollgate` to try.
pub fn measure(times: u32) -> Result<Figures> {
    let folder = tempfile::tempdir().context("no room for a list")?;
    let file = write(folder.path())?;
    let mut best = Figures {
        row: NAME,
        read_ms: f64::INFINITY,
        compile_ms: f64::INFINITY,
        write_ms: f64::INFINITY,
        flip_ms: f64::INFINITY,
        live_ms: f64::INFINITY,
        country_ms: f64::INFINITY,
        prefix_ms: f64::INFINITY,
        order_ms: f64::INFINITY,
        image_mib: 0.0,
    };
    let mut filter: Option<(Measured, Slot)> = None;
    for generation in 1..=times {
        let all = Instant::now();
        let (config, _) = fastest(&mut best.read_ms, || Ok(config::load(&file)?))?;
        let mut compiler = Compiler::default();
        let none = std::collections::HashMap::new();
        let (image, _) = fastest(&mut best.compile_ms, || Ok(compiler.compile(&config, &[], &none, generation)?))?;
        let prepared = fastest(&mut best.write_ms, || Prepared::new(&image.cells))?;
        if let Some((_, slot)) = &mut filter {
            fastest(&mut best.flip_ms, || slot.flip(&prepared))?;
            best.live_ms = best.live_ms.min(milliseconds(all));
        } else {
            let mut loaded = Measured::new(&image.cells, Role::Wan)?;
            let slot = loaded.slot()?;
            filter = Some((loaded, slot));
        }
        best.image_mib = size_of_val(&*image.cells) as f64 / f64::from(1 << 20);
        for (what, figure) in [(COUNTRY, &mut best.country_ms), ("+44", &mut best.prefix_ms)] {
            let order = order(what)?;
            fastest(figure, || Ok(compiler.compile(&config, &[order], &none, generation)?))?;
        }
    }
    for order in order_bites(times)? {
        best.order_ms = best.order_ms.min(order.as_secs_f64() * 1e3);
    }
    Ok(best)
}

fn order(what: &str) -> Result<ActiveOrder> {
    Ok(ActiveOrder { number: 1, rule: OrderRule::Block, what: vec![what.parse()?], scope: Scope::Site, max: None })
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn fastest<T>(best: &mut f64, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = work()?;
    *best = best.min(milliseconds(began));
    Ok(done)
}

/// Writes the policy and its list; returns the policy's path.
fn write(folder: &Path) -> Result<std::path::PathBuf> {
    let mut list = String::with_capacity(12 * MANY as usize);
    for number in 0..MANY {
        writeln!(list, "+{}", prefix(number))?;
    }
    fs::write(folder.join(LIST), list).context("no room for a list")?;
    let file = folder.join("tollgate.toml");
    fs::write(&file, POLICY)?;
    Ok(file)
}

/// Places calls through a daemon with a million prefixes, one each half a millisecond, and orders them blocked in between, so
/// many times: how long each took from the start of `tollgate block` to the last call that passed.
///
/// # Errors
/// Where a daemon does not start, an order is refused, or calls still pass after it.
pub fn order_bites(times: u32) -> Result<Vec<Duration>> {
    let network = Network::new()?;
    let tollgate = Tollgate::new(find_binary()?, &network.gateway)?;
    write(tollgate.directory())?;
    let mut daemon = tollgate.run(&[])?;
    daemon.wait_ready_for(&tollgate, PATIENCE)?;
    let caller = network::udp(&network.caller, (Network::CALLER, network::SIP_PORT))?;
    let pbx = network::udp(&network.pbx, (Ipv4Addr::UNSPECIFIED, network::SIP_PORT))?;
    pbx.set_nonblocking(true)?;
    let uri = format!("sip:{CALLED}@{}", Network::PBX);
    let call = Invite::new(StartLine::plain(&uri), SocketAddr::from((Network::CALLER, network::SIP_PORT))).to_bytes();
    // Whether a call arrives; a veth pair has handed it over when the sender's call returns, or shortly after.
    let arrives = || -> Result<bool> {
        let mut octets = [0; 2048];
        caller.send_to(&call, Network::pbx_sip())?;
        thread::sleep(EVERY);
        let mut heard = false;
        while pbx.recv(&mut octets).is_ok() {
            heard = true;
        }
        Ok(heard)
    };
    let mut bites = Vec::new();
    for _ in 0..times {
        let deadline = Instant::now() + PATIENCE;
        while !arrives()? {
            ensure!(Instant::now() < deadline, "no call passes: {}", tollgate.log_tail());
        }
        let began = Instant::now();
        let mut client = tollgate.command(&["block", COUNTRY, "--json"]);
        let mut client = client.stdout(std::process::Stdio::null()).spawn().context("cannot start tollgate")?;
        let (mut last, mut unheard) = (Duration::ZERO, 0);
        while unheard < UNHEARD {
            if arrives()? {
                (last, unheard) = (began.elapsed(), 0);
            } else {
                unheard += 1;
            }
            ensure!(Instant::now() < deadline, "the order does not bite: {}", tollgate.log_tail());
        }
        ensure!(client.wait()?.success(), "the order was refused: {}", tollgate.log_tail());
        bites.push(last);
        let orders = tollgate.cli(&["orders", "--json"])?;
        let given = String::from_utf8_lossy(&orders.stdout).lines().count();
        tollgate.json(&["undo", &given.to_string(), "--json"])?;
    }
    Ok(bites)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: read {:.0} ms, compiled {:.0} ms, written {:.0} ms, flip {:.0} ms; from file to live {:.0} ms; an order \
             compiled {:.1} ms (a country), {:.1} ms (a prefix), bites after {:.0} ms; image {:.1} MiB",
            self.row,
            self.read_ms,
            self.compile_ms,
            self.write_ms,
            self.flip_ms,
            self.live_ms,
            self.country_ms,
            self.prefix_ms,
            self.order_ms,
            self.image_mib
        )
    }
}
