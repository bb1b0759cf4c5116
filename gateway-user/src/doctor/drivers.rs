//! What network drivers do when an XDP program is attached.

/// What a driver does when an XDP program is attached, replaced or detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnAttach {
    /// The first program and the end of the last one rebuild its queues: the link goes down for a moment to seconds, and
    /// calls in progress lose that much.
    Resets,
    /// As [`Self::Resets`], and in some kernels every replacement too.
    ResetsAlways,
    /// Traffic goes on.
    Keeps,
    /// It has no XDP: the program runs in the stack.
    Generic,
}

/// Drivers, by the name under `/sys/class/net/IF/device/driver` or by the kind of a virtual interface, and what their
/// `ndo_bpf` does with `XDP_SETUP_PROG`. Source: `drivers/net` of Linux; the function that decides stands beside each.
const DRIVERS: &[(&str, OnAttach)] = &[
    ("atlantic", OnAttach::Resets),      // aq_xdp_setup: aq_ndev_close, aq_ndev_open
    ("bnxt_en", OnAttach::Resets),       // bnxt_xdp_set: bnxt_close_nic, bnxt_open_nic
    ("ena", OnAttach::Resets),           // ena_xdp_set: ena_down, ena_up
    ("i40e", OnAttach::Resets),          // i40e_xdp_setup: i40e_prep_for_reset, i40e_reset_and_rebuild
    ("igb", OnAttach::Resets),           // igb_xdp_setup: igb_close, igb_open
    ("igc", OnAttach::ResetsAlways),     // igc_xdp_set_prog: igc_close, igc_open, at first without asking for need
    ("intel-eth-pci", OnAttach::Resets), // stmmac_xdp_set_prog: stmmac_release, stmmac_open
    ("ixgbe", OnAttach::Resets),         // ixgbe_xdp_setup: ixgbe_setup_tc
    ("mlx5_core", OnAttach::Resets),     // mlx5e_xdp_set: mlx5e_safe_switch_params with reset
    ("mvneta", OnAttach::Resets),        // mvneta_xdp_setup: mvneta_stop, mvneta_open
    ("hv_netvsc", OnAttach::Keeps),      // netvsc_xdp_set: pointers exchanged
    ("veth", OnAttach::Keeps),           // veth_xdp_set: NAPI of its own
    ("virtio_net", OnAttach::Keeps),     // virtnet_xdp_set: NAPI stopped for a moment, queues kept
    ("bridge", OnAttach::Generic),       // no ndo_bpf
    ("dummy", OnAttach::Generic),        // no ndo_bpf
    ("ifb", OnAttach::Generic),          // no ndo_bpf
    ("macvlan", OnAttach::Generic),      // no ndo_bpf
    ("vlan", OnAttach::Generic),         // no ndo_bpf
    ("wireguard", OnAttach::Generic),    // no ndo_bpf
];

/// What this driver does; `None` where the table does not know it.
pub(super) fn on_attach(driver: &str) -> Option<OnAttach> {
    DRIVERS.iter().find(|(name, _)| *name == driver).map(|&(_, does)| does)
}
