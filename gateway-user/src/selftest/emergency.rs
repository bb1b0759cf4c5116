//! Emergency numbers in every wrapper of a dial plan.

use std::fmt::Write as _;

use crate::{config::Profile, numbering};

/// Service codes that are tried two at a time; each is tried alone.
const PAIRED: usize = 3;

/// What of a profile an emergency call depends on.
#[derive(PartialEq, Eq)]
pub(super) struct Plan<'a> {
    region: &'a str,
    outside: &'a [String],
    services: &'a [String],
    own: &'a [String],
}

impl<'a> Plan<'a> {
    pub(super) fn of(profile: &'a Profile) -> Self {
        Self {
            region: &profile.region,
            outside: &profile.outside_line,
            services: &profile.service_codes,
            own: &profile.emergency,
        }
    }

    fn numbers(&self) -> Vec<&'a str> {
        let theirs = numbering::region(self.region).into_iter().flat_map(|region| region.emergency.iter().copied());
        theirs.chain(self.own.iter().map(String::as_str)).collect()
    }

    /// Each number as it stands, and the service URN (RFC 5031).
    pub(super) fn bare(&self) -> Vec<String> {
        let mut uris: Vec<String> = self.numbers().iter().map(|number| sip(number)).collect();
        uris.push("urn:service:sos".to_owned());
        uris
    }

    /// Each number in every spelling, behind outside lines and up to two service codes, and behind the calling code.
    pub(super) fn wrapped(&self) -> Vec<String> {
        let region = numbering::region(self.region);
        let services: Vec<&str> = region
            .into_iter()
            .flat_map(|region| region.service_codes.iter().copied())
            .chain(self.services.iter().map(String::as_str))
            .collect();
        let mut fronts: Vec<String> = self.outside.to_vec();
        for service in &services {
            fronts.push((*service).to_owned());
            for line in self.outside {
                fronts.extend([format!("{line}{service}"), format!("{service}{line}")]);
            }
        }
        for first in services.iter().take(PAIRED) {
            fronts.extend(services.iter().take(PAIRED).map(|second| format!("{first}{second}")));
        }
        if let Some(code) = region.and_then(|region| region.calling_code) {
            fronts.push(format!("+{code}"));
        }
        let mut uris = self.bare();
        uris.extend(["urn:service:sos.ambulance", "URN:SERVICE:SOS.police"].map(str::to_owned));
        for number in self.numbers() {
            let escaped = number.bytes().fold(String::new(), |mut text, octet| {
                let _ = write!(text, "%{octet:02x}");
                text
            });
            let apart: Vec<String> = number.chars().map(String::from).collect();
            uris.extend([
                format!("tel:{number}"),
                format!("sips:{number}@gateway.invalid"),
                format!("SIP:{number}@gateway.invalid;user=phone"),
                format!("sip:{escaped}@gateway.invalid"),
                format!("sip:{}@gateway.invalid", apart.join("-")),
            ]);
            uris.extend(fronts.iter().map(|front| sip(&format!("{front}{number}"))));
        }
        uris
    }
}

/// The URI by which a telephone dials this.
fn sip(dialled: &str) -> String {
    format!("sip:{}@gateway.invalid", dialled.replace('#', "%23"))
}
