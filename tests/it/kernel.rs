//! The kernel façade on real interfaces: what is attached, what outlives it, what is left behind.
//!
//! What is judged, and how, is the matter of other tests.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use gateway_common::{
    Reason, Verdict,
    judge::Side,
    judged::{Judged, Who},
};
use gateway_tests::{
    bpffs::PrivateBpffs,
    capability::{require_kernel, require_program},
    daemon::{Tollgate, find_binary},
    link::{self, End},
    netns::Namespace,
};
use gateway_user::{
    config::{self, Config, Interface, Role},
    daemon::{Gateway, LinkState},
    engine::host::HostEngine,
    kernel::{Golden, Kernel, Probe, detach, prove},
    policy::{self, PolicyImage},
};
use tempfile::TempDir;

const SIP: u16 = 5060;

/// The image of a policy in which an international call is blocked.
fn image(generation: u32) -> PolicyImage {
    let config = config::parse(POLICY, None, Path::new(".")).unwrap().0;
    policy::compile(&config, &[], &HashMap::new(), generation).unwrap().0
}

const POLICY: &str = r#"
mode = "enforce"
[interface.wan0]
role = "wan"
[site]
region = "JP"
[profile.default]
block = ["SL"]
"#;

/// A namespace with the interfaces wan0 and lan0, and a BPF file system of its own.
struct Lab {
    inside: Namespace,
    outside: Namespace,
    bpffs: PrivateBpffs,
    directory: TempDir,
}

impl Lab {
    fn new() -> Self {
        let (inside, outside) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let bpffs = PrivateBpffs::new(&directory.path().join("bpf")).unwrap();
        let lab = Self { inside, outside, bpffs, directory };
        lab.connect("wan0", 1);
        lab.connect("lan0", 2);
        lab
    }

    fn connect(&self, name: &str, network: u8) {
        let address = |host| [(IpAddr::from([10, 0, network, host]), 24)];
        let (near, far) = (address(1), address(2));
        let far_name = format!("{name}-far");
        let mac = |end| [2, 0, 0, 0, network, end];
        link::veth(
            End { namespace: &self.inside, name, mac: mac(1), addresses: &near },
            End { namespace: &self.outside, name: &far_name, mac: mac(2), addresses: &far },
        )
        .unwrap();
    }

    fn pins(&self) -> PathBuf {
        self.bpffs.path().join("tollgate")
    }

    /// Runs `f` where the interfaces and the pins are seen.
    fn run<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> T {
        let both = || {
            self.inside.enter()?;
            f()
        };
        self.bpffs.run(both).unwrap()
    }

    fn config(&self, interfaces: &[(&str, Role)]) -> Config {
        let file = self.directory.path().join("tollgate.toml");
        fs::write(&file, POLICY).unwrap();
        let mut config = config::load(&file).unwrap().0;
        config.interfaces = interfaces.iter().map(|&(name, role)| Interface { name: name.into(), role }).collect();
        config
    }

    fn start(&self, interfaces: &[(&str, Role)]) -> Result<Kernel> {
        self.start_in(&self.pins(), interfaces)
    }

    fn start_in(&self, pins: &Path, interfaces: &[(&str, Role)]) -> Result<Kernel> {
        Ok(Kernel::start(pins, &self.config(interfaces), &[])?.0)
    }

    /// Sends requests to the SIP port of wan0.
    fn send(&self, count: usize) {
        self.message(count, "OPTIONS sip:x SIP/2.0\r\n\r\n");
    }

    /// Calls a number by way of wan0.
    fn invite(&self, number: &str) {
        self.message(
            1,
            &format!(
                "INVITE sip:{number}@10.0.1.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.2;branch=z9hG4bK-{number}\r\n\
                 From: <sip:203@10.0.1.2>;tag=1\r\nTo: <sip:{number}@10.0.1.1>\r\nCall-ID: {number}@10.0.1.2\r\n\
                 CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }

    fn message(&self, count: usize, text: &str) {
        self.outside
            .run(|| {
                let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, SIP)))?;
                for _ in 0..count {
                    socket.send_to(text.as_bytes(), (Ipv4Addr::new(10, 0, 1, 1), SIP))?;
                }
                Ok(())
            })
            .unwrap();
    }
}

const WAN: (&str, Role) = ("wan0", Role::Wan);
const LAN: (&str, Role) = ("lan0", Role::Lan);

/// The program of an interface, as the kernel tells.
fn program(name: &str) -> Option<String> {
    let checks = gateway_user::doctor::examine(Path::new("/sys/fs/bpf"), &[name.to_owned()]);
    let finding = checks.into_iter().find(|check| check.name == "xdp").unwrap().finding;
    (finding != "no program attached").then_some(finding)
}

