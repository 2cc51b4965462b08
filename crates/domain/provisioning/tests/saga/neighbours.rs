//! The neighbours and providers, as a process reaches them. They keep the promises of their ports the way the real ones
//! do: what is about to be made is written down, what an interrupted attempt may have left is looked for, and a claim and
//! the right of the setup are renewed before anything is made.

use std::time::Duration;

use async_trait::async_trait;
use voxanne_kernel::{Claim, Claims, E164, OrgScope, ProviderError};
use voxanne_provisioning::{
    ForwardingPhone, GivenBack, LineAssistants, LineKind, LineNumber, LineNumbers, LineProvider, NumberSpec,
    OnBehalf, ReadyAssistant, RoutedNumber, SetupWish, StepError,
};

use crate::world::{
    AssistantRow, Kind, Process, Purchase, PurchaseState, Sold, State, VoiceAssistant, VoiceNumber, name_of,
};

const VOICE: &str = "voice";
const CARRIER: &str = "carrier";
const HOLD: Duration = Duration::from_secs(20);

impl Process {
    /// Changes what is recorded, by these rights.
    async fn by<T: Send>(
        &self,
        rights: &[&Claim],
        act: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, StepError> {
        let this = self.clone();
        let done = self.store("step", move |state| {
            let is_held = rights.iter().all(|right| this.holds(state, right));
            is_held.then(|| act(state))
        });
        done.await?.ok_or(StepError::Busy)
    }

    async fn find_assistant(&self, kind: LineKind) -> Result<Option<String>, ProviderError> {
        self.ask((Kind::Read, VOICE, "find_assistant"), |state| {
            state.outside.assistants.iter().find(|held| held.kind == kind).map(|held| held.id.clone())
        })
        .await
    }

    async fn delete_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.ask((Kind::Write, VOICE, "delete_assistant"), |state| {
            state.outside.assistants.retain(|held| held.id != id);
            for number in &mut state.outside.numbers {
                number.assistant.take_if(|bound| bound == id);
            }
        })
        .await
    }

    async fn prepare_held(
        &self,
        kind: LineKind,
        on: OnBehalf<'_>,
        claim: &Claim,
    ) -> Result<String, StepError> {
        let name = name_of(kind);
        let row = self.world.state().rows.assistants.get(name).cloned();
        let rights = [claim, on.right];
        let before = row.clone();
        if let Some(AssistantRow { id: Some(id), begun: false }) = &row {
            let known = self.ask((Kind::Write, VOICE, "update_assistant"), |state| {
                state.outside.assistants.iter().any(|held| held.id == *id)
            });
            if known.await? {
                return Ok(id.clone());
            }
        }
        let mut made = None;
        if row.is_some_and(|row| row.begun) {
            made = self.find_assistant(kind).await?;
        }
        let id = match made {
            Some(left) => left,
            None => self.create_held(kind, on, &rights, before).await?,
        };
        let row = AssistantRow { id: Some(id.clone()), begun: false };
        self.by(&rights, move |state| state.rows.assistants.insert(name, row)).await?;
        Ok(id)
    }

    async fn create_held(
        &self,
        kind: LineKind,
        on: OnBehalf<'_>,
        rights: &[&Claim],
        before: Option<AssistantRow>,
    ) -> Result<String, StepError> {
        let (name, label) = (name_of(kind), on.setup.to_string());
        let begun = AssistantRow { id: None, begun: true };
        self.by(rights, move |state| state.rows.assistants.insert(name, begun)).await?;
        let created = self.ask((Kind::Write, VOICE, "create_assistant"), move |state| {
            let id = state.outside.next_id(name);
            state.outside.assistants.push(VoiceAssistant { id: id.clone(), kind, label });
            id
        });
        match created.await {
            Ok(id) => Ok(id),
            Err(error @ ProviderError::Unclear(_)) => match self.find_assistant(kind).await {
                Ok(Some(id)) => Ok(id),
                _ => Err(error.into()),
            },
            Err(error) => {
                self.by(rights, move |state| match before {
                    Some(before) => state.rows.assistants.insert(name, before),
                    None => state.rows.assistants.remove(name),
                })
                .await?;
                Err(error.into())
            }
        }
    }

