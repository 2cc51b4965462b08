//! What a conversation is worth, asked by `calls` in its words and answered by `pricing` in its own.

use async_trait::async_trait;
use voxanne_calls::{Appraisal, Appraiser, Talk};
use voxanne_kernel::{OrgScope, StoreError};
use voxanne_pricing::{Conversation, Valuation, ValueConversation};

/// Joins the two.
pub struct PriceListAppraiser(ValueConversation);

impl PriceListAppraiser {
    /// Values with `pricing`.
    pub fn new(pricing: ValueConversation) -> Self {
        Self(pricing)
    }
}

#[async_trait]
impl Appraiser for PriceListAppraiser {
    async fn appraise(&self, scope: &OrgScope, talk: &Talk<'_>) -> Result<Appraisal, StoreError> {
        let &Talk { wanted, offered, booked } = talk;
        let Valuation { amount, services, names } =
            self.0.run(scope, &Conversation { wanted, offered, booked }).await?;
        Ok(Appraisal { amount, services, names })
    }
}
