//! What a telephone shows of a refusal.

use gateway_common::{Class, Reason, judged::Judged};

/// Why a call was stopped, for the one who placed it: what he can do about it, and nothing of the policy.
pub(super) fn why(judged: &Judged, order: Option<u64>) -> String {
    let what = match judged.class() {
        Class::International => "International calls",
        Class::Premium => "Calls to premium numbers",
        Class::NonGeographic => "Satellite and network numbers",
        _ => "Calls to this number",
    };
    match judged.reason() {
        Reason::Order => match order {
            Some(order) => format!("{what} are stopped (order {order})"),
            None => format!("{what} are stopped"),
        },
        Reason::InternationalOff => "International calls are switched off".to_owned(),
        Reason::Suspended => format!("{what} are suspended"),
        Reason::Banned => "Calls from here are suspended".to_owned(),
        Reason::SourceLimit | Reason::NetworkLimit | Reason::LineLimit => "Too many calls from here, try later".into(),
        Reason::SiteLimit | Reason::DestinationLimit => "Too many calls, try later".into(),
        Reason::Suspicious | Reason::Malformed | Reason::Unreadable | Reason::AmbiguousTarget => {
            "The number cannot be read".to_owned()
        }
        _ => format!("{what} are not allowed"),
    }
}
