//! SIP request methods (RFC 3261 section 7.1 and its extensions).

macro_rules! methods {
    ($( $(#[doc = $doc:literal])+ $name:ident = $n:literal, $text:literal; )+) => {
        /// The method of a SIP request, compared without regard to case, as Kamailio and PJSIP do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Method { $( $(#[doc = $doc])+ $name = $n, )+ }

        impl Method {
            /// Every method, in the order of its number.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The canonical upper-case name.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )+ }
            }

            /// The method with this number, if there is one.
            pub const fn from_u8(n: u8) -> Option<Self> {
                match n { $( $n => Some(Self::$name), )+ _ => None }
            }

            /// The method with this canonical name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some(Self::$name), )+ _ => None }
            }
        }
    };
}

methods! {
    /// RFC 3261: makes a call.
    Invite = 1, "INVITE";
    /// RFC 3261.
    Ack = 2, "ACK";
    /// RFC 3261.
    Bye = 3, "BYE";
    /// RFC 3261.
    Cancel = 4, "CANCEL";
    /// RFC 3261.
    Options = 5, "OPTIONS";
    /// RFC 3261.
    Register = 6, "REGISTER";
    /// RFC 3262.
    Prack = 7, "PRACK";
    /// RFC 6665.
    Subscribe = 8, "SUBSCRIBE";
    /// RFC 6665.
    Notify = 9, "NOTIFY";
    /// RFC 3903.
    Publish = 10, "PUBLISH";
    /// RFC 6086.
    Info = 11, "INFO";
    /// RFC 3515: makes a call, to its Refer-To.
    Refer = 12, "REFER";
    /// RFC 3428.
    Message = 13, "MESSAGE";
    /// RFC 3311.
    Update = 14, "UPDATE";
}

impl Method {
    /// Whether a server that accepts this request places a call.
    pub const fn makes_call(self) -> bool {
        matches!(self, Self::Invite | Self::Refer)
    }
}
