//! What kind of number was dialled.

macro_rules! classes {
    ($( $(#[doc = $doc:literal])+ $name:ident = $n:literal, $text:literal; )+) => {
        /// The class of a dialled string, under the dial plan of the site.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Class { $( $(#[doc = $doc])+ $name = $n, )+ }

        impl Class {
            /// Every class, in the order of its number.
            pub const ALL: [Self; 11] = [ $( Self::$name, )+ ];

            /// The name used in the policy file and in `--json` output.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// The class with this number, if there is one.
            pub const fn from_u8(n: u8) -> Option<Self> {
                match n { $( $n => Some(Self::$name), )+ _ => None }
            }

            /// The class with this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$name), )+ _ => None }
            }
        }
    };
}

classes! {
    /// No call is made, or the target is no number: an extension, a word, a UUID.
    None = 0, "none";
    /// An emergency number, exact, in any wrapper.
    Emergency = 1, "emergency";
    /// A number of the site's own country, or one of its own numbers.
    National = 2, "national";
    /// A charged service of the site's own country.
    Premium = 3, "premium";
    /// A number of another country.
    International = 4, "international";
    /// A calling code that belongs to no country: satellites, international networks, premium rate (ITU-T E.164).
    NonGeographic = 5, "non-geographic";
    /// A calling code that nobody has been assigned (ITU-T E.164).
    Unassigned = 6, "unassigned";
    /// A carrier's own service: a carrier code without an access code behind it.
    CarrierService = 7, "carrier-service";
    /// Not resolvable under the plan, but a foreign number under some known access code.
    Suspicious = 8, "suspicious";
    /// Digits that the plan does not resolve.
    Unknown = 9, "unknown";
    /// A form that no telephone writes.
    Malformed = 10, "malformed";
}
