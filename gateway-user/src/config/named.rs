//! Classes, methods, networks and WHATs in JSON: by the names that the policy file has for them.

use std::str::FromStr;

use gateway_common::{Class, Method};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Complaint, Network};
use crate::what::What;

/// What is known by a name alone.
pub(super) trait Named: Copy + Sized {
    fn name(self) -> &'static str;
    fn from_name(name: &str) -> Option<Self>;
}

impl Named for Class {
    fn name(self) -> &'static str {
        self.as_str()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

impl Named for Method {
    fn name(self) -> &'static str {
        self.as_str()
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(super) fn serialize<T: Named, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(T::name).serialize(serializer)
}

pub(super) fn deserialize<'de, T: Named, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let name: Option<String> = Deserialize::deserialize(deserializer)?;
    let Some(name) = name else { return Ok(None) };
    T::from_name(&name).map(Some).ok_or_else(|| D::Error::custom(format!("{name:?} is not known")))
}

fn parsed<'de, T: FromStr<Err = Complaint>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}