    async fn remove_held(&self, kind: LineKind, on: OnBehalf<'_>, claim: &Claim) -> Result<(), StepError> {
        let name = name_of(kind);
        let Some(row) = self.world.state().rows.assistants.get(name).cloned() else { return Ok(()) };
        let rights = [claim, on.right];
        if let Some(id) = &row.id {
            self.by(&rights, |_| ()).await?;
            self.delete_assistant(id).await?;
        }
        if row.begun {
            while let Some(left) = self.find_assistant(kind).await? {
                self.by(&rights, |_| ()).await?;
                self.delete_assistant(&left).await?;
            }
        }
        self.by(&rights, |state| state.rows.assistants.remove(name)).await.map(drop)
    }

    fn purchase(&self, tag: &str) -> Option<Purchase> {
        let state = self.world.state();
        state.rows.purchases.iter().find(|row| row.tag == tag && row.is_live()).cloned()
    }

    async fn change_purchase(
        &self,
        rights: &[&Claim],
        tag: &str,
        change: impl FnOnce(&mut Purchase) + Send,
    ) -> Result<(), StepError> {
        self.by(rights, |state| {
            if let Some(row) = state.rows.purchases.iter_mut().find(|row| row.tag == tag && row.is_live()) {
                change(row);
            }
        })
        .await
    }