fn names(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The directory of the maps.
fn state(pins: &Path) -> String {
    let mut names = names(pins);
    names.retain(|name| !["links", "progs", "next"].contains(&name.as_str()));
    assert_eq!(names.len(), 1, "{names:?}");
    names.pop_first().unwrap()
}

fn judged(kernel: &Kernel) -> u64 {
    kernel.counters().unwrap().cells.iter().map(|cell| cell.2).sum()
}

fn links(kernel: &Kernel) -> Vec<(String, LinkState)> {
    kernel.interfaces().into_iter().map(|state| (state.name, state.link)).collect()
}

#[test]
fn it_attaches_counts_and_leaves_nothing() {
    if !require_kernel("kernel::it_attaches_counts_and_leaves_nothing") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN, LAN])?;
        let pinned = |name: &str| (name.to_owned(), LinkState::Pinned);
        assert_eq!(links(&kernel), [pinned("wan0"), pinned("lan0")]);
        assert!(program("wan0").is_some() && program("lan0").is_some());
        assert_eq!(names(&lab.pins().join("links")).len(), 2);
        assert_eq!(names(&lab.pins().join("progs")), ["lan".to_owned(), "wan".to_owned()].into());
        assert!(kernel.verified().iter().any(|(name, count)| name == "wan" && *count > 0));
        assert!(kernel.events_fd().is_some());

        let before = judged(&kernel);
        lab.send(10);
        assert!(judged(&kernel) >= before + 10);
        kernel.poll_events(&mut |event| assert_eq!(event.interface, "wan0"));

        assert_eq!(kernel.apply(&lab.config(&[WAN, LAN]), &[])?.generation, 2);
        kernel.detach()?;
        assert!(kernel.interfaces().is_empty());
        assert_eq!((program("wan0"), program("lan0")), (None, None));
        assert!(!lab.pins().exists());
        Ok(())
    });
}

#[test]
fn what_a_daemon_left_is_adopted() {
    if !require_kernel("kernel::what_a_daemon_left_is_adopted") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let kernel = lab.start(&[WAN, LAN])?;
        lab.send(10);
        let (counted, first, left) = (judged(&kernel), program("wan0"), state(&lab.pins()));
        drop(kernel);
        assert_eq!(program("wan0"), first, "enforcement ended with the daemon");
        lab.send(5);

        let kernel = lab.start(&[WAN])?;
        assert!(judged(&kernel) >= counted + 5, "the counters began anew");
        assert_eq!(state(&lab.pins()), left);
        assert!(program("wan0").is_some() && program("wan0") != first, "the program was not replaced");
        assert_eq!(program("lan0"), None, "an interface that the policy no longer names is filtered");

        // With the daemon running and without it, detaching leaves nothing.
        assert_eq!(detach(&lab.pins())?, ["wan0"]);
        assert_eq!(program("wan0"), None);
        assert_eq!(links(&kernel), [("wan0".to_owned(), LinkState::Defunct)]);
        assert!(!lab.pins().exists());
        drop(kernel);
        assert_eq!(detach(&lab.pins())?, [""; 0]);
        Ok(())
    });
}

#[test]
fn a_policy_changes_interfaces_or_nothing() {
    if !require_kernel("kernel::a_policy_changes_interfaces_or_nothing") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN])?;
        let first = program("wan0");
        kernel.apply(&lab.config(&[WAN, LAN]), &[])?;
        assert!(program("lan0").is_some());
        assert_eq!(program("wan0"), first, "a reload replaced the program");

        let error = kernel.apply(&lab.config(&[LAN, ("nosuch0", Role::Wan)]), &[]).unwrap_err().to_string();
        assert!(error.contains("nosuch0") && error.contains("wan0"), "{error}");
        assert_eq!(program("wan0"), first);

        kernel.apply(&lab.config(&[("lan0", Role::Wan)]), &[])?;
        assert_eq!(program("wan0"), None);
        assert_eq!(names(&lab.pins().join("progs")), ["wan".to_owned()].into());
        assert_eq!(kernel.interfaces()[0].role, Role::Wan);
        Ok(())
    });
}

