//! Looking after one assistant of an organization: exactly one of each kind, found again after any interruption.
//!
//! Whoever changes an assistant, be it a person who saves, the approval of the organization or a job that links tools,
//! comes this way, holding the claim on that assistant. Our row says what the provider has; it is written before
//! something is created there, so that a creation whose end nobody saw is known and looked for, and again after.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{
    Begin, Claim, Claims, Clock, ExtendClaim, NewAudit, OrgScope, ProviderError, StoreError,
    ids::{AssistantId, SetupId},
};

use crate::{
    alone::{Alone, NotOurs, renew},
    assistant::{AssistantBlueprint, AssistantKind},
    ports::{AfterCreation, AssistantRecord, AssistantsTx, ToolRegistrations, VoiceProvider},
    register::KnownTools,
    settings::AssistantSettings,
    signing::{SigningCredential, SigningError},
    states,
    sync::SyncTools,
};

/// Why an assistant is not ready. Asking again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// Somebody else is changing it; ask again in a moment.
    #[error("somebody else is changing the assistant")]
    Busy,
    /// The organization is gone.
    #[error("there is no such organization")]
    NoOrganization,
    /// The organization's messages cannot be signed: a bug, a wrong key or a hand in the database.
    #[error("the organization's signing credential cannot be made")]
    Signing(#[source] SigningError),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EnsureError {
    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Busy | Self::Store(_) => true,
            Self::Provider(error) => error.is_worth_retrying(),
            Self::NoOrganization | Self::Signing(_) => false,
        }
    }
}

impl From<SigningError> for EnsureError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Busy => Self::Busy,
            // What is refused is our credential, none of the organization's settings.
            SigningError::Provider(ProviderError::Refused(source)) => {
                Self::Provider(ProviderError::OurFault(source))
            }
            SigningError::Provider(error) => Self::Provider(error),
            SigningError::Store(error) => Self::Store(error),
            SigningError::NoSecret | SigningError::Unreadable(_) => Self::Signing(error),
        }
    }
}

impl From<NotOurs> for EnsureError {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::Lost => Self::Busy,
            NotOurs::Store(error) => Self::Store(error),
        }
    }
}

/// An assistant that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredAssistant {
    /// The provider's id.
    pub provider_id: String,
    /// Its name.
    pub name: String,
    /// Whether it was made for the first time.
    pub is_new: bool,
    /// Whether our row pointed at one that somebody had deleted.
    pub was_deleted: bool,
}

/// What the assistant should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// These settings, whatever it has.
    Settings(AssistantSettings),
    /// Whatever was decided before; these where nothing was.
    AsItIs(AssistantSettings),
}

/// Creates and repairs assistants.
#[derive(Clone)]
pub struct EnsureAssistant {
    pub(crate) store: Arc<dyn Begin<dyn AssistantsTx>>,
    pub(crate) alone: Alone,
    pub(crate) provider: Arc<dyn VoiceProvider>,
    pub(crate) registrations: Arc<dyn ToolRegistrations>,
    pub(crate) clock: Arc<dyn Clock>,
    signing: SigningCredential,
    after: Arc<dyn AfterCreation>,
    server_url: String,
}

/// What [`EnsureAssistant`] works with.
pub struct Upkeep {
    /// Keeps our rows.
    pub store: Arc<dyn Begin<dyn AssistantsTx>>,
    /// Says who may change what.
    pub claims: Arc<dyn Claims>,
    /// Holds the assistants.
    pub provider: Arc<dyn VoiceProvider>,
    /// Says which tools are registered.
    pub registrations: Arc<dyn ToolRegistrations>,
    /// Makes the credential that assistants sign with.
    pub signing: SigningCredential,
    /// Names what follows a creation.
    pub after: Arc<dyn AfterCreation>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where assistants send their messages: our webhook's public address.
    pub server_url: String,
}

/// An assistant under our hands: whose, and by which right.
pub(crate) struct Hold<'a> {
    pub(crate) scope: &'a OrgScope,
    pub(crate) claim: &'a Claim,
    /// The setup that this is part of.
    pub(crate) setup: Option<InSetup<'a>>,
}

/// The setup that something is part of, and the right by which that is run: whoever lost it does nothing more.
#[derive(Debug, Clone, Copy)]
pub struct InSetup<'a> {
    /// Labels what is made.
    pub id: SetupId,
    /// Is renewed with the right to the assistant.
    pub right: &'a Claim,
}

