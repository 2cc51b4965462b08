//! Templates of an organization.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use voxanne_kernel::{
    Audit, Begin, Clock, Commit, NewAudit, OrgScope, Page, PageRequest, StoreError, Timestamp,
    ids::TemplateId, text::is_storable,
};

use super::{
    html,
    text::{MissingVariables, NotAPattern, Pattern, Target, Variables},
};
use crate::{
    channel::Channel,
    consent::wording,
    limits::{BadContent, check_html, check_subject, check_text},
};

/// What people call a template: 1 to 120 characters, unique in the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateName(Box<str>);

impl TemplateName {
    /// Reads a name; spaces around it do not count.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn new(text: &str) -> Result<Self, BadTemplate> {
        let text = text.trim();
        let is_name = (1..=120).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_name {
            Ok(Self(text.into()))
        } else {
            Err(BadTemplate { field: "name", rule: "must be 1 to 120 characters on one line".to_owned() })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What of a template cannot be so, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BadTemplate {
    /// Its name on the wire.
    pub field: &'static str,
    /// What it must be.
    pub rule: String,
}

impl From<BadContent> for BadTemplate {
    fn from(bad: BadContent) -> Self {
        Self { field: bad.field, rule: bad.rule.to_owned() }
    }
}

/// A text to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTemplate {
    name: TemplateName,
    channel: Channel,
    subject: Option<String>,
    body: String,
}

impl NewTemplate {
    /// Checks what somebody wrote. E-mails have a subject, other channels none. A body with tags in it is HTML.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn new(
        name: TemplateName,
        channel: Channel,
        subject: Option<String>,
        body: String,
    ) -> Result<Self, BadTemplate> {
        let bad = |field, rule: String| BadTemplate { field, rule };
        match (&subject, channel) {
            (None, Channel::Email) => return Err(bad("subject", "is needed for email".to_owned())),
            (Some(_), Channel::Sms | Channel::Whatsapp) => {
                return Err(bad("subject", "is only for email".to_owned()));
            }
            (Some(subject), Channel::Email) => {
                check_subject(subject)?;
                pattern("subject", subject)?;
            }
            (None, _) => {}
        }
        check_text(channel, "body", &body)?;
        pattern("body", &body)?;
        // Only answers to phones are read by carriers.
        if channel != Channel::Email {
            wording::check(&body).map_err(|asks| bad("body", asks.to_string()))?;
        }
        debug_assert!(is_storable(&body), "the content check has refused it");
        Ok(Self { name, channel, subject, body })
    }
}

fn pattern(field: &'static str, text: &str) -> Result<Pattern, BadTemplate> {
    Pattern::new(text).map_err(|error: NotAPattern| BadTemplate { field, rule: error.to_string() })
}

/// A template as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// What people call it.
    pub name: TemplateName,
    /// What it is for.
    pub channel: Channel,
    /// The subject, for e-mails.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// 1, and one more with every change.
    pub version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a template said at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVersion {
    /// Which version.
    pub version: u32,
    /// What it was called.
    pub name: String,
    /// The subject.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// Since when it said so.
    pub created_at: Timestamp,
}

/// A template with everything put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, for e-mails.
    pub subject: Option<String>,
    /// The words.
    pub text: String,
    /// The same as HTML, for e-mails.
    pub html: Option<String>,
}

