//! E-mail.

use secrecy::SecretString;
use voxanne_kernel::EmailAddress;

use super::{
    Shown,
    stored::{as_text, provider_secret, stored},
};
use crate::credential::named;

stored! {
    /// Whom messages come from.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Sender {
        /// The address.
        pub email: EmailAddress,
        /// The name beside it.
        pub name: Option<String>,
    }
}

provider_secret! {
    /// An account at Resend.
    pub struct Resend {
        /// What requests are authenticated with.
        pub api_key: SecretString,
        /// Whom messages come from.
        pub from: Sender,
        /// What its delivery events are signed with.
        pub webhook_secret: Option<SecretString>,
    }
    shows(resend) { Shown::hinting(&resend.api_key).sender(&resend.from) }
}

/// Where a SendGrid account's messages are processed; one in the European Union has a host of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendgridRegion {
    /// Anywhere.
    Global,
    /// The European Union.
    Eu,
}

named!(SendgridRegion { Global = "global", Eu = "eu" });

provider_secret! {
    /// An account at SendGrid.
    pub struct Sendgrid {
        /// What requests are authenticated with.
        pub api_key: SecretString,
        /// Where the account lives; anywhere unless it says so.
        pub region: Option<SendgridRegion>,
        /// Whom messages come from.
        pub from: Sender,
        /// What the signatures of its delivery events are checked with; not a secret.
        pub webhook_public_key: Option<String>,
    }
    shows(sendgrid) {
        Shown::hinting(&sendgrid.api_key)
            .with_some("region", sendgrid.region.as_ref())
            .sender(&sendgrid.from)
    }
}

/// Where a Mailgun account lives; it exists in one of the two only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailgunRegion {
    /// The United States.
    Us,
    /// The European Union.
    Eu,
}

named!(MailgunRegion { Us = "us", Eu = "eu" });

provider_secret! {
    /// An account at Mailgun.
    pub struct Mailgun {
        /// What requests are authenticated with.
        pub api_key: SecretString,
        /// The domain that messages are sent through.
        pub domain: String,
        /// Where the account lives.
        pub region: MailgunRegion,
        /// Whom messages come from.
        pub from: Sender,
        /// What its delivery events are signed with.
        pub webhook_signing_key: Option<SecretString>,
        /// The host of links that are counted when they are followed.
        pub tracking_domain: Option<String>,
    }
    shows(mailgun) {
        Shown::hinting(&mailgun.api_key)
            .with("domain", &mailgun.domain)
            .with("region", &mailgun.region)
            .sender(&mailgun.from)
    }
}

provider_secret! {
    /// A server at Postmark.
    pub struct Postmark {
        /// What requests are authenticated with.
        pub server_token: SecretString,
        /// Whom messages come from.
        pub from: Sender,
        /// What its delivery events must present; they carry no signature.
        pub webhook_secret: Option<SecretString>,
    }
    shows(postmark) { Shown::hinting(&postmark.server_token).sender(&postmark.from) }
}

provider_secret! {
    /// An account at Amazon's SES.
    pub struct Ses {
        /// The name of the key; not a secret.
        pub access_key_id: String,
        /// What requests are signed with.
        pub secret_access_key: SecretString,
        /// Where messages are sent from, such as `eu-west-1`.
        pub region: String,
        /// Under which settings messages are sent.
        pub configuration_set: Option<String>,
        /// The only topic that delivery events are believed from.
        pub topic_arn: Option<String>,
        /// Whom messages come from.
        pub from: Sender,
    }
    shows(ses) { Shown::hinting(&ses.secret_access_key).with("region", &ses.region).sender(&ses.from) }
}

/// How a connection to a mail server is encrypted. There is no third way: plain text is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmtpTls {
    /// It begins in plain text and must become encrypted before anything is said.
    StartTls,
    /// It is encrypted from its first byte.
    Implicit,
}

named!(SmtpTls { StartTls = "starttls", Implicit = "implicit" });

provider_secret! {
    /// Any mail server.
    pub struct Smtp {
        /// The server's name.
        pub host: String,
        /// Its port.
        pub port: u16,
        /// Who signs in; nobody where the server asks for no one.
        pub username: Option<String>,
        /// What they sign in with.
        pub password: Option<SecretString>,
        /// How the connection is encrypted.
        pub tls: SmtpTls,
        /// Whom messages come from.
        pub from: Sender,
    }
    shows(smtp) {
        smtp.password
            .as_ref()
            .map_or_else(Shown::nothing, Shown::hinting)
            .with("host", &smtp.host)
            .with_port(smtp.port)
            .with("tls", &smtp.tls)
            .sender(&smtp.from)
    }
}

as_text!(MailgunRegion, SendgridRegion, SmtpTls);