#[test]
fn a_program_that_is_there_already_is_named() {
    if !require_kernel("kernel::a_program_that_is_there_already_is_named") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let kernel = lab.start_in(&lab.bpffs.path().join("other"), &[LAN])?;
        let first = program("lan0");
        let error = lab.start(&[WAN, LAN]).unwrap_err().to_string();
        assert!(error.contains("lan0") && error.contains(" lan,") && error.contains("--pin-dir"), "{error}");
        assert_eq!((program("wan0"), program("lan0")), (None, first), "half of the interfaces is filtered");
        assert!(names(&lab.pins().join("links")).is_empty());
        drop(kernel);

        let _kernel = lab.start(&[WAN])?;
        let error = lab.start(&[WAN]).unwrap_err().to_string();
        assert!(error.contains("another tollgate runs"), "{error}");
        Ok(())
    });
}

#[test]
fn state_of_another_layout_is_left_behind() {
    if !require_kernel("kernel::state_of_another_layout_is_left_behind") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        drop(lab.start(&[WAN])?);
        let digest = state(&lab.pins());
        // The right name, and a hash of smaller values.
        let pin = lab.pins().join(&digest).join("LIMITS");
        fs::remove_file(&pin)?;
        pin_foreign_map(&pin)?;
        let kernel = lab.start(&[WAN])?;
        assert_eq!(state(&lab.pins()), format!("{digest}-1"));
        assert_eq!(links(&kernel), [("wan0".to_owned(), LinkState::Pinned)]);
        drop(kernel);
        // The next start adopts it.
        drop(lab.start(&[WAN])?);
        detach(&lab.pins())?;
        assert!(!lab.pins().exists());
        Ok(())
    });
}

#[test]
fn an_interface_that_goes_and_comes_back_is_filtered_again() {
    if !require_kernel("kernel::an_interface_that_goes_and_comes_back_is_filtered_again") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN, LAN])?;
        link::delete(&lab.inside, "wan0")?;
        assert_eq!(links(&kernel)[0], ("wan0".to_owned(), LinkState::Defunct));
        // Orders are taken meanwhile.
        kernel.apply(&lab.config(&[WAN, LAN]), &[])?;
        lab.connect("wan0", 1);
        let deadline = Instant::now() + Duration::from_secs(60);
        while program("wan0").is_none() {
            ensure!(Instant::now() < deadline, "the interface is not filtered");
            kernel.poll_events(&mut |_| ());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(links(&kernel).iter().all(|(_, state)| *state == LinkState::Pinned));
        assert_eq!(names(&lab.pins().join("links")).len(), 2);

        // The same while no daemon runs.
        drop(kernel);
        link::delete(&lab.inside, "wan0")?;
        lab.connect("wan0", 1);
        let kernel = lab.start(&[WAN, LAN])?;
        assert!(links(&kernel).iter().all(|(_, state)| *state == LinkState::Pinned));
        assert_eq!(names(&lab.pins().join("links")).len(), 2);
        Ok(())
    });
}

#[test]
fn long_frames_take_the_program_for_several_buffers() {
    if !require_kernel("kernel::long_frames_take_the_program_for_several_buffers") {
        return;
    }
    let lab = Lab::new();
    link::mtu(&lab.inside, "wan0", 9000).unwrap();
    link::mtu(&lab.outside, "wan0-far", 9000).unwrap();
    lab.run(|| {
        let _kernel = lab.start(&[WAN])?;
        assert_eq!(names(&lab.pins().join("progs")), ["wan_frags".to_owned()].into());
        Ok(())
    });
}

#[test]
fn a_difference_between_kernel_and_host_is_refused() {
    if !require_kernel("kernel::a_difference_between_kernel_and_host_is_refused") {
        return;
    }
    let cells = image(1).cells;
    let right = HostEngine::new(image(1)).judge(&[0; 60], Side::Wan, 1, 1);
    let golden = |judged| Golden { frame: vec![0; 60], side: Side::Wan, ifindex: 1, now_ns: 1, judged };
    prove(&cells, &[golden(right)]).unwrap();
    // No such frame has ever been judged like this.
    let wrong = golden(Judged { generation: 4711, ..right });
    let error = prove(&cells, &[golden(right), wrong]).unwrap_err().to_string();
    assert!(error.contains("self-test failed") && error.contains("packet 2 of 2"), "{error}");
}

#[test]
fn test_runs_have_a_state_of_their_own() {
    if !require_kernel("kernel::test_runs_have_a_state_of_their_own") {
        return;
    }
    let mut probe = Probe::new(&image(1).cells).unwrap();
    let total = |probe: &Probe| probe.counters().unwrap().iter().sum::<u64>();
    assert_eq!(total(&probe), 0);
    for (runs, length) in [14, 60, 1514, 3400, 3600, 9000, 65_549].into_iter().enumerate() {
        let judged = probe.judge(&vec![0; length], Side::Wan, 7, 1).unwrap();
        assert!(judged.verdict().passes(), "{length} zero octets: {judged:?}");
        assert!(total(&probe) > runs as u64);
    }
    probe.set_policy(&image(2).cells).unwrap();
    assert!(total(&probe) > 0, "a policy empties no counters");
    probe.reset().unwrap();
    assert_eq!(total(&probe), 0);
    for length in [0, 13, 65_550] {
        assert!(probe.judge(&vec![0; length], Side::Lan, 7, 1).is_err(), "{length}");
    }
    let too_long = vec![0; (gateway_common::policy::image::CELLS + 1) as usize];
    assert!(probe.set_policy(&too_long).is_err());
}