impl Hold<'_> {
    /// Renews every right that this is done by.
    pub(crate) async fn renew<Tx: ExtendClaim + ?Sized>(&self, tx: &mut Tx) -> Result<(), NotOurs> {
        renew(tx, self.claim).await?;
        match self.setup {
            Some(setup) => renew(tx, setup.right).await,
            None => Ok(()),
        }
    }
}

/// How the provider came to hold the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It was there.
    Found,
    /// It was made by this or an interrupted attempt.
    Made,
}

impl EnsureAssistant {
    /// Assembles it.
    pub fn new(parts: Upkeep) -> Self {
        let Upkeep { store, claims, provider, registrations, signing, after, clock, server_url } = parts;
        let alone = Alone::new(claims);
        Self { store, alone, provider, registrations, clock, signing, after, server_url }
    }

    /// The credential that assistants sign with.
    pub fn signing(&self) -> &SigningCredential {
        &self.signing
    }

    /// Makes sure that the assistant exists, signs its messages, and carries the tools that are registered. What was
    /// decided about it is left as it is; one that is new begins with the defaults for `organization`.
    ///
    /// # Errors
    /// [`EnsureError`]; asking again is safe.
    pub async fn run(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: AssistantKind,
    ) -> Result<EnsuredAssistant, EnsureError> {
        let settings = AssistantSettings::default_for(organization, kind);
        self.fulfil(scope, kind, Wish::AsItIs(settings), None).await
    }

    /// The same as part of a setup, with which the assistant is labelled.
    ///
    /// # Errors
    /// [`EnsureError`]; asking again is safe.
    pub async fn run_in_setup(
        &self,
        scope: &OrgScope,
        organization: &str,
        kind: AssistantKind,
        setup: InSetup<'_>,
    ) -> Result<EnsuredAssistant, EnsureError> {
        let settings = AssistantSettings::default_for(organization, kind);
        self.fulfil(scope, kind, Wish::AsItIs(settings), Some(setup)).await
    }