/// Why a template cannot become a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Something was not given.
    #[error(transparent)]
    Missing(#[from] MissingVariables),
    /// What came out cannot be sent.
    #[error(transparent)]
    Content(#[from] BadContent),
}

impl Template {
    /// The names of its places, in the alphabet's order.
    pub fn variables(&self) -> Vec<String> {
        let texts = [self.subject.as_deref().unwrap_or_default(), &self.body];
        let patterns = texts.map(Pattern::new);
        let mut names: Vec<_> =
            patterns.iter().flatten().flat_map(Pattern::variables).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether its body is HTML.
    pub fn is_html(&self) -> bool {
        self.channel == Channel::Email && html::is_html(&self.body)
    }

    /// Puts `values` in. More of them than there are places do no harm.
    ///
    /// # Errors
    /// See [`RenderError`]; all that is missing is named at once.
    pub fn render(&self, values: &Variables) -> Result<Rendered, RenderError> {
        let missing: Vec<_> =
            self.variables().into_iter().filter(|name| !values.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(MissingVariables(missing).into());
        }
        let fill = |text: &str, into| {
            // What is stored was read when it was saved.
            Pattern::new(text).map_or_else(|_| Ok(text.to_owned()), |pattern| pattern.fill(values, into))
        };
        let subject = self.subject.as_deref().map(|subject| fill(subject, Target::Line)).transpose()?;
        let (text, html) = if self.is_html() {
            let html = fill(&self.body, Target::Html)?;
            (html::to_text(&html), Some(html))
        } else {
            let text = fill(&self.body, Target::Text)?;
            let html = (self.channel == Channel::Email).then(|| html::of_text(&text));
            (text, html)
        };
        subject.as_deref().map(check_subject).transpose()?;
        check_text(self.channel, "content", &text)?;
        html.as_deref().map(check_html).transpose()?;
        Ok(Rendered { subject, text, html })
    }

    fn audited(&self) -> Value {
        json!({ "name": self.name.as_str(), "channel": self.channel, "version": self.version })
    }
}

/// What shall be different; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateChange {
    /// The name.
    pub name: Option<TemplateName>,
    /// The subject.
    pub subject: Option<String>,
    /// The text.
    pub body: Option<String>,
    /// The channel, which has to be what it is.
    pub channel: Option<Channel>,
}

/// The name is another template's.
#[derive(Debug)]
pub enum PutTemplateError {
    /// It is.
    NameTaken,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for PutTemplateError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Keeps templates in a unit of work.
#[async_trait]
pub trait TemplateStore: Send {
    /// A page, newest first, of one channel or all.
    async fn templates(
        &mut self,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Template>, StoreError>;

    /// One as it is now.
    async fn template(&mut self, id: TemplateId) -> Result<Option<Template>, StoreError>;

    /// The same, kept from others who want to change it until the unit of work ends.
    async fn template_to_change(&mut self, id: TemplateId) -> Result<Option<Template>, StoreError>;

    /// Its newest hundred versions, the newest first.
    async fn template_versions(&mut self, id: TemplateId) -> Result<Vec<TemplateVersion>, StoreError>;

    /// Writes a new one or a new version of one, and keeps the version.
    async fn put_template(&mut self, template: &Template) -> Result<(), PutTemplateError>;

    /// Removes one with its versions; `false` when there is none.
    async fn remove_template(&mut self, id: TemplateId) -> Result<bool, StoreError>;
}

/// What managing templates touches.
pub trait TemplatesTx: TemplateStore + Audit + Commit {}
impl<T: TemplateStore + Audit + Commit> TemplatesTx for T {}

/// Why a template was not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// There is none of this id.
    #[error("there is no such template")]
    NotFound,
    /// Another one has the name.
    #[error("another template has this name")]
    NameTaken,
    /// What it shall be it cannot be.
    #[error(transparent)]
    Bad(#[from] BadTemplate),
    /// It cannot become a message.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PutTemplateError> for TemplateError {
    fn from(error: PutTemplateError) -> Self {
        match error {
            PutTemplateError::NameTaken => Self::NameTaken,
            PutTemplateError::Store(error) => Self::Store(error),
        }
    }
}

/// Shows, adds, changes, previews and removes templates.
pub struct ManageTemplates {
    store: Arc<dyn Begin<dyn TemplatesTx>>,
    clock: Arc<dyn Clock>,
}

impl ManageTemplates {
    /// Works in `store`.
    pub fn new(store: Arc<dyn Begin<dyn TemplatesTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A page, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        scope: &OrgScope,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Template>, TemplateError> {
        Ok(self.store.begin(scope).await?.templates(channel, page).await?)
    }

    /// One.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn get(&self, scope: &OrgScope, id: TemplateId) -> Result<Template, TemplateError> {
        self.store.begin(scope).await?.template(id).await?.ok_or(TemplateError::NotFound)
    }

    /// What it said before.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn versions(
        &self,
        scope: &OrgScope,
        id: TemplateId,
    ) -> Result<Vec<TemplateVersion>, TemplateError> {
        let versions = self.store.begin(scope).await?.template_versions(id).await?;
        // There is no template without a version.
        if versions.is_empty() { Err(TemplateError::NotFound) } else { Ok(versions) }
    }

    /// What it would say.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn preview(
        &self,
        scope: &OrgScope,
        id: TemplateId,
        values: &Variables,
    ) -> Result<(Template, Rendered), TemplateError> {
        let template = self.get(scope, id).await?;
        let rendered = template.render(values)?;
        Ok((template, rendered))
    }

    /// Adds one.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn add(&self, scope: &OrgScope, new: NewTemplate) -> Result<Template, TemplateError> {
        let now = self.clock.now();
        let NewTemplate { name, channel, subject, body } = new;
        let id = TemplateId::generate();
        let template =
            Template { id, name, channel, subject, body, version: 1, created_at: now, updated_at: now };
        let mut tx = self.store.begin(scope).await?;
        tx.put_template(&template).await?;
        tx.record(audit("messaging_template.created", id, None, Some(template.audited()))).await?;
        tx.commit().await?;
        Ok(template)
    }

    /// Changes one: a new version, unless nothing is different.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn change(
        &self,
        scope: &OrgScope,
        id: TemplateId,
        change: TemplateChange,
    ) -> Result<Template, TemplateError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.template_to_change(id).await?.ok_or(TemplateError::NotFound)?;
        if change.channel.is_some_and(|channel| channel != before.channel) {
            let rule = "cannot be changed; add another template".to_owned();
            return Err(BadTemplate { field: "channel", rule }.into());
        }
        let NewTemplate { name, channel, subject, body } = NewTemplate::new(
            change.name.unwrap_or_else(|| before.name.clone()),
            before.channel,
            change.subject.or_else(|| before.subject.clone()),
            change.body.unwrap_or_else(|| before.body.clone()),
        )?;
        if (&name, &subject, &body) == (&before.name, &before.subject, &before.body) {
            return Ok(before);
        }
        let template = Template {
            name,
            channel,
            subject,
            body,
            version: before.version.saturating_add(1),
            updated_at: self.clock.now(),
            ..before.clone()
        };
        tx.put_template(&template).await?;
        let (was, is) = (before.audited(), template.audited());
        tx.record(audit("messaging_template.updated", id, Some(was), Some(is))).await?;
        tx.commit().await?;
        Ok(template)
    }

    /// Removes one.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub async fn remove(&self, scope: &OrgScope, id: TemplateId) -> Result<(), TemplateError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.template_to_change(id).await?.ok_or(TemplateError::NotFound)?;
        if !tx.remove_template(id).await? {
            return Err(TemplateError::NotFound);
        }
        tx.record(audit("messaging_template.deleted", id, Some(before.audited()), None)).await?;
        Ok(tx.commit().await?)
    }
}

fn audit(action: &'static str, id: TemplateId, before: Option<Value>, after: Option<Value>) -> NewAudit {
    NewAudit { action, target_kind: "messaging_template", target_id: id.to_string(), before, after }
}
