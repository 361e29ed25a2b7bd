//! What a field of a canonical record is.

/// What a field holds, and so how its value is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, ids included: numbers become their decimal text.
    Text,
    /// Text whose case has no meaning.
    Email,
    /// A decimal number of any precision; never taken through a float.
    Number,
    /// True or absent.
    Bool,
    /// True, false or absent: a no says more than nothing.
    Flag,
    /// A point in time, UTC.
    Time,
    /// A list of scalars whose order and repetitions have no meaning.
    Set,
    /// A list of scalars whose order has a meaning (the first image is the main one).
    Sequence,
    /// A list of objects. Order is kept, except that elements having an `id` are sorted by it. They are compared by
    /// their compared fields.
    List(&'static [Field]),
    /// Any JSON.
    Any,
}

impl Kind {
    /// The kind in a word, part of [`super::fingerprint::spec`].
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Email => "email",
            Kind::Number => "number",
            Kind::Bool => "bool",
            Kind::Flag => "flag",
            Kind::Time => "time",
            Kind::Set => "set",
            Kind::Sequence => "sequence",
            Kind::List(_) => "list",
            Kind::Any => "any",
        }
    }
}

/// One field of a canonical record, or of an element of a list in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether a difference in it is a change of the record.
    pub compared: bool,
}

impl Field {
    /// A compared field.
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Field {
            name,
            kind,
            compared: true,
        }
    }

    /// A field that is carried, but not compared.
    pub(super) const fn aside(name: &'static str, kind: Kind) -> Self {
        Field {
            name,
            kind,
            compared: false,
        }
    }
}