#[test]
fn traces_come_and_go_without_a_gap() {
    if !require_kernel("kernel::traces_come_and_go_without_a_gap") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN])?;
        let (plain, left) = (program("wan0"), state(&lab.pins()));
        lab.send(10);
        let counted = judged(&kernel);
        kernel.set_trace(true)?;
        let traced = program("wan0");
        assert!(traced.is_some() && traced != plain);
        lab.send(10);
        assert!(judged(&kernel) >= counted + 10, "the filter with traces keeps its own state");
        kernel.poll_events(&mut |_| ());
        kernel.apply(&lab.config(&[WAN, LAN]), &[])?;
        assert!(program("lan0").is_some());
        kernel.set_trace(false)?;
        assert_eq!(program("wan0"), plain);
        assert_eq!(state(&lab.pins()), left);
        kernel.set_trace(false)?;
        kernel.detach()?;
        assert_eq!((program("wan0"), program("lan0")), (None, None));
        assert!(!lab.pins().exists());
        Ok(())
    });
}

#[test]
fn the_daemon_filters_dies_and_is_detached() {
    let test = "kernel::the_daemon_filters_dies_and_is_detached";
    if !require_kernel(test) {
        return;
    }
    let Some(binary) = require_program(test, find_binary().ok(), "cargo build -p gateway-user") else { return };
    let lab = Lab::new();
    let tollgate = Tollgate::new(binary, &lab.inside).unwrap();
    tollgate.write_policy(POLICY).unwrap();
    let minute = Duration::from_secs(60);
    let dropped = || tollgate.json(&["counters", "--json"]).unwrap()["reasons"]["blocked-country"].as_u64();

    let mut daemon = tollgate.run(&[]).unwrap();
    daemon.wait_ready_for(&tollgate, minute).unwrap();
    let status = tollgate.json(&["status", "--json"]).unwrap();
    assert_eq!(status["interfaces"][0]["link"], "pinned", "{status}");
    lab.invite("010232761234567");
    lab.invite("0312345678");
    assert_eq!(dropped(), Some(1));
    let explained = tollgate.json(&["explain", "010232761234567", "--json"]).unwrap();
    assert_eq!(explained["reason"], "blocked-country", "{explained}");

    // Nobody is there to decide, and it is decided.
    daemon.kill().unwrap();
    lab.invite("010232761234567");
    let mut daemon = tollgate.run(&[]).unwrap();
    daemon.wait_ready_for(&tollgate, minute).unwrap();
    assert_eq!(dropped(), Some(2));
    let code = |args: &[&str]| tollgate.cli(args).unwrap().status.code();
    assert_eq!(code(&["block", "GB"]), Some(0));
    lab.invite("010442071838750");
    let reasons = &tollgate.json(&["counters", "--json"]).unwrap()["reasons"];
    assert_eq!(reasons["order"], 1, "{reasons}");

    daemon.kill().unwrap();
    let attached = || lab.inside.run(|| Ok(program("wan0").is_some())).unwrap();
    assert!(attached());
    let output = tollgate.cli(&["detach", "--json"]).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!attached());
    assert!(!tollgate.bpffs().run(|| Ok(tollgate.pin_dir().exists())).unwrap());
    assert_eq!(code(&["detach"]), Some(3), "there is nothing to detach");
    assert_eq!(code(&["run", "--iface", "nosuch0"]), Some(1));
}

