//! Through whose accounts messages go, and telling people of it.

use async_trait::async_trait;
use voxanne_kernel::{Activity, ActivityKind, NewActivity, StoreError, Timestamp, Zone};
use voxanne_messaging::{
    consent::SuppressionsTx,
    credits::{BudgetAlert, CREDIT_CURRENCY, CreditsTx, TellBudget},
    limits::{SetRulesTx, month_of},
    mail::{Label, Notice, tell_owners},
    model::{MessagingModel, Mode, Model, SwitchTx, TellModelChange},
    templates::TemplatesTx,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    tx::begins,
};

begins!(SuppressionsTx, TemplatesTx, SetRulesTx, SwitchTx, CreditsTx);

const READ: &str = "select mode, fallback_to_platform from messaging_settings where org_id = $1";
const SAVE: &str = "update messaging_settings set mode = $2, fallback_to_platform = $3, updated_at = now()
  where org_id = $1";

#[async_trait]
impl Model for TenantTx {
    async fn messaging_model(&mut self) -> Result<MessagingModel, StoreError> {
        let org = self.org();
        let row: Option<(String, bool)> =
            sqlx::query_as(READ).bind(org).fetch_optional(self.conn()).await.map_err(store_error)?;
        let Some((mode, fallback_to_platform)) = row else { return Ok(MessagingModel::default()) };
        let mode = mode.parse().map_err(|error| corrupt("messaging_settings", "mode", &org, error))?;
        Ok(MessagingModel { mode, fallback_to_platform })
    }

    async fn messaging_model_to_change(&mut self) -> Result<MessagingModel, StoreError> {
        self.lock_messaging_settings().await?;
        self.messaging_model().await
    }

    async fn put_messaging_model(&mut self, model: MessagingModel) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(SAVE)
            .bind(org)
            .bind(model.mode.as_str())
            .bind(model.fallback_to_platform)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

fn activity(kind: ActivityKind, summary: String) -> NewActivity {
    NewActivity { kind, summary, call: None, appointment: None, contact: None }
}

#[async_trait]
impl TellModelChange for TenantTx {
    async fn tell_model_change(
        &mut self,
        model: MessagingModel,
        by_mail: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let MessagingModel { mode, fallback_to_platform } = model;
        let summary = match (mode, fallback_to_platform) {
            (Mode::CustomerManaged, true) => {
                "Messages now go out through your own providers, and through Voxanne where none of them can send"
            }
            (Mode::CustomerManaged, false) => "Messages now go out through your own providers only",
            (Mode::PlatformManaged, _) => "Messages now go out through Voxanne, paid with credits",
        };
        self.note(activity(ActivityKind::MessagingModelSwitched, summary.to_owned())).await?;
        if by_mail {
            tell_owners(self, &Notice::MessagingModelSwitched { mode, fallback_to_platform }, at).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl TellBudget for TenantTx {
    async fn tell_budget(&mut self, alert: BudgetAlert, at: Timestamp) -> Result<(), StoreError> {
        let BudgetAlert { percent, spent, budget } = alert;
        let summary = format!("{percent} % of this month's budget for messages is used");
        self.note(activity(ActivityKind::MessagingBudgetUsed, summary)).await?;
        let month = Label::new(&month_of(at, &Zone::utc()).name);
        let notice = Notice::MessagingBudgetUsed { percent, month, spent, budget, currency: CREDIT_CURRENCY };
        tell_owners(self, &notice, at).await
    }
}
