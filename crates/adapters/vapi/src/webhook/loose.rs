//! Lenient readers: whatever has an unexpected type is nothing, and what is not asked for is skipped unread.

use std::{fmt, marker::PhantomData};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// What can be read from a text or a number.
pub(super) trait FromScalar: Sized {
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn from_number(_: f64) -> Option<Self> {
        None
    }
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
}

/// A text; empty is nothing, NUL is dropped because nothing can store it.
impl FromScalar for String {
    fn from_text(text: &str) -> Option<Self> {
        let kept: Self = if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() };
        (!kept.is_empty()).then_some(kept)
    }
}

/// An id: a text that is plain, short and never repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(pub String);

impl FromScalar for Id {
    fn from_text(text: &str) -> Option<Self> {
        let plain = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        plain.then(|| Self(text.to_owned()))
    }
}

impl FromScalar for f64 {
    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &Self| number.is_finite())
    }
    fn from_number(number: f64) -> Option<Self> {
        number.is_finite().then_some(number)
    }
}

/// An instant: ISO text, or milliseconds (or seconds, by magnitude) since 1970.
impl FromScalar for Timestamp {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_number(number: f64) -> Option<Self> {
        const MILLISECONDS_SINCE: f64 = 1e11;
        let millis = if number.abs() > MILLISECONDS_SINCE { number } else { number * 1_000.0 };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float to integer cast saturates, and is then checked"
        )]
        Self::from_millisecond(millis as i64).ok().filter(|_| millis.is_finite())
    }
}

/// A scalar, or nothing.
#[derive(Debug, Clone)]
pub(super) struct Scalar<T>(pub Option<T>);

/// An object, or nothing. `T` is made of lenient fields.
#[derive(Debug, Clone)]
pub(super) struct Object<T>(pub Option<T>);

/// A list, or nothing.
#[derive(Debug, Clone)]
pub(super) struct List<T>(pub Vec<T>);

impl<T> Default for Scalar<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Object<T> {
    pub(super) fn get<U>(&self, read: impl FnOnce(&T) -> U) -> Option<U> {
        self.0.as_ref().map(read)
    }
}

macro_rules! expecting_anything {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }
    };
}

macro_rules! skip_scalars {
    ($nothing:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

macro_rules! skip_seq {
    ($nothing:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

macro_rules! skip_map {
    ($nothing:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de, T: FromScalar> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: FromScalar> Visitor<'de> for Read<T> {
            type Value = Scalar<T>;
            expecting_anything!();
            skip_seq!(Scalar(None));
            skip_map!(Scalar(None));
            fn visit_bool<E>(self, value: bool) -> Result<Scalar<T>, E> {
                Ok(Scalar(T::from_bool(value)))
            }
            #[expect(clippy::cast_precision_loss, reason = "times and durations are far below 2^53")]
            fn visit_i64<E>(self, value: i64) -> Result<Scalar<T>, E> {
                Ok(Scalar(T::from_number(value as f64)))
            }
            #[expect(clippy::cast_precision_loss, reason = "times and durations are far below 2^53")]
            fn visit_u64<E>(self, value: u64) -> Result<Scalar<T>, E> {
                Ok(Scalar(T::from_number(value as f64)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar<T>, E> {
                Ok(Scalar(T::from_number(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Scalar<T>, E> {
                Ok(Scalar(T::from_text(value)))
            }
            fn visit_unit<E>(self) -> Result<Scalar<T>, E> {
                Ok(Scalar(None))
            }
        }

        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Object<T>;
            expecting_anything!();
            skip_scalars!(Object(None));
            skip_seq!(Object(None));
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
            }
        }

        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = List<T>;
            expecting_anything!();
            skip_scalars!(List(Vec::new()));
            skip_map!(List(Vec::new()));
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
        }

        deserializer.deserialize_any(Read(PhantomData))
    }
}
