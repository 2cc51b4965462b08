//! The steps forward.

use futures_util::future::join3;
use voxanne_kernel::{E164, ProviderError};

use super::{
    ports::LineNumbers,
    progress::{Begun, Missed, Run, Stop, Why, made_in, settle},
    run::Ran,
    start::audited,
    state::{NumberSource, Setup, SetupStatus, StepName, StepStatus},
};
use crate::{
    bind::spec,
    ports::{LineKind, LineNumber, NumberSpec, RoutedNumber, StepError},
};

/// What a step came to.
type Stepped = Result<Result<(), Missed>, Stop>;

impl Run<'_> {
    /// Does what is still to do until the line answers.
    pub(super) async fn forward(&self) -> Result<Ran, Stop> {
        for missed in [self.organization().await?, self.account().await?] {
            if let Err(missed) = missed {
                return self.after(vec![missed]).await;
            }
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

    /// The organization, what its messages are signed with, and the tools that every assistant carries.
    async fn organization(&self) -> Stepped {
        let step = StepName::Organization;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        if !begun.organization.has_owner {
            tracing::warn!(org_id = %self.scope.org(), "nobody owns the organization, so nobody is told");
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
            Some(source) => source,
            None => self.decide().await?,
        };
        let opened = match source {
            NumberSource::Bought => match self.numbers() {
                Ok(numbers) => numbers.open_account(self.scope).await.map_err(Why::from),
                Err(why) => Err(why),
            },
            NumberSource::Present | NumberSource::Provided => Ok(()),
        };
        self.end(step, opened, |_, ()| ()).await
    }

    /// A number that the organization has, or is about to have, is used; nothing is bought beside it.
    async fn decide(&self) -> Result<NumberSource, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        let is_present =
            !tx.numbers().await?.is_empty() || tx.expects_a_number().await? || tx.brings_account().await?;
        let source = if is_present { NumberSource::Present } else { self.made_by() };
        setup.source = Some(source);
        tx.put_setup(&setup).await?;
        tx.commit().await?;
        Ok(source)
    }

    /// Where a number comes from that the organization does not have.
    fn made_by(&self) -> NumberSource {
        if self.parts.numbers.is_some() { NumberSource::Bought } else { NumberSource::Provided }
    }

    fn numbers(&self) -> Result<&dyn LineNumbers, Why> {
        let missing = || {
            let error = ProviderError::OurFault("the platform has no account to buy numbers with".into());
            Why::Error(error.into())
        };
        self.parts.numbers.as_deref().ok_or_else(missing)
    }

    async fn number(&self) -> Stepped {
        let step = StepName::PhoneNumber;
        let Some(begun) = self.begin(step).await? else { return Ok(Ok(())) };
        let number = self.had(&begun.setup).await;
        self.end(step, number, |setup, number| setup.phone_number = number).await
    }

    /// The number that the organization has now; none yet where the voice service provides it later.
    async fn had(&self, setup: &Setup) -> Result<Option<E164>, Why> {
        match setup.source {
            Some(NumberSource::Bought) => {
                let number = self.numbers()?.buy(self.scope, &setup.wish, &setup.tag(), self.claim).await?;
                Ok(Some(number))
            }
            Some(NumberSource::Present) => self.present().await.map(|known| Some(known.number)),
            Some(NumberSource::Provided) => Ok(None),
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
            Some(NumberSource::Provided) => self.provided(begun).await,
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
        Ok(spec(self.scope, begun.organization, inbound.id, credential))
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
        if is_own { Err(StepError::Busy.into()) } else { Err(Why::Elsewhere(Some(self.made_by()))) }
    }

    /// What an interrupted attempt left, or a new number of the voice service; bound to the inbound assistant.
    async fn provided(&self, begun: Begun) -> Result<RoutedNumber, Why> {
        let spec = self.spec(begun).await?;
        let provider = &*self.parts.provider;
        let LineNumber { id, number } =
            match provider.find_number(&spec.name).await.map_err(StepError::from)? {
                Some(left) if provider.bind_number(&left.id, &spec).await.map_err(StepError::from)? => left,
                _ => {
                    self.confirm().await?;
                    provider.create_number(&spec).await.map_err(StepError::from)?
                }
            };
        let number = match number {
            Some(number) => number,
            None => self.activated(&id).await?,
        };
        Ok(RoutedNumber { number, provider_id: id })
    }

    /// Makes sure that this run may still make something.
    async fn confirm(&self) -> Result<(), StepError> {
        match self.unit(SetupStatus::Provisioning).await {
            Ok((tx, _)) => Ok(tx.commit().await?),
            Err(Stop::Store(error)) => Err(error.into()),
            Err(_) => Err(StepError::Busy),
        }
    }

    /// The number of a line that was still being activated when it was created.
    async fn activated(&self, id: &str) -> Result<E164, StepError> {
        let found = self.parts.provider.number(id).await?;
        found.and_then(|found| found.number).ok_or_else(|| {
            StepError::Provider(ProviderError::RetryLater {
                after: None,
                source: "the provider has not activated the number yet".into(),
            })
        })
    }

    /// Puts everything into use, as one: the routing, the configuration, and the mail that says so.
    async fn complete(&self) -> Result<Ran, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Provisioning).await?;
        if !tx.organization().await?.is_some_and(|organization| organization.is_verified) {
            return Err(Stop::Suspended);
        }
        let now = self.now();
        if let (Some(NumberSource::Provided), Some(number), Some(id)) =
            (setup.source, &setup.phone_number, &setup.vapi_phone_id)
        {
            tx.put_number(&RoutedNumber { number: number.clone(), provider_id: id.clone() }).await?;
        }
        (setup.status, setup.completed_at) = (SetupStatus::Active, Some(now));
        setup.email_queued = tx.tell_ready(&setup, now).await?;
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
