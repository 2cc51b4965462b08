//! Connections to calendars: a person signs in at the provider once, and the organization stays connected until
//! somebody withdraws it (`spec/03-credentials.md`, "forever link").
//!
//! - [`StartConnection`] sends the person to the provider's consent page, [`FinishConnection`] takes what they come back
//!   with. Between the two there is only a [`StateToken`]: sealed, used once, for ten minutes.
//! - [`AccessTokenOf`] is what everything else asks: an access token that is valid for a while yet, refreshed ahead of
//!   its end by one of however many ask at once. [`RefreshDue`] keeps tokens fresh that nobody asks for.
//! - [`Disconnect`] and [`VerifyConnection`] are what people do to a connection later.
//!
//! A refusal that says the grant is gone makes the connection `reconnect_required`; nothing else a provider says or
//! fails to say does.

mod access;
mod calendar;
mod disconnect;
mod due;
mod finish;
pub mod ports;
mod provider;
mod start;
mod state;
mod token;
mod verify;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use access::AccessTokenOf;
pub use calendar::{Calendar, NotACalendar};
pub use disconnect::{Disconnect, DisconnectError};
pub use due::{RefreshDue, RefreshToken, RefreshTokens};
pub use finish::{Callback, Connected, FinishConnection, FinishError, Pending};
pub use ports::{
    Administrators, Connection, ConnectionDirectory, ConnectionStates, ConnectionTx, Connections,
    DueConnection, NewState, OwnerNotices, PendingStates, StartTx, TakenState,
};
pub use provider::{Ask, Grant, OAuthError, OAuthProvider, OAuthProviders, Permission, Refreshed};
pub use start::{StartConnection, StartError};
pub use state::{ReturnPath, StateDigest, StateToken, UnsafePath};
pub use token::{AccessError, AccessToken};
pub use verify::VerifyConnection;
