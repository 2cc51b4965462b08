//! The steps forward.

use futures_util::future::join3;
use voxanne_kernel::E164;

use super::{
    ports::LineNumbers,
    progress::{Begun, Missed, Run, Stop, Why, made_in, settle},
    run::Ran,
    start::audited,
    state::{NumberSource, Setup, SetupStatus, StepName, StepStatus},
};
use crate::{
    bind::spec,
    ports::{LineKind, NumberSpec, RoutedNumber, StepError},
};

/// The platform has no account to buy numbers in.
const NOT_CONFIGURED: StepError = StepError::Denied("not_configured");

/// What a step came to.
type Stepped = Result<Result<(), Missed>, Stop>;

impl Run<'_> {
    /// Does what is still to do until the line answers.
    pub(super) async fn forward(&self) -> Result<Ran, Stop> {
        if let Err(missed) = self.organization().await? {
            return self.after(vec![missed]).await;
        }
        if let Err(missed) = self.account().await? {
            return self.after(vec![missed]).await;
        }
        let parts = join3(
            self.number(),
            self.assistant(StepName::InboundAssistant),
            self.assistant(StepName::OutboundAssistant),
        );
        let (number, inbound, outbound) = parts.await;
        let missed: Vec<Missed> =
            [number?, inbound?, outbound?].into_iter().filter_map(Result::err).collect();
        if !missed.is_empty() {
            return self.after(missed).await;
        }
        if let Err(missed) = self.connect().await? {
            return self.after(vec![missed]).await;
        }
        self.complete().await
    }

    /// The organization, what its messages are signed with, and the tools that every assistant carries. Nothing is made
    /// where there is no way to a number.
    async fn organization(&self) -> Stepped {
        let step = StepName::Organization;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        if !begun.organization.has_owner {
            tracing::warn!(org_id = %self.scope.org(), "nobody owns the organization, so nobody is told");
        }
        if begun.setup.source.is_none() && self.parts.numbers.is_none() && self.decide().await?.is_none() {
            let step = StepName::TelephonyAccount;
            self.begin(step).await?;
            return self.end(step, Err(Why::Error(NOT_CONFIGURED)), |_, ()| ()).await;
        }
        let prepared = async {
            self.parts.assistants.signing_credential(self.scope).await?;
            self.parts.assistants.prepare_tools().await
        };
        self.end(step, prepared.await.map_err(Why::from), |_, ()| ()).await
    }

    /// Decides where the number comes from, and opens an account if we are to buy one.
    async fn account(&self) -> Stepped {
        let step = StepName::TelephonyAccount;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        let source = match begun.setup.source {
            Some(source) => Some(source),
            None => self.decide().await?,
        };
        let opened = match source {
            Some(NumberSource::Present) => Ok(()),
            Some(NumberSource::Bought | NumberSource::Provided) | None => match self.numbers() {
                Ok(numbers) => numbers.open_account(self.scope).await.map_err(Why::from),
                Err(why) => Err(why),
            },
        };
        self.end(step, opened, |_, ()| ()).await
    }

    /// A number that the organization has, or is about to have, is used; nothing is bought beside it. `None` where there
    /// is none and none can be bought.
    async fn decide(&self) -> Result<Option<NumberSource>, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        let is_present =
            !tx.numbers().await?.is_empty() || tx.expects_a_number().await? || tx.brings_account().await?;
        let bought = self.parts.numbers.is_some().then_some(NumberSource::Bought);
        setup.source = if is_present { Some(NumberSource::Present) } else { bought };
        tx.put_setup(&setup).await?;
        tx.commit().await?;
        Ok(setup.source)
    }

    /// Who buys numbers, if the platform has an account to buy them in.
    fn numbers(&self) -> Result<&dyn LineNumbers, Why> {
        self.parts.numbers.as_deref().ok_or(Why::Error(NOT_CONFIGURED))
    }

    async fn number(&self) -> Stepped {
        let step = StepName::PhoneNumber;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        let number = self.had(&begun.setup).await;
        self.end(step, number, |setup, number| setup.phone_number = Some(number)).await
    }

    /// The number that the organization has now.
    async fn had(&self, setup: &Setup) -> Result<E164, Why> {
        match setup.source {
            Some(NumberSource::Bought) => {
                Ok(self.numbers()?.buy(self.scope, &setup.wish, &setup.tag(), self.claim).await?)
            }
            Some(NumberSource::Present) => self.present().await.map(|known| known.number),
            Some(NumberSource::Provided) => Err(Why::Error(NOT_CONFIGURED)),
            None => Err(Why::Elsewhere(None)),
        }
    }

    /// The oldest number that the organization has; one that it brings is waited for.
    async fn present(&self) -> Result<RoutedNumber, Why> {
        let mut tx = self.parts.store.begin(self.scope).await?;
        let known = tx.numbers().await?.into_iter().next();
        let (is_coming, is_own) = (tx.expects_a_number().await?, tx.brings_account().await?);
        tx.commit().await?;
        match known {
            Some(known) => Ok(known),
            None if is_coming => Err(StepError::Busy.into()),
            None if is_own => Err(StepError::Denied("own_number_missing").into()),
            None => Err(Why::Elsewhere(None)),
        }
    }

    async fn assistant(&self, step: StepName) -> Stepped {
        let Some(Begun { organization, .. }) = self.begin(step).await? else { return Ok(Ok(())) };
        let kind = made_in(step).unwrap_or(LineKind::Inbound);
        let prepared =
            self.parts.assistants.prepare(self.scope, &organization.name, kind, self.on_behalf()).await;
        let note = |setup: &mut Setup, assistant| match kind {
            LineKind::Inbound => setup.inbound = Some(assistant),
            LineKind::Outbound => setup.outbound = Some(assistant),
        };
        self.end(step, prepared.map_err(Why::from), note).await
    }

    /// Has the voice service know the number and let the inbound assistant answer it.
    async fn connect(&self) -> Stepped {
        let step = StepName::VapiPhoneNumber;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        let connected = match begun.setup.source {
            Some(NumberSource::Bought) => match self.numbers() {
                Ok(numbers) => {
                    numbers.connect(self.scope, &begun.setup.tag(), self.claim).await.map_err(Why::from)
                }
                Err(why) => Err(why),
            },
            Some(NumberSource::Present) => self.bind_present(begun).await,
            Some(NumberSource::Provided) => Err(Why::Error(NOT_CONFIGURED)),
            None => Err(Why::Elsewhere(None)),
        };
        let note = |setup: &mut Setup, connected: RoutedNumber| {
            setup.phone_number = Some(connected.number);
            setup.vapi_phone_id = Some(connected.provider_id);
        };
        self.end(step, connected, note).await
    }

    async fn spec(&self, begun: Begun) -> Result<NumberSpec, Why> {
        let credential = self.parts.assistants.signing_credential(self.scope).await?;
        let inbound = begun.setup.inbound.ok_or(StepError::Missing("the inbound assistant"))?;
        Ok(spec(begun.organization, inbound.id, credential))
    }

    /// The first of the organization's numbers that the voice service still has. None is routed again: its owner may be
    /// taking it away at this moment.
    async fn bind_present(&self, begun: Begun) -> Result<RoutedNumber, Why> {
        let spec = self.spec(begun).await?;
        let mut tx = self.parts.store.begin(self.scope).await?;
        let (known, is_own) = (tx.numbers().await?, tx.brings_account().await?);
        tx.commit().await?;
        for number in known {
            if self.parts.provider.bind_number(&number.provider_id, &spec).await.map_err(StepError::from)? {
                return Ok(number);
            }
        }
        // The line that the organization brings is kept in step by a job of its own.
        if is_own {
            return Err(StepError::Busy.into());
        }
        self.numbers()?;
        Err(Why::Elsewhere(Some(NumberSource::Bought)))
    }

    /// Puts everything into use, as one: the routing, the configuration, and the mail that says so.
    async fn complete(&self) -> Result<Ran, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        if !tx.organization().await?.is_some_and(|organization| organization.is_verified) {
            return Err(Stop::Suspended);
        }
        let now = self.now();
        (setup.status, setup.completed_at) = (SetupStatus::Active, Some(now));
        setup.email_queued = tx.tell_ready(&setup, now).await? && self.parts.sends_mails;
        for name in [StepName::Configuration, StepName::Email] {
            let step = setup.step_mut(name);
            step.attempts += 1;
            settle(step, StepStatus::Done, now);
        }
        tx.put_setup(&setup).await?;
        tx.record(audited("setup.completed", &setup)).await?;
        tx.commit().await?;
        tracing::info!(org_id = %self.scope.org(), setup_id = %setup.id, "the line is set up");
        Ok(Ran::Active(setup))
    }
}
