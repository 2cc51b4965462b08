//! Through whose accounts messages go, and telling people of it.

use async_trait::async_trait;
use voxanne_kernel::{Activity, ActivityKind, NewActivity, StoreError, Timestamp, Zone};
use voxanne_messaging::{
    channel::{Channel, Provider},
    consent::SuppressionsTx,
    credits::{BudgetAlert, CREDIT_CURRENCY, CreditsTx, TellBudget},
    limits::{SetRulesTx, month_of},
    mail::{Label, Notice, tell_owners},
    model::{BroughtAccount, BroughtAccounts, MessagingModel, Mode, Model, SwitchTx, TellModelChange},
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
/// Those in the book as they stand there; behind them those that were connected under Integrations and never put into
/// the book. An account with Twilio sends only from a number.
const BROUGHT: &str = "with own as (
        select m.channel, m.provider, m.priority, m.created_at
          from messaging_providers m where m.org_id = $1 and m.active
        union all
        select can.channel, c.provider, 1000000, c.created_at
          from org_credentials c
          join unnest($2::text[], $3::text[]) as can (channel, provider) on can.provider = c.provider
         where c.org_id = $1 and c.source = 'byoc' and c.is_active
           and (c.provider <> 'twilio' or c.metadata ->> 'phoneNumber' is not null)
           and not exists (select from messaging_providers m where m.org_id = $1 and m.channel = can.channel
                                                                and m.provider = c.provider))
 select own.channel, own.provider,
        exists (select from org_credentials c
                 where c.org_id = $1 and c.provider = own.provider and c.source = 'byoc' and c.is_active
                   and c.status in ('verified', 'restricted', 'syncing'))
   from own order by own.channel, own.priority, own.created_at";

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

#[async_trait]
impl BroughtAccounts for TenantTx {
    async fn brought_accounts(&mut self) -> Result<Vec<BroughtAccount>, StoreError> {
        let org = self.org();
        let pairs = Channel::ALL
            .into_iter()
            .flat_map(|channel| channel.brought().iter().map(move |provider| (channel, *provider)));
        let (channels, providers): (Vec<_>, Vec<_>) =
            pairs.map(|(channel, provider)| (channel.as_str(), provider.as_str())).unzip();
        let rows: Vec<(String, String, bool)> = sqlx::query_as(BROUGHT)
            .bind(org)
            .bind(channels)
            .bind(providers)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let read = |(channel, provider, is_verified): (String, String, bool)| {
            let known: Channel =
                channel.parse().map_err(|error| corrupt("messaging_providers", "channel", &org, error))?;
            let by: Provider =
                provider.parse().map_err(|error| corrupt("messaging_providers", "provider", &org, error))?;
            Ok(BroughtAccount { channel: known, provider: by, is_verified })
        };
        rows.into_iter().map(read).collect()
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
