//! What remotes list, by name. Checkpoints and what pulls remember hold the names as text, and this is the one place that
//! knows how it is written: `name[:parent]`, and of a series `name[:parent][@seconds since 1970]`.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A listing of a remote: of all records of a sort, or of those that belong to another record alone (the variations of a
/// product). What names there are, and what they mean, is the source's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listing {
    name: String,
    parent: Option<String>,
}

impl Listing {
    /// The listing of all.
    pub fn of(name: impl Into<String>) -> Self {
        Listing {
            name: name.into(),
            parent: None,
        }
    }

    /// The listing of what belongs to this record; to several, where a source names them so.
    pub fn children_of(name: impl Into<String>, parent: impl Into<String>) -> Self {
        Listing {
            name: name.into(),
            parent: Some(parent.into()),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }
}

/// From its text.
impl From<&str> for Listing {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, parent)) => Listing::children_of(name, parent),
            None => Listing::of(text),
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.parent {
            Some(parent) => write!(f, "{}:{parent}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Serialize for Listing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Listing::from(text.as_str()))
    }
}

/// The windows of a listing that continue each other: those of all of it, or of what changed in it since some time, which stands
/// at other places there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    listing: Listing,
    since: Option<DateTime<Utc>>,
}

impl Series {
    /// In whole seconds, as they are stored.
    pub fn new(listing: Listing, since: Option<DateTime<Utc>>) -> Self {
        Series {
            listing,
            since: since.map(|since| since.trunc_subsecs(0)),
        }
    }

    /// That of all of a listing.
    pub fn whole(listing: &Listing) -> Self {
        Series::new(listing.clone(), None)
    }

    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// None: it is of all.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.since
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((listing, seconds)) = text.rsplit_once('@') else {
            return Ok(Series::whole(&Listing::from(text)));
        };
        let seconds = seconds.parse().ok();
        let since = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        match since {
            Some(since) => Ok(Series::new(Listing::from(listing), Some(since))),
            None => Err(format!("\"{text}\" ends with no time")),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.since {
            Some(since) => write!(f, "{}@{}", self.listing, since.timestamp()),
            None => self.listing.fmt(f),
        }
    }
}

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_listing_is_stored_as_the_text_it_always_was() {
        for (listing, text) in [
            (Listing::of("products"), "products"),
            (Listing::of("attribute values"), "attribute values"),
            (Listing::children_of("variations", "34"), "variations:34"),
            (Listing::children_of("variations", "34,35"), "variations:34,35"),
            (Listing::children_of("variations", ""), "variations:"),
        ] {
            assert_eq!(listing.to_string(), text);
            assert_eq!(serde_json::to_value(&listing).unwrap(), json!(text));
            assert_eq!(serde_json::from_value::<Listing>(json!(text)).unwrap(), listing);
        }
    }

    #[test]
    fn a_series_is_a_key_of_what_is_stored() {
        let since = |text: &str| Some(text.parse().unwrap());
        let products = || Listing::of("products");
        let of_34 = Listing::children_of("variations", "34");
        for (series, text) in [
            (Series::whole(&products()), "products"),
            (
                Series::new(products(), since("2026-05-01T10:00:00Z")),
                "products@1777629600",
            ),
            (
                Series::new(products(), since("1969-12-31T23:59:59.5Z")),
                "products@-1",
            ),
            (
                Series::new(of_34, since("2026-05-01T10:00:00Z")),
                "variations:34@1777629600",
            ),
        ] {
            let stored = json!({ text: 7 });
            assert_eq!(
                serde_json::to_value(BTreeMap::from([(series.clone(), 7)])).unwrap(),
                stored
            );
            let read: BTreeMap<Series, u64> = serde_json::from_value(stored).unwrap();
            assert_eq!(read, BTreeMap::from([(series, 7)]));
        }
        for wrong in ["products@", "products@soon", "products@9223372036854775807"] {
            assert!(serde_json::from_value::<Series>(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn windows_since_one_second_are_one_series() {
        let at = |text: &str| Series::new(Listing::of("orders"), Some(text.parse().unwrap()));
        assert_eq!(at("2026-05-01T10:00:00.25Z"), at("2026-05-01T10:00:00Z"));
        assert_ne!(at("2026-05-01T10:00:01Z"), at("2026-05-01T10:00:00Z"));
        assert_ne!(at("2026-05-01T10:00:00Z"), Series::whole(&Listing::of("orders")));
    }
}
