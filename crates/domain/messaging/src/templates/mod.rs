//! Texts that messages are made of, with places for what differs: `Hello {{name}}`.
//!
//! There is no logic in them, and nothing that is put in can become more than text: not a tag in HTML, not a header in a
//! subject. Every change makes a version, so that it can be seen later what was sent. A text that would make people opt
//! out by answering it is refused ([`crate::consent::wording`]).

mod html;
mod manage;
mod text;

pub use manage::{
    ManageTemplates, NewTemplate, Template, TemplateChange, TemplateError, TemplateStore, TemplateVersion,
    TemplatesTx,
};
pub use text::{MissingVariables, Pattern, Variables};

pub use manage::{BadTemplate, PutTemplateError, RenderError, Rendered, TemplateName};
pub use text::NotAPattern;
