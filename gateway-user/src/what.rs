//! WHAT of the command line and of `block` and `allow` lists: what a thing is shows in its form.

use gateway_common::Class;

use crate::config::Network;

/// A thing that can be blocked or allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// `+232`: E.164 digits, without the plus here.
    Prefix(String),
    /// `SL`: a country, ISO 3166-1 alpha-2.
    Country(String),
    /// `dial:0570`: the head of a dialled string.
    Dial(String),
    /// `198.51.100.0/24`: a source.
    Source(Network),
    /// `international`: a class.
    Class(Class),
    /// `line:203`: a line.
    Line(String),
}
