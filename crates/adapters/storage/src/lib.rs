//! Files behind the domain's ports: on a disk or in a bucket, whichever `STORAGE_URL` names.
//!
//! A file appears whole under its name or not at all. What is written goes through memory in parts of a few megabytes,
//! whatever its length. [`SealedLinks`] keeps the secrets of links to files.

mod files;
mod links;

pub use files::{BadStorage, Files};
pub use links::SealedLinks;
