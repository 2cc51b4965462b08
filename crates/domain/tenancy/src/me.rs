//! Who the caller is.

use std::sync::Arc;

use voxanne_kernel::{BeginSystem, Commit, EmailAddress, StoreError, ids::UserId};

use crate::{
    access::{Access, Claims},
    organization::Organization,
    ports::{Accounts, Directory},
    user::Standing,
};

/// What answering touches.
pub trait MeTx: Accounts + Directory + Commit {}
impl<T: Accounts + Directory + Commit> MeTx for T {}

/// Tells callers who they are.
pub struct Me {
    store: Arc<dyn BeginSystem<dyn MeTx>>,
}

/// The answer: as the database knows the caller by now, or, for somebody whom only an external issuer knows, as their
/// token says.
#[derive(Debug, Clone, PartialEq)]
pub struct WhoAmI {
    /// The caller.
    pub user: UserId,
    /// Their address, if it is known here.
    pub email: Option<EmailAddress>,
    /// What they are.
    pub standing: Standing,
}

impl Me {
    /// Looks in `store`.
    pub fn new(store: Arc<dyn BeginSystem<dyn MeTx>>) -> Self {
        Self { store }
    }

    /// The holder of `claims`.
    pub async fn run(&self, claims: Claims) -> Result<WhoAmI, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let answer = match tx.account(claims.user).await? {
            Some(account) => {
                WhoAmI { user: account.user.id, email: Some(account.user.email), standing: account.standing }
            }
            None => {
                WhoAmI { user: claims.user, email: None, standing: claimed(&mut *tx, claims.access).await? }
            }
        };
        tx.commit().await?;
        Ok(answer)
    }
}

async fn claimed<Tx: Directory + ?Sized>(tx: &mut Tx, access: Access) -> Result<Standing, StoreError> {
    Ok(match access {
        Access::Operator => Standing::Operator,
        Access::Nothing => Standing::Nobody,
        Access::Organization { org, role } => {
            let organization: Option<Organization> = tx.organization_by_id(org).await?;
            organization.map_or(Standing::Nobody, |organization| Standing::Member {
                organization: Box::new(organization),
                role,
            })
        }
    })
}
