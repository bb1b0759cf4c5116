//! The time zone in which a person is shown times: that of the site, where the policy names one, else that of the machine.
//!
//! There is one for the process, since every line that it writes is read beside the others. What programs read is RFC 3339.

use std::sync::{PoisonError, RwLock};

use jiff::{Timestamp, tz::TimeZone};

/// The zone of the site, by its IANA name.
static SITE: RwLock<Option<(String, TimeZone)>> = RwLock::new(None);

/// Takes the zone of a policy; `None`, or a name that the time zone database does not have, is that of the machine.
pub fn set(name: Option<&str>) {
    let zone = name.and_then(|name| Some((name.to_owned(), TimeZone::get(name).ok()?)));
    *SITE.write().unwrap_or_else(PoisonError::into_inner) = zone;
}

/// The IANA name of the site's zone, where it has one.
pub fn name() -> Option<String> {
    SITE.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(name, _)| name.clone())
}

/// The zone in which times are shown.
pub fn current() -> TimeZone {
    let site = SITE.read().unwrap_or_else(PoisonError::into_inner);
    site.as_ref().map_or_else(machine, |(_, zone)| zone.clone())
}

/// The zone of a policy that names this one, or none.
pub fn of(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(machine)
}

/// The unit tests of this crate expect the same on any machine.
fn machine() -> TimeZone {
    if cfg!(test) { TimeZone::UTC } else { TimeZone::system() }
}

/// A time as a person reads it, with its zone.
pub fn shown(time: Timestamp) -> String {
    time.to_zoned(current()).strftime("%F %T %Z").to_string()
}

/// The same to the minute.
pub fn shown_minute(time: Timestamp) -> String {
    time.to_zoned(current()).strftime("%F %H:%M %Z").to_string()
}
