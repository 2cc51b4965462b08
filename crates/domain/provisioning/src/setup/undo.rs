//! The way back: whatever a setup made is taken back, each part until it is done.

use super::{
    pace,
    ports::GivenBack,
    progress::{Run, Stop, settle},
    run::{Ran, SetUpOrganization, TellOperators},
    start::audited,
    state::{NumberSource, Setup, SetupStatus, StepName, StepStatus},
};
use crate::ports::{LineKind, StepError, provider_name};

/// The steps that leave something, last first, and how each is taken back.
const PARTS: [(Part, &[StepName]); 4] = [
    (Part::Number, &[StepName::VapiPhoneNumber, StepName::PhoneNumber]),
    (Part::Assistant(LineKind::Outbound), &[StepName::OutboundAssistant]),
    (Part::Assistant(LineKind::Inbound), &[StepName::InboundAssistant]),
    (Part::Account, &[StepName::TelephonyAccount]),
];

#[derive(Debug, Clone, Copy)]
enum Part {
    Number,
    Assistant(LineKind),
    Account,
}

impl Run<'_> {
    /// Takes back what is still there. Of several parts the failure of one does not stop the others.
    pub(super) async fn back(&self) -> Result<Ran, Stop> {
        for (part, steps) in PARTS {
            let (tx, setup) = self.unit(SetupStatus::Cleaning).await?;
            tx.commit().await?;
            if steps.iter().all(|step| setup.step(*step).is_cleared) {
                continue;
            }
            let taken = match part {
                Part::Number => self.number_back(&setup).await,
                Part::Assistant(kind) => self.assistant_back(&setup, kind).await.map(|()| GivenBack::WHOLLY),
                Part::Account => self.account_back(&setup).await.map(|()| GivenBack::WHOLLY),
            };
            self.note(steps, taken).await?;
        }
        self.settled().await
    }

    /// A setup that failed gives back what it bought itself. With a line that is taken down everything goes that was ever
    /// bought for it: with both assistants gone nobody would answer.
    async fn number_back(&self, setup: &Setup) -> Result<GivenBack, StepError> {
        if setup.source == Some(NumberSource::Provided) {
            self.provided_back(setup).await?;
        }
        let (is_bought, tag) = (setup.source == Some(NumberSource::Bought), setup.tag());
        let tag = match &setup.failure {
            Some(_) if is_bought => Some(&*tag),
            Some(_) => return Ok(GivenBack::WHOLLY),
            None => None,
        };
        match &self.parts.numbers {
            Some(numbers) => numbers.give_back(self.scope, tag).await,
            None if is_bought => Err(StepError::Missing("the platform's account to buy numbers with")),
            None => Ok(GivenBack::WHOLLY),
        }
    }

    /// A number that the voice service provided, as it did for setups of old. Calls stop first. One whose making was
    /// interrupted goes by its name.
    async fn provided_back(&self, setup: &Setup) -> Result<(), StepError> {
        if let Some(number) = &setup.phone_number {
            let mut tx = self.parts.store.begin(self.scope).await?;
            tx.forget_number(number).await?;
            tx.commit().await?;
        }
        let provider = &self.parts.provider;
        if let Some(id) = &setup.vapi_phone_id {
            return Ok(provider.delete_number(id).await?);
        }
        if setup.step(StepName::VapiPhoneNumber).attempts > 0
            && let Some(left) = provider.find_number(&provider_name(self.scope.org())).await?
        {
            provider.delete_number(&left.id).await?;
        }
        Ok(())
    }

    async fn assistant_back(&self, setup: &Setup, kind: LineKind) -> Result<(), StepError> {
        if setup.kept.contains(&kind) {
            return Ok(());
        }
        self.parts.assistants.remove(self.scope, kind, self.on_behalf()).await
    }

    async fn account_back(&self, setup: &Setup) -> Result<(), StepError> {
        let is_ours = setup.failure.is_none() || setup.source == Some(NumberSource::Bought);
        match &self.parts.numbers {
            Some(numbers) if is_ours => numbers.put_account_away(self.scope).await,
            _ => Ok(()),
        }
    }

    /// Writes down what came of taking a part back.
    async fn note(&self, steps: &[StepName], taken: Result<GivenBack, StepError>) -> Result<(), Stop> {
        let taken = match taken {
            Err(StepError::Store(error)) => return Err(error.into()),
            taken => taken,
        };
        if let Err(error) = &taken {
            let chain = error as &dyn std::error::Error;
            tracing::warn!(org_id = %self.scope.org(), error = chain, "a part of a setup is not taken back yet");
        }
        let (mut tx, mut setup) = self.unit(SetupStatus::Cleaning).await?;
        for name in steps {
            let is_gone = match &taken {
                Ok(taken) if *name == StepName::VapiPhoneNumber => taken.voice,
                Ok(taken) => taken.carrier,
                Err(_) => false,
            };
            if is_gone {
                self.clear(&mut setup, *name);
                continue;
            }
            let code = taken.as_ref().map_or_else(StepError::code, |_| "provider_unavailable");
            tracing::warn!(org_id = %self.scope.org(), step = %name, code, "a step is not undone yet");
            if setup.failure.as_ref().is_none_or(|failure| failure.step != *name) {
                setup.step_mut(*name).error = Some(code.to_owned());
            }
        }
        tx.put_setup(&setup).await?;
        Ok(tx.commit().await?)
    }

    /// Nothing of a step is left; the one that the setup failed with still shows that it did.
    fn clear(&self, setup: &mut Setup, name: StepName) {
        let is_left = setup.source == Some(NumberSource::Present) && setup.failure.is_some();
        match name {
            StepName::PhoneNumber if !is_left => setup.phone_number = None,
            StepName::VapiPhoneNumber => setup.vapi_phone_id = None,
            StepName::InboundAssistant => setup.inbound = None,
            StepName::OutboundAssistant => setup.outbound = None,
            _ => {}
        }
        let now = self.now();
        let step = setup.step_mut(name);
        step.is_cleared = true;
        if matches!(step.status, StepStatus::Running | StepStatus::Done) {
            settle(step, StepStatus::Undone, now);
        }
    }

    /// Ends the setup if nothing is left, and has the job go on otherwise.
    async fn settled(&self) -> Result<Ran, Stop> {
        let (mut tx, mut setup) = self.unit(SetupStatus::Cleaning).await?;
        let now = self.now();
        let left = PARTS.iter().flat_map(|(_, steps)| *steps).find(|step| !setup.step(**step).is_cleared);
        if let Some(left) = left {
            setup.undo_attempts += 1;
            let at = now + pace::pause(setup.undo_attempts);
            let is_stuck = setup.undo_attempts == pace::ESCALATE_AT;
            if is_stuck {
                tx.enqueue(TellOperators::job(self.scope.org(), *left, true)).await?;
            }
            tx.put_setup(&setup).await?;
            tx.enqueue(SetUpOrganization::job(self.scope.org()).not_before(at)).await?;
            tx.commit().await?;
            if is_stuck {
                tracing::error!(org_id = %self.scope.org(), setup_id = %setup.id, "a setup cannot be taken back");
                return Ok(Ran::Stuck(at));
            }
            return Ok(Ran::Later(at));
        }
        for name in [StepName::Email, StepName::Configuration, StepName::Organization] {
            self.clear(&mut setup, name);
        }
        let is_failed = setup.failure.is_some();
        setup.status = if is_failed { SetupStatus::Failed } else { SetupStatus::Inactive };
        setup.completed_at = Some(now);
        tx.put_setup(&setup).await?;
        tx.record(audited("setup.taken_back", &setup)).await?;
        tx.commit().await?;
        tracing::info!(org_id = %self.scope.org(), setup_id = %setup.id, "nothing of a setup is left");
        Ok(if is_failed { Ran::Failed(setup) } else { Ran::Inactive(setup) })
    }
}
