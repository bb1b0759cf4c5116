//! The shipped policy for Japan at the gateway of the demo network.

/// The policy as it is installed.
const SHIPPED: &str = include_str!("../../../gateway-user/policies/jp.toml");

/// The shipped policy in enforce mode, attached to the interfaces of the demo network, with these further tables.
pub(crate) fn shipped(more: &str) -> String {
    let text = SHIPPED
        .replacen("mode = \"monitor\"", "mode = \"enforce\"", 1)
        .replacen("[interface.eth0]", "[interface.wan1]\nrole = \"wan\"\n[interface.wan0]", 1)
        .replacen("[interface.eth1]", "[interface.lan0]", 1);
    format!("{text}\n{more}")
}

/// The shipped policy with limits that all sources outside share, but for those that the PBX knows: so many a second of each
/// of INVITE, REGISTER and OPTIONS, twice as many at once.
pub(super) fn limited(a_second: u32) -> String {
    let burst = 2 * a_second;
    shipped("").replace("rate = \"100/s\"\nburst = 1000", &format!("rate = \"{a_second}/s\"\nburst = {burst}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_user::config::{self, Mode};

    use super::*;

    #[test]
    fn the_policies_are_the_shipped_one_in_enforce_mode() {
        for (text, limits) in [(shipped(""), 10), (limited(50), 10)] {
            let (config, _) = config::parse(&text, None, Path::new(".")).unwrap();
            assert_eq!((config.mode, config.interfaces.len(), config.limits.len()), (Mode::Enforce, 3, limits));
            assert!(config.floor);
        }
    }
}
