//! The words of the command line: WHAT, networks, durations.

use gateway_user::{
    config::{self, Complaint, Network},
    what::What,
};

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<What>() {
        Ok(what) => assert_eq!(what.to_string().parse(), Ok(what), "read again"),
        Err(complaint) => check(&complaint),
    }
    match text.parse::<Network>() {
        Ok(network) => assert_eq!(network.to_string().parse(), Ok(network), "read again"),
        Err(complaint) => check(&complaint),
    }
    match config::duration(text) {
        Ok(duration) => assert!(!duration.is_zero(), "{text} is no time at all"),
        Err(complaint) => check(&complaint),
    }
}

/// A complaint fits a line and says what to write instead.
fn check(complaint: &Complaint) {
    assert!(!complaint.message.is_empty() && !complaint.remedy.is_empty(), "{complaint}");
    assert!(!complaint.to_string().contains(['\n', '\u{1b}']), "{complaint:?} takes several lines, or colours them");
}
