//! The torture tests of RFC 4475 and RFC 5118 through both engines. The messages are their authors' and are not kept
//! here: `TOLLGATE_RFC_TORTURE` names a folder with one `NAME.dat` a message.

use std::{
    env, fs, io,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use gateway_common::{Class, Method, judge::Side};
use gateway_tests::{
    capability::require_kernel,
    differential::{Pair, busy_policy},
    packet::Frame,
};
use gateway_user::config::{self, Config};

/// The environment variable that names the folder.
const FOLDER: &str = "TOLLGATE_RFC_TORTURE";

/// Every message whose start line is an INVITE, valid or not, and the class of what it calls. A server would place each
/// of these calls once it overlooks what is wrong elsewhere in the message.
const INVITES: [(&str, Class); 20] = [
    ("baddate", Class::None),
    ("badinv01", Class::None),
    ("clerr", Class::None),
    ("esc01", Class::None),
    ("escruri", Class::None),
    ("insuf", Class::None),
    ("inv2543", Class::None),
    ("invut", Class::None),
    ("ipv4-mapped-ipv6", Class::None),
    ("ipv6-in-sdp", Class::None),
    ("longreq", Class::None),
    ("ltgtruri", Class::None),
    ("lwsruri", Class::None),
    ("lwsstart", Class::None),
    ("mult-ip-in-sdp", Class::None),
    ("multi01", Class::None),
    ("ncl", Class::None),
    ("quotbal", Class::None),
    ("sdp01", Class::None),
    ("wsinv", Class::None),
];

/// What some collections of the messages have besides those of the RFCs.
const NOT_OF_THE_RFC: &str = "test";

fn folder() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named = env::var_os(FOLDER).map(PathBuf::from);
    named.or_else(|| Some(workspace.join("../shared/data/rfc-torture")).filter(|folder| folder.is_dir()))
}

fn messages(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{FOLDER}: cannot read {}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "dat"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

fn policies() -> [(&'static str, Config); 3] {
    let evasion = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion/policy.toml");
    [
        ("evasion", config::load(&evasion).unwrap().0),
        ("example", config::parse(config::example(), None, Path::new(".")).unwrap().0),
        ("busy", busy_policy().unwrap()),
    ]
}

#[test]
fn the_torture_messages_are_judged_alike_and_every_invite_is_known_for_one() {
    const NAME: &str = "the_torture_messages_are_judged_alike_and_every_invite_is_known_for_one";
    let Some(folder) = folder() else {
        let _ = writeln!(io::stderr(), "SKIPPED: {NAME}: {FOLDER} names no folder with the messages of RFC 4475");
        return;
    };
    if !require_kernel(NAME) {
        return;
    }
    let messages = messages(&folder);
    for (policy, config) in policies() {
        let mut pair = Pair::new(&config).unwrap();
        let mut now = 1;
        let mut invites = Vec::new();
        for (name, message) in &messages {
            for side in [Side::Wan, Side::Lan] {
                now += 10_000_000_000;
                let ends = ((Ipv4Addr::new(192, 0, 2, 66), 5060), (Ipv4Addr::new(192, 0, 2, 1), 5060));
                let frame = Frame::udp(ends.0, ends.1, message.as_slice()).build().unwrap();
                let judged = pair.check(&format_args!("{policy}: {name}"), &frame, side, 0, now).unwrap();
                if side == Side::Wan && judged.method() == Some(Method::Invite) {
                    invites.push((name.as_str(), judged.class()));
                }
            }
        }
        invites.retain(|(name, _)| *name != NOT_OF_THE_RFC);
        assert_eq!(invites, INVITES, "{policy}");
        println!("{policy}: {} messages, {} of them INVITE", messages.len(), invites.len());
    }
}
