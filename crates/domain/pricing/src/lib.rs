//! What an organization sells, for how much, and which of it a conversation mentioned (`spec/05-calls.md`).
//!
//! - [`Service`] is one line of the catalogue; [`seeds`] holds the seven every organization starts with.
//! - [`ServiceCatalogue`] reads and changes the catalogue.
//! - [`Matcher`] finds the services that a text mentions: whole words, whatever their case and accents.
//! - [`ValueConversation`] says what a conversation is worth; its documentation has the rule, fallbacks included.
//!
//! Amounts are [`Money`](voxanne_kernel::Money), never floating point. Nothing here knows calls, calendars or JSON
//! bodies, and no exchange rates: amounts of different currencies are never added.

mod catalogue;
mod matching;
mod ports;
pub mod seeds;
mod service;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod value;

pub use catalogue::{CatalogueError, NewService, ServiceCatalogue, ServicePatch};
pub use matching::{Matcher, words};
pub use ports::{CatalogueTx, InsertError, PriceList, PriceTx, Prices, Services};
pub use service::{BadService, Field, Keywords, Minutes, Price, Service, ServiceName};
pub use value::{Conversation, Valuation, ValueConversation};