/// Pins a hash of one entry.
#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper in the crates at hand")]
fn pin_foreign_map(path: &Path) -> Result<()> {
    /// The head of `union bpf_attr` for BPF_MAP_CREATE.
    #[repr(C)]
    struct MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    }
    /// The head of `union bpf_attr` for BPF_OBJ_PIN.
    #[repr(C)]
    struct ObjPin {
        pathname: u64,
        bpf_fd: u32,
        file_flags: u32,
    }
    const BPF_MAP_CREATE: libc::c_long = 0;
    const BPF_OBJ_PIN: libc::c_long = 6;
    const BPF_MAP_TYPE_HASH: u32 = 1;
    let create = MapCreate { map_type: BPF_MAP_TYPE_HASH, key_size: 16, value_size: 4, max_entries: 1 };
    // SAFETY: the kernel reads size_of::<MapCreate>() octets at `create`, which outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &raw const create, size_of::<MapCreate>()) };
    ensure!(fd >= 0, "cannot make a map: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just given this descriptor to nobody else.
    let fd = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) };
    let name = std::ffi::CString::new(path.to_str().unwrap())?;
    let pin =
        ObjPin { pathname: name.as_ptr() as u64, bpf_fd: std::os::fd::AsRawFd::as_raw_fd(&fd) as u32, file_flags: 0 };
    // SAFETY: the kernel reads size_of::<ObjPin>() octets at `pin`, which with the path and the map outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_PIN, &raw const pin, size_of::<ObjPin>()) };
    ensure!(done == 0, "cannot pin a map: {}", std::io::Error::last_os_error());
    Ok(())
}

#[test]
fn a_source_is_made_known_once_and_for_as_long_as_it_was() {
    if !require_kernel("kernel::a_source_is_made_known_once_and_for_as_long_as_it_was") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN])?;
        assert_eq!(kernel.known()?, []);
        let later = kernel.clock() + 3_600_000_000_000;
        let (phone, other): (IpAddr, IpAddr) = ("10.0.1.2".parse()?, "2001:db8::7".parse()?);
        kernel.make_known(&[(phone, later), (other, 1)])?;
        assert_eq!(kernel.known()?, [(phone, later)], "one whose time is over is known no more");
        kernel.make_known(&[(phone, later + 5)])?;
        assert_eq!(kernel.known()?, [(phone, later)], "what is there stays");
        assert_eq!(kernel.site()?.known, 1);
        lab.invite("0312345678");
        let mut who = Vec::new();
        let end = Instant::now() + Duration::from_secs(30);
        while who.is_empty() && Instant::now() < end {
            kernel.poll_events(&mut |event| who.push(event.who));
        }
        assert_eq!(who, [Who::Known], "the filter takes it for one");
        Ok(())
    });
}

/// What the compiler puts into an image for this profile is not what it says: no packet carries so many digits.
#[test]
fn an_image_that_would_stop_an_emergency_call_is_refused_and_what_was_in_force_stays() {
    if !require_kernel("kernel::an_image_that_would_stop_an_emergency_call_is_refused_and_what_was_in_force_stays") {
        return;
    }
    let lab = Lab::new();
    lab.run(|| {
        let mut kernel = lab.start(&[WAN])?;
        let good = kernel.apply(&lab.config(&[WAN]), &[])?;
        let (program_before, stopped) = (program("wan0"), |kernel: &mut Kernel| {
            lab.invite("+23276123456");
            let mut found = Vec::new();
            let end = Instant::now() + Duration::from_secs(30);
            while found.is_empty() && Instant::now() < end {
                kernel.poll_events(&mut |event| found.push((event.verdict, event.reason, event.generation)));
            }
            found
        });
        let expected = [(Verdict::Drop, Reason::BlockedCountry, good.generation)];
        assert_eq!(stopped(&mut kernel), expected);

        let mut broken = lab.config(&[WAN, LAN]);
        broken.profiles[0].emergency.push("9".repeat(50));
        broken.profiles[0].block.clear();
        for _ in 0..2 {
            let error = format!("{:#}", kernel.apply(&broken, &[]).unwrap_err());
            assert!(error.contains("emergency calls would not pass, so nothing was changed"), "{error}");
            assert!(error.contains(&"9".repeat(50)), "{error}");
            // The rules of before stop the call of before, under their own number; the new interface is not touched.
            assert_eq!(stopped(&mut kernel), expected);
            assert_eq!((program("wan0"), program("lan0")), (program_before.clone(), None));
        }
        // A good policy goes into force behind it, and its own image is the one that is tried from then on.
        let mut open = lab.config(&[WAN]);
        open.profiles[0].block.clear();
        let applied = kernel.apply(&open, &[])?;
        assert_eq!(applied.generation, good.generation + 1);
        assert_eq!(stopped(&mut kernel), [(Verdict::Pass, Reason::Allowed, applied.generation)]);
        assert!(kernel.self_test()?.is_good());

        // A daemon does not start on it either, and leaves nothing behind.
        kernel.detach()?;
        drop(kernel);
        let error = format!("{:#}", Kernel::start(&lab.pins(), &broken, &[]).unwrap_err());
        assert!(error.contains("emergency calls would not pass"), "{error}");
        assert_eq!(program("wan0"), None);
        Ok(())
    });
}