    async fn buy_held(&self, tag: &str, rights: &[&Claim]) -> Result<E164, StepError> {
        let mut may_be_bought = true;
        if self.purchase(tag).is_none() {
            let offers = self.ask((Kind::Read, CARRIER, "search"), |state| {
                let mut offers = state.outside.for_sale.clone();
                offers.retain(|offer| state.outside.sold.iter().all(|sold| sold.number != *offer));
                offers
            });
            let offer = offers.await?.into_iter().next();
            let Some(number) = offer else {
                return Err(StepError::NoneForSale { nearby: vec!["415".to_owned()] });
            };
            let state = PurchaseState::Buying;
            let row = Purchase { tag: tag.to_owned(), number, carrier: None, voice: None, state };
            self.by(rights, |state| state.rows.purchases.push(row)).await?;
            may_be_bought = false;
        }
        loop {
            let Some(row) = self.purchase(tag) else { return Err(StepError::Busy) };
            match row.state {
                PurchaseState::Buying if row.carrier.is_none() => {}
                PurchaseState::Buying | PurchaseState::Active => return Ok(row.number),
                _ => return Err(StepError::Denied("number_released")),
            }
            if may_be_bought {
                let left = self.ask((Kind::Read, CARRIER, "tagged"), |state| {
                    state.outside.sold.iter().find(|sold| sold.tag == tag).cloned()
                });
                if let Some(left) = left.await? {
                    let keep = |row: &mut Purchase| (row.carrier, row.number) = (Some(left.id), left.number);
                    self.change_purchase(rights, tag, keep).await?;
                    continue;
                }
            }
            self.by(rights, |_| ()).await?;
            let number = row.number.clone();
            let bought = self.ask((Kind::Write, CARRIER, "buy"), |state| {
                if state.outside.gone.contains(&number) {
                    return None;
                }
                let id = state.outside.next_id("sold");
                state.outside.purchases += 1;
                state.outside.sold.push(Sold { id: id.clone(), tag: tag.to_owned(), number: number.clone() });
                Some(id)
            });
            match bought.await {
                Ok(Some(id)) => {
                    self.change_purchase(rights, tag, |row| row.carrier = Some(id)).await?;
                }
                Ok(None) => {
                    self.by(rights, |state| {
                        state.outside.for_sale.retain(|offer| *offer != number);
                        state.rows.purchases.retain(|row| row.tag != tag);
                    })
                    .await?;
                    return Err(StepError::Busy);
                }
                Err(error @ ProviderError::Refused(_)) => {
                    self.change_purchase(rights, tag, |row| row.state = PurchaseState::Over).await?;
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn connect_held(&self, tag: &str, rights: &[&Claim]) -> Result<RoutedNumber, StepError> {
        let Some(row) = self.purchase(tag) else { return Err(StepError::Denied("number_released")) };
        let number = row.number.clone();
        if let (PurchaseState::Active, Some(voice)) = (row.state, row.voice) {
            return Ok(RoutedNumber { number, provider_id: voice });
        }
        let found = self.ask((Kind::Read, VOICE, "find_import"), |state| {
            state.outside.numbers.iter().find(|held| held.number == number).map(|held| held.id.clone())
        });
        let found = found.await?;
        self.by(rights, |_| ()).await?;
        let imported = self.ask((Kind::Write, VOICE, "import"), |state| {
            let assistant = state.rows.assistants.get("inbound").and_then(|row| row.id.clone());
            let id = found.unwrap_or_else(|| {
                let id = state.outside.next_id("number");
                let (number, name) = (number.clone(), "imported".to_owned());
                state.outside.numbers.push(VoiceNumber { id: id.clone(), name, number, assistant: None });
                id
            });
            for held in state.outside.numbers.iter_mut().filter(|held| held.id == id) {
                held.assistant.clone_from(&assistant);
            }
            id
        });
        let id = match imported.await {
            Ok(id) => id,
            Err(error @ ProviderError::Refused(_)) => {
                let releasing = PurchaseState::Releasing { voice: false, carrier: false };
                self.change_purchase(rights, tag, |row| row.state = releasing).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let routed = RoutedNumber { number, provider_id: id };
        self.by(rights, |state| {
            let rows = &mut state.rows;
            if let Some(row) = rows.purchases.iter_mut().find(|row| row.tag == tag && row.is_live()) {
                (row.state, row.voice) = (PurchaseState::Active, Some(routed.provider_id.clone()));
                rows.routes.push(routed.clone());
            }
        })
        .await?;
        Ok(routed)
    }

    async fn give_back_held(&self, tag: &str, claim: &Claim) -> Result<GivenBack, StepError> {
        let rights = [claim];
        let Some(row) = self.purchase(tag) else { return Ok(GivenBack::WHOLLY) };
        let number = row.number.clone();
        if !matches!(row.state, PurchaseState::Releasing { .. }) {
            self.by(&rights, |state| {
                state.rows.routes.retain(|route| route.number != number);
                let releasing = PurchaseState::Releasing { voice: false, carrier: false };
                state
                    .rows
                    .purchases
                    .iter_mut()
                    .filter(|row| row.tag == tag && row.is_live())
                    .for_each(|row| row.state = releasing);
            })
            .await?;
        }
        let (mut voice, mut carrier) = match row.state {
            PurchaseState::Releasing { voice, carrier } => (voice, carrier),
            _ => (false, false),
        };
        if !voice {
            let deleted = self.ask((Kind::Write, VOICE, "delete_number"), |state| {
                state.outside.numbers.retain(|held| held.number != row.number);
            });
            voice = deleted.await.is_ok();
        }
        if !carrier {
            let released = self.ask((Kind::Write, CARRIER, "release"), |state| {
                state.outside.sold.retain(|sold| sold.tag != tag);
            });
            carrier = released.await.is_ok();
        }
        let done = |row: &mut Purchase| {
            row.state = match (voice, carrier) {
                (true, true) => PurchaseState::Over,
                _ => PurchaseState::Releasing { voice, carrier },
            };
        };
        self.change_purchase(&rights, tag, done).await?;
        Ok(GivenBack { voice, carrier })
    }

    async fn claimed(&self, scope: &OrgScope, what: &str) -> Result<Claim, StepError> {
        self.claim(scope, what, HOLD, Duration::ZERO).await?.ok_or(StepError::Busy)
    }
}

#[async_trait]
impl LineAssistants for Process {
    async fn prepare_tools(&self) -> Result<(), StepError> {
        Ok(self.ask((Kind::Read, VOICE, "tools"), |_| ()).await?)
    }

    async fn signing_credential(&self, _: &OrgScope) -> Result<String, StepError> {
        Ok(self.ask((Kind::Read, VOICE, "credential"), |_| "credential".to_owned()).await?)
    }

    async fn prepare(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: LineKind,
        on: OnBehalf<'_>,
    ) -> Result<ReadyAssistant, StepError> {
        let claim = self.claimed(scope, name_of(kind)).await?;
        let prepared = self.prepare_held(kind, on, &claim).await;
        self.release(scope, claim).await?;
        let name = format!("{organization} {}", name_of(kind));
        prepared.map(|id| ReadyAssistant { id, name })
    }

    async fn remove(&self, scope: &OrgScope, kind: LineKind, on: OnBehalf<'_>) -> Result<(), StepError> {
        let claim = self.claimed(scope, name_of(kind)).await?;
        let removed = self.remove_held(kind, on, &claim).await;
        self.release(scope, claim).await?;
        removed
    }
}

#[async_trait]
impl LineNumbers for Process {
    async fn open_account(&self, _: &OrgScope) -> Result<(), StepError> {
        Ok(self.ask((Kind::Write, CARRIER, "open_account"), |_| ()).await?)
    }

    async fn buy(
        &self,
        scope: &OrgScope,
        _: &SetupWish,
        tag: &str,
        right: &Claim,
    ) -> Result<E164, StepError> {
        let claim = self.claimed(scope, "number").await?;
        let bought = self.buy_held(tag, &[&claim, right]).await;
        self.release(scope, claim).await?;
        bought
    }

    async fn connect(&self, scope: &OrgScope, tag: &str, right: &Claim) -> Result<RoutedNumber, StepError> {
        let claim = self.claimed(scope, "number").await?;
        let connected = self.connect_held(tag, &[&claim, right]).await;
        self.release(scope, claim).await?;
        connected
    }

    async fn forwarded(&self, _: &OrgScope) -> Result<Vec<ForwardingPhone>, StepError> {
        Ok(self.world.state().rows.forwarding.clone())
    }

    async fn give_back(&self, scope: &OrgScope, tag: Option<&str>) -> Result<GivenBack, StepError> {
        let live: Vec<String> = {
            let state = self.world.state();
            let live = state.rows.purchases.iter().filter(|row| row.is_live());
            live.map(|row| row.tag.clone()).filter(|known| tag.is_none_or(|tag| tag == known)).collect()
        };
        let mut given = GivenBack::WHOLLY;
        for tag in live {
            let claim = self.claimed(scope, "number").await?;
            let one = self.give_back_held(&tag, &claim).await;
            self.release(scope, claim).await?;
            let one = one?;
            given = GivenBack { voice: given.voice && one.voice, carrier: given.carrier && one.carrier };
        }
        Ok(given)
    }

    async fn put_account_away(&self, _: &OrgScope) -> Result<(), StepError> {
        Ok(self.ask((Kind::Write, CARRIER, "put_away"), |_| ()).await?)
    }
}

#[async_trait]
impl LineProvider for Process {
    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError> {
        self.ask((Kind::Read, VOICE, "find_number"), |state| {
            let found = state.outside.numbers.iter().find(|held| held.name == name)?;
            Some(LineNumber { id: found.id.clone(), number: Some(found.number.clone()) })
        })
        .await
    }

    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError> {
        self.ask((Kind::Write, VOICE, "bind_number"), |state| {
            let Some(held) = state.outside.numbers.iter_mut().find(|held| held.id == id) else {
                return false;
            };
            held.assistant = Some(spec.assistant.clone());
            true
        })
        .await
    }

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        self.ask((Kind::Write, VOICE, "delete_number"), |state| {
            state.outside.numbers.retain(|held| held.id != id);
        })
        .await
    }
}
