//! What is decided about a packet, and why.

/// What happens to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// The packet goes on.
    Pass = 0,
    /// The packet ends here, in silence.
    Drop = 1,
    /// The packet ends here and its sender is told.
    Reject = 2,
    /// The packet goes on; in enforce mode it would have ended here.
    WouldDrop = 3,
}

impl Verdict {
    /// Every verdict, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Drop, Self::Reject, Self::WouldDrop];

    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::WouldDrop => "would-drop",
        }
    }

    /// The verdict with this number, if there is one.
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Pass),
            1 => Some(Self::Drop),
            2 => Some(Self::Reject),
            3 => Some(Self::WouldDrop),
            _ => None,
        }
    }

    /// Whether the packet goes on.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Pass | Self::WouldDrop)
    }
}

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $n:literal, $text:literal, $kind:ident; )+) => {
        /// Why a verdict was given. Numbers and names are stable: reasons are added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $( $(#[doc = $doc])+ $name = $n, )+ }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The stable kebab-case name.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// One sentence for `--help`, the docs and `explain`.
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),+), )+ }
            }

            /// The reason with this number, if there is one.
            pub const fn from_u8(n: u8) -> Option<Self> {
                match n { $( $n => Some(Self::$name), )+ _ => None }
            }

            /// Whether this reason stops a packet (in enforce mode).
            pub const fn stops(self) -> bool {
                match self { $( Self::$name => reasons!(@ $kind), )+ }
            }
        }
    };
    (@ pass) => { false };
    (@ stop) => { true };
}

reasons! {
    /// Not SIP, or not on a SIP port.
    NotSip = 0, "not-sip", pass;
    /// SIP that makes no call: a response, or a request such as ACK, BYE or OPTIONS.
    SipOther = 1, "sip-other", pass;
    /// A call-making request that nothing forbids.
    Allowed = 2, "allowed", pass;
    /// An emergency call, and no other place of the request names another number.
    Emergency = 3, "emergency", pass;
    /// A retransmission or the authenticated repeat of a call that was admitted.
    Repeat = 4, "repeat", pass;
    /// A re-INVITE that belongs to a dialog seen to be confirmed.
    InDialog = 5, "in-dialog", pass;
    /// A call-making request whose target is no telephone number.
    NoNumber = 6, "no-number", pass;
    /// An inbound call of a trunk.
    Inbound = 7, "inbound", pass;
    /// A later fragment: it carries no ports, and is nothing without its first fragment.
    Fragment = 8, "fragment", pass;
    /// An encapsulation that is not read: LLC/SNAP, MPLS, VXLAN, a third VLAN tag, a tunnel in a tunnel.
    UnparsedEncapsulation = 9, "unparsed-encapsulation", pass;

    /// A prefix of the policy file forbids the number.
    BlockedPrefix = 32, "blocked-prefix", stop;
    /// The policy file forbids the country of the number.
    BlockedCountry = 33, "blocked-country", stop;
    /// The policy file forbids the class `international`.
    ClassInternational = 34, "class-international", stop;
    /// The policy file forbids the class `premium`.
    ClassPremium = 35, "class-premium", stop;
    /// The policy file forbids the class `non-geographic`.
    ClassNonGeographic = 36, "class-non-geographic", stop;
    /// The policy file forbids calling codes that nobody has been assigned.
    ClassUnassigned = 37, "class-unassigned", stop;
    /// Not resolvable under the site's dial plan, but a foreign number under some known access code.
    Suspicious = 38, "suspicious", stop;
    /// The number is written in a form that no telephone writes.
    Malformed = 39, "malformed", stop;
    /// A call-making request whose target could not be read to its end.
    Unreadable = 40, "unreadable", stop;
    /// An emergency number, and another place of the request names another number.
    AmbiguousTarget = 41, "ambiguous-target", stop;
    /// International calls are switched off.
    InternationalOff = 42, "international-off", stop;
    /// The source is banned.
    Banned = 43, "banned", stop;
    /// International calls of the line, or the country, are suspended.
    Suspended = 44, "suspended", stop;
    /// The limit of the source is used up.
    SourceLimit = 45, "source-limit", stop;
    /// The limit of the source's network is used up.
    NetworkLimit = 46, "network-limit", stop;
    /// The limit that all unproved sources share is used up.
    UnprovedLimit = 47, "unproved-limit", stop;
    /// The limit of the line is used up.
    LineLimit = 48, "line-limit", stop;
    /// The limit of the site is used up.
    SiteLimit = 49, "site-limit", stop;
    /// The limit of the destination is used up.
    DestinationLimit = 50, "destination-limit", stop;
    /// The packet ceiling of unproved sources is reached.
    PacketLimit = 51, "packet-limit", stop;
    /// The limit on new TCP connections to SIP ports is used up.
    SynLimit = 52, "syn-limit", stop;
    /// The flood bucket for emergency calls of sources that nobody knows is used up.
    EmergencyFlood = 53, "emergency-flood", stop;
    /// The floor: a protection that acts in monitor mode too.
    Floor = 54, "floor", stop;
    /// A first fragment to a SIP port that is too short to judge.
    FragmentShort = 55, "fragment-short", stop;
    /// SIP over TCP is refused for sources that nobody knows.
    TcpDenied = 56, "tcp-denied", stop;
    /// An order of the operator.
    Order = 57, "order", stop;
    /// The shield is up: only trunk, lan and known sources may start SIP.
    Shield = 58, "shield", stop;
    /// The policy file forbids the class `unknown`, `carrier-service` or `national`.
    ClassOther = 59, "class-other", stop;
    /// The policy file lets nobody register from outside, or nobody whom the PBX does not know.
    OutsideRegistration = 60, "outside-registration", stop;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_round_trip() {
        for (i, &a) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::from_u8(a as u8), Some(a));
            assert!(!a.meaning().is_empty());
            for &b in &Reason::ALL[..i] {
                assert_ne!(a.as_str(), b.as_str());
            }
        }
        for v in Verdict::ALL {
            assert_eq!(Verdict::from_u8(v as u8), Some(v));
        }
    }
}
