//! The vocabulary that every layer shares: who is asking ([`scope`]), which thing is meant ([`ids`]), when
//! ([`clock`], [`zone`]), how work becomes visible ([`uow`]) and what happens afterwards ([`outbox`]).
//!
//! It knows no database, no HTTP and no provider, and it holds nothing that only one domain needs.

pub mod activity;
pub mod audit;
pub mod claim;
pub mod clock;
pub mod email;
pub mod error;
pub mod ids;
pub mod money;
pub mod not_sent;
pub mod outbox;
pub mod page;
pub mod phone;
pub mod place;
pub mod provider;
pub mod scope;
pub mod text;
pub mod uow;
pub mod zone;

pub use activity::{Activity, ActivityKind, NewActivity};
pub use audit::{Audit, NewAudit};
pub use claim::{Claim, Claims, ConfirmClaim, ExtendClaim, while_kept};
pub use clock::{Clock, ManualClock, SystemClock};
pub use email::EmailAddress;
pub use error::StoreError;
pub use jiff::Timestamp;
pub use money::{Currency, Money};
pub use not_sent::{NotSent, SendingLimit};
pub use outbox::{Job, NewJob, Outbox};
pub use page::{Page, PageRequest, Position};
pub use phone::E164;
pub use place::{AreaCode, Country};
pub use provider::ProviderError;
pub use scope::{Actor, OrgScope};
pub use uow::{Begin, BeginSystem, Commit};
pub use zone::Zone;
