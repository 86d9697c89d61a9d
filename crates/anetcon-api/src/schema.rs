//! The version of the documents.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The `"schema": 1` of every document. Reading any other version is an error, so a client never
/// misreads what a later agent says. Fields may be added within a version; readers ignore unknown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schema;

impl Schema {
    /// The one version there is.
    pub const VERSION: u64 = 1;
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::VERSION)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Self::VERSION => Ok(Self),
            other => Err(de::Error::custom(format_args!(
                "schema {other} is not known, only schema {}",
                Self::VERSION
            ))),
        }
    }
}
