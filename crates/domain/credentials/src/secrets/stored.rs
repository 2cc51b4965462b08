//! How a credential is written inside its sealed text: a JSON object with one member per field.
//!
//! [`stored!`](crate::secrets::stored::stored) declares a credential together with its mirror, so that the two cannot
//! drift apart. A mirror lives only while it is written or read, and is zeroed when dropped.

use std::io::{self, Write};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;
use voxanne_kernel::{E164, EmailAddress};
use zeroize::{Zeroize, Zeroizing};

use crate::envelope::Unreadable;

/// Something that can be a part of a sealed text.
pub(super) trait Field: Sized {
    /// Its mirror.
    type Stored: Serialize + DeserializeOwned + Zeroize + Default;

    /// Copies it into its mirror.
    fn store(&self) -> Self::Stored;

    /// Takes it back out of its mirror; `None` when the mirror says nothing that could be meant.
    fn restore(stored: Self::Stored) -> Option<Self>;
}

/// Declares a struct and how it is written: member by member, under the names of its fields.
macro_rules! stored {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)+
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $kind,)+
        }

        const _: () = {
            use $crate::secrets::stored::Field;

            #[derive(Default, serde::Serialize, serde::Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
            pub(crate) struct Mirror {
                $($field: <$kind as Field>::Stored,)+
            }

            impl Field for $name {
                type Stored = Mirror;

                fn store(&self) -> Mirror {
                    Mirror { $($field: self.$field.store(),)+ }
                }

                fn restore(mut stored: Mirror) -> Option<Self> {
                    Some(Self { $($field: Field::restore(std::mem::take(&mut stored.$field))?,)+ })
                }
            }
        };
    };
}
pub(super) use stored;

/// Declares a [`stored!`] struct that is the credential of the provider of the same name, and what it shows.
macro_rules! provider_secret {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($fields:tt)+ }
        shows($it:ident) $shown:block
    ) => {
        $crate::secrets::stored::stored! {
            $(#[$meta])*
            #[derive(Debug)]
            pub struct $name { $($fields)+ }
        }

        impl $crate::secrets::ProviderSecret for $name {
            const PROVIDER: $crate::provider::CredentialProvider = $crate::provider::CredentialProvider::$name;

            fn to_plaintext(&self) -> zeroize::Zeroizing<Vec<u8>> {
                $crate::secrets::stored::write(self)
            }

            fn from_plaintext(text: &[u8]) -> Result<Self, $crate::envelope::Unreadable> {
                $crate::secrets::stored::read(text)
            }

            fn metadata(&self) -> serde_json::Map<String, serde_json::Value> {
                let $it = self;
                $shown.into()
            }
        }
    };
}
pub(super) use provider_secret;

/// The text of `credential`, in a buffer that never grew: one that did would leave copies of the secret behind.
#[expect(clippy::expect_used, reason = "mirrors are objects of texts and numbers, which are always JSON")]
pub(super) fn write(credential: &impl Field) -> Zeroizing<Vec<u8>> {
    const JSON: &str = "texts and numbers are always JSON";
    let mirror = Zeroizing::new(credential.store());
    let mut length = Length(0);
    serde_json::to_writer(&mut length, &*mirror).expect(JSON);
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, &*mirror).expect(JSON);
    text
}

/// Reads what [`write`] wrote. What was wrong with it is not told: it could repeat a part of the secret.
pub(super) fn read<F: Field>(text: &[u8]) -> Result<F, Unreadable> {
    let mirror = serde_json::from_slice(text).map_err(|_| Unreadable::UnexpectedShape)?;
    F::restore(mirror).ok_or(Unreadable::UnexpectedShape)
}

/// Counts what is written to it.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Field for SecretString {
    type Stored = String;

    fn store(&self) -> String {
        self.expose_secret().to_owned()
    }

    fn restore(stored: String) -> Option<Self> {
        Some(stored.into())
    }
}

impl<F: Field> Field for Option<F> {
    type Stored = Option<F::Stored>;

    fn store(&self) -> Self::Stored {
        self.as_ref().map(Field::store)
    }

    fn restore(stored: Self::Stored) -> Option<Self> {
        match stored {
            Some(stored) => F::restore(stored).map(Some),
            None => Some(None),
        }
    }
}

/// Parts that are their own mirror.
macro_rules! plain {
    ($($kind:ty),+) => {$(
        impl Field for $kind {
            type Stored = Self;

            fn store(&self) -> Self {
                self.clone()
            }

            fn restore(stored: Self) -> Option<Self> {
                Some(stored)
            }
        }
    )+};
}
plain!(String, Vec<String>, u16);

/// Parts that are written as they print.
macro_rules! as_text {
    ($($kind:ty),+ $(,)?) => {$(
        impl $crate::secrets::stored::Field for $kind {
            type Stored = String;

            fn store(&self) -> String {
                self.to_string()
            }

            fn restore(stored: String) -> Option<Self> {
                stored.parse().ok()
            }
        }
    )+};
}
pub(super) use as_text;

as_text!(E164, EmailAddress, Timestamp, Url);