    /// Makes the assistant what is wished for.
    pub(crate) async fn fulfil(
        &self,
        scope: &OrgScope,
        kind: AssistantKind,
        wish: Wish,
        setup: Option<InSetup<'_>>,
    ) -> Result<EnsuredAssistant, EnsureError> {
        let credential = self.signing.ensure(scope).await?;
        let claim = self.alone.claim(scope, &claimed_as(kind)).await?.ok_or(EnsureError::Busy)?;
        let mut made = None;
        let hold = Hold { scope, claim: &claim, setup };
        let work = self.ensure(&hold, kind, wish, credential, &mut made);
        let ensured = self.alone.keeping(scope, &claim, work).await;
        let unclear = match ensured {
            Err(EnsureError::Provider(ProviderError::Unclear(_))) => Some(self.store.begin(scope).await),
            _ => None,
        };
        self.alone.finish(scope, claim, unclear).await;
        if let (Err(EnsureError::Busy), Some(id)) = (&ensured, made)
            && let Err(error) = self.withdraw(scope, kind, &id).await
        {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), %kind, error = chain, "an assistant is left that nobody uses");
        }
        ensured
    }

    /// Deletes an assistant that was made too late: somebody else had taken over. Unless that one uses it.
    async fn withdraw(&self, scope: &OrgScope, kind: AssistantKind, id: &str) -> Result<(), EnsureError> {
        let claim = self.alone.claim(scope, &claimed_as(kind)).await?.ok_or(EnsureError::Busy)?;
        let withdrawn = match self.held(&Hold { scope, claim: &claim, setup: None }, kind).await {
            Ok(Some(record)) if record.provider_id.as_deref() == Some(id) => Ok(()),
            Ok(_) => self.provider.delete_assistant(id).await.map_err(EnsureError::from),
            Err(error) => Err(error),
        };
        self.alone.release(scope, claim).await;
        withdrawn
    }

    /// What is made on the way, or found to have been, is noted in `made`.
    async fn ensure(
        &self,
        hold: &Hold<'_>,
        kind: AssistantKind,
        wish: Wish,
        credential: String,
        made: &mut Option<String>,
    ) -> Result<EnsuredAssistant, EnsureError> {
        let tools = KnownTools::of(&self.registrations.registered().await?);
        let before = self.held(hold, kind).await?;
        let tools = tools.for_carrier_of(before.as_ref().map_or(&[], |before| &before.tool_ids));
        let wanted = self.wanted(before.as_ref(), kind, wish.clone(), &tools);
        let blueprint = self.blueprint(hold, &wanted, &tools, credential.clone());

        let known = before.as_ref().and_then(|record| record.provider_id.clone());
        let (wanted, id, came) =
            match self.at_provider(hold, before.as_ref(), &wanted, &blueprint, &wish).await {
                Ok((id, came)) => (wanted, id, came),
                Err(EnsureError::Provider(ProviderError::Refused(_))) if !tools.current.is_empty() => {
                    // Perhaps it is a tool that is refused, such as one that somebody deleted: what the organization
                    // decided does not depend on it. Linking them again is the job's, which says what is wrong.
                    let none = tools.set_aside();
                    let wanted = self.wanted(before.as_ref(), kind, wish.clone(), &none);
                    let blueprint = self.blueprint(hold, &wanted, &none, credential);
                    let (id, came) =
                        self.at_provider(hold, before.as_ref(), &wanted, &blueprint, &wish).await?;
                    (wanted, id, came)
                }
                Err(error) => return Err(error),
            };
        let ensured = EnsuredAssistant {
            name: wanted.settings.name.as_str().to_owned(),
            is_new: known.is_none(),
            was_deleted: known.as_ref().is_some_and(|known| *known != id),
            provider_id: id.clone(),
        };
        if came == Came::Made {
            *made = Some(id.clone());
        }
        let after = AssistantRecord { provider_id: Some(id), creation_begun: None, ..wanted };
        self.remember(hold, before.as_ref(), &after, &tools, came).await?;
        Ok(ensured)
    }

    /// Our row as it should be once the provider has done its part.
    fn wanted(
        &self,
        before: Option<&AssistantRecord>,
        kind: AssistantKind,
        wish: Wish,
        tools: &KnownTools,
    ) -> AssistantRecord {
        let (settings, updated_at) = match (wish, before) {
            (Wish::AsItIs(_), Some(before)) => (before.settings.clone(), before.updated_at),
            (Wish::Settings(settings) | Wish::AsItIs(settings), _) => (settings, self.clock.now()),
        };
        AssistantRecord {
            id: before.map_or_else(AssistantId::generate, |before| before.id),
            kind,
            provider_id: before.and_then(|before| before.provider_id.clone()),
            settings,
            creation_begun: before.and_then(|before| before.creation_begun),
            tool_ids: tools.carried(before.map_or(&[], |before| &before.tool_ids)),
            link_error: None,
            updated_at,
        }
    }

    pub(crate) fn blueprint(
        &self,
        hold: &Hold<'_>,
        wanted: &AssistantRecord,
        tools: &KnownTools,
        credential: String,
    ) -> AssistantBlueprint {
        AssistantBlueprint {
            org: hold.scope.org(),
            kind: wanted.kind,
            setup: hold.setup.map(|setup| setup.id),
            settings: wanted.settings.clone(),
            server_url: self.server_url.clone(),
            signing_credential: credential,
            tool_ids: tools.ids(),
            superseded_tools: tools.superseded.clone(),
        }
    }

    /// Makes the provider hold the assistant as it should be, and says under which id.
    async fn at_provider(
        &self,
        hold: &Hold<'_>,
        before: Option<&AssistantRecord>,
        wanted: &AssistantRecord,
        blueprint: &AssistantBlueprint,
        wish: &Wish,
    ) -> Result<(String, Came), EnsureError> {
        if wanted.creation_begun.is_none()
            && let Some(id) = &wanted.provider_id
            && self.change(hold, id, blueprint, matches!(wish, Wish::Settings(_))).await?
        {
            return Ok((id.clone(), Came::Found));
        }
        // Only after an attempt whose end nobody saw may the provider hold one that we do not know.
        if wanted.creation_begun.is_some()
            && let Some(left) = self.provider.find_assistant(blueprint.org, blueprint.kind).await?
            && self.change(hold, &left, blueprint, true).await?
        {
            tracing::info!(org_id = %blueprint.org, kind = %blueprint.kind, "adopted an assistant that was left");
            return Ok((left, Came::Made));
        }
        let id = self.create(hold, before, wanted, blueprint).await?;
        Ok((id, Came::Made))
    }

    /// Changes an assistant that is there, `settings` included or not; `false` when it was deleted. An answer that was
    /// lost is settled by doing it again, which looks first.
    pub(crate) async fn change(
        &self,
        hold: &Hold<'_>,
        id: &str,
        blueprint: &AssistantBlueprint,
        settings: bool,
    ) -> Result<bool, EnsureError> {
        let mut settled = false;
        loop {
            self.renew(hold).await?;
            let changed = if settings {
                self.provider.update_assistant(id, blueprint).await
            } else {
                self.provider.connect_assistant(id, blueprint).await
            };
            match changed {
                Err(ProviderError::Unclear(_)) if !settled => settled = true,
                changed => return Ok(changed?),
            }
        }
    }

    /// Creates the assistant: our row says so before, and is as it was if it certainly did not happen.
    async fn create(
        &self,
        hold: &Hold<'_>,
        before: Option<&AssistantRecord>,
        wanted: &AssistantRecord,
        blueprint: &AssistantBlueprint,
    ) -> Result<String, EnsureError> {
        let begun = AssistantRecord { creation_begun: Some(self.clock.now()), ..wanted.clone() };
        self.put(hold, &begun).await?;
        match self.provider.create_assistant(blueprint).await {
            Ok(id) => Ok(id),
            Err(unclear @ ProviderError::Unclear(_)) => {
                match self.provider.find_assistant(blueprint.org, blueprint.kind).await {
                    Ok(Some(made)) => Ok(made),
                    Ok(None) | Err(_) => Err(unclear.into()),
                }
            }
            Err(error) => {
                self.undo(hold, before, wanted.kind).await?;
                Err(error.into())
            }
        }
    }

    /// Puts our row back after a creation that did not happen.
    async fn undo(
        &self,
        hold: &Hold<'_>,
        before: Option<&AssistantRecord>,
        kind: AssistantKind,
    ) -> Result<(), EnsureError> {
        let mut tx = self.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        match before {
            Some(before) => tx.put_assistant(before).await?,
            None => tx.remove_assistant(kind).await?,
        }
        Ok(tx.commit().await?)
    }

    pub(crate) async fn held(
        &self,
        hold: &Hold<'_>,
        kind: AssistantKind,
    ) -> Result<Option<AssistantRecord>, EnsureError> {
        Ok(self.store.begin(hold.scope).await?.assistant(kind).await?)
    }

    async fn renew(&self, hold: &Hold<'_>) -> Result<(), EnsureError> {
        let mut tx = self.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn put(&self, hold: &Hold<'_>, record: &AssistantRecord) -> Result<(), EnsureError> {
        let mut tx = self.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        tx.put_assistant(record).await?;
        Ok(tx.commit().await?)
    }

    /// Writes down what the provider has, and what follows from it.
    async fn remember(
        &self,
        hold: &Hold<'_>,
        before: Option<&AssistantRecord>,
        after: &AssistantRecord,
        tools: &KnownTools,
        came: Came,
    ) -> Result<(), EnsureError> {
        let org = hold.scope.org();
        let mut tx = self.store.begin(hold.scope).await?;
        hold.renew(&mut *tx).await?;
        tx.put_assistant(after).await?;
        let rows = states::of(&tx.assistants().await?, tools, &tx.tools().await?);
        tx.put_tools(&rows).await?;
        tx.enqueue(SyncTools::job(org)).await?;
        if came == Came::Made && after.kind == AssistantKind::Inbound {
            tx.enqueue(self.after.bind_numbers(org)).await?;
        }
        if let Some(changed) = changed_fields(before, after) {
            tx.record(NewAudit {
                action: "assistant.saved",
                target_kind: "assistant",
                target_id: after.id.to_string(),
                before: None,
                after: Some(json!({ "kind": after.kind.as_str(), "changed": changed })),
            })
            .await?;
        }
        Ok(tx.commit().await?)
    }
}

/// What an assistant is claimed by.
pub(crate) fn claimed_as(kind: AssistantKind) -> String {
    format!("assistant:{kind}")
}

/// The settings that differ, by name, for the audit trail; `None` when none does.
fn changed_fields(before: Option<&AssistantRecord>, after: &AssistantRecord) -> Option<Vec<&'static str>> {
    let is = &after.settings;
    let Some(was) = before.filter(|before| before.provider_id.is_some()).map(|before| &before.settings)
    else {
        return Some(vec!["created"]);
    };
    let fields = [
        ("name", was.name != is.name),
        ("systemPrompt", was.system_prompt != is.system_prompt),
        ("firstMessage", was.first_message != is.first_message),
        ("voiceId", was.voice != is.voice),
        ("language", was.language != is.language),
        ("maxDurationSeconds", was.max_duration != is.max_duration),
    ];
    let changed: Vec<_> = fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    (!changed.is_empty()).then_some(changed)
}
