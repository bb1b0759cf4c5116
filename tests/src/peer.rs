//! SIP programs of others, run in the namespaces of the network: sipp as caller and PBX, Kamailio as the proxy before the PBX,
//! baresip as a telephone.

pub mod baresip;
pub mod kamailio;
pub mod sipp;

use std::path::PathBuf;

pub use baresip::Baresip;
pub use kamailio::Kamailio;
pub use sipp::Sipp;

/// Finds a program by its name, in `PATH` and where Debian keeps what only root runs.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
